"""OTTO sessions: JSON lines of ``{"session": 0, "events": [{"aid": 1, "ts": 1659304800025, "type": "clicks"}]}``.

Checked against the first sessions of the published training file. One session is one user; times are milliseconds.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from rlrec.core.errors import DataError
from rlrec.data.readers.base import RawLog, ReadOptions
from rlrec.data.readers.json_lines import json_blocks
from rlrec.data.readers.text import open_bytes

_EVENT = pl.Struct({"aid": pl.Int64, "ts": pl.Int64, "type": pl.String})
_SCHEMA: dict[str, pl.DataType] = {"session": pl.Int64(), "events": pl.List(_EVENT)}


def detect_otto(path: Path) -> bool:
    """Return whether the first line of a JSON-lines file, or of the only one in a folder, is an OTTO session."""
    file = _file(path)
    if file is None:
        return False
    with open_bytes(file) as lines:
        return lines.read(200).replace(b" ", b"").startswith(b'{"session":')


def read_otto(path: Path, options: ReadOptions) -> RawLog:
    """Read the sessions as a log whose users are the sessions."""
    file = _file(path)
    if file is None:
        raise DataError(f"{str(path)!r} holds no single .jsonl file; give the file of sessions")
    return RawLog(name=path.stem, blocks=json_blocks(file, _SCHEMA, options, _rows))


def _file(path: Path) -> Path | None:
    found = [path] if path.is_file() else sorted(path.glob("*.jsonl"))
    return found[0] if len(found) == 1 and ".jsonl" in found[0].suffixes else None


def _rows(sessions: pl.DataFrame) -> pl.DataFrame:
    rows = sessions.explode("events").unnest("events")
    return rows.select(
        pl.col("session").alias("user_id"),
        pl.col("session").alias("session_id"),
        pl.col("aid").alias("item_id"),
        pl.col("ts").alias("timestamp"),
        pl.col("type").alias("event"),
    )
