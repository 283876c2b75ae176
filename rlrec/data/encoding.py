"""Numbers for ids while rows stream by, through a table of 64-bit hashes that is looked up without a Python loop.

A hash only finds the row of the table; whether the id is the same is then compared, integer ids as they are and text
ids by a second 64-bit hash, so that two ids never become one unless all 128 bits agree.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rlrec.core.errors import DataError

_SEEDS = (0x5EED, 0xC0FFEE)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""2**64 over the golden ratio: spreads neighbouring numbers evenly over the leading bits (Knuth, vol. 3, 6.4)."""
_FIRST_ROWS = 1 << 16
"""Rows from which the table first learns: those of a column with few ids are all found after it."""
_LAST = np.uint64(2**64 - 1)


class IdEncoder:
    """Codes 0, 1, ... for the ids of one column, block after block, in no order that means anything.

    Examples
    --------
    >>> encoder = IdEncoder("user_id")
    >>> codes = [encoder.encode(pl.Series(ids)) for ids in (["b", "a"], ["a", "c"])]
    >>> [encoder.ids(block).to_list() for block in codes], encoder.size
    ([['b', 'a'], ['a', 'c']], 3)
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.size = 0
        """Codes given so far."""
        self._dtype: Any = None
        self._table = HashTable()
        self._checks = np.zeros(0, np.uint64)
        self._ids: list[pl.Series] = []

    def encode(self, ids: pl.Series) -> NDArray[np.int32]:
        """Return the codes of a block of ids, none missing, shape (len(ids),).

        Where a block has ids of another type than those before it, all become text, and keep their codes.

        Raises
        ------
        DataError
            If two ids have the same hash.
        """
        dtype: Any = ids.dtype if ids.dtype in (pl.String, pl.UInt64) else pl.Int64()
        if self._dtype is None:
            self._dtype = dtype
        elif dtype != self._dtype:
            self._become_text()
        ids = ids.cast(self._dtype)
        hashes, checks = self._hashes_of(ids)
        codes = self._table.find(hashes)
        new, size = np.flatnonzero(codes < 0), _FIRST_ROWS
        while len(new):
            self._add(ids, hashes, checks, new[:size])
            codes[new] = self._table.find(hashes[new])
            new, size = new[codes[new] < 0], len(new)
        if not np.array_equal(self._checks[codes], checks):
            raise DataError(
                f"two ids of column {self.name!r} have the same 64-bit hash, which happens once in ten million logs of "
                "a million ids; use load_log, which needs no hashes"
            )
        return codes

    def _add(
        self, ids: pl.Series, hashes: NDArray[np.uint64], checks: NDArray[np.uint64], rows: NDArray[np.int64]
    ) -> None:
        """Give codes to the ids of rows that have none, and keep one row of each."""
        distinct = np.sort(hashes[rows])
        distinct = distinct[np.concatenate([[True], distinct[1:] != distinct[:-1]])]
        self._table.add(distinct)
        first = np.empty(len(distinct), np.int64)
        first[self._table.find(hashes[rows]) - self.size] = rows
        if self.size + len(distinct) > len(self._checks):
            self._checks = np.concatenate([self._checks, np.zeros(self.size + len(distinct), np.uint64)])
        self._checks[self.size : self.size + len(distinct)] = checks[first]
        self._ids.append(ids.gather(first))
        self.size += len(distinct)

    def _become_text(self) -> None:
        """Look the ids up as text from now on."""
        if self._dtype == pl.String:
            return
        self._dtype = pl.String()
        self._ids = [block.cast(pl.String) for block in self._ids]
        hashes, self._checks = self._hashes_of(pl.concat(self._ids)) if self._ids else (self._checks, self._checks)
        self._table = HashTable()
        self._table.add(hashes)

    def ids(self, codes: NDArray[np.integer]) -> pl.Series:
        """Return the ids of codes, in the type that they came in; as text where they came in several."""
        if not self._ids:
            return pl.Series(self.name, [], dtype=pl.String)
        if len(self._ids) > 1:
            self._ids = [pl.concat(self._ids)]
        return self._ids[0].gather(codes.astype(np.int64)).alias(self.name)

    def _hashes_of(self, ids: pl.Series) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Return 64 bits to look an id up by, and 64 more to compare it by."""
        if self._dtype == pl.String:
            return ids.hash(_SEEDS[0]).to_numpy(), ids.hash(_SEEDS[1]).to_numpy()
        numbers = ids.to_numpy().astype(np.uint64)  # negative ones wrap round
        return numbers * _SPREAD, numbers  # one to one, so the comparison always holds


class HashTable:
    """Hashes and their codes 0, 1, ... in the order in which they were added.

    New hashes go to a small table, which joins the large one when it has grown to a quarter of it: so the cost of
    adding them block by block stays in proportion to their number.

    Examples
    --------
    >>> table = HashTable()
    >>> table.add(np.array([5, 2**63], np.uint64))
    >>> table.find(np.array([2**63, 7, 5], np.uint64)).tolist()
    [1, -1, 0]
    """

    def __init__(self) -> None:
        self._size = 0
        self._large, self._small = _Level.empty(), _Level.empty()

    def add(self, hashes: NDArray[np.uint64]) -> None:
        """Give the next codes to distinct hashes that are not in the table."""
        codes = np.arange(self._size, self._size + len(hashes), dtype=np.int32)
        self._size += len(hashes)
        self._small = self._small.joined(_Level(hashes, codes))
        if len(self._small) * 4 > len(self._large):
            self._large, self._small = self._large.joined(self._small), _Level.empty()

    def find(self, hashes: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Return the code of each hash, -1 where it is not in the table."""
        codes = self._large.find(hashes)
        if len(self._small):
            missing = np.flatnonzero(codes < 0)
            codes[missing] = self._small.find(hashes[missing])
        return codes


class _Level:
    """Sorted hashes with an index of their leading bits: a lookup reads one place of it and one or two hashes."""

    def __init__(self, hashes: NDArray[np.uint64], codes: NDArray[np.int32]) -> None:
        order = np.argsort(hashes)
        self._hashes = np.append(hashes[order], _LAST)  # the end, so that no lookup runs over it
        self._codes = np.append(codes[order], np.int32(-1))
        bits = len(self._hashes).bit_length() + 1  # one more than it takes: most places hold one hash or none
        self._shift = np.uint64(64 - bits)
        counts = np.bincount((self._hashes[:-1] >> self._shift).astype(np.int64), minlength=1 << bits)
        self._begin = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int32)

    @classmethod
    def empty(cls) -> _Level:
        return cls(np.zeros(0, np.uint64), np.zeros(0, np.int32))

    def joined(self, other: _Level) -> _Level:
        """Return the hashes of both."""
        return _Level(
            np.concatenate([self._hashes[:-1], other._hashes[:-1]]),
            np.concatenate([self._codes[:-1], other._codes[:-1]]),
        )

    def find(self, hashes: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Return the code of each hash, -1 where it is not here."""
        place = self._begin[hashes >> self._shift]
        there = self._hashes[place]
        behind = np.flatnonzero(there < hashes)
        while len(behind):  # the longest run of hashes that share their leading bits, a handful
            place[behind] += 1
            there[behind] = self._hashes[place[behind]]
            behind = behind[there[behind] < hashes[behind]]
        codes: NDArray[np.int32] = self._codes[place]
        codes[there != hashes] = -1
        return codes

    def __len__(self) -> int:
        return len(self._codes) - 1
