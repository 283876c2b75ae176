r"""Off-policy estimators that weight rewards: the log, reweighted, and nothing else.

With :math:`w = \pi_e(a|x) / \pi_b(a|x)`. Checked against obp 0.5.7 and against exact fractions.
"""

from __future__ import annotations

import numpy as np

from rlrec.evaluation.columns import FloatArray
from rlrec.evaluation.estimation import OffPolicyEstimate
from rlrec.evaluation.intervals import IntervalConfig
from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.problem import Problem
from rlrec.evaluation.target import TargetLike


def ips(logged: LoggedBatch, target: TargetLike, *, interval: IntervalConfig | None = None) -> OffPolicyEstimate:
    r"""Inverse propensity score: reweight each logged reward.

    .. math:: \hat V = \frac1N \sum_i w_i r_i

    Unbiased where the propensities are exact and the logger supports the target; its variance grows with the
    weights, and adding a constant to the rewards changes it.

    Parameters
    ----------
    logged : LoggedBatch
        N decisions with ``behavior_prob``.
    target : array (N,), array (N, I), StochasticPolicy, callable or Target
        Probabilities of the taken actions, of all actions, or a policy on ``logged.context``.
    interval : IntervalConfig, optional
        Default: the delta method on the units (users or episodes).

    Returns
    -------
    OffPolicyEstimate, reward units

    Raises
    ------
    MissingPropensityError
        If the log has no behaviour probabilities.
    InvalidArgumentError
        If the target's probabilities have the wrong shape or values.

    References
    ----------
    .. [1] Horvitz & Thompson, "A Generalization of Sampling Without Replacement From a Finite Universe", JASA 1952.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1, 0, 1], reward=[1, 0, 1, 1], behavior_prob=[0.5, 0.5, 0.8, 0.2])
    >>> round(ips(log, [0.25, 0.75, 0.4, 0.6]).value, 12)
    1.0
    """
    p = Problem.of(logged, target, interval)
    return p.estimate(p.rows(p.weights * logged.reward), likelihood=True)


def clipped_ips(
    logged: LoggedBatch, target: TargetLike, *, clip: float | None = None, interval: IntervalConfig | None = None
) -> OffPolicyEstimate:
    r"""IPS with weights cut at ``clip``.

    .. math:: \hat V = \frac1N \sum_i \min(w_i, \lambda)\, r_i

    Biased low for positive rewards wherever a weight is cut; the variance is bounded by :math:`\lambda`. ``clip=None``
    lets SLOPE choose among quantiles of the weights. Parameters, returns and errors as in `ips`.

    References
    ----------
    .. [1] Ionides, "Truncated Importance Sampling", JCGS 2008.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1, 0, 1], reward=[1, 0, 1, 1], behavior_prob=[0.5, 0.5, 0.8, 0.2])
    >>> clipped_ips(log, [0.25, 0.75, 0.4, 0.6], clip=2.0).value
    0.75
    """
    p = Problem.of(logged, target, interval)
    return p.tuned("clip", clip, lambda value: p.rows(np.minimum(p.weights, value) * logged.reward))


def snips(logged: LoggedBatch, target: TargetLike, *, interval: IntervalConfig | None = None) -> OffPolicyEstimate:
    r"""Self-normalised IPS.

    .. math:: \hat V = \sum_i w_i r_i \,/\, \sum_i w_i

    Consistent with a bias of order 1/N; stays in the reward range; moves with a shift of the rewards. The default
    choice without a reward model. Its interval re-evaluates the whole ratio. Parameters, returns and errors as in
    `ips`; a `DataError` is raised where all weights are 0.

    References
    ----------
    .. [1] Swaminathan & Joachims, "The Self-Normalized Estimator for Counterfactual Learning", NeurIPS 2015.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1, 0, 1], reward=[1, 0, 1, 1], behavior_prob=[0.5, 0.5, 0.8, 0.2])
    >>> round(snips(log, [0.25, 0.75, 0.4, 0.6]).value * 11, 9)
    8.0
    """
    p = Problem.of(logged, target, interval)
    return p.estimate(p.rows(p.weights * logged.reward, p.weights), on_range=True, likelihood=True)


def sg_ips(
    logged: LoggedBatch, target: TargetLike, *, mixing: float | None = None, interval: IntervalConfig | None = None
) -> OffPolicyEstimate:
    r"""Sub-Gaussian IPS: weights smoothed by a harmonic mean with 1.

    .. math:: \hat V = \frac1N \sum_i \frac{w_i}{1 - \lambda + \lambda w_i} r_i

    Biased for :math:`\lambda > 0`, with sub-Gaussian tails; the mean reward at :math:`\lambda = 1`. ``mixing=None``
    lets SLOPE choose. Parameters, returns and errors as in `ips`.

    References
    ----------
    .. [1] Metelli, Russo & Restelli, "Subgaussian and Differentiable Importance Sampling for Off-Policy Evaluation and
       Learning", NeurIPS 2021.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1], reward=[1, 0], behavior_prob=[0.5, 0.5])
    >>> sg_ips(log, [0.25, 0.75], mixing=1.0).value
    0.5
    """
    p = Problem.of(logged, target, interval)
    return p.tuned("mixing", mixing, lambda value: p.rows(sub_gaussian(p.weights, value) * logged.reward))


def sub_gaussian(weights: FloatArray, mixing: float) -> FloatArray:
    """Return weights smoothed by a harmonic mean with 1, shape (N,)."""
    return weights / (1 - mixing + mixing * weights)
