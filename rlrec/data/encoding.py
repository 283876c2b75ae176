"""Numbers for ids while rows stream by: text ids through one growing table, integer ids as they are.

A code is provisional: it says that two rows have the same id. Which index an id has is decided when all rows are seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rlrec.core.errors import DataError

_DENSE = 1 << 24
"""Widest range of integer ids that gets a table of its own (chosen here: 128 MB of counters)."""


class IdEncoder:
    """Encodes the ids of one column, block after block; `seal` it, then ask for codes and ids.

    Examples
    --------
    >>> encoder = IdEncoder("user_id")
    >>> blocks = [encoder.encode(pl.Series(ids)) for ids in (["b", "a"], ["a", "c"])]
    >>> encoder.seal(blocks)
    >>> [encoder.codes(block).tolist() for block in blocks], encoder.ids(np.arange(encoder.size)).to_list()
    ([[0, 1], [1, 2]], ['b', 'a', 'c'])
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._dtype: Any = None
        self._categories = pl.Categorical(pl.Categories.random())
        self._alive = pl.Series([], dtype=self._categories)  # Polars forgets a table that no column uses
        self._seen = np.zeros(0, np.bool_)
        self._new_codes: list[NDArray[Any]] = []
        self._new_texts: list[pl.Series] = []
        self._low, self._high = 2**63 - 1, -(2**63)

    def encode(self, ids: pl.Series) -> NDArray[Any]:
        """Return what to store for a block: uint32 codes of text ids, or int64 ids, shape (len(ids),).

        Raises
        ------
        DataError
            If an earlier block had ids of another type.
        """
        dtype: Any = ids.dtype if ids.dtype in (pl.String, pl.UInt64) else pl.Int64()
        if self._dtype is not None and dtype != self._dtype:
            raise DataError(
                f"column {self.name!r} holds {self._dtype} in one part of the source and {dtype} in another; make it "
                "one type, or use load_log, which turns both into text"
            )
        self._dtype = dtype
        if self._is_text:
            return self._encode_text(ids.cast(pl.String))
        numbers = ids.cast(pl.Int64)
        if len(numbers):
            self._low = min(self._low, int(numbers.min()))  # type: ignore[arg-type]
            self._high = max(self._high, int(numbers.max()))  # type: ignore[arg-type]
        return numbers.to_numpy()

    def seal(self, blocks: Iterable[NDArray[Any]]) -> None:
        """End the encoding. ``blocks`` are what `encode` gave; they are read where integer ids spread widely."""
        if self._is_text:
            self._seal_text()
        elif self._is_dense:
            self._size = max(self._high - self._low + 1, 0)
        else:
            distinct = np.zeros(0, np.int64)
            for block in blocks:
                distinct = np.union1d(distinct, pl.Series(block).unique().to_numpy())
            self._sorted = distinct
            self._size = len(distinct)

    @property
    def size(self) -> int:
        """Codes lie in 0..size-1; some of them may be no id."""
        return self._size

    def codes(self, encoded: NDArray[Any]) -> NDArray[Any]:
        """Return the codes of what `encode` gave."""
        if self._is_text:
            return encoded
        return encoded - self._low if self._is_dense else np.searchsorted(self._sorted, encoded)

    def ids(self, codes: NDArray[np.integer]) -> pl.Series:
        """Return the ids of these codes, in the type that they came in; each must have been encoded once."""
        if self._is_text:
            texts = self._texts.gather(codes.astype(np.int64)).alias(self.name)
            return texts.cast(pl.UInt64) if self._dtype == pl.UInt64 else texts
        numbers = codes + self._low if self._is_dense else self._sorted[codes]
        return pl.Series(self.name, numbers, dtype=pl.Int64)

    @property
    def _is_text(self) -> bool:
        return self._dtype in (None, pl.String, pl.UInt64)

    @property
    def _is_dense(self) -> bool:
        return self._high - self._low < _DENSE

    def _encode_text(self, ids: pl.Series) -> NDArray[Any]:
        codes = ids.cast(self._categories).to_physical().to_numpy()
        largest = int(codes.max(initial=0))
        if largest >= len(self._seen):
            self._seen = np.concatenate([self._seen, np.zeros(largest + 1, np.bool_)])  # at least twice as long
        rows = np.flatnonzero(~self._seen[codes])
        if len(rows):
            self._remember(codes[rows], ids, rows)
        return codes

    def _remember(self, codes: NDArray[Any], ids: pl.Series, rows: NDArray[np.int64]) -> None:
        """Keep the text of each code that is new, from one row that has it."""
        low = int(codes.min())
        row_of = np.full(int(codes.max()) - low + 1, -1, np.int64)
        row_of[codes - low] = rows
        new = np.flatnonzero(row_of >= 0)
        self._new_codes.append((new + low).astype(np.uint32))
        self._new_texts.append(ids.gather(row_of[new]))
        self._seen[new + low] = True

    def _seal_text(self) -> None:
        codes = np.concatenate([np.zeros(0, np.uint32), *self._new_codes])
        texts = pl.concat([pl.Series([], dtype=pl.String), *(text.alias("") for text in self._new_texts)])
        self._size = int(codes.max()) + 1 if len(codes) else 0
        place = np.zeros(self._size, np.int64)
        place[codes] = np.arange(len(codes))
        self._texts = texts.gather(place)
        self._new_codes, self._new_texts = [], []
