"""Who comes next: the people of a seed, by number, and which row serves them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlrec.core.errors import InvalidArgumentError
from rlrec.core.random import CounterRng


class Population:
    """The people under one seed, for ``n_rows`` rows that serve them.

    Row r meets r, r + B, r + 2B, ... whatever the others do; or, ``in_order``, a free row takes the next person of all.

    Parameters
    ----------
    seed : int
    n_rows : int
        B.
    """

    def __init__(self, seed: int, n_rows: int) -> None:
        self.rng = CounterRng(seed)
        self.in_order = False
        self._n_rows, self._n_arrived = n_rows, 0
        self._next = np.arange(n_rows, dtype=np.int64)

    def take(self, rows: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Return the next people of ``rows``, or of all, (n,)."""
        if self.in_order:
            n = self._n_rows if rows is None else len(rows)
            self._n_arrived += n
            return np.arange(self._n_arrived - n, self._n_arrived, dtype=np.int64)
        chosen = slice(None) if rows is None else rows
        keys = self._next[chosen].copy()
        self._next[chosen] += self._n_rows
        return keys

    def narrowed(self, rows: NDArray[np.int64]) -> Population:
        """Return the same people for ``rows`` alone, in order from where these are."""
        narrow = Population(self.rng.seed, len(rows))
        narrow.in_order = True
        narrow._n_arrived = self._n_arrived if self.in_order else int(self._next.max())
        return narrow

    def checked(self, users: Any) -> NDArray[np.int64]:
        """Return the people that a caller asks for, (B,), or say what is wrong."""
        keys = np.asarray(users)
        if keys.shape != (self._n_rows,) or keys.dtype.kind not in "iu":
            raise InvalidArgumentError(
                f"options['users'] must be an integer array of shape ({self._n_rows},), got {keys.dtype} {keys.shape}"
            )
        return keys.astype(np.int64)
