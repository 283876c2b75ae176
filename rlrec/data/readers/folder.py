"""A folder in our own layout: ``interactions`` with optional ``items`` and ``users``, Parquet or delimited text."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from rlrec.core.errors import DataError
from rlrec.data.readers.base import RawLog, ReadOptions
from rlrec.data.readers.delimited import read_delimited, read_table
from rlrec.data.readers.parquet import read_parquet_log
from rlrec.data.readers.text import open_bytes

_TEXT = tuple(f".{kind}{packed}" for kind in ("csv", "tsv", "txt") for packed in ("", ".gz", ".bz2", ".xz"))
_ENDINGS = (".parquet", *_TEXT)


def detect_folder(path: Path) -> bool:
    """Return whether a folder holds ``interactions.*``."""
    return path.is_dir() and _table_path(path, "interactions") is not None


def read_folder(path: Path, options: ReadOptions) -> RawLog:
    """Read ``interactions.*``, ``items.*`` and ``users.*``."""
    interactions = _table_path(path, "interactions")
    assert interactions is not None
    reader = read_parquet_log if interactions.suffix == ".parquet" else read_delimited
    raw = reader(interactions, options)
    raw.name = path.name
    raw.items = _table(path, "items")
    raw.users = _table(path, "users")
    return raw


def read_side_table(path: Path) -> pl.DataFrame:
    """Read an item or user table from Parquet, delimited text or JSON lines."""
    if not path.is_file():
        raise DataError(f"{str(path)!r} does not exist; give a Parquet, CSV or JSON-lines file")
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        if {".jsonl", ".ndjson", ".json"} & set(path.suffixes):
            with open_bytes(path) as file:
                return pl.read_ndjson(file.read(), infer_schema_length=None)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{str(path)!r} cannot be read as a table: {error}; repair it, or convert it to CSV") from error
    return read_table(path)


def _table(folder: Path, name: str) -> pl.DataFrame | None:
    path = _table_path(folder, name)
    return None if path is None else read_side_table(path)


def _table_path(folder: Path, name: str) -> Path | None:
    return next((folder / f"{name}{end}" for end in _ENDINGS if (folder / f"{name}{end}").is_file()), None)
