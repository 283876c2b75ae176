r"""Off-policy estimators for single recommendations (contextual bandits).

With :math:`w = \pi_e(a|x) / \pi_b(a|x)`, q a reward model and :math:`\bar q(x) = \sum_a \pi_e(a|x) q(x, a)`. Checked
against obp 0.5.7 and against exact fractions. Each public function returns an `Estimate`; `judge` returns the terms
behind it, for `estimation.difference` and `slope.choose`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlrec.core.checks import check_between, check_choice, check_positive
from rlrec.core.errors import InvalidArgumentError
from rlrec.core.estimate import Estimate
from rlrec.evaluation.estimation import Judged
from rlrec.evaluation.intervals import IntervalConfig
from rlrec.evaluation.logged import FloatArray, LoggedBatch
from rlrec.evaluation.problem import MODEL_NOTE, Problem
from rlrec.evaluation.q_model import fit_q
from rlrec.evaluation.slope import choose
from rlrec.evaluation.target import QLike, QValues, Target, TargetLike
from rlrec.evaluation.terms import RatioTerms

Rule = Callable[..., RatioTerms]


def _dm(p: Problem) -> RatioTerms:
    return p.rows(p.model.expected)


def _ips(p: Problem) -> RatioTerms:
    return p.rows(p.weights * p.logged.reward)


def _clipped_ips(p: Problem, clip: float) -> RatioTerms:
    return p.rows(np.minimum(p.weights, clip) * p.logged.reward)


def _snips(p: Problem) -> RatioTerms:
    return p.rows(p.weights * p.logged.reward, p.weights)


def _dr(p: Problem) -> RatioTerms:
    return _corrected(p, p.weights)


def _clipped_dr(p: Problem, clip: float) -> RatioTerms:
    return _corrected(p, np.minimum(p.weights, clip))


def _sndr(p: Problem) -> RatioTerms:
    return p.pair(p.model.expected, p.weights * (p.logged.reward - p.model.taken), p.weights)


def _switch_dr(p: Problem, tau: float) -> RatioTerms:
    return _corrected(p, np.where(p.weights <= tau, p.weights, 0.0))


def _dros(p: Problem, shrinkage: float) -> RatioTerms:
    return _corrected(p, shrinkage * p.weights / (p.weights**2 + shrinkage))


def _sg_ips(p: Problem, mixing: float) -> RatioTerms:
    return p.rows(_sub_gaussian(p.weights, mixing) * p.logged.reward)


def _sg_dr(p: Problem, mixing: float) -> RatioTerms:
    return _corrected(p, _sub_gaussian(p.weights, mixing))


def _sub_gaussian(weights: FloatArray, mixing: float) -> FloatArray:
    return weights / (1 - mixing + mixing * weights)


def _corrected(p: Problem, weights: FloatArray) -> RatioTerms:
    return p.rows(p.model.expected + weights * (p.logged.reward - p.model.taken))


@dataclass(frozen=True)
class Estimator:
    """A row of the table of estimators: how to compute it and what it needs."""

    rule: Rule
    needs_model: bool = False
    parameter: str | None = None
    """Name of the hyper-parameter that trades bias for variance."""
    on_range: bool = False
    """True where the interval is better on the logit scale of the reward range (self-normalised or model-based)."""
    likelihood: bool = False
    """True where Cressie-Read bounds are bounds of this estimate."""


ESTIMATORS: dict[str, Estimator] = {
    "dm": Estimator(_dm, needs_model=True),
    "ips": Estimator(_ips, likelihood=True),
    "clipped_ips": Estimator(_clipped_ips, parameter="clip"),
    "snips": Estimator(_snips, on_range=True, likelihood=True),
    "dr": Estimator(_dr, needs_model=True, on_range=True),
    "clipped_dr": Estimator(_clipped_dr, needs_model=True, on_range=True, parameter="clip"),
    "sndr": Estimator(_sndr, needs_model=True, on_range=True),
    "switch_dr": Estimator(_switch_dr, needs_model=True, on_range=True, parameter="tau"),
    "dros": Estimator(_dros, needs_model=True, on_range=True, parameter="shrinkage"),
    "sg_ips": Estimator(_sg_ips, parameter="mixing"),
    "sg_dr": Estimator(_sg_dr, needs_model=True, on_range=True, parameter="mixing"),
}
"""Every bandit estimator by name; `judge` reads it, and so may a conformance suite."""


def judge(
    name: str,
    logged: LoggedBatch,
    target: TargetLike,
    *,
    q: QLike | None = None,
    reward_range: tuple[float, float] | None = None,
    **parameters: float | None,
) -> Judged:
    """Evaluate an estimator by name and keep its terms, for paired differences and other intervals.

    Parameters
    ----------
    name : str
        A key of `ESTIMATORS`.
    logged, target
        As in `ips`.
    q : array (N, I), callable or QValues, optional
        Reward model, for the estimators that need one; without it one is cross-fitted on ``logged.context``.
    reward_range : (float, float), optional
        True smallest and largest reward.
    **parameters
        The estimator's hyper-parameter (``clip``, ``tau``, ``shrinkage`` or ``mixing``); left out or ``None``, SLOPE
        chooses it.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1], reward=[1, 0], behavior_prob=[0.5, 0.5])
    >>> judge("ips", log, [0.25, 0.75]).terms.value
    0.25
    """
    check_choice("name", name, tuple(ESTIMATORS))
    estimator = ESTIMATORS[name]
    read = Target.of(logged, target)
    values = None
    if estimator.needs_model:
        values = fit_q(logged, read) if q is None else QValues.of(read, q)
    problem = Problem(logged, read, values, reward_range)
    unknown = set(parameters) - {estimator.parameter}
    if unknown:
        raise InvalidArgumentError(f"{name} takes {estimator.parameter or 'no parameter'}, got {sorted(unknown)[0]!r}")
    terms, chosen = _terms(problem, estimator, parameters.get(estimator.parameter or ""))
    notes = (MODEL_NOTE,) if name == "dm" else ()
    return Judged(
        terms,
        problem.units,
        on_range=estimator.on_range and problem.has_known_range,
        likelihood=estimator.likelihood,
        notes=notes + chosen,
    )


def _terms(problem: Problem, estimator: Estimator, value: float | None) -> tuple[RatioTerms, tuple[str, ...]]:
    name = estimator.parameter
    if name is None:
        return estimator.rule(problem), ()
    if value is not None:
        check_between(name, value, 0.0, 1.0) if name == "mixing" else check_positive(name, value)
        return estimator.rule(problem, value), ()
    grid = parameter_grid(name, problem.weights)
    candidates = [estimator.rule(problem, float(value)) for value in grid]
    best = choose(candidates)
    return candidates[best], (f"{name} = {grid[best]:.4g} was chosen by SLOPE",)


def parameter_grid(name: str, weights: FloatArray) -> Sequence[float]:
    """Return candidates from least biased to least variable: quantiles of the weights, or powers for the others."""
    top = float(weights.max())
    if name == "mixing":
        return [0.0, *np.geomspace(1e-3, 1.0, 10).tolist()]
    if name == "shrinkage":
        return np.geomspace(1e4 * max(top, 1.0) ** 2, 1e-2, 15).tolist()  # type: ignore[no-any-return]
    quantiles = np.quantile(weights[weights > 0], np.linspace(1.0, 0.1, 10)) if top > 0 else np.ones(1)
    return np.unique(quantiles)[::-1].tolist()  # type: ignore[no-any-return]


def _run(name: str, logged: LoggedBatch, target: TargetLike, interval: IntervalConfig | None, **given: Any) -> Estimate:
    config = interval or IntervalConfig()
    return judge(name, logged, target, reward_range=config.reward_range, **given).estimate(config)


def ips(logged: LoggedBatch, target: TargetLike, *, interval: IntervalConfig | None = None) -> Estimate:
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
        Default: Student's t on the units (users or episodes).

    Returns
    -------
    Estimate, reward units

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
    return _run("ips", logged, target, interval)


def clipped_ips(
    logged: LoggedBatch, target: TargetLike, *, clip: float | None = None, interval: IntervalConfig | None = None
) -> Estimate:
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
    return _run("clipped_ips", logged, target, interval, clip=clip)


def snips(logged: LoggedBatch, target: TargetLike, *, interval: IntervalConfig | None = None) -> Estimate:
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
    return _run("snips", logged, target, interval)


def dm(
    logged: LoggedBatch, target: TargetLike, *, q: QLike | None = None, interval: IntervalConfig | None = None
) -> Estimate:
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
        Default: Student's t on the units.

    Returns
    -------
    Estimate, reward units

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
    return _run("dm", logged, target, interval, q=q)


def dr(
    logged: LoggedBatch, target: TargetLike, *, q: QLike | None = None, interval: IntervalConfig | None = None
) -> Estimate:
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
    return _run("dr", logged, target, interval, q=q)


def sndr(
    logged: LoggedBatch, target: TargetLike, *, q: QLike | None = None, interval: IntervalConfig | None = None
) -> Estimate:
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
    return _run("sndr", logged, target, interval, q=q)


def clipped_dr(
    logged: LoggedBatch,
    target: TargetLike,
    *,
    q: QLike | None = None,
    clip: float | None = None,
    interval: IntervalConfig | None = None,
) -> Estimate:
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
    return _run("clipped_dr", logged, target, interval, q=q, clip=clip)


def switch_dr(
    logged: LoggedBatch,
    target: TargetLike,
    *,
    q: QLike | None = None,
    tau: float | None = None,
    interval: IntervalConfig | None = None,
) -> Estimate:
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
    return _run("switch_dr", logged, target, interval, q=q, tau=tau)


def dros(
    logged: LoggedBatch,
    target: TargetLike,
    *,
    q: QLike | None = None,
    shrinkage: float | None = None,
    interval: IntervalConfig | None = None,
) -> Estimate:
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
    return _run("dros", logged, target, interval, q=q, shrinkage=shrinkage)


def sg_ips(
    logged: LoggedBatch, target: TargetLike, *, mixing: float | None = None, interval: IntervalConfig | None = None
) -> Estimate:
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
    return _run("sg_ips", logged, target, interval, mixing=mixing)


def sg_dr(
    logged: LoggedBatch,
    target: TargetLike,
    *,
    q: QLike | None = None,
    mixing: float | None = None,
    interval: IntervalConfig | None = None,
) -> Estimate:
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
    return _run("sg_dr", logged, target, interval, q=q, mixing=mixing)
