"""A query instead of a file: DuckDB (a connection, a relation, a database or any file that it reads), SQLite, DB-API.

DuckDB hands its result over as Arrow, without pyarrow. SQLite needs no package. A query on a table in memory runs in
Polars, where the table is called ``log``; so is a CSV, Parquet or JSON file. The result is held in memory: for one that
does not fit, let the database write Parquet and load that.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl

from rlrec.core.errors import DataError, InvalidTypeError, MissingExtraError
from rlrec.data.readers.base import Block, RawLog, ReadOptions, canonical_frame, rename_map
from rlrec.data.readers.frames import is_frame, to_polars

_SQLITE_MAGIC = b"SQLite format 3\0"
_DUCKDB_MAGIC, _DUCKDB_OFFSET = b"DUCK", 8
_ROWS = 200_000
"""Rows fetched at once over DB-API (chosen here: tens of MB as Python objects)."""


def is_database(source: Any) -> bool:
    """Return whether ``source`` is a connection, or the path of a DuckDB or SQLite file."""
    if isinstance(source, str | Path):
        return _file_kind(Path(source)) is not None
    return not is_frame(source) and hasattr(source, "execute")


def read_query(source: Any, options: ReadOptions) -> RawLog:
    """Run ``options.query`` and read its rows as a log."""
    if options.query is None:
        raise DataError("a database needs a query, as in load_log(source, query='SELECT user_id, item_id FROM clicks')")
    return RawLog(name="query", blocks=_blocks(source, options.query, options))


def _blocks(source: Any, query: str, options: ReadOptions) -> Iterator[Block]:
    for frame in _frames(source, query):
        yield Block(canonical_frame(frame, rename_map(frame.columns, options.columns, "the query")))


def _frames(source: Any, query: str) -> Iterator[pl.DataFrame]:
    if isinstance(source, str | Path):
        yield from _from_path(Path(source), query)
    elif hasattr(source, "to_arrow_table") or hasattr(source, "fetch_arrow_table"):
        yield _from_duckdb(source, query)
    elif is_frame(source):
        yield _from_polars(to_polars(source), query)
    elif hasattr(source, "cursor"):
        yield from _from_dbapi(source, query)
    else:
        raise InvalidTypeError(
            f"query= needs a path, a table or a database connection as the source, got {type(source).__name__}"
        )


def _from_path(path: Path, query: str) -> Iterator[pl.DataFrame]:
    kind = _file_kind(path)
    if kind == "sqlite":
        uri = f"{path.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            yield from _from_dbapi(connection, query)
        return
    if kind is None and not path.exists():
        raise DataError(f"{str(path)!r} does not exist; give a DuckDB or SQLite file, or one that DuckDB reads")
    duckdb = _duckdb()
    with closing(duckdb.connect(str(path), read_only=True) if kind == "duckdb" else duckdb.connect()) as connection:
        if kind is None:
            quoted = str(path).replace("'", "''")
            _run(lambda: connection.execute(f"CREATE VIEW log AS SELECT * FROM '{quoted}'"), query)
        yield _from_duckdb(connection, query)


def _from_duckdb(source: Any, query: str) -> pl.DataFrame:
    """Run on a connection, or on a relation, which the query calls ``log``."""
    run = source.sql if hasattr(source, "sql") else lambda text: source.query("log", text)
    frame: pl.DataFrame = _run(lambda: pl.DataFrame(run(query)), query)
    wide = [name for name, dtype in frame.schema.items() if dtype.is_decimal() or dtype == pl.Int128]
    return frame.with_columns(pl.col(wide).cast(pl.String))


def _from_polars(frame: pl.DataFrame, query: str) -> pl.DataFrame:
    result: pl.DataFrame = _run(lambda: pl.SQLContext(log=frame).execute(query, eager=True), query)
    return result


def _from_dbapi(connection: Any, query: str) -> Iterator[pl.DataFrame]:
    with closing(connection.cursor()) as cursor:
        _run(lambda: cursor.execute(query), query)
        if cursor.description is None:
            raise DataError(f"the query returns no rows to read, it must be a SELECT: {query}")
        names = [column[0] for column in cursor.description]
        first = True
        while (rows := cursor.fetchmany(_ROWS)) or first:
            first = False
            yield _table(names, rows)


def _table(names: list[str], rows: list[Any]) -> pl.DataFrame:
    """Build columns; one with values of several types becomes text."""
    columns = []
    for position, name in enumerate(names):
        values = [row[position] for row in rows]
        kinds = {type(value) for value in values} - {type(None)}
        if len(kinds) > 1:
            values = [None if value is None else str(value) for value in values]
        columns.append(pl.Series(name, values, dtype=None if kinds else pl.String))
    return pl.DataFrame(columns)


def _run(action: Any, query: str) -> Any:
    try:
        return action()
    except (sqlite3.Error, pl.exceptions.PolarsError) as error:
        raise DataError(f"the query failed: {_line(error)}; it was: {query}") from error
    except Exception as error:
        if type(error).__module__.split(".")[0] not in ("duckdb", "_duckdb"):
            raise
        raise DataError(f"the query failed: {_line(error)}; it was: {query}") from error


def _file_kind(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        head = file.read(16)
    if head == _SQLITE_MAGIC:
        return "sqlite"
    return "duckdb" if head[_DUCKDB_OFFSET : _DUCKDB_OFFSET + 4] == _DUCKDB_MAGIC else None


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtraError("duckdb", "sql", "a query on this source") from error
    return duckdb


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
