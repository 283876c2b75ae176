"""The support gate: what does this log say about this policy.

At an effective sample size of 0.3 % no interval covers, whatever its formula, so every off-policy `Estimate` carries
its effective sample size, mean and largest weight, unsupported mass and Pareto k, and is marked unreliable below the
gate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rlrec.core.errors import InvalidArgumentError
from rlrec.core.estimate import Support
from rlrec.evaluation.columns import FloatArray
from rlrec.evaluation.cressie_read import cressie_read_interval

MIN_EFFECTIVE_SAMPLE_SIZE = 1000.0
"""Gate on the effective sample size (issue 8: below it, CLT intervals of importance-weighted means were seen to
fail)."""
MIN_EFFECTIVE_SHARE = 0.05
"""Gate on effective sample size over n (issue 8)."""
MAX_PARETO_K = 0.7
"""Above it the mean of the weights cannot be trusted at any practical sample size (Vehtari et al., JMLR 2024)."""
_MEAN_WEIGHT_Z = 4.0  # chosen here: one false alarm in 16,000 logs


@dataclass(frozen=True)
class UnitWeights:
    """Importance weight and weighted reward of each independent unit, as the gate reads them, shape (U,) each."""

    weights: FloatArray
    """Mean importance weight of the unit's rows (last step for episodes); 1 where nothing is weighted."""
    scaled: FloatArray
    """Weights scaled so that their expectation is 1 also where units differ in size."""
    scaled_rewards: Callable[[], FloatArray]
    """``scaled`` times the reward (return) of the unit; asked for only where the gate is closed."""
    reward_range: tuple[float, float]
    """Smallest and largest possible reward."""
    unsupported_mass: float | None = None
    """Exact share of target probability off the logger's support, where known."""
    min_weight: float = 0.0
    """Smallest possible weight; below 0 for the pseudo-inverse."""


def effective_sample_size(weights: FloatArray) -> float:
    r"""Kish's effective sample size, :math:`(\sum w)^2 / \sum w^2`.

    Examples
    --------
    >>> effective_sample_size(np.array([1.0, 1.0, 0.0]))
    2.0
    """
    square = float(weights @ weights)
    return float(weights.sum()) ** 2 / square if square > 0 else 0.0


def pareto_k(weights: FloatArray) -> float | None:
    r"""Tail index of the weights: a generalised Pareto fit to the largest min(U / 5, 3 sqrt U) of them.

    Below 0.5 their variance exists, above 0.7 their mean is not estimated by any practical sample. Returns ``None``
    below 25 units or where the largest weights are equal (no tail, as with clipped weights).

    References
    ----------
    .. [1] Zhang & Stephens, "A New and Efficient Estimation Method for the Generalized Pareto Distribution",
       Technometrics 2009.
    .. [2] Vehtari, Simpson, Gelman, Yao & Gabry, "Pareto Smoothed Importance Sampling", JMLR 2024.

    Examples
    --------
    >>> tail = (1 - np.arange(1, 5001) / 5001) ** -0.4  # quantiles of a Pareto with k = 0.4
    >>> abs(pareto_k(tail) - 0.4) < 0.05
    True
    """
    n = len(weights)
    size = min(n // 5, int(3 * math.sqrt(n)))
    if size < 5:
        return None
    largest = _largest(weights, size + 1)
    excess = largest[1:] - largest[0]
    if excess[-1] <= 1e-12 * largest[-1] or excess[size // 4] <= 0:
        return None
    return _zhang_stephens(excess)


def _largest(weights: FloatArray, size: int) -> FloatArray:
    """Return the ``size`` largest weights, sorted; a threshold from a thin sample spares partitioning all of them."""
    sample = weights[:: max(1, len(weights) // 2048)]
    keep = min(len(sample), int(1.5 * size * len(sample) / len(weights)) + 8)
    threshold = np.partition(sample, len(sample) - keep)[len(sample) - keep]
    candidates = weights.take(np.flatnonzero(weights >= threshold))  # three times as fast as a mask where few are taken
    if len(candidates) < size:
        candidates = weights
    return np.sort(np.partition(candidates, len(candidates) - size)[len(candidates) - size :])


def _zhang_stephens(excess: FloatArray) -> float:
    """Posterior-mean fit of the shape to sorted excesses, with the weak prior of [2] (ten pseudo-values at 0.5)."""
    size = len(excess)
    excess = excess[:: -(1 + size // 200)][
        ::-1
    ]  # quantiles of the tail say as much as all of it, at a fifth of the time
    thin = len(excess)
    n_grid = 30 + int(math.sqrt(thin))
    grid = 1 - np.sqrt(n_grid / (np.arange(1, n_grid + 1) - 0.5))
    grid = grid / (3 * excess[(thin + 2) // 4]) + 1 / excess[-1]  # (n_grid,)
    shapes = np.log(1 - np.outer(grid, excess)).mean(axis=1)
    log_lik = size * (np.log(-grid / shapes) - shapes - 1)
    weight = np.exp(log_lik - log_lik.max())
    theta = float(grid @ (weight / weight.sum()))
    shape = float(np.log(1 - theta * excess).mean())
    return (size * shape + 10 * 0.5) / (size + 10)


def measure_support(units: UnitWeights, level: float) -> tuple[Support, tuple[str, ...]]:
    """Measure how well the log covers the target and say, in plain words, what is wrong.

    Parameters
    ----------
    units : UnitWeights
        One weight for each independent unit.
    level : float
        Level of the Cressie-Read bounds that stand beside an unreliable estimate.

    Returns
    -------
    tuple of (Support, notes)
        No notes where the gate is open.
    """
    weights = units.weights
    n, total = len(weights), float(weights.sum())
    mean, square = total / n, float(weights @ weights)
    size = total * total / square if square > 0 else 0.0
    k = pareto_k(weights)
    spread = math.sqrt(max(square / n - mean * mean, 0.0) / n)
    missing = units.unsupported_mass
    lost = min(1.0, max(0.0, 1.0 - mean)) if missing is None else missing
    significant = lost > _MEAN_WEIGHT_Z * spread if missing is None else lost > 0.01
    notes = _notes(size, n, k, lost if significant else 0.0, mean, spread)
    low, high = robust_bounds(units, level) if notes else (None, None)
    support = Support(
        effective_sample_size=size,
        mean_weight=mean,
        max_weight=float(weights.max()),
        unsupported_mass=lost if significant or missing is not None else 0.0,
        pareto_k=k,
        robust_low=low,
        robust_high=high,
    )
    return support, notes


def _notes(size: float, n: int, k: float | None, lost: float, mean: float, spread: float) -> tuple[str, ...]:
    notes = []
    if size < MIN_EFFECTIVE_SAMPLE_SIZE:
        notes.append(
            f"effective sample size {size:.0f} is below {MIN_EFFECTIVE_SAMPLE_SIZE:.0f}: too few logged "
            "decisions look like the target's"
        )
    if size < MIN_EFFECTIVE_SHARE * n:
        notes.append(
            f"effective sample size is {size / n:.2%} of {n}, below {MIN_EFFECTIVE_SHARE:.0%}: the target "
            "is far from the logger"
        )
    if k is not None and k > MAX_PARETO_K:
        notes.append(f"Pareto k of the weights is {k:.2f}, above {MAX_PARETO_K}: a few weights carry the estimate")
    if lost > 0.01:
        notes.append(f"about {lost:.1%} of the target's choices are never shown by the logger: their reward is unknown")
    if mean - 1 > _MEAN_WEIGHT_Z * spread + 1e-9:
        notes.append(f"the weights average {mean:.3g} where 1 is expected: the propensities are probably wrong")
    return tuple(notes)


def robust_bounds(units: UnitWeights, level: float) -> tuple[float, float]:
    """Return Cressie-Read bounds of the target's value; the whole reward range where every weight is 0."""
    if units.weights.max() <= 0:
        return units.reward_range
    return cressie_read_interval(
        units.scaled,
        units.scaled_rewards(),
        reward_range=units.reward_range,
        min_weight=units.min_weight,
        level=level,
    )


def check_reward_range(reward_range: tuple[float, float], low: float, high: float) -> None:
    """Raise unless the declared range holds the observed rewards."""
    if not reward_range[0] <= low <= high <= reward_range[1]:
        raise InvalidArgumentError(
            f"reward_range must hold all rewards, got {reward_range} and rewards in [{low:.6g}, "
            f"{high:.6g}]; pass the true bounds"
        )
