"""What every reader gives: blocks of rows with canonical column names, the tables beside them, and notes.

A reader renames and reshapes; it does not judge values. Text stays text, so that one place (`rlrec.data.cleaning`)
decides what is missing, what is a number and what is dropped, and counts it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import polars as pl

from rlrec.core.errors import DataError
from rlrec.data.cleaning_policy import CleaningPolicy
from rlrec.data.log import EVENT, EXPOSED, ITEM_ID, POSITION, PROPENSITY, SESSION_ID, TIMESTAMP, USER_ID, VALUE

CANONICAL = (USER_ID, ITEM_ID, TIMESTAMP, EVENT, VALUE, SESSION_ID, EXPOSED, PROPENSITY, POSITION)
"""Column names of a log, in the order of their importance."""

_SYNONYMS = {
    USER_ID: (
        "user",
        "userid",
        "uid",
        "customer_id",
        "customerid",
        "visitorid",
        "visitor_id",
        "member_id",
        "reviewerid",
    ),
    ITEM_ID: (
        "item",
        "itemid",
        "movieid",
        "product_id",
        "productid",
        "sku",
        "parent_asin",
        "asin",
        "video_id",
        "aid",
        "article_id",
    ),
    TIMESTAMP: ("time", "ts", "date", "datetime", "time_ms", "event_time", "created_at", "unixreviewtime"),
}


class Block(NamedTuple):
    """Some rows of a log."""

    frame: pl.DataFrame
    """Columns with canonical names (others are ignored)."""
    dropped: Mapping[str, int] = {}
    """Rows that the reader could not even cut into fields, by reason."""
    fixed: Mapping[str, int] = {}
    """Rows that the reader had to repair, by what it did."""


@dataclass(kw_only=True)
class RawLog:
    """A log as it was found, before cleaning."""

    name: str
    blocks: Iterable[Block]
    items: pl.DataFrame | None = None
    """Item table with ``item_id``."""
    users: pl.DataFrame | None = None
    """User table with ``user_id``."""
    notes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """What the caller says about a source."""

    columns: Mapping[str, str | int] = field(default_factory=dict)
    """Canonical name -> name (or position) in the source."""
    delimiter: str | None = None
    header: bool | tuple[str, ...] = True
    encoding: str = "utf-8"
    quote: str | None = '"'
    query: str | None = None
    policy: CleaningPolicy = field(default_factory=CleaningPolicy)


@dataclass(frozen=True)
class Format:
    """A layout on disk: how to recognise it, how to read it."""

    name: str
    description: str
    detect: Callable[[Path], bool]
    read: Callable[[Path, ReadOptions], RawLog]


def rename_map(found: list[str], columns: Mapping[str, str | int], source: str) -> dict[str, str]:
    """Return found name -> canonical name, for the columns that a log uses.

    Raises
    ------
    DataError
        If the mapping names a column that is not there, or no column holds the users or items.
    """
    result: dict[str, str] = {}
    for canonical, theirs in columns.items():
        if canonical not in CANONICAL:
            raise DataError(f"columns maps the unknown name {canonical!r}; a log has: {', '.join(CANONICAL)}")
        name = _by_position(found, theirs, source) if isinstance(theirs, int) else theirs
        if name not in found:
            raise DataError(f"columns[{canonical!r}] is {name!r}, but {source} has the columns: {', '.join(found)}")
        result[name] = canonical
    for name in found:
        if name in CANONICAL and name not in result and name not in columns:
            result[name] = name
    missing = [name for name in (USER_ID, ITEM_ID) if name not in result.values()]
    if missing:
        raise DataError(_no_column(missing[0], found, source))
    return result


def with_id_column(table: pl.DataFrame, key: str) -> pl.DataFrame:
    """Return an item or user table with its id called ``key``; well-known other names of it are understood."""
    if key in table.columns:
        return table
    named = {name.lower(): name for name in table.columns}
    other = next((named[name] for name in _SYNONYMS[key] if name in named), None)
    return table if other is None else table.rename({other: key})


REST = "__rest"
"""Hash of the columns that a log does not use: rows that differ in them are no duplicates."""


def canonical_frame(frame: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
    """Select and rename; ``names`` is found -> canonical. Columns left out go into one hash, `REST`."""
    used = [pl.col(theirs).alias(ours) for theirs, ours in names.items()]
    unused = [name for name, dtype in frame.schema.items() if name not in names and not dtype.is_nested()]
    return frame.select(*used, *([pl.struct(unused).hash().alias(REST)] if unused else []))


def one_block(frame: pl.DataFrame) -> Iterator[Block]:
    """Yield a frame as the only block."""
    yield Block(frame)


def _by_position(found: list[str], position: int, source: str) -> str:
    if not 0 <= position < len(found):
        raise DataError(
            f"columns names position {position}, but {source} has {len(found)} columns, 0..{len(found) - 1}"
        )
    return found[position]


def _no_column(missing: str, found: list[str], source: str) -> str:
    guess = next((name for name in found if name.lower() in _SYNONYMS[missing]), None)
    hint = f"columns={{{missing!r}: {(guess or '...')!r}}}"
    shown = ", ".join(found[:12]) + (", ..." if len(found) > 12 else "")
    return f"{source} has no column {missing!r}; it has: {shown}. Say which column it is: load_log(..., {hint})"
