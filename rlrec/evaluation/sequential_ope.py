r"""Off-policy estimators for episodes.

With :math:`\rho_t = \pi_e(a_t|s_t) / \pi_b(a_t|s_t)`, :math:`w_t = \prod_{u \le t} \rho_u` (:math:`w_{-1} = 1`), q a
model of the discounted return to go and :math:`v_t = \sum_a \pi_e(a|s_t) q(s_t, a)`. Episodes may have different
lengths: after the end rewards, q and v are 0 and the weight keeps its last value. Checked against SCOPE-RL 0.2.1 on
a two-state MDP; values are discounted returns.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import optimize

from rlrec.core.errors import InvalidArgumentError
from rlrec.core.estimate import Estimate
from rlrec.evaluation.episode_terms import judge_episodes, return_range
from rlrec.evaluation.estimation import Judged
from rlrec.evaluation.intervals import IntervalConfig
from rlrec.evaluation.logged import FloatArray, LoggedBatch
from rlrec.evaluation.problem import MODEL_NOTE
from rlrec.evaluation.target import QLike, QValues, Target, TargetLike


@dataclass(frozen=True, eq=False)
class EpisodeProblem:
    """Rewards, weights and models laid out by step, shape (E, T), as the estimators below read them."""

    logged: LoggedBatch
    target: Target
    gamma: float
    q: QValues | None = None

    def __post_init__(self) -> None:
        """Check the discount."""
        if not 0 < self.gamma <= 1:
            raise InvalidArgumentError(f"gamma must lie in (0, 1], got {self.gamma!r}; 1 means undiscounted")

    @cached_property
    def rewards(self) -> FloatArray:
        """Discounted rewards."""
        steps: FloatArray = self.logged.to_steps(self.logged.reward)
        return steps * self.discounts

    @cached_property
    def discounts(self) -> FloatArray:
        """Powers of gamma, shape (T,)."""
        powers: FloatArray = np.power(self.gamma, np.arange(int(self.logged.lengths.max()), dtype=np.float64))
        return powers

    @cached_property
    def weights(self) -> FloatArray:
        """Cumulative importance weights, carried on after the end."""
        ratios = self.target.taken / self.logged.require_behavior_prob()
        return np.asarray(np.cumprod(self.logged.to_steps(ratios, fill=1.0), axis=1), dtype=np.float64)

    @cached_property
    def weights_before(self) -> FloatArray:
        """Cumulative weights up to the step before; 1 at the first."""
        return np.hstack([np.ones((self.logged.n_episodes, 1)), self.weights[:, :-1]])

    @property
    def model(self) -> QValues:
        """The q-model, or a sentence that asks for one."""
        if self.q is None:
            raise InvalidArgumentError(
                "q must be given for this estimator, got None; pass a model of the discounted return to go"
            )
        return self.q

    @cached_property
    def residuals(self) -> FloatArray:
        """Discounted reward minus the model at the taken action."""
        return self.logged.to_steps(self.logged.reward - self.model.taken) * self.discounts

    @cached_property
    def values(self) -> FloatArray:
        """Discounted model under the target."""
        return self.logged.to_steps(self.model.expected) * self.discounts

    def judge(
        self,
        tops: FloatArray,
        bottoms: FloatArray | None = None,
        *,
        interval: IntervalConfig | None,
        likelihood: bool = False,
        notes: tuple[str, ...] = (),
    ) -> Judged:
        """Put terms (E,) or (E, K) and the support of the whole-episode weight together."""
        returns = self.rewards.sum(axis=1)
        weights = np.ones(len(returns)) if self.logged.behavior_prob is None else self.weights[:, -1]
        return judge_episodes(
            self.logged,
            tops,
            bottoms,
            weights=weights,
            weighted_returns=weights * returns,
            reward_range=return_range(interval.reward_range if interval else None, returns),
            likelihood=likelihood,
            notes=notes,
        )


def tis(
    logged: LoggedBatch,
    target: TargetLike,
    *,
    gamma: float = 1.0,
    self_normalised: bool = False,
    interval: IntervalConfig | None = None,
) -> Estimate:
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
    Estimate, discounted return

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
    return judge_tis(logged, target, gamma, self_normalised, interval).estimate(interval)


def judge_tis(
    logged: LoggedBatch,
    target: TargetLike,
    gamma: float = 1.0,
    self_normalised: bool = False,
    interval: IntervalConfig | None = None,
) -> Judged:
    """Evaluate `tis` and keep the terms, for `estimation.difference`."""
    p = EpisodeProblem(logged, Target.of(logged, target), gamma)
    last = p.weights[:, -1]
    return p.judge(last * p.rewards.sum(axis=1), last if self_normalised else None, interval=interval, likelihood=True)


def pdis(
    logged: LoggedBatch,
    target: TargetLike,
    *,
    gamma: float = 1.0,
    self_normalised: bool = False,
    interval: IntervalConfig | None = None,
) -> Estimate:
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
    return judge_pdis(logged, target, gamma, self_normalised, interval).estimate(interval)


def judge_pdis(
    logged: LoggedBatch,
    target: TargetLike,
    gamma: float = 1.0,
    self_normalised: bool = False,
    interval: IntervalConfig | None = None,
) -> Judged:
    """Evaluate `pdis` and keep the terms, for `estimation.difference`."""
    p = EpisodeProblem(logged, Target.of(logged, target), gamma)
    if self_normalised:
        return p.judge(p.weights * p.rewards, p.weights, interval=interval)
    return p.judge((p.weights * p.rewards).sum(axis=1), interval=interval)


def sequential_dm(
    logged: LoggedBatch,
    target: TargetLike,
    *,
    q: QLike,
    gamma: float = 1.0,
    interval: IntervalConfig | None = None,
) -> Estimate:
    r"""Direct method: the model's value of the first state, :math:`\frac1n \sum_i v_{i0}`.

    As biased as q is; needs no propensities. Its interval tells only about the sampling of first states, and a note
    says so.

    Parameters
    ----------
    logged : LoggedBatch
        Episodes.
    target : array (N, I), StochasticPolicy, callable or Target
        Must give the probability of every action.
    q : array (N, I), callable or QValues
        Model of the discounted return to go, fitted on other episodes.
    gamma : float
        Discount per step, in (0, 1].
    interval : IntervalConfig, optional
        ``reward_range`` is that of the discounted return.

    Returns
    -------
    Estimate, discounted return

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1], reward=[1, 1], episode=[0, 0])
    >>> sequential_dm(log, [[0.5, 0.5], [0.5, 0.5]], q=[[2.0, 1.0], [1.0, 1.0]]).value
    1.5
    """
    p = _with_model(logged, target, gamma, q)
    return p.judge(p.values[:, 0], interval=interval, notes=(MODEL_NOTE,)).estimate(interval)


def sequential_dr(
    logged: LoggedBatch,
    target: TargetLike,
    *,
    q: QLike,
    gamma: float = 1.0,
    interval: IntervalConfig | None = None,
) -> Estimate:
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
    return judge_sequential_dr(logged, target, q, gamma, interval).estimate(interval)


def judge_sequential_dr(
    logged: LoggedBatch,
    target: TargetLike,
    q: QLike,
    gamma: float = 1.0,
    interval: IntervalConfig | None = None,
) -> Judged:
    """Evaluate `sequential_dr` and keep the terms, for `estimation.difference`."""
    p = _with_model(logged, target, gamma, q)
    return p.judge((p.weights * p.residuals + p.weights_before * p.values).sum(axis=1), interval=interval)


def wdr(
    logged: LoggedBatch,
    target: TargetLike,
    *,
    q: QLike,
    gamma: float = 1.0,
    interval: IntervalConfig | None = None,
) -> Estimate:
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
    return judge_wdr(logged, target, q, gamma, interval).estimate(interval)


def judge_wdr(
    logged: LoggedBatch,
    target: TargetLike,
    q: QLike,
    gamma: float = 1.0,
    interval: IntervalConfig | None = None,
) -> Judged:
    """Evaluate `wdr` and keep the terms, for `estimation.difference`."""
    p = _with_model(logged, target, gamma, q)
    every = np.ones(len(p.discounts))
    return p.judge(*_blend(p, every, every), interval=interval)


def magic(
    logged: LoggedBatch,
    target: TargetLike,
    *,
    q: QLike,
    gamma: float = 1.0,
    interval: IntervalConfig | None = None,
) -> Estimate:
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
    p = _with_model(logged, target, gamma, q)
    n_steps = len(p.discounts)
    # Return j (column j + 1) counts residuals up to step j and values up to step j + 1.
    residual_counts = np.tri(n_steps + 1, n_steps, k=-1)  # (T + 1, T)
    value_counts = np.tri(n_steps + 1, n_steps, k=0)
    judged = [p.judge(*_blend(p, r, v), interval=interval) for r, v in zip(residual_counts, value_counts, strict=True)]
    returns = np.array([one.terms.value for one in judged])
    influences = np.stack([one.terms.influence for one in judged])  # (T + 1, U)
    n = influences.shape[1]
    covariance = influences @ influences.T / max(n - 1, 1) / n
    spread = 0.6745 * np.sqrt(covariance[-1, -1])  # half of the 50 % interval of a normal
    bias = np.maximum(np.abs(returns - returns[-1]) - spread, 0.0)
    blend = _simplex_minimum(covariance + np.outer(bias, bias))
    judged_blend = p.judge(*_blend(p, blend @ residual_counts, blend @ value_counts), interval=interval)
    return judged_blend.estimate(interval)


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


def _with_model(logged: LoggedBatch, target: TargetLike, gamma: float, q: QLike) -> EpisodeProblem:
    read = Target.of(logged, target)
    return EpisodeProblem(logged, read, gamma, QValues.of(read, q))
