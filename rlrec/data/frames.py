"""Between pandas and Polars without pyarrow: column by column, through NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl

from rlrec.core.artifacts import atomic_path
from rlrec.core.errors import DataError


def polars_to_pandas(frame: pl.DataFrame) -> pd.DataFrame:
    """Convert column by column: Polars' own ``to_pandas`` would need pyarrow."""
    columns: dict[str, Any] = {}
    for name in frame.columns:
        column = frame[name]
        if column.dtype.is_nested() or not (column.dtype.is_numeric() or column.dtype.is_temporal()):
            columns[name] = pd.Series(column.to_list(), dtype=object) if column.dtype != pl.Boolean else _flags(column)
        elif column.dtype.is_integer() and column.null_count():
            columns[name] = pd.Series(column.to_list(), dtype=object)  # as floats, ids beyond 2**53 would merge
        else:
            columns[name] = column.to_numpy()
    return pd.DataFrame(columns)


def pandas_to_polars(frame: pd.DataFrame) -> pl.DataFrame:
    """Convert column by column; a column of mixed types that Polars cannot hold is a `DataError`."""
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise DataError(f"the table has the column {str(twice[0])!r} twice; rename or drop one")
    return pl.DataFrame([_series(str(name), frame[name]) for name in frame.columns])


def _flags(column: pl.Series) -> Any:
    return column.to_numpy() if not column.null_count() else pd.Series(column.to_list(), dtype=object)


def _series(name: str, values: pd.Series) -> pl.Series:
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return pl.Series(name, values.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy())
    if getattr(values.dtype, "kind", "O") in "iufbmM" and not pd.api.types.is_extension_array_dtype(values.dtype):
        return pl.Series(name, values.to_numpy())
    plain = [None if value is None or value is pd.NA or value is pd.NaT else value for value in values.tolist()]
    plain = [None if isinstance(value, float) and value != value else value for value in plain]
    try:
        return pl.Series(name, plain, strict=True)
    except (TypeError, pl.exceptions.PolarsError, OverflowError):
        pass  # mixed types: told apart below
    if all(value is None or isinstance(value, int) for value in plain):
        return pl.Series(name, [None if value is None else str(value) for value in plain])
    kinds = sorted({type(value).__name__ for value in plain if value is not None})
    raise DataError(
        f"column {name!r} mixes values of the types {', '.join(kinds)}; make them one type, "
        f"as in frame[{name!r}].astype(str)"
    )


@contextmanager
def table_path(path: str | Path) -> Iterator[Path]:
    """Do as `atomic_path` for a table that Polars writes, which calls a full disk an error of computation.

    Raises
    ------
    DataError
        If the table cannot be written.
    """
    try:
        with atomic_path(path) as temporary:
            yield temporary
    except pl.exceptions.ComputeError as error:
        raise DataError(f"{str(path)!r} cannot be written: {error}; free some space or give another place") from error
