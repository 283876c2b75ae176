"""Shop sessions as they were published for challenges: RetailRocket events and Yoochoose (RecSys 2015) clicks and buys.

Written after their documentation; tested on small files in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from rlrec.data.log import EVENT, ITEM_ID, SESSION_ID, TIMESTAMP, USER_ID, VALUE
from rlrec.data.readers.base import Block, RawLog, ReadOptions
from rlrec.data.readers.delimited import read_table
from rlrec.data.readers.layout import find, header_of, layout_blocks, layout_options, require

_RETAILROCKET = {USER_ID: "visitorid", ITEM_ID: "itemid", TIMESTAMP: "timestamp", EVENT: "event"}
_PROPERTIES = ("categoryid", "available")
_CLICKS = ("session", "time", "item", "category")
_BUYS = ("session", "time", "item", "price", "quantity")
_YOOCHOOSE = {
    USER_ID: "session",
    SESSION_ID: "(session)",
    ITEM_ID: "item",
    TIMESTAMP: "time",
    EVENT: EVENT,
    VALUE: "price",
}


def detect_retailrocket(path: Path) -> bool:
    """Return whether a path is RetailRocket's ``events.csv`` or a folder with it."""
    events = find(path, "events.csv") if path.is_dir() else path
    return events is not None and events.is_file() and {"visitorid", "itemid"} <= set(header_of(events))


def read_retailrocket(path: Path, options: ReadOptions) -> RawLog:
    """Read events ("view", "addtocart", "transaction"; times in milliseconds) and the last known item properties."""
    folder = path if path.is_dir() else path.parent
    events = require(path, "events.csv", layout="RetailRocket") if path.is_dir() else path
    raw = RawLog(name="retailrocket", blocks=layout_blocks([events], _RETAILROCKET, options))
    parts = [part for i in (1, 2) if (part := find(folder, f"item_properties_part{i}.csv")) is not None]
    if parts:
        raw.items = _properties(parts, find(folder, "category_tree.csv"))
    return raw


def _properties(parts: list[Path], tree: Path | None) -> pl.DataFrame:
    """Return the last category and availability of each item; other properties are hashed words without a meaning."""
    rows = pl.concat([read_table(part, infer=False).filter(pl.col("property").is_in(_PROPERTIES)) for part in parts])
    rows = rows.with_columns(pl.col("timestamp").cast(pl.Int64)).sort("timestamp", maintain_order=True)
    last = rows.unique(subset=["itemid", "property"], keep="last").sort("property", descending=True)
    table = last.pivot(on="property", index="itemid", values="value").rename({"itemid": ITEM_ID})
    table = table.rename({"categoryid": "category"}, strict=False)
    if tree is not None and "category" in table.columns:
        above = read_table(tree, infer=False).rename({"categoryid": "category", "parentid": "parent_category"})
        table = table.join(above.unique("category"), on="category", how="left")
    return table.sort(ITEM_ID)


def detect_yoochoose(path: Path) -> bool:
    """Return whether a folder holds ``yoochoose-clicks.dat``."""
    return path.is_dir() and find(path, "yoochoose-clicks.dat") is not None


def read_yoochoose(path: Path, options: ReadOptions) -> RawLog:
    """Read clicks and buys; a session is a user, for the data knows no others; the value of a buy is its price."""
    require(path, "yoochoose-clicks.dat", layout="Yoochoose")
    return RawLog(name="yoochoose", blocks=_yoochoose_blocks(path, options))


def _yoochoose_blocks(folder: Path, options: ReadOptions) -> Iterator[Block]:
    files = (("click", "yoochoose-clicks.dat", _CLICKS), ("buy", "yoochoose-buys.dat", _BUYS))
    for event, name, header in files:
        path = find(folder, name)
        if path is None:
            continue

        def prepare(frame: pl.DataFrame, event: str = event) -> pl.DataFrame:
            added = [pl.lit(event).alias(EVENT), pl.col("session").alias("(session)")]
            if "price" not in frame.columns:
                added.append(pl.lit(None, pl.String).alias("price"))
            return frame.with_columns(added)

        text = layout_options(options, delimiter=",", header=header)
        yield from layout_blocks([path], _YOOCHOOSE, text, prepare=prepare)
