"""Short videos of Kuaishou: KuaiRand (``log_*.csv``) and KuaiRec (``big_matrix.csv``, ``small_matrix.csv``).

Written after their documentation; tested on small files in it. Every row was shown, so every row is an exposure; the
value is the share of the video that was watched, which repeats carry above 1, and missing where no length is known.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from rlrec.core.errors import DataError
from rlrec.data.log import EVENT, EXPOSED, ITEM_ID, TIMESTAMP, USER_ID, VALUE
from rlrec.data.readers.base import RawLog, ReadOptions
from rlrec.data.readers.layout import find, header_of, layout_blocks, require, side_table

_EVENTS = (
    ("is_hate", "hate"),
    ("is_forward", "forward"),
    ("is_follow", "follow"),
    ("is_comment", "comment"),
    ("is_like", "like"),
    ("long_view", "long_view"),
    ("is_click", "click"),
)
"""Feedback flags and the events that they give, the most telling first: a row has one event."""
_KUAIRAND = {
    USER_ID: "user_id",
    ITEM_ID: "video_id",
    TIMESTAMP: "time_ms",
    EVENT: EVENT,
    VALUE: "(watched)",
    EXPOSED: EXPOSED,
}
_KUAIREC = {
    USER_ID: "user_id",
    ITEM_ID: "video_id",
    TIMESTAMP: "timestamp",
    EVENT: EVENT,
    VALUE: "watch_ratio",
    EXPOSED: EXPOSED,
}


def detect_kuairand(path: Path) -> bool:
    """Return whether a path is a KuaiRand log or a folder with some."""
    logs = _logs(path)
    return bool(logs) and {"video_id", "time_ms", "is_click"} <= set(header_of(logs[0]))


def read_kuairand(path: Path, options: ReadOptions) -> RawLog:
    """Read one log, or all logs of a folder one after another, with video and user features.

    A row's event is the first of hate, forward, follow, comment, like, long_view, click that it has, else "impression".
    """
    logs = _logs(path)
    if not logs:
        raise DataError(f"{str(path)!r} holds no log_*.csv; give a KuaiRand folder or one of its logs")
    folder = logs[0].parent
    raw = RawLog(name=path.stem, blocks=layout_blocks(logs, _KUAIRAND, options, prepare=_kuairand_rows))
    raw.items = side_table(_one(folder, "video_features_basic*"), ITEM_ID, "video_id")
    raw.users = side_table(_one(folder, "user_features*"), USER_ID, "user_id")
    raw.notes["logs"] = ", ".join(log.name for log in logs)
    return raw


def _logs(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.name.startswith("log_") else []
    return sorted(path.glob("log_*.csv*")) or sorted((path / "data").glob("log_*.csv*"))


def _kuairand_rows(frame: pl.DataFrame) -> pl.DataFrame:
    event = pl.lit("impression")
    for flag, name in reversed(_EVENTS):
        if flag in frame.columns:
            event = pl.when(pl.col(flag).str.strip_chars() == "1").then(pl.lit(name)).otherwise(event)
    length, watched = (pl.col(name).cast(pl.Float64, strict=False) for name in ("duration_ms", "play_time_ms"))
    share = pl.when(length > 0).then(watched / length).alias("(watched)")
    return frame.with_columns(event.alias(EVENT), share, pl.lit(True).alias(EXPOSED))


def detect_kuairec(path: Path) -> bool:
    """Return whether a path is a KuaiRec matrix or a folder with one."""
    matrix = _matrix(path)
    return matrix is not None and {"video_id", "watch_ratio"} <= set(header_of(matrix))


def read_kuairec(path: Path, options: ReadOptions) -> RawLog:
    """Read a matrix, in a folder the big one, with user features and the categories of the videos."""
    matrix = _matrix(path) or require(path, "big_matrix.csv", "small_matrix.csv", layout="KuaiRec")
    folder = matrix.parent
    raw = RawLog(name=matrix.stem.split(".")[0], blocks=layout_blocks([matrix], _KUAIREC, options, prepare=_watches))
    raw.users = side_table(find(folder, "user_features.csv"), USER_ID, "user_id")
    categories = side_table(find(folder, "item_categories.csv"), ITEM_ID, "video_id")
    if categories is not None:
        labels = pl.col("feat").str.strip_chars("[] ").str.split(",").list.eval(pl.element().str.strip_chars())
        raw.items = categories.select(ITEM_ID, labels.alias("categories"))
    return raw


def _matrix(path: Path) -> Path | None:
    if path.is_file():
        return path if "matrix" in path.name else None
    folders = (path, path / "data")
    return next((found for folder in folders if (found := find(folder, "big_matrix.csv", "small_matrix.csv"))), None)


def _watches(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.lit("watch").alias(EVENT), pl.lit(True).alias(EXPOSED))


def _one(folder: Path, pattern: str) -> Path | None:
    return next(iter(sorted(folder.glob(pattern))), None)
