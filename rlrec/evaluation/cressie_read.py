r"""Empirical-likelihood estimates and bounds of an importance-weighted mean.

They use what the weights must satisfy, :math:`E[w] = 1`, to spread the missing probability, so they stay inside the
reward range and degrade gracefully where weights are heavy. Checked against vw-estimators 0.2.2 on its own numbers.

References
----------
.. [1] Karampatziakis, Langford & Mineiro, "Empirical Likelihood for Contextual Bandits", NeurIPS 2020.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import optimize, stats

from rlrec.core.errors import InvalidArgumentError
from rlrec.evaluation.columns import FloatArray


def empirical_likelihood(weights: FloatArray, rewards: FloatArray) -> float:
    r"""Value under the likelihood-maximising reweighting of the log with :math:`E[w] = 1`.

    Biased at finite n (it shrinks towards the observed mean reward), consistent, always inside the reward range.

    Parameters
    ----------
    weights, rewards : array, shape (U,)
        Importance weight and unweighted reward of each unit.

    Returns
    -------
    float, reward units

    Examples
    --------
    >>> import numpy as np
    >>> empirical_likelihood(np.ones(4), np.array([1.0, 0.0, 1.0, 1.0]))
    0.75
    """
    n, excess = len(weights), weights - 1.0

    def slope(beta: float) -> float:
        return float((excess / (excess * beta + n)).sum())

    smallest, largest = float(weights.min()), float(weights.max())
    # Every mass w / (excess * beta + n) must lie in [0, 1], which bounds beta on both sides.
    high = min(n / (1 - min(0.0, smallest)), (n - 1) / (1 - smallest)) if smallest < 1 else float(n)
    low = max(0.0, (n - 1) / (1 - largest)) if largest > 1 else 0.0
    start, end = slope(low), slope(high)
    edge = low if start < 0 else high
    beta = float(optimize.brentq(slope, low, high)) if start * end < 0 else edge
    mass = weights / (excess * beta + n)
    return float(mass @ rewards + max(0.0, 1.0 - float(mass.sum())) * rewards.mean())


def cressie_read(weights: FloatArray, rewards: FloatArray) -> float:
    """Value under the Cressie-Read(-2) reweighting: the closed-form cousin of `empirical_likelihood`.

    Biased at finite n, consistent; differs from SNIPS by how it spreads the mass that the weights miss.

    Examples
    --------
    >>> import numpy as np
    >>> round(cressie_read(np.ones(4), np.array([1.0, 0.0, 1.0, 1.0])), 9)
    0.75
    """
    n, total = len(weights), float(weights.sum())
    if total < n:  # the unseen atom has an unbounded weight
        gamma, beta = -(1 + n) / n, 0.0
    else:  # the unseen atom has weight 0
        mean, square = total / (1 + n), float(weights @ weights) / (1 + n)
        gamma = (square - mean) / (mean * mean - square)
        beta = (1 - mean) / (mean * mean - square)
    mass = (-gamma * weights - beta * weights**2) / (1 + n)
    return float(mass @ rewards + max(0.0, 1.0 - float(mass.sum())) * rewards.mean())


@dataclass(frozen=True)
class _Moments:
    """Sums that the bound needs: n, w, w^2, w r, w^2 r, w^2 r^2."""

    n: int
    w: float
    ww: float
    wr: float
    wwr: float
    wwrr: float


def cressie_read_interval(
    weights: FloatArray,
    weighted_rewards: FloatArray,
    *,
    reward_range: tuple[float, float] = (0.0, 1.0),
    min_weight: float = 0.0,
    max_weight: float = math.inf,
    level: float = 0.95,
) -> tuple[float, float]:
    r"""Bounds of the value over all reweightings within a Cressie-Read ball that satisfy :math:`E[w] = 1`.

    Asymptotically of the stated level, as a likelihood-ratio interval; never leaves ``reward_range``; wider than the
    normal interval where weights are heavy, which is what it is for.

    Parameters
    ----------
    weights : array, shape (U,)
        Importance weight of each unit.
    weighted_rewards : array, shape (U,)
        Weight times reward.
    reward_range : (float, float)
        Smallest and largest possible reward: true bounds, not the sample's.
    min_weight, max_weight : float
        Smallest and largest possible weight; 0 (slate corrections may be below) and infinity where unknown.
    level : float
        Nominal coverage.

    Returns
    -------
    tuple of (low, high), reward units

    Raises
    ------
    InvalidArgumentError
        If ``max_weight`` is not above 1, or below a weight.

    Examples
    --------
    >>> import numpy as np
    >>> low, high = cressie_read_interval(np.ones(100), np.repeat([0.0, 1.0], 50))
    >>> 0.38 < low < 0.42 and 0.58 < high < 0.62
    True
    """
    top = float(weights.max())
    if not max_weight > 1 or max_weight < top:
        raise InvalidArgumentError(
            f"max_weight must be above 1 and hold every weight, got {max_weight} with a largest weight of {top:.6g}; "
            f"pass the true bound or leave it out"
        )
    low, high = reward_range
    moments = _Moments(
        len(weights),
        float(weights.sum()),
        float(weights @ weights),
        float(weighted_rewards.sum()),
        float(weights @ weighted_rewards),
        float(weighted_rewards @ weighted_rewards),
    )
    phi = _radius(moments, (min_weight, max_weight), level)
    lower = _one_bound(moments, low, 1.0, phi, (min_weight, max_weight), low)
    upper = -_one_bound(moments, high, -1.0, phi, (min_weight, max_weight), -high)
    return min(high, max(low, lower)), max(low, min(high, upper))


def _radius(m: _Moments, weight_range: tuple[float, float], level: float) -> float:
    atom = weight_range[int(m.w < m.n)]
    if math.isinf(atom):
        best = 1 + 1 / m.n
    else:
        mean, square = (atom + m.w) / (1 + m.n), (atom**2 + m.ww) / (1 + m.n)
        spread = square - mean * mean
        best = (1 + m.n) * (mean - 1) ** 2 / spread if spread > 0 else 0.0
    return (-best - float(stats.f.isf(1 - level, 1, m.n))) / (2 * (1 + m.n))


def _one_bound(
    m: _Moments, r: float, sign: float, phi: float, weight_range: tuple[float, float], fallback: float
) -> float:
    """Smallest value of sign times the mean, the unseen atom having reward ``r`` and an end of ``weight_range``."""
    found = [
        _at_infinity(m, r, sign, phi) if math.isinf(atom) else _at_atom(m, r, sign, phi, atom) for atom in weight_range
    ]
    candidates = [value for value in found if value is not None]
    return min(candidates) if candidates else fallback


def _at_infinity(m: _Moments, r: float, sign: float, phi: float) -> float | None:
    n = m.n
    x = sign * (r + (m.wr - m.w * r) / n)
    y = (r * m.w - m.wr) ** 2 / (n * (1 + n)) - (r * r * m.ww - 2 * r * m.wwr + m.wwrr) / (1 + n)
    return _minimum(x, y, phi + 1 / (2 * n))


def _at_atom(m: _Moments, r: float, sign: float, phi: float, atom: float) -> float | None:
    n = m.n
    w, ww = (atom + m.w) / (1 + n), (atom * atom + m.ww) / (1 + n)
    wr, wwr = sign * (atom * r + m.wr) / (1 + n), sign * (atom * atom * r + m.wwr) / (1 + n)
    wwrr = (atom * atom * r * r + m.wwrr) / (1 + n)
    spread = ww - w * w
    if spread <= 0:
        return None
    slope = wwr - w * wr
    x = wr + (1 - w) * slope / spread
    return _minimum(x, slope * slope / spread - (wwrr - wr * wr), phi + 0.5 * (1 - w) ** 2 / spread)


def _minimum(x: float, y: float, z: float) -> float | None:
    if abs(y * z) <= 1e-18:
        return x
    return x - math.sqrt(2 * y * z) if z <= 0 and y * z >= 0 else None


def clopper_pearson_interval(
    weights: FloatArray, rewards: FloatArray, *, reward_range: tuple[float, float] = (0.0, 1.0), level: float = 0.95
) -> tuple[float, float]:
    """Binomial bounds with the weighted rewards as successes and n over the largest weight as trials.

    Very conservative, a cross-check rather than a default; needs rewards inside ``reward_range``.

    Examples
    --------
    >>> import numpy as np
    >>> low, high = clopper_pearson_interval(np.ones(10), np.repeat([0.0, 1.0], 5))
    >>> round(low, 3), round(high, 3)
    (0.187, 0.813)
    """
    low, high = reward_range
    top = float(weights.max())
    successes = float(weights @ (rewards - low)) / (high - low) / top
    trials, tail = len(weights) / top, (1 - level) / 2
    lower = float(stats.beta.ppf(tail, successes, trials - successes + 1)) if successes > 0 else 0.0
    upper = float(stats.beta.isf(tail, successes + 1, trials - successes)) if successes < trials else 1.0
    return low + lower * (high - low), low + upper * (high - low)
