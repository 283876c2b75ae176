r"""Off-policy estimators for episodes.

With :math:`\rho_t = \pi_e(a_t|s_t) / \pi_b(a_t|s_t)`, :math:`w_t = \prod_{u \le t} \rho_u` (:math:`w_{-1} = 1`), q a
model of the discounted return to go and :math:`v_t = \sum_a \pi_e(a|s_t) q(s_t, a)`. Episodes may have different
lengths: after the end rewards, q and v are 0 and the weight keeps its last value. Checked against SCOPE-RL 0.2.1 on
a two-state MDP; values are discounted returns.
"""

from __future__ import annotations

import numpy as np
from scipy import optimize

from rlrec.evaluation.columns import FloatArray
from rlrec.evaluation.episode_problem import EpisodeProblem
from rlrec.evaluation.estimation import OffPolicyEstimate
from rlrec.evaluation.intervals import IntervalConfig
from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.problem import MODEL_NOTE
from rlrec.evaluation.target import QLike, TargetLike


def tis(
    logged: LoggedBatch,
    target: TargetLike,
    *,
    gamma: float = 1.0,
    self_normalised: bool = False,
    interval: IntervalConfig | None = None,
) -> OffPolicyEstimate:
    r"""Trajectory importance sampling: the whole episode has one weight.

    .. math:: \hat V = \frac1n \sum_i w_{i,T-1} \sum_t \gamma^t r_{it}

    Unbiased with exact propensities; its variance grows exponentially with the horizon. ``self_normalised`` divides
    by the mean weight: consistent, inside the range of returns, much steadier.

    Parameters
    ----------
    logged : LoggedBatch
        Episodes with ``behavior_prob`` of each action.
    target : array (N,), array (N, I), StochasticPolicy, callable or Target
        The target's probabilities.
    gamma : float
        Discount per step, in (0, 1].
    self_normalised : bool
        Divide by the mean weight.
    interval : IntervalConfig, optional
        ``reward_range`` is that of the discounted return.

    Returns
    -------
    OffPolicyEstimate, discounted return

    Raises
    ------
    MissingPropensityError
        If the log has no behaviour probabilities.
    InvalidArgumentError
        For a discount or probabilities out of range.

    References
    ----------
    .. [1] Precup, Sutton & Singh, "Eligibility Traces for Off-Policy Policy Evaluation", ICML 2000.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1, 0], reward=[1, 1, 2], episode=[0, 0, 1], behavior_prob=[0.5, 0.5, 0.5])
    >>> tis(log, [0.25, 0.5, 0.75]).value
    2.0
    """
    p = EpisodeProblem.of(logged, target, gamma, interval)
    last = p.weights[:, -1]
    return p.estimate(last * p.rewards.sum(axis=1), last if self_normalised else None, likelihood=True)


def pdis(
    logged: LoggedBatch,
    target: TargetLike,
    *,
    gamma: float = 1.0,
    self_normalised: bool = False,
    interval: IntervalConfig | None = None,
) -> OffPolicyEstimate:
    r"""Per-decision importance sampling: each reward has the weight of the decisions before it.

    .. math:: \hat V = \frac1n \sum_i \sum_t \gamma^t w_{it}\, r_{it}

    Unbiased with exact propensities, less variable than `tis`, equal to it at horizon 1. ``self_normalised`` divides
    by the mean weight at each step. Parameters, returns and errors as in `tis`.

    References
    ----------
    .. [1] Precup, Sutton & Singh, "Eligibility Traces for Off-Policy Policy Evaluation", ICML 2000.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1, 0], reward=[1, 1, 2], episode=[0, 0, 1], behavior_prob=[0.5, 0.5, 0.5])
    >>> pdis(log, [0.25, 1.0, 0.75]).value
    2.25
    """
    p = EpisodeProblem.of(logged, target, gamma, interval)
    terms = p.weights * p.rewards  # (E, T)
    return p.estimate(terms, p.weights) if self_normalised else p.estimate(terms.sum(axis=1))


def sequential_dm(
    logged: LoggedBatch,
    target: TargetLike,
    *,
    q: QLike | None = None,
    gamma: float = 1.0,
    interval: IntervalConfig | None = None,
) -> OffPolicyEstimate:
    r"""Direct method: the model's value of the first state, :math:`\frac1n \sum_i v_{i0}`.

    As biased as q is; needs no propensities. Its interval tells only about the sampling of first states, and a note
    says so.

    Parameters
    ----------
    logged : LoggedBatch
        Episodes.
    target : array (N, I), StochasticPolicy, callable or Target
        Must give the probability of every action.
    q : array (N, I), callable or QValues, optional
        Model of the discounted return to go, fitted on other episodes. Default: `fqe.fit_fqe`, cross-fitted.
    gamma : float
        Discount per step, in (0, 1].
    interval : IntervalConfig, optional
        ``reward_range`` is that of the discounted return.

    Returns
    -------
    OffPolicyEstimate, discounted return

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1], reward=[1, 1], episode=[0, 0])
    >>> sequential_dm(log, [[0.5, 0.5], [0.5, 0.5]], q=[[2.0, 1.0], [1.0, 1.0]]).value
    1.5
    """
    p = EpisodeProblem.with_model(logged, target, q, gamma, interval)
    return p.estimate(p.values[:, 0], caveats=(MODEL_NOTE,))


def sequential_dr(
    logged: LoggedBatch,
    target: TargetLike,
    *,
    q: QLike | None = None,
    gamma: float = 1.0,
    interval: IntervalConfig | None = None,
) -> OffPolicyEstimate:
    r"""Doubly robust for episodes.

    .. math:: \hat V = \frac1n \sum_i \sum_t \gamma^t \big(w_{it} (r_{it} - q_{it}) + w_{i,t-1} v_{it}\big)

    Unbiased if the propensities are exact or the model is; `pdis` is the case q = 0. Parameters as in `sequential_dm`,
    errors as in `tis`.

    References
    ----------
    .. [1] Jiang & Li, "Doubly Robust Off-policy Value Evaluation for Reinforcement Learning", ICML 2016.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1], reward=[1, 1], episode=[0, 0], behavior_prob=[0.5, 0.5])
    >>> sequential_dr(log, [[0.5, 0.5], [0.5, 0.5]], q=[[2.0, 2.0], [1.0, 1.0]]).value
    2.0
    """
    p = EpisodeProblem.with_model(logged, target, q, gamma, interval)
    return p.estimate((p.weights * p.residuals + p.weights_before * p.values).sum(axis=1))


def wdr(
    logged: LoggedBatch,
    target: TargetLike,
    *,
    q: QLike | None = None,
    gamma: float = 1.0,
    interval: IntervalConfig | None = None,
) -> OffPolicyEstimate:
    r"""Weighted (self-normalised) doubly robust: `sequential_dr` with weights divided by their mean at each step.

    Consistent, with a bias of order 1/n and far less variance than DR where weights are heavy. Parameters as in
    `sequential_dm`, errors as in `tis`.

    References
    ----------
    .. [1] Thomas & Brunskill, "Data-Efficient Off-Policy Policy Evaluation for Reinforcement Learning", ICML 2016.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1], reward=[1, 1], episode=[0, 0], behavior_prob=[0.5, 0.25])
    >>> wdr(log, [[0.5, 0.5], [0.5, 0.5]], q=[[2.0, 2.0], [1.0, 1.0]]).value
    2.0
    """
    p = EpisodeProblem.with_model(logged, target, q, gamma, interval)
    every = np.ones(len(p.discounts))
    return p.estimate(*_blend(p, every, every))


def magic(
    logged: LoggedBatch,
    target: TargetLike,
    *,
    q: QLike | None = None,
    gamma: float = 1.0,
    interval: IntervalConfig | None = None,
) -> OffPolicyEstimate:
    r"""MAGIC: blend the j-step returns between the direct method (j = -1) and `wdr` (j = T - 1).

    The blend minimises :math:`x^\top (\hat\Omega + \hat b \hat b^\top) x` over the simplex, with :math:`\hat\Omega` the
    covariance of the j-step returns and :math:`\hat b` their distance to the 50 % interval of WDR (here by the delta
    method, where the paper bootstraps). Biased where the model is and the log is too small to tell; the interval
    treats the blend as fixed. Parameters as in `sequential_dm`, errors as in `tis`.

    References
    ----------
    .. [1] Thomas & Brunskill, "Data-Efficient Off-Policy Policy Evaluation for Reinforcement Learning", ICML 2016.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1] * 2, reward=[1, 1] * 2, episode=[0, 0, 1, 1], behavior_prob=[0.5, 0.25] * 2)
    >>> round(magic(log, np.full((4, 2), 0.5), q=np.array([[2.0, 2.0], [1.0, 1.0]] * 2)).value, 9)
    2.0
    """
    p = EpisodeProblem.with_model(logged, target, q, gamma, interval)
    n_steps = len(p.discounts)
    # Return j (column j + 1) counts residuals up to step j and values up to step j + 1.
    residual_counts = np.tri(n_steps + 1, n_steps, k=-1)  # (T + 1, T)
    value_counts = np.tri(n_steps + 1, n_steps, k=0)
    evidence = [p.evidence(*_blend(p, r, v)) for r, v in zip(residual_counts, value_counts, strict=True)]
    returns = np.array([one.terms.value for one in evidence])
    influences = np.stack([one.terms.influence for one in evidence])  # (T + 1, U)
    n = influences.shape[1]
    covariance = influences @ influences.T / max(n - 1, 1) / n
    spread = 0.6745 * np.sqrt(covariance[-1, -1])  # half of the 50 % interval of a normal
    bias = np.maximum(np.abs(returns - returns[-1]) - spread, 0.0)
    blend = _simplex_minimum(covariance + np.outer(bias, bias))
    share = float(1.0 - blend[-1])  # of the returns that lean on the model where weights would have run on
    caveats = (f"{share:.0%} of the blend leans on the model; {MODEL_NOTE}",) if share > 0.005 else ()
    return p.estimate(*_blend(p, blend @ residual_counts, blend @ value_counts), caveats=caveats)


def _simplex_minimum(matrix: FloatArray) -> FloatArray:
    """Minimise x'Mx over the simplex: non-negative least squares with a unit row, rescaled (exact, M being
    homogeneous).
    """
    values, vectors = np.linalg.eigh(matrix)
    scale = float(values[-1])
    if scale <= 0:  # no spread and no bias: any blend is as good; take WDR
        return np.asarray(np.eye(len(matrix))[-1], dtype=np.float64)
    root = np.sqrt(np.maximum(values / scale, 0.0))[:, None] * vectors.T
    solution, _ = optimize.nnls(np.vstack([root, np.ones(len(matrix))]), np.append(np.zeros(len(matrix)), 1.0))
    return np.asarray(solution / solution.sum(), dtype=np.float64)


def _blend(p: EpisodeProblem, residual_counts: FloatArray, value_counts: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Terms of the self-normalised residuals and values, each step counted so often: (E, 2T), (E, 2T)."""
    tops = np.hstack([p.weights * p.residuals * residual_counts, p.weights_before * p.values * value_counts])
    return tops, np.hstack([p.weights, p.weights_before])
