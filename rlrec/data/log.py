"""The interaction log: who did what with which item when. Columnar, immutable, sorted by (user, timestamp, row)."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import ArrayLike, NDArray

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.data.catalog import ItemCatalog
from rlrec.data.cleaning_report import CleaningReport
from rlrec.data.features import FeatureTable
from rlrec.data.frames import pandas_to_polars, polars_to_pandas, table_path
from rlrec.data.hashing import array_bytes
from rlrec.data.vocabulary import Vocabulary

if TYPE_CHECKING:
    from rlrec.data.sequences import Sequences

USER_ID, ITEM_ID, TIMESTAMP, EVENT, VALUE = "user_id", "item_id", "timestamp", "event", "value"
SESSION_ID, EXPOSED, PROPENSITY, POSITION = "session_id", "exposed", "propensity", "position"
DEFAULT_EVENT = "click"

COLUMN_TYPES: dict[str, Any] = {
    "user": np.int32,
    "item": np.int32,
    "timestamp": np.float64,
    "event": np.int16,
    "value": np.float64,
    "session": np.int32,
    "exposed": np.bool_,
    "propensity": np.float64,
    "position": np.int32,
}


@dataclass(frozen=True, eq=False, kw_only=True)
class InteractionLog:
    """Behaviours of users with items.

    Build one with `from_pandas`, `from_polars`, `from_columns` or `rlrec.load_log`; those sort the rows. All columns
    have shape (n_events,), are read-only, and are sorted by (user, timestamp, original row).

    Examples
    --------
    >>> frame = pd.DataFrame({"user_id": ["u2", "u1", "u2"], "item_id": [7, 7, 9], "timestamp": [5, 3, 4]})
    >>> log = InteractionLog.from_pandas(frame)
    >>> log.n_users, log.n_items, log.catalog.ids[log.item].tolist()
    (2, 2, [7, 9, 7])
    """

    name: str = "log"
    """Where it came from, for reports."""
    users: Vocabulary
    """User ids."""
    catalog: ItemCatalog
    """Items, also those that never occur."""
    event_names: tuple[str, ...] = (DEFAULT_EVENT,)
    """Event types by code."""
    user: NDArray[np.int32]
    """User index."""
    item: NDArray[np.int32]
    """Item index."""
    timestamp: NDArray[np.float64]
    """UTC seconds, or the order where the log knows no time."""
    event: NDArray[np.int16]
    """Event code, an index into ``event_names``."""
    value: NDArray[np.float64] | None = None
    """Rating, price or quantity; NaN where a row has none. None if the log has no such column."""
    session: NDArray[np.int32] | None = None
    """Session number, ascending along the rows. None if the log has no sessions."""
    exposed: NDArray[np.bool_] | None = None
    """True where the item was shown, with or without a reaction. None if exposures were not logged."""
    propensity: NDArray[np.float64] | None = None
    """Probability with which the logging policy showed the item, in (0, 1]."""
    position: NDArray[np.int32] | None = None
    """Slate position from 0, -1 where unknown."""
    user_features: FeatureTable | None = None
    """One row for each user."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """What a reader should know about this log (licence, what its time means)."""
    cleaning: CleaningReport | None = None
    """Account of the rows that were read, kept and dropped; None if the log was not loaded from a source."""

    def __post_init__(self) -> None:
        """Check the columns against each other and make them read-only."""
        n = len(self.user)
        for name, dtype in COLUMN_TYPES.items():
            column = getattr(self, name)
            if column is None:
                continue
            if column.shape != (n,):
                raise InvalidArgumentError(f"column {name!r} must have shape ({n},), got {column.shape}")
            if column.dtype != dtype or column.flags.writeable:
                column = column.astype(dtype)
                column.flags.writeable = False
                object.__setattr__(self, name, column)
        if self.user_features is not None and self.user_features.n_rows != len(self.users):
            raise InvalidArgumentError(
                f"user_features has {self.user_features.n_rows} rows for {len(self.users)} users"
            )

    # ---- construction -------------------------------------------------------------------------------------------

    @classmethod
    def from_columns(
        cls,
        *,
        user: ArrayLike,
        item: ArrayLike,
        timestamp: ArrayLike,
        users: Vocabulary,
        catalog: ItemCatalog,
        **columns: Any,
    ) -> InteractionLog:
        """Build from index columns in any row order; ``columns`` are the other fields of the class.

        Raises
        ------
        InvalidArgumentError
            If columns differ in length, an index is out of range, or a timestamp is not finite.
        """
        arrays: dict[str, NDArray[Any]] = {
            "user": np.asarray(user, np.int64),
            "item": np.asarray(item, np.int64),
            "timestamp": np.asarray(timestamp, np.float64),
        }
        n = len(arrays["user"])
        columns.setdefault("event", np.zeros(n, np.int16))
        for name in list(columns):
            if name in COLUMN_TYPES:
                column = columns.pop(name)
                if column is not None:
                    arrays[name] = np.asarray(column)
        _check_columns(arrays, n, len(users), catalog.n_items)
        if n and not _is_sorted(arrays["user"], arrays["timestamp"]):
            order = np.lexsort((arrays["timestamp"], arrays["user"]))  # stable: equal times keep the row order
            arrays = {name: column[order] for name, column in arrays.items()}
        typed: dict[str, Any] = {name: column.astype(COLUMN_TYPES[name]) for name, column in arrays.items()}
        if "session" in typed:
            typed["session"] = _renumber(typed["user"], typed["session"])
        return cls(users=users, catalog=catalog, **typed, **columns)

    @classmethod
    def from_pandas(
        cls,
        frame: pd.DataFrame,
        *,
        items: pd.DataFrame | None = None,
        users: pd.DataFrame | None = None,
        name: str = "log",
    ) -> InteractionLog:
        """Build from a table with the canonical columns ``user_id, item_id, timestamp, event, value``.

        Optional columns: ``session_id, exposed, propensity, position``. Only ``user_id`` and ``item_id`` are needed:
        without ``timestamp`` the row order is the time, without ``event`` all rows are clicks. Rows with missing ids
        or times are refused here; `rlrec.load_log` cleans them with an account.

        Parameters
        ----------
        items, users : DataFrame, optional
            Feature tables with ``item_id`` or ``user_id``; ids that occur only in the log are added without features.
        """
        for column in (USER_ID, ITEM_ID):
            if column not in frame.columns:
                raise DataError(
                    f"a log needs a column {column!r}, got: {', '.join(map(str, frame.columns))}; "
                    "rename yours, or map them with load_log(..., columns={...})"
                )
        user, user_vocabulary = _factorize(frame[USER_ID], None if users is None else users[USER_ID])
        item, item_vocabulary = _factorize(frame[ITEM_ID], None if items is None else items[ITEM_ID])
        event, event_names = _event_codes(frame)
        return cls.from_columns(
            name=name,
            user=user,
            item=item,
            timestamp=_timestamps(frame),
            event=event,
            event_names=event_names,
            value=frame[VALUE].to_numpy(np.float64, na_value=np.nan) if VALUE in frame.columns else None,
            session=_sessions(frame),
            exposed=frame[EXPOSED].to_numpy(np.bool_) if EXPOSED in frame.columns else None,
            propensity=frame[PROPENSITY].to_numpy(np.float64) if PROPENSITY in frame.columns else None,
            position=frame[POSITION].to_numpy(np.int64) if POSITION in frame.columns else None,
            users=user_vocabulary,
            catalog=ItemCatalog(item_vocabulary, _align(items, ITEM_ID, item_vocabulary)),
            user_features=_align(users, USER_ID, user_vocabulary),
        )

    @classmethod
    def from_polars(
        cls,
        frame: pl.DataFrame,
        *,
        items: pl.DataFrame | None = None,
        users: pl.DataFrame | None = None,
        name: str = "log",
    ) -> InteractionLog:
        """Build from Polars tables with the same columns as `from_pandas`."""
        return cls.from_pandas(
            polars_to_pandas(frame),
            items=None if items is None else polars_to_pandas(items),
            users=None if users is None else polars_to_pandas(users),
            name=name,
        )

    # ---- views --------------------------------------------------------------------------------------------------

    @property
    def n_events(self) -> int:
        """Number of rows."""
        return len(self.user)

    @property
    def n_users(self) -> int:
        """Number of user ids, also those without rows (after a split)."""
        return len(self.users)

    @property
    def n_items(self) -> int:
        """Number of items in the catalogue."""
        return self.catalog.n_items

    @property
    def n_event_types(self) -> int:
        """Number of event types."""
        return len(self.event_names)

    @cached_property
    def item_counts(self) -> NDArray[np.int64]:
        """Rows for each item, shape (n_items,).

        Raises
        ------
        DataError
            If the column, mapped from disk unread until now, names items that the catalogue has not.
        """
        if len(self.item) and (self.item.min() < 0 or self.item.max() >= self.n_items):
            raise DataError(
                f"the items of {self.name!r} must lie in 0..{self.n_items - 1}, got {self.item.min()}.."
                f"{self.item.max()}: the stored column is damaged; load and save the log again"
            )
        return np.bincount(self.item, minlength=self.n_items)

    def sequences(self) -> Sequences:
        """Return the behaviour sequences, one for each session, or for each user where there are no sessions."""
        from rlrec.data.sequences import Sequences

        return Sequences.from_log(self)

    def select(self, rows: NDArray[Any], *, name: str | None = None) -> InteractionLog:
        """Return the log of these rows (a mask or ascending indices), with the same users and catalogue."""
        picked = {column: getattr(self, column)[rows] for column in COLUMN_TYPES if getattr(self, column) is not None}
        if "session" in picked:
            picked["session"] = _renumber(picked["user"], picked["session"])
        return replace(self, name=self.name if name is None else name, **picked)

    # ---- out ----------------------------------------------------------------------------------------------------

    def to_pandas(self) -> pd.DataFrame:
        """Return the canonical columns as a table, in log order, with the caller's own ids."""
        columns: dict[str, Any] = {
            USER_ID: self.users.ids[self.user],
            ITEM_ID: self.catalog.ids[self.item],
            TIMESTAMP: _whole(self.timestamp),
            EVENT: np.array(self.event_names, dtype=object)[self.event],
        }
        optional = {VALUE: self.value, SESSION_ID: self.session, EXPOSED: self.exposed}
        optional |= {PROPENSITY: self.propensity, POSITION: self.position}
        columns |= {name: column for name, column in optional.items() if column is not None}
        return pd.DataFrame(columns)

    def to_polars(self) -> pl.DataFrame:
        """Return the canonical columns as a Polars table."""
        return pandas_to_polars(self.to_pandas())

    def to_parquet(self, path: str | Path) -> None:
        """Write the canonical columns as one Parquet file, whole or not at all; `load_log` reads it back."""
        with table_path(path) as temporary:
            self.to_polars().write_parquet(temporary)

    @cached_property
    def sha256(self) -> str:
        """Hash of every column, the ids, the catalogue and the user features."""
        digest = hashlib.sha256(f"{self.users.sha256}{self.catalog.sha256}{self.event_names}".encode())
        for name in COLUMN_TYPES:
            column = getattr(self, name)
            digest.update(name.encode() + (b"" if column is None else array_bytes(column)))
        if self.user_features is not None:
            digest.update(self.user_features.sha256.encode())
        return digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, InteractionLog) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __len__(self) -> int:
        return self.n_events

    def __repr__(self) -> str:
        return (
            f"InteractionLog({self.name!r}: {self.n_events:,} events, {self.n_users:,} users, "
            f"{self.n_items:,} items, events {', '.join(self.event_names)})"
        )


def _check_columns(arrays: Mapping[str, NDArray[Any]], n: int, n_users: int, n_items: int) -> None:
    for name, column in arrays.items():
        if column.shape != (n,):
            raise InvalidArgumentError(f"column {name!r} must have shape ({n},), got {column.shape}")
    for name, limit in (("user", n_users), ("item", n_items)):
        column = arrays[name]
        if n and (column.min() < 0 or column.max() >= limit):
            raise InvalidArgumentError(f"{name} must lie in 0..{limit - 1}, got {column.min()}..{column.max()}")
    if not np.isfinite(arrays["timestamp"]).all():
        raise InvalidArgumentError("timestamp must be finite; clean the log with rlrec.load_log")


def _is_sorted(user: NDArray[np.int64], timestamp: NDArray[np.float64]) -> bool:
    step = np.diff(user)
    return bool(((step > 0) | ((step == 0) & (np.diff(timestamp) >= 0))).all())


def _renumber(user: NDArray[Any], session: NDArray[Any]) -> NDArray[np.int32]:
    """Number sessions 0, 1, ... along the sorted rows; a session is a run of one number inside one user."""
    if len(session) == 0:
        return session.astype(np.int32)
    starts = np.concatenate([[False], (np.diff(session) != 0) | (np.diff(user) != 0)])
    return np.cumsum(starts).astype(np.int32)


def _factorize(values: pd.Series, known: pd.Series | None) -> tuple[NDArray[np.int64], Vocabulary]:
    """Index ids: those of the feature table first, in its order, then the log's own, sorted where they can be."""
    if values.isna().any():
        raise DataError(
            f"column {values.name!r} has {int(values.isna().sum())} missing ids; clean it with rlrec.load_log"
        )
    distinct = pd.unique(values.to_numpy())
    with contextlib.suppress(TypeError):  # ids of mixed types have no order: they keep the order of appearance
        distinct = np.sort(distinct)
    if known is not None:
        head = known.to_numpy()
        rest = distinct[~pd.Index(distinct).isin(head)]
        distinct = np.concatenate([head, rest]) if len(rest) else head
    vocabulary = Vocabulary(distinct)
    return vocabulary.index_of(values.to_numpy()), vocabulary


def _align(frame: pd.DataFrame | None, key: str, vocabulary: Vocabulary) -> FeatureTable | None:
    """Return features in vocabulary order; ids without a row get missing values."""
    if frame is None:
        return None
    table = FeatureTable.from_pandas(frame.drop(columns=key))
    rows = np.full(len(vocabulary), -1, np.int64)
    rows[vocabulary.index_of(frame[key].to_numpy())] = np.arange(len(frame))
    return table.take(rows)


def _event_codes(frame: pd.DataFrame) -> tuple[NDArray[np.int16], tuple[str, ...]]:
    if EVENT not in frame.columns:
        return np.zeros(len(frame), np.int16), (DEFAULT_EVENT,)
    if frame[EVENT].isna().any():
        raise DataError(
            f"column 'event' has {int(frame[EVENT].isna().sum())} missing values; clean it with rlrec.load_log"
        )
    codes, names = pd.factorize(frame[EVENT].astype(str).to_numpy(dtype=object), sort=True)
    return codes.astype(np.int16), tuple(str(name) for name in names) or (DEFAULT_EVENT,)


def _timestamps(frame: pd.DataFrame) -> NDArray[np.float64]:
    if TIMESTAMP not in frame.columns:
        return np.arange(len(frame), dtype=np.float64)
    values = frame[TIMESTAMP]
    if pd.api.types.is_datetime64_any_dtype(values):
        utc = values.dt.tz_localize("UTC") if values.dt.tz is None else values.dt.tz_convert("UTC")
        return np.asarray((utc - pd.Timestamp(0, tz="UTC")).dt.total_seconds(), np.float64)
    if not pd.api.types.is_numeric_dtype(values):
        raise DataError(
            f"column 'timestamp' must hold UTC seconds or datetimes, got {values.dtype}; rlrec.load_log parses text"
        )
    return values.to_numpy(np.float64, na_value=np.nan)


def _sessions(frame: pd.DataFrame) -> NDArray[np.int64] | None:
    if SESSION_ID not in frame.columns:
        return None
    codes, _ = pd.factorize(frame[SESSION_ID])
    if (codes < 0).any():
        raise DataError(
            f"column 'session_id' has {int((codes < 0).sum())} missing values; clean it with rlrec.load_log"
        )
    return codes.astype(np.int64)


def _whole(seconds: NDArray[np.float64]) -> NDArray[Any]:
    """Return int64 where all times are whole seconds, as most logs have them."""
    whole = seconds.astype(np.int64)
    return whole if np.array_equal(whole, seconds) else seconds
