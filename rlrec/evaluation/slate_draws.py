"""How a slate is drawn from a policy's item probabilities, with the exact probability of what was drawn.

NumPy only: a log with exact propensities can be collected from any `StochasticPolicy`, whatever made it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rlrec.core.errors import InvalidArgumentError
from rlrec.evaluation.columns import FloatArray, IntArray


class SlateDraw(Protocol):
    """Turns item probabilities (B, I) into slates (B, K), and tells how probable each item was given those above."""

    def draw(self, probs: FloatArray, uniform: FloatArray) -> IntArray:
        """Return slates (B, K) from uniform numbers (B, K) in [0, 1)."""
        ...

    def probs_of(self, probs: FloatArray, slates: IntArray) -> FloatArray:
        """Return the probability of each item given those above it, (B, K)."""
        ...

    def choices(self, probs: FloatArray, slates: IntArray) -> FloatArray:
        """Return the probability of every item at each position, given the slate's items above it, (B, K, I)."""
        ...


@dataclass(frozen=True)
class PlackettLuce:
    r"""Position by position, without replacement.

    .. math:: p(s_k | s_{<k}) = \frac{p_{s_k}}{1 - \sum_{j<k} p_{s_j}}

    Examples
    --------
    >>> probs, slates = np.array([[0.5, 0.25, 0.25]]), np.array([[0, 2]])
    >>> PlackettLuce().probs_of(probs, slates).tolist()
    [[0.5, 0.5]]
    """

    def draw(self, probs: FloatArray, uniform: FloatArray) -> IntArray:
        """Return slates (B, K), no item twice."""
        left = probs.copy()
        slates = np.empty(uniform.shape, np.int64)
        rows = np.arange(len(probs))
        for position in range(uniform.shape[1]):
            slates[:, position] = _inverse_cdf(left, uniform[:, position])
            left[rows, slates[:, position]] = 0.0
        return slates

    def probs_of(self, probs: FloatArray, slates: IntArray) -> FloatArray:
        """Return the probability of each item given those above it, (B, K)."""
        own = np.take_along_axis(probs, slates, axis=1)  # (B, K)
        above = np.cumsum(own, axis=1) - own
        total = probs.sum(axis=1, keepdims=True)
        return np.asarray(np.minimum(own / np.maximum(total - above, own), 1.0), dtype=np.float64)

    def choices(self, probs: FloatArray, slates: IntArray) -> FloatArray:
        """Return the probability of every item at each position, given the slate's items above it, (B, K, I)."""
        left = np.repeat(probs[:, None], slates.shape[1], axis=1)
        for position in range(slates.shape[1] - 1):
            np.put_along_axis(left[:, position + 1 :], slates[:, None, position, None], 0.0, axis=2)
        return np.asarray(left / left.sum(axis=2, keepdims=True), dtype=np.float64)


@dataclass(frozen=True)
class Slots:
    r"""Position k draws from its own items k, k + K, k + 2K, ..., independently of the others.

    The slots' probabilities are the policy's, renormalised in each slot. The draw for the pseudo-inverse estimator and
    `iips`, which need independent slots, or the probability of an item at its position.

    Examples
    --------
    >>> probs, slates = np.array([[0.125, 0.25, 0.375, 0.25]]), np.array([[2, 1]])
    >>> Slots().probs_of(probs, slates).tolist()
    [[0.75, 0.5]]
    """

    def draw(self, probs: FloatArray, uniform: FloatArray) -> IntArray:
        """Return slates (B, K), one item of each slot."""
        size = uniform.shape[1]
        slates = [_inverse_cdf(probs[:, k::size], uniform[:, k]) * size + k for k in range(size)]
        return np.stack(slates, axis=1)

    def probs_of(self, probs: FloatArray, slates: IntArray) -> FloatArray:
        """Return the probability of each item in its slot, (B, K); 0 for an item of another slot."""
        size = slates.shape[1]
        totals = np.stack([probs[:, k::size].sum(axis=1) for k in range(size)], axis=1)  # (B, K)
        own = np.take_along_axis(probs, slates, axis=1)
        return np.asarray(np.where(slates % size == np.arange(size), own / totals, 0.0), dtype=np.float64)

    def choices(self, probs: FloatArray, slates: IntArray) -> FloatArray:
        """Return the probability of every item at each position, (B, K, I); 0 for those of another slot."""
        size = slates.shape[1]
        mine = np.arange(probs.shape[1]) % size == np.arange(size)[:, None]  # (K, I)
        kept = np.where(mine, probs[:, None], 0.0)
        return np.asarray(kept / kept.sum(axis=2, keepdims=True), dtype=np.float64)


def _inverse_cdf(weights: FloatArray, uniform: FloatArray) -> IntArray:
    """Draw an index of each row in proportion to its weights (B, I)."""
    cumulative = np.cumsum(weights, axis=1)
    total = cumulative[:, -1:]
    if not (total > 0).all():
        raise InvalidArgumentError(
            "the policy must leave something to show at every position, got probabilities that are 0 for all items "
            "left; show fewer items or mask fewer"
        )
    found = (cumulative <= uniform[:, None] * total).sum(axis=1)
    last = weights.shape[1] - 1 - np.argmax(weights[:, ::-1] > 0, axis=1)  # rounding must not reach an item of 0
    chosen: IntArray = np.minimum(found, last).astype(np.int64)
    return chosen
