"""Amazon reviews, JSON lines: 2014 and 2018 (``reviewerID, asin, ...``), 2023 (``user_id, parent_asin, ...``).

Written after the published documentation of the three releases. Items are ``asin``, or ``parent_asin`` where a review
has one (2023: the item under which its variants are sold). Event "review", value the stars.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from rlrec.data.log import EVENT, ITEM_ID, TIMESTAMP, USER_ID, VALUE
from rlrec.data.readers.base import RawLog, ReadOptions, canonical_frame, rename_map
from rlrec.data.readers.json_lines import detect_json_lines, first_names, json_blocks

_OLD = {USER_ID: "reviewerID", ITEM_ID: "asin", TIMESTAMP: "unixReviewTime", VALUE: "overall"}
_NEW = {USER_ID: "user_id", ITEM_ID: "parent_asin", TIMESTAMP: "timestamp", VALUE: "rating"}


def detect_amazon(path: Path) -> bool:
    """Return whether the objects have the keys of a review."""
    return detect_json_lines(path) and any(
        set(layout.values()) <= set(first_names(path)) for layout in (_OLD, _NEW, _NEW | {ITEM_ID: "asin"})
    )


def read_amazon(path: Path, options: ReadOptions) -> RawLog:
    """Read a file of reviews; item metadata is a file of its own, for ``items=``."""
    found = first_names(path)
    layout = _OLD if "reviewerID" in found else _NEW
    if layout[ITEM_ID] not in found:
        layout = layout | {ITEM_ID: "asin"}
    columns = {**layout, **options.columns}
    names = rename_map(found, columns, repr(str(path)))

    def shape(frame: pl.DataFrame) -> pl.DataFrame:
        rows = canonical_frame(frame, names)
        return rows if EVENT in rows.columns else rows.with_columns(pl.lit("review").alias(EVENT))

    schema = dict.fromkeys(found, pl.String)
    return RawLog(name=path.stem.split(".")[0], blocks=json_blocks(path, schema, options, shape))
