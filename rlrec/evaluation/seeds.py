"""What an agent is worth over training seeds: the spread of training kept apart from the luck of the users.

An agent trained with another seed is another agent; an interval over users alone, of one of them, says nothing about
the algorithm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from rlrec.core.checks import check_at_least
from rlrec.core.errors import InvalidArgumentError
from rlrec.core.estimate import Estimate

_CHUNK = 1 << 22  # bootstrap counts at a time: 32 MiB


@dataclass(frozen=True)
class SeedSpread:
    """An algorithm over training seeds."""

    iqm: Estimate
    """Interquartile mean over seeds and simulators, with a bootstrap over both seeds and users; ``n`` counts seeds."""
    seed_sd: float
    """Standard deviation of the true mean return between training seeds: the luck of the users taken off."""
    rollout_error: float
    """Standard error of one seed's mean return from the finite number of users."""


def over_seeds(
    returns: ArrayLike | Mapping[str, ArrayLike],
    *,
    level: float = 0.95,
    n_resamples: int = 2000,
    rng: np.random.Generator,
) -> SeedSpread:
    r"""Sum up roll-outs of agents that differ by their training seed only.

    The interquartile mean leaves out the best and the worst quarter: a lucky or a failed run does not decide. The
    bootstrap draws seeds within each simulator (stratified, [1]_) and, at the same time, users. The spread between
    seeds is the variance component of the seeds in the two-way layout :math:`G_{su} = \mu + a_s + b_u + e_{su}`.

    Parameters
    ----------
    returns : array, shape (S, n), or mapping of str to such arrays
        Return of each of S >= 2 trained agents with each of n users, the same users for all
        (`PolicyRollout.return_`); a mapping for several simulators.
    level : float
        Coverage of the interval, in (0, 1).
    n_resamples : int
        Bootstrap resamples.
    rng : Generator
        Draws seeds and users.

    Returns
    -------
    SeedSpread

    Raises
    ------
    InvalidArgumentError
        For a wrong shape, or fewer than 2 seeds or users.

    References
    ----------
    .. [1] Agarwal, Schwarzer, Castro, Courville & Bellemare, "Deep Reinforcement Learning at the Edge of the
    Statistical
       Precipice", NeurIPS 2021.

    Examples
    --------
    >>> seeds = np.array([[1.0], [2.0], [3.0], [10.0]]) + np.zeros((4, 50))  # one lucky run
    >>> spread = over_seeds(seeds, rng=np.random.default_rng(0))
    >>> spread.iqm.value, round(spread.seed_sd, 2), spread.rollout_error
    (2.5, 4.08, 0.0)
    """
    strata = [_check(name, part) for name, part in _named(returns).items()]
    check_at_least("n_resamples", n_resamples, 50)
    if not 0 < level < 1:
        raise InvalidArgumentError(f"level must lie between 0 and 1, got {level!r}; 0.95 is usual")
    value = _iqm(np.concatenate([part.mean(axis=1) for part in strata])[None])[0]
    drawn = _iqm(np.concatenate([_resample(part, n_resamples, rng) for part in strata], axis=1))  # (R,)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    n = sum(len(part) for part in strata)
    parts = np.array([_components(part) for part in strata])  # (strata, 2)
    seed_variance, rollout_variance = parts.mean(axis=0)
    iqm = Estimate(
        value=float(value),
        low=float(min(low, value)),
        high=float(max(high, value)),
        n=n,
        effective_sample_size=float(n),
        level=level,
    )
    return SeedSpread(iqm, float(np.sqrt(seed_variance)), float(np.sqrt(rollout_variance)))


def _named(returns: ArrayLike | Mapping[str, ArrayLike]) -> Mapping[str, ArrayLike]:
    return returns if isinstance(returns, Mapping) else {"returns": returns}


def _check(name: str, returns: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(returns, dtype=np.float64)
    if array.ndim != 2 or min(array.shape) < 2 or not np.isfinite(array).all():
        raise InvalidArgumentError(
            f"{name} must be finite and have shape (S >= 2 seeds, n >= 2 users), got {array.shape}; give one row for "
            "each training seed, with the same users"
        )
    return array


def _iqm(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of the middle half of each row."""
    return np.asarray(stats.trim_mean(scores, 0.25, axis=1), dtype=np.float64)


def _resample(returns: NDArray[np.float64], n_resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return resampled seed means, (R, S)."""
    n_seeds, n = returns.shape
    size = max(1, _CHUNK // n)
    means = []
    for start in range(0, n_resamples, size):
        rows = min(size, n_resamples - start)
        counts = rng.multinomial(n, np.full(n, 1 / n), size=rows)
        means.append(counts @ returns.T / n)  # (rows, S)
    seeds = rng.integers(n_seeds, size=(n_resamples, n_seeds))
    return np.take_along_axis(np.concatenate(means), seeds, axis=1)


def _components(returns: NDArray[np.float64]) -> tuple[float, float]:
    """Return the variance between seeds and that of a seed's mean over users."""
    n_seeds, n = returns.shape
    by_seed = returns.mean(axis=1)
    residual = returns - by_seed[:, None] - returns.mean(axis=0) + returns.mean()
    noise = float((residual**2).sum()) / ((n_seeds - 1) * (n - 1))
    between = max(float(by_seed.var(ddof=1)) - noise / n, 0.0)
    return between, float(returns.var(axis=1, ddof=1).mean()) / n
