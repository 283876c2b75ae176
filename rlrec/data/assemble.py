"""From cleaned rows to an `InteractionLog`: ids to indices, in an order that does not depend on the order of rows."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rlrec.core.errors import DataError
from rlrec.data.catalog import ItemCatalog
from rlrec.data.features import FeatureTable
from rlrec.data.frames import polars_to_pandas
from rlrec.data.log import (
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
from rlrec.data.vocabulary import Vocabulary


def assemble(
    frame: pl.DataFrame,
    *,
    items: pl.DataFrame | None = None,
    users: pl.DataFrame | None = None,
    name: str = "log",
    notes: dict[str, str] | None = None,
    missing_feature: Literal["keep", "mean", "median"] = "keep",
) -> InteractionLog:
    """Build a log from cleaned rows.

    Ids are indexed in the order of their table, if there is one, then sorted. A text column in which every id is a
    whole number in plain form becomes integers; one ``"007"`` or ``"A1"`` keeps all of them text.
    """
    frame, items = settle_ids(frame, items, ITEM_ID)
    frame, users = settle_ids(frame, users, USER_ID)
    user, user_vocabulary = index_ids(frame[USER_ID], users)
    item, item_vocabulary = index_ids(frame[ITEM_ID], items)
    event_names = sorted(frame[EVENT].unique().to_list())
    event = frame[EVENT].replace_strict(event_names, list(range(len(event_names))), return_dtype=pl.Int16)
    value = frame[VALUE] if VALUE in frame.columns and frame[VALUE].null_count() < frame.height else None
    return InteractionLog.from_columns(
        name=name,
        user=user,
        item=item,
        timestamp=frame[TIMESTAMP].to_numpy(),
        event=event.to_numpy(),
        event_names=tuple(event_names),
        value=None if value is None else value.fill_null(np.nan).to_numpy(),
        session=_codes(frame, SESSION_ID),
        exposed=_filled(frame, EXPOSED, False),
        propensity=_filled(frame, PROPENSITY, np.nan),
        position=_filled(frame, POSITION, -1),
        users=user_vocabulary,
        catalog=ItemCatalog(item_vocabulary, align_features(items, ITEM_ID, item_vocabulary, missing_feature)),
        user_features=align_features(users, USER_ID, user_vocabulary, missing_feature),
        notes={} if notes is None else notes,
    )


def settle_ids(frame: pl.DataFrame, table: pl.DataFrame | None, key: str) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """Give the ids of a log and of its table one type: integers where all are plain whole numbers, else text."""
    if table is not None and key not in table.columns:
        raise DataError(f"the table of {key[:-3]}s has no column {key!r}; it has: {', '.join(table.columns)}")
    columns = [frame[key]] + ([] if table is None else [table[key]])
    whole = all(column.dtype.is_integer() or plain_integers(column) for column in columns)
    if whole and any(column.dtype == pl.UInt64 for column in columns):
        columns = [column.cast(pl.UInt64 if _beyond_int64(column) else pl.Int64) for column in columns]
        whole = all(column.dtype == pl.Int64 for column in columns)
        target: Any = pl.Int64 if whole else pl.UInt64
    else:
        target = pl.Int64 if whole else pl.String
    frame = frame.with_columns(frame[key].cast(target))
    return frame, None if table is None else table.with_columns(table[key].cast(target))


def _beyond_int64(ids: pl.Series) -> bool:
    return bool((ids.cast(pl.UInt64) > 2**63 - 1).any())


def plain_integers(ids: pl.Series) -> bool:
    """Return whether every id is the text of a 64-bit integer exactly as Python writes it."""
    if ids.dtype != pl.String:
        return False
    numbers = ids.cast(pl.Int64, strict=False)
    return numbers.null_count() == 0 and bool((numbers.cast(pl.String) == ids).all())


def align_features(
    table: pl.DataFrame | None,
    key: str,
    vocabulary: Vocabulary,
    missing: Literal["keep", "mean", "median"] = "keep",
) -> FeatureTable | None:
    """Return the features of a table in vocabulary order; ids without a row get missing values, which may be filled."""
    if table is None:
        return None
    gaps = [name for name, kind in table.schema.items() if kind.is_integer() and table[name].null_count()]
    numbers = table.drop(key).with_columns(pl.col(name).cast(pl.Float64) for name in gaps if name != key)
    features = FeatureTable.from_pandas(polars_to_pandas(numbers))
    rows = np.full(len(vocabulary), -1, np.int64)
    rows[vocabulary.index_of(table[key].to_numpy())] = np.arange(table.height)
    taken = features.take(rows)
    return taken if missing == "keep" else taken.fill(missing)


def index_ids(ids: pl.Series, table: pl.DataFrame | None) -> tuple[NDArray[Any], Vocabulary]:
    """Return the index of each id, and the vocabulary: the ids of the table first, then the others, sorted."""
    distinct = ids.unique().sort()
    if table is not None:
        known = table[ids.name]
        if known.null_count() or known.n_unique() < len(known):
            raise DataError(f"the table with {ids.name!r} has missing or repeated ids; clean it first")
        distinct = pl.concat([known, distinct.filter(~distinct.is_in(known.implode()))])
    index = pl.DataFrame({ids.name: distinct}).with_row_index("__index")
    codes = ids.to_frame().join(index, on=ids.name, how="left", maintain_order="left")["__index"]
    return codes.to_numpy(), _vocabulary(distinct)


def index_distinct(ids: pl.Series) -> tuple[NDArray[Any], Vocabulary]:
    """Do what `index_ids` does without a table, for ids of which none stands twice."""
    order = ids.arg_sort().to_numpy()
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return place, _vocabulary(ids.gather(order))


def _vocabulary(distinct: pl.Series) -> Vocabulary:
    """Return the vocabulary of ids that `unique` made distinct."""
    if distinct.dtype == pl.UInt64:
        return Vocabulary(distinct.to_numpy())
    return Vocabulary.from_distinct(distinct.to_numpy().copy())


def _codes(frame: pl.DataFrame, name: str) -> NDArray[Any] | None:
    if name not in frame.columns:
        return None
    return frame[name].rank("dense").to_numpy().astype(np.int64)


def _filled(frame: pl.DataFrame, name: str, missing: Any) -> NDArray[Any] | None:
    return frame[name].fill_null(missing).to_numpy() if name in frame.columns else None
