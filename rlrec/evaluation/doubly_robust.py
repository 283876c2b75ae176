r"""Off-policy estimators that use a reward model: the direct method and its doubly robust corrections.

With :math:`w = \pi_e(a|x) / \pi_b(a|x)`, q a reward model and :math:`\bar q(x) = \sum_a \pi_e(a|x) q(x, a)`. Checked
against obp 0.5.7 and against exact fractions.
"""

from __future__ import annotations

import numpy as np

from rlrec.evaluation.estimation import OffPolicyEstimate
from rlrec.evaluation.intervals import IntervalConfig
from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.problem import MODEL_NOTE, Problem
from rlrec.evaluation.target import QLike, TargetLike
from rlrec.evaluation.weighting import sub_gaussian


def dm(
    logged: LoggedBatch, target: TargetLike, *, q: QLike | None = None, interval: IntervalConfig | None = None
) -> OffPolicyEstimate:
    r"""Direct method: believe the reward model.

    .. math:: \hat V = \frac1N \sum_i \bar q(x_i)

    As biased as q is; needs no propensities. Its interval tells only about the sampling of contexts, and a note says
    so.

    Parameters
    ----------
    logged : LoggedBatch
        N decisions.
    target : array (N, I), StochasticPolicy, callable or Target
        Must give the probability of every action.
    q : array (N, I), callable or QValues, optional
        Reward model; a callable maps ``logged.context`` rows to (B, I). Default: `q_model.fit_q`, cross-fitted.
    interval : IntervalConfig, optional
        Default: the delta method on the units.

    Returns
    -------
    OffPolicyEstimate, reward units

    Raises
    ------
    DataError
        If the target is known at the taken actions only.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1], reward=[1, 0])
    >>> dm(log, [[0.5, 0.5], [0.5, 0.5]], q=[[1.0, 0.0], [1.0, 0.5]]).value
    0.625
    """
    p = Problem.with_model(logged, target, q, interval)
    return p.estimate(p.rows(p.model.expected), caveats=(MODEL_NOTE,))


def dr(
    logged: LoggedBatch, target: TargetLike, *, q: QLike | None = None, interval: IntervalConfig | None = None
) -> OffPolicyEstimate:
    r"""Doubly robust: the model, corrected by the weighted residuals.

    .. math:: \hat V = \frac1N \sum_i \bar q(x_i) + w_i (r_i - q(x_i, a_i))

    Unbiased if either the propensities or the (cross-fitted) model is right; the better the model, the shorter the
    interval. Parameters as in `dm`; needs propensities as `ips` does.

    References
    ----------
    .. [1] Dudik, Langford & Li, "Doubly Robust Policy Evaluation and Learning", ICML 2011.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1], reward=[1, 0], behavior_prob=[0.5, 0.5])
    >>> dr(log, [[0.5, 0.5], [0.5, 0.5]], q=[[1.0, 0.0], [1.0, 0.0]]).value
    0.5
    """
    p = Problem.with_model(logged, target, q, interval)
    return p.estimate(p.corrected(p.weights), on_range=True)


def sndr(
    logged: LoggedBatch, target: TargetLike, *, q: QLike | None = None, interval: IntervalConfig | None = None
) -> OffPolicyEstimate:
    r"""Self-normalised doubly robust.

    .. math:: \hat V = \frac1N \sum_i \bar q(x_i) + \sum_i w_i (r_i - q(x_i, a_i)) \,/\, \sum_i w_i

    Consistent like `dr`, steadier where weights are heavy, with a bias of order 1/N; moves with a shift of rewards and
    model. Parameters as in `dm`.

    References
    ----------
    .. [1] Thomas & Brunskill, "Data-Efficient Off-Policy Policy Evaluation for Reinforcement Learning", ICML 2016.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1], reward=[1, 0], behavior_prob=[0.5, 0.25])
    >>> sndr(log, [[0.5, 0.5], [0.5, 0.5]], q=[[1.0, 0.0], [1.0, 0.0]]).value
    0.5
    """
    p = Problem.with_model(logged, target, q, interval)
    residuals = p.weights * (logged.reward - p.model.taken)
    return p.estimate(p.pair(p.model.expected, residuals, p.weights), on_range=True)


def clipped_dr(
    logged: LoggedBatch,
    target: TargetLike,
    *,
    q: QLike | None = None,
    clip: float | None = None,
    interval: IntervalConfig | None = None,
) -> OffPolicyEstimate:
    r"""DR with weights cut at ``clip``: :math:`\min(w, \lambda)` in the place of w.

    Its bias is the model's error where weights are cut. ``clip=None`` lets SLOPE choose. Parameters as in `dm`.

    References
    ----------
    .. [1] Su, Dimakopoulou, Krishnamurthy & Dudik, "Doubly Robust Off-Policy Evaluation with Shrinkage", ICML 2020.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1], reward=[1, 0], behavior_prob=[0.5, 0.125])
    >>> clipped_dr(log, [[0.5, 0.5], [0.5, 0.5]], q=[[0.5, 0.5], [0.5, 0.5]], clip=2.0).value
    0.25
    """
    p = Problem.with_model(logged, target, q, interval)
    return p.tuned("clip", clip, lambda value: p.corrected(np.minimum(p.weights, value)), on_range=True)


def switch_dr(
    logged: LoggedBatch,
    target: TargetLike,
    *,
    q: QLike | None = None,
    tau: float | None = None,
    interval: IntervalConfig | None = None,
) -> OffPolicyEstimate:
    r"""Switch-DR: correct the model only where the weight is small.

    .. math:: \hat V = \frac1N \sum_i \bar q(x_i) + w_i 1[w_i \le \tau] (r_i - q(x_i, a_i))

    Its bias is the model's error where the weight exceeds :math:`\tau`. ``tau=None`` lets SLOPE choose. Parameters
    as in `dm`.

    References
    ----------
    .. [1] Wang, Agarwal & Dudik, "Optimal and Adaptive Off-policy Evaluation in Contextual Bandits", ICML 2017.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1], reward=[1, 0], behavior_prob=[0.5, 0.125])
    >>> switch_dr(log, [[0.5, 0.5], [0.5, 0.5]], q=[[0.5, 0.5], [0.5, 0.5]], tau=2.0).value
    0.75
    """
    p = Problem.with_model(logged, target, q, interval)
    return p.tuned("tau", tau, lambda value: p.corrected(np.where(p.weights <= value, p.weights, 0.0)), on_range=True)


def dros(
    logged: LoggedBatch,
    target: TargetLike,
    *,
    q: QLike | None = None,
    shrinkage: float | None = None,
    interval: IntervalConfig | None = None,
) -> OffPolicyEstimate:
    r"""DR with optimistic shrinkage.

    .. math:: \hat V = \frac1N \sum_i \bar q(x_i) + \frac{\lambda w_i}{w_i^2 + \lambda} (r_i - q(x_i, a_i))

    From DM at :math:`\lambda = 0` to DR at infinity; the weights minimise a bound on the squared error.
    ``shrinkage=None`` lets SLOPE choose. Parameters as in `dm`.

    References
    ----------
    .. [1] Su, Dimakopoulou, Krishnamurthy & Dudik, "Doubly Robust Off-Policy Evaluation with Shrinkage", ICML 2020.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1], reward=[1, 0], behavior_prob=[0.5, 0.5])
    >>> dros(log, [[0.5, 0.5], [0.5, 0.5]], q=[[0.5, 0.0], [0.5, 0.0]], shrinkage=1.0).value
    0.375
    """
    p = Problem.with_model(logged, target, q, interval)
    return p.tuned(
        "shrinkage", shrinkage, lambda value: p.corrected(value * p.weights / (p.weights**2 + value)), on_range=True
    )


def sg_dr(
    logged: LoggedBatch,
    target: TargetLike,
    *,
    q: QLike | None = None,
    mixing: float | None = None,
    interval: IntervalConfig | None = None,
) -> OffPolicyEstimate:
    r"""Sub-Gaussian DR: DR with the weights of `sg_ips`; DR at ``mixing=0``. Parameters as in `dm`.

    References
    ----------
    .. [1] Metelli, Russo & Restelli, "Subgaussian and Differentiable Importance Sampling for Off-Policy Evaluation and
       Learning", NeurIPS 2021.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1], reward=[1, 0], behavior_prob=[0.5, 0.5])
    >>> sg_dr(log, [[0.5, 0.5], [0.5, 0.5]], q=[[0.5, 0.0], [0.5, 0.0]], mixing=0.0).value
    0.5
    """
    p = Problem.with_model(logged, target, q, interval)
    return p.tuned("mixing", mixing, lambda value: p.corrected(sub_gaussian(p.weights, value)), on_range=True)
