"""Parquet with canonical columns, or columns that a mapping names: one file, or a folder of parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from rlrec.core.errors import DataError
from rlrec.data.readers.base import Block, RawLog, ReadOptions, canonical_frame, rename_map

_ROWS = 250_000
"""Rows in a block (chosen here: some 8 MB of the usual columns, as in a block of text)."""


def read_parquet_log(path: Path, options: ReadOptions) -> RawLog:
    """Read one Parquet file, or every ``*.parquet`` under a folder (Hive names such as ``day=3`` become columns)."""
    return RawLog(name=path.stem, blocks=_blocks(path, options))


def _blocks(path: Path, options: ReadOptions) -> Iterator[Block]:
    for part in [path] if path.is_file() else sorted(path.rglob("*.parquet")):
        try:
            lazy = pl.scan_parquet(part, hive_partitioning=path.is_dir())
            names = rename_map(lazy.collect_schema().names(), options.columns, repr(str(part)))
            n_rows = int(lazy.select(pl.len()).collect().item())
            for begin in range(0, max(n_rows, 1), _ROWS):
                yield Block(canonical_frame(lazy.slice(begin, _ROWS).collect(), names))
        except (pl.exceptions.ComputeError, OSError) as error:
            raise DataError(f"{str(part)!r} cannot be read as Parquet: {error}; is the file complete?") from error
