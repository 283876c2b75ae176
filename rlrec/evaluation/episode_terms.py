"""Terms of estimators whose natural row is an episode or a slate, summed up for each independent unit."""

from __future__ import annotations

import numpy as np

from rlrec.evaluation.columns import FloatArray
from rlrec.evaluation.estimation import Evidence
from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.support import UnitWeights, check_reward_range
from rlrec.evaluation.terms import RatioTerms


def episode_evidence(
    logged: LoggedBatch,
    tops: FloatArray,
    bottoms: FloatArray | None = None,
    *,
    weights: FloatArray,
    weighted_returns: FloatArray,
    reward_range: tuple[float, float],
    min_weight: float = 0.0,
    on_range: bool = False,
    likelihood: bool = False,
    caveats: tuple[str, ...] = (),
) -> Evidence:
    """Build the terms and the support of an estimator that has one term for each episode.

    Parameters
    ----------
    logged : LoggedBatch
        E episodes or slates.
    tops, bottoms : array, shape (E,) or (E, K)
        Numerators and denominators; ``bottoms=None`` averages over episodes.
    weights, weighted_returns : array, shape (E,)
        What the support gate reads: a weight of expectation 1, and the weighted return whose mean is the value.
    reward_range : (float, float)
        Smallest and largest possible return.
    min_weight : float
        Smallest possible weight.
    on_range : bool
        True where the interval is better on the logit scale of ``reward_range``.
    likelihood : bool
        True where the Cressie-Read bounds of the weighted returns are bounds of this estimate.
    caveats : tuple of str
        Notes that don't make it unreliable.

    Returns
    -------
    Evidence
    """
    counts = logged.unit_episodes
    if bottoms is None and counts is not None:
        bottoms = np.ones_like(tops)
    terms = RatioTerms(logged.episode_sums(tops), None if bottoms is None else logged.episode_sums(bottoms))
    sums, scale = logged.episode_sums(weights), logged.n_units / logged.n_episodes
    units = UnitWeights(
        sums if counts is None else sums / counts,
        sums * scale,
        lambda: logged.episode_sums(weighted_returns) * scale,
        reward_range,
        min_weight=min_weight,
    )
    return Evidence(terms, units, on_range=on_range, likelihood=likelihood, caveats=caveats + logged.caveats)


def return_range(declared: tuple[float, float] | None, returns: FloatArray) -> tuple[float, float]:
    """Return the declared range of returns, or the observed one.

    Raises
    ------
    InvalidArgumentError
        If a return lies outside the declared range.
    """
    low, high = float(returns.min()), float(returns.max())
    if declared is None:
        return low, high
    check_reward_range(declared, low, high)
    return declared
