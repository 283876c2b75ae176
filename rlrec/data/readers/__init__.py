"""Readers: one file for each family of layouts, and the list by which a layout is recognised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlrec.core.errors import DataError, InvalidTypeError
from rlrec.data.readers.base import Format, RawLog, ReadOptions
from rlrec.data.readers.delimited import read_delimited
from rlrec.data.readers.folder import detect_folder, read_folder
from rlrec.data.readers.frames import is_frame, read_frame
from rlrec.data.readers.parquet import read_parquet_log

_PACKED = (".gz", ".bz2", ".xz")


def _ending(path: Path) -> str:
    """Return the suffix, without that of a compression."""
    return Path(path.stem).suffix.lower() if path.suffix.lower() in _PACKED else path.suffix.lower()


def _is_parquet(path: Path) -> bool:
    return _ending(path) == ".parquet" or (path.is_dir() and next(path.rglob("*.parquet"), None) is not None)


def _is_delimited(path: Path) -> bool:
    return path.is_file() and _ending(path) in (".csv", ".tsv", ".txt", ".dat", ".tab", ".data")


FORMATS: dict[str, Format] = {
    layout.name: layout
    for layout in (
        Format("folder", "interactions.*, items.*, users.* in one folder", detect_folder, read_folder),
        Format("parquet", "Parquet file, or folder of parts", _is_parquet, read_parquet_log),
        Format("csv", "delimited text with a header, any delimiter", _is_delimited, read_delimited),
    )
}
"""Layouts by name, in the order in which they are tried."""


def detect_format(path: Path) -> Format:
    """Return the first layout that recognises a path."""
    if not path.exists():
        raise DataError(f"{str(path)!r} does not exist; check the path, or use builtin:NAME for an embedded log")
    for layout in FORMATS.values():
        if layout.detect(path):
            return layout
    raise DataError(f"{str(path)!r} has no layout that rlrec knows; name one with format=: {', '.join(FORMATS)}")


def read_raw(source: Any, options: ReadOptions, *, format: str | None = None) -> RawLog:
    """Open a source as it is; rows are read when its blocks are consumed."""
    if is_frame(source):
        return read_frame(source, options)
    if not isinstance(source, str | Path):
        raise InvalidTypeError(
            f"source must be a path, 'builtin:NAME' or a pandas, Polars or Arrow table, got {type(source).__name__}"
        )
    path = Path(source)
    if format is None:
        layout = detect_format(path)
    elif format in FORMATS:
        layout = FORMATS[format]
    else:
        raise DataError(f"format must be one of {', '.join(map(repr, FORMATS))}, got {format!r}")
    return layout.read(path, options)
