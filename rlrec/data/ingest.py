"""Any log, of any size, to the log on disk: three passes over blocks, with memory for one block and one part of users.

The first pass reads, cleans and encodes block by block. Then the ids are put in order, and the rows are dealt out to
parts, each of neighbouring users. Last, each part is sorted by user, time and row and added to the columns. What comes
out equals ``save_log(load_log(source), folder)``, which the tests compare.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rlrec.core.errors import DataError
from rlrec.core.progress import progress
from rlrec.data.assemble import align_features, index_distinct, index_ids, settle_ids
from rlrec.data.catalog import ItemCatalog
from rlrec.data.cleaning import Cleaner
from rlrec.data.column_writer import ColumnWriter
from rlrec.data.encoding import IdEncoder
from rlrec.data.feature_store import save_features
from rlrec.data.load import check_sessions, open_source
from rlrec.data.log import (
    COLUMN_TYPES,
    EVENT,
    EXPOSED,
    ITEM_ID,
    POSITION,
    PROPENSITY,
    SESSION_ID,
    TIMESTAMP,
    USER_ID,
    VALUE,
    InteractionLog,
)
from rlrec.data.readers.base import REST, RawLog
from rlrec.data.settling import BAD_VALUE, MONTH_FIRST, account_duplicates, check_twins, fill_value, settle_dates
from rlrec.data.spool import Chunk, Spool
from rlrec.data.store import LogWriter, open_log
from rlrec.data.tie_order import first_of_equals, order_of

_PART_ROWS = 1 << 20
"""Rows of a part (chosen here: it sorts in the processor's caches and needs some 100 MB)."""
_MOST_PARTS = 256
"""Parts at most; a larger log gets larger parts, so that what a block adds to each stays worth a write."""
_ENCODED = (USER_ID, ITEM_ID, EVENT)
_MISSING = {VALUE: np.nan, EXPOSED: False, PROPENSITY: np.nan, POSITION: -1, REST: 0, BAD_VALUE: False}
_OUT = {
    USER_ID: "user",
    ITEM_ID: "item",
    TIMESTAMP: "timestamp",
    EVENT: "event",
    VALUE: "value",
    SESSION_ID: "session",
    EXPOSED: "exposed",
    PROPENSITY: "propensity",
    POSITION: "position",
}


def ingest_log(source: Any, folder: str | Path, *, show_progress: bool | None = None, **options: Any) -> InteractionLog:
    """Convert any source to a log on disk without holding it in memory, and open that log.

    Parameters
    ----------
    source : str, Path or table
        What `rlrec.load_log` takes, but for builtin and stored logs.
    folder : path
        Where the log goes; an older log there is replaced when the new one is whole.
    show_progress : bool, optional
        Show a bar; by default on a terminal.
    **options
        Those of `rlrec.load_log`.

    Returns
    -------
    InteractionLog
        Memory-mapped, with the account of its rows in ``log.cleaning``.

    Raises
    ------
    DataError
        If nothing can be loaded, or a fault is refused. The folder is left as it was.

    Examples
    --------
    >>> import tempfile
    >>> frame = pl.DataFrame({"user_id": ["b", "a", "b"], "item_id": [7, 7, 8], "timestamp": [5, 3, 4]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = ingest_log(frame, folder)
    ...     log.users.ids.tolist(), log.item.tolist()
    (['a', 'b'], [0, 1, 0])
    """
    raw, cleaner = open_source(source, **options)
    with LogWriter(folder) as writer:
        scratch = writer.data / "scratch"
        scratch.mkdir()
        rows = _Rows(Spool(scratch / "rows"))
        _read(raw, cleaner, rows, show_progress)
        _settle(rows, cleaner)
        if not rows.n_rows:
            raise DataError(f"{raw.name!r} has no interactions to use: {cleaner.finish().summary()}")
        users, items, events = _Index(rows, USER_ID, raw.users), _Index(rows, ITEM_ID, raw.items), _event_index(rows)
        for index in (users, items):
            check_twins(index.distinct, cleaner.policy, cleaner.report)
        parts = _deal(rows, users, items, events, scratch)
        _write(parts, writer.data, cleaner, rows)
        shutil.rmtree(scratch)
        missing = cleaner.policy.missing_feature
        item_features = align_features(items.table, ITEM_ID, items.vocabulary, missing)
        user_features = align_features(users.table, USER_ID, users.vocabulary, missing)
        catalog = ItemCatalog(items.vocabulary, item_features)
        writer.commit(
            name=raw.name,
            event_names=events.names,
            users=users.vocabulary,
            catalog=catalog,
            user_features=save_features(user_features, writer.data / "users"),
            item_features=save_features(catalog.features, writer.data / "items"),
            notes=raw.notes,
            cleaning=cleaner.finish(),
        )
    return open_log(folder)


@dataclass
class _Rows:
    """Cleaned and encoded rows, on disk in the order of the source."""

    spool: Spool
    encoders: dict[str, IdEncoder] = field(default_factory=lambda: {name: IdEncoder(name) for name in _ENCODED})
    n_rows: int = 0
    """Rows that stay once dates are settled."""
    day_first: bool = True
    fill: float | None = None
    has_values: bool = False
    counts: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    """Rows for each code of users, items and events."""

    def chunks(self, names: list[str] | None = None) -> Iterator[Chunk]:
        """Yield the rows that stay."""
        wanted = None if names is None else [*names, TIMESTAMP, MONTH_FIRST]
        for chunk in self.spool.chunks(wanted):
            month = chunk.pop(MONTH_FIRST, None)
            if month is not None:
                time = chunk[TIMESTAMP] if self.day_first else month
                keep = ~np.isnan(time)
                chunk = {name: column[keep] for name, column in (chunk | {TIMESTAMP: time}).items()}
            yield chunk


class _Index:
    """The vocabulary of users or items, and where the codes stand in it."""

    def __init__(self, rows: _Rows, name: str, table: pl.DataFrame | None) -> None:
        counts = rows.counts[name]
        present = np.flatnonzero(counts)
        self.distinct = rows.encoders[name].ids(present)
        frame, self.table = settle_ids(self.distinct.to_frame(), table, name)
        places, self.vocabulary = index_distinct(frame[name]) if table is None else index_ids(frame[name], self.table)
        self.of_code = np.full(len(counts), -1, np.int32)
        self.of_code[present] = places
        self.n_rows = np.zeros(len(self.vocabulary), np.int64)
        self.n_rows[places] = counts[present]


@dataclass
class _Events:
    names: tuple[str, ...]
    of_code: NDArray[np.int16]


def _event_index(rows: _Rows) -> _Events:
    counts = rows.counts[EVENT]
    present = np.flatnonzero(counts)
    names = rows.encoders[EVENT].ids(present)
    order = names.arg_sort().to_numpy()
    of_code = np.full(len(counts), -1, np.int16)
    of_code[present[order]] = np.arange(len(present))
    return _Events(tuple(names.gather(order).to_list()), of_code)


def _read(raw: RawLog, cleaner: Cleaner, rows: _Rows, show_progress: bool | None) -> None:
    """Read, clean and encode every block."""
    columns = []
    bar: Any = progress(description=f"reading {raw.name}", unit=" rows", show=show_progress)
    with bar:
        for block in raw.blocks:
            frame = cleaner.clean(block)
            bar.update(frame.height)
            columns.append(frame.columns)
            if frame.height:
                rows.spool.append(_encoded(frame, rows))
    if not columns:
        raise DataError("the source holds no rows at all")
    check_sessions(columns)


def _encoded(frame: pl.DataFrame, rows: _Rows) -> Chunk:
    chunk: Chunk = {}
    for name in frame.columns:
        column = frame[name]
        if name in _ENCODED:
            chunk[name] = rows.encoders[name].encode(column)
        elif name == SESSION_ID:
            chunk[name] = column.cast(pl.Int64).to_numpy() if column.dtype.is_integer() else column.hash().to_numpy()
        elif name in (EXPOSED, BAD_VALUE):
            chunk[name] = column.fill_null(False).to_numpy()
        elif name == POSITION:
            chunk[name] = column.fill_null(-1).cast(pl.Int32).to_numpy()
        elif name == REST:
            chunk[name] = column.to_numpy()
        else:
            chunk[name] = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
    return chunk


def _settle(rows: _Rows, cleaner: Cleaner) -> None:
    """Decide what only the whole log can, and count the rows of each code that stay."""
    names = rows.spool.names
    if MONTH_FIRST in names:
        rows.day_first = cleaner.dates.decide()
        for chunk in rows.spool.chunks([TIMESTAMP, MONTH_FIRST]):
            if MONTH_FIRST in chunk:
                settle_dates(
                    pl.DataFrame(chunk).fill_nan(None),
                    day_first=rows.day_first,
                    policy=cleaner.policy,
                    report=cleaner.report,
                )
    rows.counts = {name: np.zeros(encoder.size, np.int64) for name, encoder in rows.encoders.items()}
    for chunk in rows.chunks([*_ENCODED, VALUE]):
        rows.n_rows += len(chunk[TIMESTAMP])
        for name in _ENCODED:
            rows.counts[name] += np.bincount(chunk[name], minlength=len(rows.counts[name]))
        rows.has_values = rows.has_values or bool(VALUE in chunk and not np.isnan(chunk[VALUE]).all())
    if BAD_VALUE in names and cleaner.policy.bad_value in ("mean", "median"):
        how: Any = cleaner.policy.bad_value
        values = [pl.Series(chunk[VALUE], nan_to_null=True) for chunk in rows.chunks([VALUE]) if VALUE in chunk]
        rows.fill = fill_value(pl.concat(values), how, cleaner.report)


def _deal(rows: _Rows, users: _Index, items: _Index, events: _Events, scratch: Path) -> list[Spool]:
    """Deal the rows out to parts of neighbouring users, in the order of the source."""
    part_rows = max(_PART_ROWS, -(-rows.n_rows // _MOST_PARTS))
    before = np.cumsum(users.n_rows) - users.n_rows
    part_of_user = (before // part_rows).astype(np.uint16)
    parts = [Spool(scratch / f"part-{i}") for i in range(int(part_of_user.max(initial=0)) + 1)]
    for chunk in rows.chunks():
        chunk[USER_ID] = users.of_code[chunk[USER_ID]]
        chunk[ITEM_ID] = items.of_code[chunk[ITEM_ID]]
        chunk[EVENT] = events.of_code[chunk[EVENT]]
        _fill(chunk, rows)
        part = part_of_user[chunk[USER_ID]]
        order = np.argsort(part, kind="stable")  # a radix sort, for 16 bits
        ends = np.cumsum(np.bincount(part, minlength=len(parts)))
        dealt = {name: column[order] for name, column in chunk.items()}
        for spool, begin, end in zip(parts, np.concatenate([[0], ends[:-1]]), ends, strict=True):
            if end > begin:
                spool.append({name: column[begin:end] for name, column in dealt.items()})
    rows.spool.path.unlink()
    return [spool for spool in parts if spool.n_rows]


def _fill(chunk: Chunk, rows: _Rows) -> None:
    bad = chunk.pop(BAD_VALUE, None)
    if bad is not None and rows.fill is not None:
        chunk[VALUE] = np.where(bad, rows.fill, chunk[VALUE])
    if not rows.has_values:
        chunk.pop(VALUE, None)


def _write(parts: list[Spool], data: Path, cleaner: Cleaner, rows: _Rows) -> None:
    """Sort each part and add it to the columns."""
    names = [name for name in rows.spool.names if name in _OUT and (name != VALUE or rows.has_values)]
    writers = {name: ColumnWriter(data / f"{_OUT[name]}.npy", COLUMN_TYPES[_OUT[name]], rows.n_rows) for name in names}
    n_duplicates, n_sessions, event_rows = 0, 0, Counter[int]()
    for spool in parts:
        columns = spool.read(_MISSING)
        order = order_of(columns[USER_ID], columns[TIMESTAMP])
        columns = {name: column[order] for name, column in columns.items()}
        first = first_of_equals(columns)
        n_duplicates += int((~first).sum())
        if cleaner.policy.duplicates == "drop" and not first.all():
            columns = {name: column[first] for name, column in columns.items()}
        if SESSION_ID in columns:
            columns[SESSION_ID] = _session_numbers(columns[USER_ID], columns[SESSION_ID], n_sessions)
            n_sessions = int(columns[SESSION_ID][-1]) + 1
        event_rows.update(dict(enumerate(np.bincount(columns[EVENT]).tolist())))
        for name, writer in writers.items():
            writer.write(columns[name])
    for writer in writers.values():
        writer.close()
    account_duplicates(n_duplicates, cleaner.policy, cleaner.report)
    cleaner.report.events.update(
        {name: event_rows[code] for code, name in enumerate(_event_index(rows).names) if event_rows[code]}
    )


def _session_numbers(user: NDArray[Any], session: NDArray[Any], begin: int) -> NDArray[np.int32]:
    """Number sessions along the rows; a session is a run of one number inside one user."""
    new = (user[1:] != user[:-1]) | (session[1:] != session[:-1])
    return (begin + np.concatenate([[0], np.cumsum(new)])).astype(np.int32)
