"""Gains of a ranked list, in expectation over a random order of the items that tie.

A model that gives every item the same score gets what guessing would get, whatever the order of the catalogue.
Checked against the enumeration of all tie orders (``tests/evaluation/test_gains.py``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln
from torch import Tensor

Gains = dict[str, NDArray[np.float64]]


def expected_gains(scores: Tensor, targets: Tensor, k: int) -> Gains:
    """Return expected hit@1, hit@k, NDCG@k and reciprocal rank of ``targets`` (N,) under ``scores`` (N, I).

    With g items above the target and m tied with it (itself included), its rank is uniform on g+1..g+m; the expected
    gain is a difference of running sums of the gains by rank.
    """
    own = scores.gather(1, targets.unsqueeze(1))
    above = (scores > own).sum(1).cpu().numpy()
    tied = (scores == own).sum(1).cpu().numpy()
    n_items = scores.shape[1]
    rank = np.arange(1, n_items + 1)
    gains = {
        "hit_at_1": (rank == 1).astype(float),
        "hit": (rank <= k).astype(float),
        "ndcg": np.where(rank <= k, 1 / np.log2(1 + rank), 0.0),
        "reciprocal_rank": np.where(rank <= k, 1 / rank, 0.0),
    }
    running = {name: np.concatenate([[0.0], np.cumsum(gain)]) for name, gain in gains.items()}
    return {name: (total[above + tied] - total[above]) / tied for name, total in running.items()}


def expected_set_gains(scores: Tensor, relevant: Tensor, k: int) -> Gains:
    r"""Return the expected gains of rows with any number of relevant items.

    With R relevant items: precision is hits / k, recall hits / R, NDCG divides by the best that R items allow, average
    precision is :math:`\frac{1}{\min(R, k)} \sum_{p \le k} [p\ \text{relevant}]\, \mathrm{precision}(p)`. The order
    inside a tie is uniform: a place in a tie of n items, r of them relevant, holds a relevant one with probability
    r / n, and so on (McSherry & Najork 2008).

    Parameters
    ----------
    scores : Tensor, shape (N, I)
    relevant : Tensor of bool, shape (N, I)
        At least one in each row.
    k : int
        Length of the list.

    Returns
    -------
    dict of ndarray, shape (N,)
        ``precision, recall, hit, ndcg, reciprocal_rank, average_precision``.

    References
    ----------
    .. [1] McSherry & Najork, "Computing information retrieval performance measures efficiently in the presence of
       tied scores", ECIR 2008.

    Examples
    --------
    >>> import torch
    >>> gains = expected_set_gains(torch.tensor([[3.0, 2.0, 1.0]]), torch.tensor([[True, False, True]]), k=2)
    >>> gains["precision"].item(), gains["recall"].item(), gains["average_precision"].item()
    (0.5, 0.5, 0.5)
    """
    k = min(k, scores.shape[1])
    values = scores.topk(k, dim=1).values  # (N, k) the score that stands at each place
    columns = [_tie(scores, relevant, values[:, place]) for place in range(k)]
    start, size, good, good_above = (np.stack(parts, axis=1) for parts in zip(*columns, strict=True))  # (N, k) each
    place = np.arange(k)
    n_relevant = relevant.sum(1).cpu().numpy().astype(float)
    chance = good / size  # (N, k) that a place holds a relevant item
    discount = 1 / np.log2(2 + place)
    best = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(n_relevant, k).astype(int)]
    # Given a relevant item at this place, the j places of its tie before it hold j (r - 1) / (n - 1) more on average.
    earlier = (place - start) * (good - 1) / np.maximum(size - 1, 1)
    precision_here = (good_above + 1 + earlier) / (1 + place)
    first = _first_chance(place, start, size, good, good_above)
    return {
        "precision": chance.sum(1) / k,
        "recall": chance.sum(1) / n_relevant,
        "hit": first.sum(1),
        "ndcg": (chance * discount).sum(1) / best,
        "reciprocal_rank": (first / (1 + place)).sum(1),
        "average_precision": (chance * precision_here).sum(1) / np.minimum(n_relevant, k),
    }


def _tie(scores: Tensor, relevant: Tensor, value: Tensor) -> tuple[NDArray[np.float64], ...]:
    """Return (items above, items tied, relevant ones tied, relevant ones above) of the score ``value`` (N,)."""
    above, tied = scores > value.unsqueeze(1), scores == value.unsqueeze(1)
    parts = (above, tied, tied & relevant, above & relevant)
    start, size, good, good_above = (part.sum(1).cpu().numpy().astype(float) for part in parts)
    return start, size, good, good_above


def _first_chance(
    place: NDArray[np.int64],
    start: NDArray[np.float64],
    size: NDArray[np.float64],
    good: NDArray[np.float64],
    good_above: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the probability that the first relevant item stands at each place: C(n - j, r - 1) / C(n, r), j from 1."""
    after = size - (place - start) - 1  # places of the tie behind this one
    possible = (good_above == 0) & (good > 0) & (after >= good - 1)
    r, rest = np.where(possible, good, 1.0), np.where(possible, after, 0.0)
    log_ways = _log_choose(rest, r - 1) - _log_choose(np.where(possible, size, 1.0), r)
    return np.where(possible, np.exp(log_ways), 0.0)


def _log_choose(n: NDArray[np.float64], r: NDArray[np.float64]) -> NDArray[np.float64]:
    ways: NDArray[np.float64] = gammaln(n + 1) - gammaln(r + 1) - gammaln(n - r + 1)
    return ways
