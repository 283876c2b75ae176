"""``load_log``: the front door. Any source in, an `InteractionLog` out, and an account of every row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from rlrec.core.errors import DataError
from rlrec.data.assemble import assemble
from rlrec.data.builtin import load_builtin
from rlrec.data.cleaning import Cleaner
from rlrec.data.cleaning_policy import CleaningPolicy
from rlrec.data.log import ITEM_ID, SESSION_ID, TIMESTAMP, USER_ID, InteractionLog
from rlrec.data.readers import read_raw
from rlrec.data.readers.base import RawLog, ReadOptions, with_id_column
from rlrec.data.readers.folder import read_side_table
from rlrec.data.readers.frames import to_polars
from rlrec.data.settling import MONTH_FIRST
from rlrec.data.store import is_stored_log, open_log

_BUILTIN = "builtin:"
_SAME_TIME = pl.col(TIMESTAMP).alias(MONTH_FIRST)


def load_log(
    source: Any,
    *,
    columns: Mapping[str, str | int] | None = None,
    format: str | None = None,
    items: Any = None,
    users: Any = None,
    delimiter: str | None = None,
    header: bool | tuple[str, ...] = True,
    encoding: str = "utf-8",
    quote: str | None = '"',
    query: str | None = None,
    events: Mapping[str, str] | None = None,
    policy: CleaningPolicy | None = None,
    strict: bool = False,
    name: str | None = None,
) -> InteractionLog:
    """Load a log from anywhere; its layout is recognised unless ``format`` names it.

    Parameters
    ----------
    source : str, Path or table
        ``"builtin:NAME"``; a file or folder; a folder written by `save_log`; a pandas, Polars or Arrow table; a
        database file or connection (with ``query``).
    columns : mapping, optional
        Canonical name -> your name, or position from 0: ``{"user_id": "customer", "item_id": "sku"}``.
    format : str, optional
        A name of `rlrec.data.readers.FORMATS`.
    items, users : table or path, optional
        Features, with ``item_id`` or ``user_id`` (or a well-known other name of it, such as ``asin``); they replace the
        tables that the layout brings. A path may be CSV, Parquet or JSON lines.
    delimiter, header, encoding, quote
        For delimited text. ``header`` is a tuple of names where the file has none; ``quote=None`` makes quotes
        ordinary characters.
    query : str, optional
        SQL whose rows are the log: on a DuckDB or SQLite file, a DuckDB or DB-API connection, a DuckDB relation, a
        table in memory, or a file that DuckDB reads; the last three are called ``log`` in it.
    events : mapping, optional
        Event names to rename: ``{"addtocart": "cart"}``.
    policy : CleaningPolicy, optional
        What to do with each fault.
    strict : bool
        Refuse every fault: ``CleaningPolicy.strict()``.

    Returns
    -------
    InteractionLog
        With the account of its rows in ``log.cleaning``.

    Raises
    ------
    DataError
        If nothing can be loaded, or a fault is refused.

    Examples
    --------
    >>> log = load_log("builtin:eshop2008")
    >>> log.n_events, log.n_items
    (165474, 217)
    """
    if isinstance(source, str) and source.startswith(_BUILTIN):
        return load_builtin(source.removeprefix(_BUILTIN))
    if isinstance(source, str | Path) and is_stored_log(source):
        return open_log(source)
    raw, cleaner = open_source(
        source,
        columns=columns,
        format=format,
        items=items,
        users=users,
        delimiter=delimiter,
        header=header,
        encoding=encoding,
        quote=quote,
        query=query,
        events=events,
        policy=policy,
        strict=strict,
        name=name,
    )
    frame = cleaner.settle(_concat([cleaner.clean(block) for block in raw.blocks]))
    cleaner.count_events(frame)
    report = cleaner.finish()
    if not frame.height:
        raise DataError(f"{raw.name!r} has no interactions to use: {report.summary()}")
    log = assemble(
        frame,
        items=raw.items,
        users=raw.users,
        name=raw.name,
        notes=raw.notes,
        missing_feature=cleaner.policy.missing_feature,
    )
    object.__setattr__(log, "cleaning", report)
    return log


def open_source(
    source: Any,
    *,
    columns: Mapping[str, str | int] | None = None,
    format: str | None = None,
    items: Any = None,
    users: Any = None,
    delimiter: str | None = None,
    header: bool | tuple[str, ...] = True,
    encoding: str = "utf-8",
    quote: str | None = '"',
    query: str | None = None,
    events: Mapping[str, str] | None = None,
    policy: CleaningPolicy | None = None,
    strict: bool = False,
    name: str | None = None,
) -> tuple[RawLog, Cleaner]:
    """Open a source for reading and make its cleaner; the options are those of `load_log`."""
    if strict and policy is not None:
        raise DataError("give strict=True or a policy, not both; start from CleaningPolicy.strict() to change one")
    policy = CleaningPolicy.strict() if strict else policy or CleaningPolicy()
    options = ReadOptions(
        columns=dict(columns or {}),
        delimiter=delimiter,
        header=header,
        encoding=encoding,
        quote=quote,
        query=query,
        policy=policy,
    )
    raw = read_raw(source, options, format=format)
    raw.name = raw.name if name is None else name
    raw.items = raw.items if items is None else _side_table(items, ITEM_ID)
    raw.users = raw.users if users is None else _side_table(users, USER_ID)
    return raw, Cleaner(policy, events=events)


def _concat(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Join blocks; an id column that is text in one block and numbers in another becomes text."""
    if not frames:
        raise DataError("the source holds no rows at all")
    if any(MONTH_FIRST in frame.columns for frame in frames):
        frames = [frame if MONTH_FIRST in frame.columns else frame.with_columns(_SAME_TIME) for frame in frames]
    check_sessions([frame.columns for frame in frames])
    types = [dict(frame.schema) for frame in frames]
    mixed = [n for n in types[0] if len({kinds[n] for kinds in types if n in kinds}) > 1]
    texts = [frame.with_columns(pl.col(n).cast(pl.String) for n in mixed if n in frame.columns) for frame in frames]
    return pl.concat(texts, how="diagonal")


def check_sessions(columns: Sequence[Sequence[str]]) -> None:
    """Refuse a source in which some parts have sessions and others have none."""
    if len({SESSION_ID in names for names in columns}) > 1:
        raise DataError(
            "some parts of the source have a session_id and others have none; give all of them one, or load the parts "
            "without that column"
        )


def _side_table(source: Any, key: str) -> pl.DataFrame:
    table = read_side_table(Path(source)) if isinstance(source, str | Path) else to_polars(source)
    return with_id_column(table, key)
