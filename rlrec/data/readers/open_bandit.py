"""Open Bandit data: impressions with position, click and propensity, one folder for each logging policy.

Checked against the small sample of the men's campaign. An impression is a person of its own, for the data knows no
users: the user id is the policy and the row, the four coded context features are the user's. Every row was exposed;
a click is an event "click" of value 1, the rest are events "impression" of value 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from rlrec.core.errors import DataError
from rlrec.data.log import EVENT, EXPOSED, ITEM_ID, POSITION, PROPENSITY, TIMESTAMP, USER_ID, VALUE
from rlrec.data.readers.base import Block, RawLog, ReadOptions
from rlrec.data.readers.delimited import cut_blocks
from rlrec.data.readers.layout import find, header_of, layout_blocks, side_table

_CONTEXT = "item_context.csv"
_COLUMNS = {
    USER_ID: USER_ID,
    ITEM_ID: "item_id",
    TIMESTAMP: "timestamp",
    EVENT: EVENT,
    VALUE: "click",
    EXPOSED: EXPOSED,
    PROPENSITY: "propensity_score",
    POSITION: "(position)",
}


def detect_open_bandit(path: Path) -> bool:
    """Return whether a folder is that of one policy, or holds such folders."""
    return path.is_dir() and bool(_policies(path))


def read_open_bandit(path: Path, options: ReadOptions) -> RawLog:
    """Read the impressions of one policy, or of all policies under a folder."""
    policies = _policies(path)
    if not policies:
        raise DataError(f"{str(path)!r} holds no {_CONTEXT} beside one CSV of impressions; give an Open Bandit folder")
    raw = RawLog(name=path.name, blocks=_blocks(policies, options))
    raw.items = _items(next(iter(policies)))
    raw.users = pl.concat([_users(folder, file, options) for folder, file in policies.items()])
    raw.notes["logging policies"] = ", ".join(folder.name for folder in policies)
    return raw


def _policies(path: Path) -> dict[Path, Path]:
    """Return the folder of each policy and its file of impressions."""
    found = {}
    for folder in (path, *sorted(part for part in path.iterdir() if part.is_dir())):
        files = [file for file in sorted(folder.glob("*.csv*")) if not file.name.startswith(_CONTEXT)]
        if find(folder, _CONTEXT) and len(files) == 1 and "propensity_score" in header_of(files[0]):
            found[folder] = files[0]
    return found


def _blocks(policies: dict[Path, Path], options: ReadOptions) -> Iterator[Block]:
    for folder, file in policies.items():
        name = folder.name

        def prepare(frame: pl.DataFrame, name: str = name) -> pl.DataFrame:
            clicked = pl.col("click").cast(pl.Float64, strict=False) > 0
            return frame.with_columns(
                _user_id(frame, name),
                pl.when(clicked).then(pl.lit("click")).otherwise(pl.lit("impression")).alias(EVENT),
                pl.lit(True).alias(EXPOSED),
                (pl.col("position").cast(pl.Int64, strict=False) - 1).alias("(position)"),  # theirs begin at 1
            ).drop("position")

        yield from layout_blocks([file], _COLUMNS, options, prepare=prepare)


def _user_id(frame: pl.DataFrame, name: str) -> pl.Expr:
    return pl.format("{}/{}", pl.lit(name), pl.col(frame.columns[0])).alias(USER_ID)


def _items(folder: Path) -> pl.DataFrame | None:
    table = side_table(find(folder, _CONTEXT), ITEM_ID, "item_id")
    return None if table is None else table.drop([name for name in table.columns if name.startswith("(column")])


def _users(folder: Path, file: Path, options: ReadOptions) -> pl.DataFrame:
    parts = []
    for names, block in cut_blocks(file, options):
        features = [name for name in names if name.startswith("user_feature")]
        parts.append(block.frame.select(_user_id(block.frame, folder.name), *features))
    return pl.concat(parts)
