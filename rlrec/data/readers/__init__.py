"""Readers: one file for each family of layouts, and the list by which a layout is recognised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlrec.core.errors import DataError, InvalidTypeError
from rlrec.data.readers.amazon import detect_amazon, read_amazon
from rlrec.data.readers.base import Format, RawLog, ReadOptions
from rlrec.data.readers.delimited import read_delimited
from rlrec.data.readers.folder import detect_folder, read_folder
from rlrec.data.readers.frames import is_frame, read_frame
from rlrec.data.readers.json_lines import detect_json_lines, read_json_lines
from rlrec.data.readers.kuaishou import detect_kuairand, detect_kuairec, read_kuairand, read_kuairec
from rlrec.data.readers.movielens import detect_movielens, read_movielens
from rlrec.data.readers.open_bandit import detect_open_bandit, read_open_bandit
from rlrec.data.readers.otto import detect_otto, read_otto
from rlrec.data.readers.parquet import read_parquet_log
from rlrec.data.readers.recbole import detect_recbole, read_recbole
from rlrec.data.readers.sequence_lines import detect_sequence_lines, never, read_item_lines, read_sequence_lines
from rlrec.data.readers.shops import detect_retailrocket, detect_yoochoose, read_retailrocket, read_yoochoose
from rlrec.data.readers.sql import is_database, read_query

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
        Format("recbole", "RecBole atomic files (.inter, .item, .user)", detect_recbole, read_recbole),
        Format("movielens", "GroupLens: u.data; ratings.dat; ratings.csv", detect_movielens, read_movielens),
        Format("open-bandit", "Open Bandit impressions with propensities", detect_open_bandit, read_open_bandit),
        Format("retailrocket", "RetailRocket events.csv", detect_retailrocket, read_retailrocket),
        Format("yoochoose", "yoochoose-clicks.dat, yoochoose-buys.dat", detect_yoochoose, read_yoochoose),
        Format("kuairand", "KuaiRand log_*.csv", detect_kuairand, read_kuairand),
        Format("kuairec", "KuaiRec big_matrix.csv or small_matrix.csv", detect_kuairec, read_kuairec),
        Format("otto", "OTTO sessions, JSON lines", detect_otto, read_otto),
        Format("amazon", "Amazon reviews, JSON lines", detect_amazon, read_amazon),
        Format("jsonl", "JSON lines, one object for each row", detect_json_lines, read_json_lines),
        Format("sequences", "lines of a user and their items", detect_sequence_lines, read_sequence_lines),
        Format("item-lines", "lines of items, one line for each user", never, read_item_lines),
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
    if options.query is not None or is_database(source):
        return read_query(source, options)
    if is_frame(source):
        return read_frame(source, options)
    if not isinstance(source, str | Path):
        raise InvalidTypeError(
            "source must be a path, 'builtin:NAME', a pandas, Polars or Arrow table, or a database connection, "
            f"got {type(source).__name__}"
        )
    path = Path(source)
    if format is None:
        layout = detect_format(path)
    elif format in FORMATS:
        layout = FORMATS[format]
    else:
        raise DataError(f"format must be one of {', '.join(map(repr, FORMATS))}, got {format!r}")
    return layout.read(path, options)
