"""Two-stage recommendation: a retriever looks up C candidates for each user, and the agent ranks those.

A step costs what C candidates cost, whatever the catalogue: neighbours of the recent items come from a table made once,
popular items from a list, and a few are drawn at random, so that every item can be found.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from rlrec.core.checks import check_at_least
from rlrec.core.errors import InvalidArgumentError
from rlrec.core.random import CounterRng
from rlrec.data.log import InteractionLog

_LANE = 64
_TRIES = 4  # draws of random candidates before what is still repeated in a row is filled by counting


class Retriever:
    """Proposes C different items for each user: neighbours of recent items, popular ones, explored ones.

    Parameters
    ----------
    neighbors : int array, shape (I, N)
        Items near each item, best first, such as `cooccurrence_neighbors` gives.
    item_counts : int array, shape (I,)
        Training rows of each item, for popularity.
    n_candidates : int
        C.
    n_recent : int
        Recent items R whose neighbours are looked up; R * N of them at most.
    n_explored : int
        Random items among the C; repeats are replaced by random items too.
    """

    def __init__(
        self,
        neighbors: NDArray[np.integer],
        item_counts: NDArray[np.int64],
        *,
        n_candidates: int = 100,
        n_recent: int = 3,
        n_explored: int = 10,
    ) -> None:
        n_items = len(item_counts)
        if neighbors.ndim != 2 or len(neighbors) != n_items or neighbors.dtype.kind not in "iu":
            raise InvalidArgumentError(
                f"neighbors must be an integer array of shape ({n_items}, n_neighbors), "
                f"got {neighbors.dtype} {neighbors.shape}"
            )
        if not 1 <= n_candidates <= n_items:
            raise InvalidArgumentError(f"n_candidates must lie in 1..{n_items} (the catalogue), got {n_candidates}")
        check_at_least("n_recent", n_recent, 0)
        check_at_least("n_explored", n_explored, 0)
        self.n_items, self.n_candidates, self.n_recent = n_items, n_candidates, n_recent
        per_item = neighbors.shape[1]
        room = max(n_candidates - min(n_explored, n_candidates), 0)
        self._per_item = min(per_item, room // n_recent) if n_recent else 0
        self._neighbors = np.ascontiguousarray(neighbors[:, : self._per_item], np.int32)
        n_popular = room - self._per_item * n_recent
        self._popular = np.argsort(-item_counts, kind="stable")[:n_popular].astype(np.int32)

    def __call__(
        self, recent: NDArray[np.integer], key: NDArray[np.int64], clock: NDArray[np.int64], rng: CounterRng
    ) -> NDArray[np.int64]:
        """Return candidates, (B, C), no item twice in a row.

        Parameters
        ----------
        recent : int array, shape (B, R')
            Last items of each user, the latest first; -1 where there is none.
        key, clock : int arrays, shape (B,)
            Who asks and when: the explored items depend on nothing else.
        rng : CounterRng
        """
        n = len(recent)
        last = recent[:, : self.n_recent]
        near = self._neighbors[np.maximum(last, 0)]  # (B, R, N)
        near[last < 0] = -1
        parts = [near.reshape(n, -1), np.broadcast_to(self._popular, (n, len(self._popular)))]
        found = np.concatenate(parts, axis=1)[:, : self.n_candidates]
        empty = np.full((n, self.n_candidates - found.shape[1]), -1, np.int32)
        candidates = np.concatenate([found, empty], axis=1)
        return self._fill(candidates, key, clock, rng).astype(np.int64)

    def _fill(
        self, candidates: NDArray[np.int32], key: NDArray[np.int64], clock: NDArray[np.int64], rng: CounterRng
    ) -> NDArray[np.int32]:
        """Replace empty (-1) and then repeated places by random items, in place."""
        explored = self._explored(key, clock, rng, 0)
        np.copyto(candidates, explored, where=candidates < 0)
        rows = np.arange(len(candidates))
        for attempt in range(1, _TRIES + 1):
            open_ = _repeated(candidates[rows])
            some = open_.any(axis=1)
            rows, open_ = rows[some], open_[some]
            if len(rows) == 0:
                return candidates
            if attempt == _TRIES:
                break
            explored = self._explored(key[rows], clock[rows], rng, attempt)
            candidates[rows] = np.where(open_, explored, candidates[rows])
        candidates[rows] = _complete(candidates[rows], open_, self.n_items)
        return candidates

    def _explored(
        self, key: NDArray[np.int64], clock: NDArray[np.int64], rng: CounterRng, attempt: int
    ) -> NDArray[np.int32]:
        uniform = rng.uniform(key, clock, lane=_LANE + attempt, n=self.n_candidates)
        return (uniform * self.n_items).astype(np.int32)


def _repeated(candidates: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return (B, C), True at -1 and at every occurrence of an item but its first."""
    n = candidates.shape[1]
    repeated = candidates < 0
    place = candidates.astype(np.int64) * n + np.arange(n)  # sorts by item, and by place within an item
    place.sort(axis=1)
    item = place // n
    row, later = np.nonzero(item[:, 1:] == item[:, :-1])
    repeated[row, place[row, later + 1] % n] = True
    return repeated


def _complete(candidates: NDArray[np.int32], open_: NDArray[np.bool_], n_items: int) -> NDArray[np.int32]:
    """Fill open places with the lowest items not yet in the row: for catalogues hardly larger than C."""
    row, column = np.nonzero(~open_)
    used = np.zeros((len(candidates), n_items), np.bool_)
    used[row, candidates[row, column]] = True
    free = np.argsort(used, axis=1, kind="stable")  # unused first, in order
    rank = np.cumsum(open_, axis=1) - 1
    return np.where(open_, np.take_along_axis(free, np.maximum(rank, 0), axis=1), candidates).astype(np.int32)


def cooccurrence_neighbors(log: InteractionLog, n_neighbors: int = 30) -> NDArray[np.int32]:
    r"""Return the items that share most sequences with each item, best first, shape (I, n_neighbors).

    .. math:: \mathrm{sim}(i, j) = \frac{|S_i \cap S_j|}{\sqrt{|S_i|\,|S_j|}}

    Places without a neighbour repeat popular items. Memory grows with the pairs that occur, not with I squared.

    References
    ----------
    .. [1] Sarwar et al., "Item-based collaborative filtering recommendation algorithms", WWW 2001.
    """
    check_at_least("n_neighbors", n_neighbors, 1)
    row, column, cosine = _cosines(log)
    other = row != column
    row, column, cosine = row[other], column[other], cosine[other]
    order = np.lexsort((column, -cosine, row))
    row, column = row[order], column[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)  # place among the neighbours of its item
    popular = np.argsort(-log.item_counts, kind="stable")
    neighbors = np.resize(popular, (log.n_items, n_neighbors)).astype(np.int32)
    kept = rank < n_neighbors
    neighbors[row[kept], rank[kept]] = column[kept]
    return neighbors


def cooccurrence_cosines(log: InteractionLog) -> NDArray[np.float32]:
    """Return the cosine of every two items over the sequences that they occur in, (I, I), 0 on the diagonal."""
    row, column, cosine = _cosines(log)
    cosines = np.zeros((log.n_items, log.n_items), np.float32)
    cosines[row, column] = cosine
    np.fill_diagonal(cosines, 0.0)
    return cosines


def _cosines(log: InteractionLog) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Return row, column and cosine of the pairs of items that share a sequence."""
    sequences, n_items = log.sequences(), log.n_items
    owner = np.repeat(np.arange(len(sequences)), sequences.lengths)
    ones = np.ones(len(owner), np.float32)
    seen = sparse.csr_matrix((ones, (owner, sequences.item)), shape=(len(sequences), n_items))
    seen.data[:] = 1.0  # once a sequence
    together = (seen.T @ seen).tocoo()
    norm = np.sqrt(np.maximum(np.bincount(seen.indices, minlength=n_items), 1)).astype(np.float32)
    return together.row, together.col, together.data / (norm[together.row] * norm[together.col])
