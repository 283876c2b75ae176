"""Tables in memory: pandas, Polars (eager or lazy) and Arrow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import polars as pl

from rlrec.core.errors import DataError, InvalidTypeError, MissingExtraError
from rlrec.data.frames import pandas_to_polars
from rlrec.data.readers.base import Block, RawLog, ReadOptions, canonical_frame, rename_map


def is_frame(source: Any) -> bool:
    """Return whether ``source`` is a table that `read_frame` takes."""
    return isinstance(source, pd.DataFrame | pl.DataFrame | pl.LazyFrame) or hasattr(source, "__arrow_c_stream__")


def read_frame(source: Any, options: ReadOptions) -> RawLog:
    """Read a table in memory as a log; the caller's table is not changed."""
    return RawLog(name="frame", blocks=_blocks(source, options))


def to_polars(source: Any) -> pl.DataFrame:
    """Convert any table to Polars."""
    if isinstance(source, pl.LazyFrame):
        return source.collect()
    if isinstance(source, pl.DataFrame):
        return source
    if isinstance(source, pd.DataFrame):
        return pandas_to_polars(source)
    if hasattr(source, "__arrow_c_stream__"):
        try:
            return pl.DataFrame(source)
        except ImportError as error:
            raise MissingExtraError("pyarrow", "arrow", "reading an Arrow table") from error
    raise InvalidTypeError(f"a table must be a pandas, Polars or Arrow table, got {type(source).__name__}")


def _blocks(source: Any, options: ReadOptions) -> Iterator[Block]:
    frame = to_polars(source)
    if not frame.width:
        raise DataError("the table has no columns; a log needs user_id and item_id")
    names = rename_map(frame.columns, options.columns, "the table")
    yield Block(canonical_frame(frame, names))
