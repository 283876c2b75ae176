"""The order of rows, by user, time and place in the source, and rows that repeat another exactly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rlrec.data.log import TIMESTAMP, USER_ID

_SCALES = (1.0, 1e3)
"""Times are whole seconds, or whole milliseconds, in nearly every log."""


def order_of(user: NDArray[np.integer], timestamp: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the stable order by (user, timestamp).

    Rows that are in the order of time already, as most logs are, need a radix sort of the users only. Else user, time
    and row are packed into one 64-bit number where they fit, which sorts several times faster than a lexical sort.

    Examples
    --------
    >>> order_of(np.array([1, 0, 1, 1]), np.array([5.0, 9.0, 4.0, 5.0])).tolist()
    [1, 2, 0, 3]
    """
    if len(user) and user.max() - user.min() < 1 << 16 and (timestamp[1:] >= timestamp[:-1]).all():
        return np.argsort((user - user.min()).astype(np.uint16), kind="stable")
    packed = _packed(user, timestamp)
    if packed is None:
        return np.lexsort((timestamp, user))
    key, row_bits = packed
    key.sort()
    return (key & np.uint64((1 << row_bits) - 1)).astype(np.int64)


def first_of_equals(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """Return where a row is the first of those that equal it in every column; rows are sorted by user and time."""
    user, timestamp = columns[USER_ID], columns[TIMESTAMP]
    first = np.ones(len(user), np.bool_)
    same = (user[1:] == user[:-1]) & (timestamp[1:] == timestamp[:-1])
    tied = np.zeros(len(user), np.bool_)
    tied[1:] |= same
    tied[:-1] |= same
    rows = np.flatnonzero(tied)
    if len(rows):
        frame = pl.DataFrame({name: column[rows] for name, column in columns.items()})
        first[rows] = frame.select(pl.struct(pl.all()).is_first_distinct()).to_series().to_numpy()
    return first


def _packed(user: NDArray[np.integer], timestamp: NDArray[np.float64]) -> tuple[NDArray[np.uint64], int] | None:
    if not len(user):
        return None
    ticks = _ticks(timestamp)
    if ticks is None:
        return None
    people = user.astype(np.uint64) - np.uint64(user.min())
    row_bits = len(user).bit_length()
    tick_bits = int(ticks.max()).bit_length()
    if int(people.max()).bit_length() + tick_bits + row_bits > 64:
        return None
    key = (people << np.uint64(tick_bits + row_bits)) | (ticks << np.uint64(row_bits))
    return key | np.arange(len(user), dtype=np.uint64), row_bits


def _ticks(timestamp: NDArray[np.float64]) -> NDArray[np.uint64] | None:
    """Return times as whole numbers from 0 in the same order, None where they are neither seconds nor milliseconds."""
    if float(np.abs(timestamp).max()) >= 2.0**42:
        return None
    for scale in _SCALES:
        ticks = np.rint(timestamp * scale)
        if np.array_equal(ticks / scale, timestamp):
            whole: NDArray[np.uint64] = (ticks - ticks.min()).astype(np.uint64)
            return whole
    return None
