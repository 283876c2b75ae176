r"""Off-policy estimators for slates: one row for each (slate, position), a slate being an episode of the log.

They differ in what they assume about users and hence in which probability ``behavior_prob`` and the target stand for:

=================  ==========================================  =====================================================
estimator          assumption on the reward at position k      probability in each row
=================  ==========================================  =====================================================
`sips`             none                                        of the whole slate (the same in all its rows)
`rips`             depends on positions up to k (cascade)      of the items at positions 1..k (cumulative)
`iips`             depends on the item at k only               of the item at position k (marginal)
`pseudo_inverse`   slate reward is a sum over positions        of the item at position k, slots drawn independently
`cascade_dr`       as `rips`, with a reward model              behaviour: cumulative; target: of each item at step k
=================  ==========================================  =====================================================

Checked against obp 0.5.7 and vw-estimators 0.2.2. Values are the mean total reward of a slate.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from rlrec.core.errors import InvalidArgumentError
from rlrec.evaluation.columns import FloatArray
from rlrec.evaluation.episode_terms import episode_evidence, return_range
from rlrec.evaluation.estimation import OffPolicyEstimate
from rlrec.evaluation.intervals import IntervalConfig
from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.target import QLike, QValues, Target, TargetLike

Kind = Literal["sips", "iips", "rips"]


def sips(
    logged: LoggedBatch,
    target_prob: ArrayLike,
    *,
    self_normalised: bool = False,
    interval: IntervalConfig | None = None,
) -> OffPolicyEstimate:
    r"""Standard IPS for slates: the weight of the whole slate.

    .. math:: \hat V = \frac1n \sum_i w(S_i) \sum_k r_{ik}

    Unbiased for any user behaviour; its variance grows exponentially with the slate's length. ``self_normalised``
    divides by the mean weight (consistent, steadier).

    Parameters
    ----------
    logged : LoggedBatch
        Rows are (slate, position), ``episode`` the slate; ``behavior_prob`` of the whole slate in each of its rows.
    target_prob : array, shape (N,)
        The target's probability of the same.
    self_normalised : bool
        Normalise the weights at each position.
    interval : IntervalConfig, optional
        ``reward_range`` is that of a slate's total.

    Returns
    -------
    OffPolicyEstimate, reward units for each slate

    Raises
    ------
    MissingPropensityError
        If the log has no behaviour probabilities.
    InvalidArgumentError
        If ``target_prob`` has the wrong shape, or is not in [0, 1].

    References
    ----------
    .. [1] Precup, Sutton & Singh, "Eligibility Traces for Off-Policy Policy Evaluation", ICML 2000.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1, 1, 0], reward=[1, 0, 1, 1], episode=[0, 0, 1, 1], behavior_prob=[0.5] * 4)
    >>> sips(log, [0.25, 0.25, 0.75, 0.75]).value
    1.75
    """
    return _weighted("sips", logged, target_prob, self_normalised, interval)


def iips(
    logged: LoggedBatch,
    target_prob: ArrayLike,
    *,
    self_normalised: bool = False,
    interval: IntervalConfig | None = None,
) -> OffPolicyEstimate:
    r"""Independent IPS: each position has the weight of its own item.

    .. math:: \hat V = \frac1n \sum_i \sum_k w_k(a_{ik})\, r_{ik}

    Unbiased only if the reward at a position depends on its own item alone; the least variable of the three.
    Parameters, returns and errors as in `sips`, with the marginal probability of the item at its position.

    References
    ----------
    .. [1] Li, Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay & Wen, "Offline Evaluation of Ranking Policies with Click
       Models", KDD 2018.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1, 1, 0], reward=[1, 0, 1, 1], episode=[0, 0, 1, 1], behavior_prob=[0.5] * 4)
    >>> iips(log, [0.25, 0.25, 0.75, 0.5]).value
    1.5
    """
    return _weighted("iips", logged, target_prob, self_normalised, interval)


def rips(
    logged: LoggedBatch,
    target_prob: ArrayLike,
    *,
    self_normalised: bool = False,
    interval: IntervalConfig | None = None,
) -> OffPolicyEstimate:
    r"""Reward-interaction IPS: each position has the weight of all positions up to it.

    .. math:: \hat V = \frac1n \sum_i \sum_k w_{1:k}(a_{i1}, \dots, a_{ik})\, r_{ik}

    Unbiased if users look from top to bottom (cascade); between `iips` and `sips` in variance. Parameters, returns and
    errors as in `sips`, with the cumulative probability of the items up to the position.

    References
    ----------
    .. [1] McInerney, Brost, Chandar, Mehrotra & Carterette, "Counterfactual Evaluation of Slate Recommendations with
       Sequential Reward Interactions", KDD 2020.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1, 1, 0], reward=[1, 0, 1, 1], episode=[0, 0, 1, 1], behavior_prob=[0.5, 0.25] * 2)
    >>> rips(log, [0.25, 0.25, 0.75, 0.25]).value
    1.5
    """
    return _weighted("rips", logged, target_prob, self_normalised, interval)


def cascade_dr(
    logged: LoggedBatch, target: TargetLike, *, q: QLike, interval: IntervalConfig | None = None
) -> OffPolicyEstimate:
    r"""Doubly robust under the cascade model.

    .. math:: \hat V = \frac1n \sum_i \sum_k w_{1:k} (r_{ik} - q_k) + w_{1:k-1} \bar q_k

    Unbiased if users look from top to bottom and the propensities are exact, whatever q; `rips` is the case q = 0.

    Parameters
    ----------
    logged : LoggedBatch
        Rows are (slate, position), ``behavior_prob`` cumulative as for `rips`.
    target : array (N, I), StochasticPolicy or callable
        The target's probability of each item at this position, given the items above it.
    q : array (N, I), callable or QValues
        Predicted reward from this position on, for each item.
    interval : IntervalConfig, optional
        ``reward_range`` is that of a slate's total.

    Returns
    -------
    OffPolicyEstimate, reward units for each slate

    References
    ----------
    .. [1] Kiyohara, Saito, Matsuhiro, Narita, Shimizu & Yamamoto, "Doubly Robust Off-Policy Evaluation for Ranking
       Policies under the Cascade Behavior Model", WSDM 2022.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1], reward=[1, 0], episode=[0, 0], behavior_prob=[0.5, 0.5])
    >>> cascade_dr(log, [[0.5, 0.5], [0.0, 1.0]], q=[[0.0, 0.0], [0.0, 0.0]]).value
    1.0
    """
    read = Target.of(logged, target)
    values = QValues.of(read, q)
    cumulative = np.cumprod(logged.to_steps(read.taken, fill=1.0), axis=1)  # (E, K)
    weights = cumulative / logged.to_steps(logged.require_behavior_prob(), fill=None)
    before = np.hstack([np.ones((len(weights), 1)), weights[:, :-1]])
    residual = logged.to_steps(logged.reward - values.taken)
    tops = (weights * residual + before * logged.to_steps(values.expected)).sum(axis=1)
    return _estimate(logged, tops, None, weights[:, -1], None, interval)


def pseudo_inverse(
    logged: LoggedBatch, target_prob: ArrayLike, *, interval: IntervalConfig | None = None
) -> OffPolicyEstimate:
    r"""Pseudo-inverse estimator for a logger that fills its K slots independently.

    .. math:: \hat V = \frac1n \sum_i R_i \Big(1 - K_i + \sum_k w_k(a_{ik})\Big), \qquad R_i = \sum_k r_{ik}

    Unbiased if the slate's total reward is a sum of unknown contributions of its slots; variance grows linearly with K.
    The slate's total may be spread over its rows in any way. Parameters, returns and errors as in `sips`, with the
    probability of the item in its slot.

    References
    ----------
    .. [1] Swaminathan, Krishnamurthy, Agarwal, Dudik, Langford, Jose & Zitouni, "Off-policy evaluation for slate
       recommendation", NeurIPS 2017.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1], reward=[2, 0], episode=[0, 0], behavior_prob=[0.5, 0.25])
    >>> pseudo_inverse(log, [0.25, 0.5]).value
    3.0
    """
    weights = _row_weights(logged, target_prob)
    sums = np.asarray(np.add.reduceat(weights, logged.offsets[:-1]), dtype=np.float64)  # (E,)
    correction: FloatArray = 1.0 - logged.lengths + sums
    rewards = np.asarray(np.add.reduceat(logged.reward, logged.offsets[:-1]), dtype=np.float64)
    longest = float(logged.lengths.max())
    tops = correction * rewards
    return _estimate(logged, tops, None, correction, tops, interval, 1 - longest, True)


def _weighted(
    kind: Kind,
    logged: LoggedBatch,
    target_prob: ArrayLike,
    self_normalised: bool,
    interval: IntervalConfig | None,
) -> OffPolicyEstimate:
    """Estimate with the weights of `sips`, `iips` or `rips`."""
    rows = _row_weights(logged, target_prob)
    starts = logged.offsets[:-1]
    rewards = np.add.reduceat(logged.reward, starts)  # (E,)
    last = rows[logged.offsets[1:] - 1]  # (E,): for sips any row would do
    if kind == "iips":
        gate = np.add.reduceat(rows, starts) / logged.lengths
        weighted = np.add.reduceat(rows * logged.reward, starts)
    else:
        gate, weighted = last, last * rewards
    if not self_normalised:
        tops = np.add.reduceat(rows * logged.reward, starts)
        return _estimate(logged, tops, None, gate, weighted, interval, likelihood=kind != "rips")
    weights = logged.to_steps(rows, fill=1.0 if kind == "iips" else None)  # (E, K)
    return _estimate(logged, weights * logged.to_steps(logged.reward), weights, gate, weighted, interval)


def _estimate(
    logged: LoggedBatch,
    tops: FloatArray,
    bottoms: FloatArray | None,
    weights: FloatArray,
    weighted: FloatArray | None,
    interval: IntervalConfig | None,
    min_weight: float = 0.0,
    likelihood: bool = False,
) -> OffPolicyEstimate:
    rewards = np.add.reduceat(logged.reward, logged.offsets[:-1])
    lows, highs = (np.outer(logged.observed_range, (logged.lengths.min(), logged.lengths.max()))).tolist()
    declared = interval.reward_range if interval else None
    return episode_evidence(
        logged,
        tops,
        bottoms,
        weights=weights,
        weighted_returns=weights * rewards if weighted is None else weighted,
        reward_range=(min(lows), max(highs)) if declared is None else return_range(declared, rewards),
        min_weight=min_weight,
        likelihood=likelihood,
    ).estimate(interval)


def _row_weights(logged: LoggedBatch, target_prob: ArrayLike) -> FloatArray:
    if np.ndim(target_prob) != 1:
        raise InvalidArgumentError(
            f"target_prob must have shape (N={logged.n_rows},), got {np.shape(target_prob)}; pass the "
            "target's probability of what each row logged"
        )
    return Target.of(logged, target_prob).taken / logged.require_behavior_prob()
