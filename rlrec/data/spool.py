"""Columns on disk in chunks: written once in any sizes, read back chunk by chunk or all at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Chunk = dict[str, NDArray[Any]]


class Spool:
    """One file of chunks; a chunk is some columns of one length, and chunks may differ in their columns.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     spool = Spool(Path(folder) / "rows")
    ...     spool.append({"item": np.array([1, 2])})
    ...     spool.append({"item": np.array([3])})
    ...     [chunk["item"].tolist() for chunk in spool.chunks()], spool.n_rows
    ([[1, 2], [3]], 3)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n_rows = 0
        path.write_bytes(b"")
        self._index: list[tuple[int, dict[str, tuple[int, np.dtype[Any]]]]] = []

    def append(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Write one chunk."""
        n_rows = len(next(iter(columns.values())))
        places = {}
        with self.path.open("ab") as file:
            for name, column in columns.items():
                places[name] = (file.tell(), column.dtype)
                file.write(np.ascontiguousarray(column).data)
        self._index.append((n_rows, places))
        self.n_rows += n_rows

    @property
    def names(self) -> list[str]:
        """Every column that some chunk has."""
        return list(dict.fromkeys(name for _, places in self._index for name in places))

    def chunks(self, names: Iterable[str] | None = None) -> Iterator[Chunk]:
        """Yield the chunks with those of the columns that they have."""
        wanted = None if names is None else set(names)
        with self.path.open("rb") as file:
            for n_rows, places in self._index:
                chunk = {}
                for name, (offset, dtype) in places.items():
                    if wanted is None or name in wanted:
                        file.seek(offset)
                        chunk[name] = np.fromfile(file, dtype, n_rows)
                yield chunk

    def read(self, missing: Mapping[str, Any]) -> Chunk:
        """Return all rows at once; ``missing`` stands in where a chunk lacks a column that another has."""
        chunks = list(self.chunks())
        columns = {}
        for name in self.names:
            dtype = next(chunk[name].dtype for chunk in chunks if name in chunk)
            parts = [
                chunk[name] if name in chunk else np.full(n_rows, missing[name], dtype)
                for chunk, (n_rows, _) in zip(chunks, self._index, strict=True)
            ]
            columns[name] = np.concatenate(parts)
        return columns
