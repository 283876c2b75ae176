"""Filters that make a log denser or smaller, each with a count of what it took away."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.data.catalog import ItemCatalog
from rlrec.data.log import InteractionLog
from rlrec.data.vocabulary import Vocabulary


class Filtered(NamedTuple):
    """A filtered log, and what is missing from it."""

    log: InteractionLog
    n_rows: int
    """Rows taken away."""
    n_users: int
    """Users who had rows and have none left."""
    n_items: int
    """Items that had rows and have none left."""

    def summary(self) -> str:
        """Return the counts in one line."""
        return f"{self.n_rows:,} rows, {self.n_users:,} users and {self.n_items:,} items filtered out"


def filter_k_core(log: InteractionLog, *, user_rows: int = 5, item_rows: int = 5) -> Filtered:
    """Keep the largest part in which every user has ``user_rows`` rows and every item ``item_rows``.

    A k-core looks at the whole log, so it leaks: whether a training row stays depends on rows of the test period, and
    the users who came once, whom a real system must serve, are gone. Filter the training part alone, or say it.
    Ids and features stay; `compact` drops those without rows.

    Parameters
    ----------
    user_rows, item_rows : int
        Least rows of each user and item that stays; 1 asks for nothing.

    Raises
    ------
    DataError
        If nothing is left.

    Examples
    --------
    >>> from rlrec.data.load import load_log
    >>> filter_k_core(load_log("builtin:eshop2008"), user_rows=5, item_rows=5).summary()
    '27,696 rows, 13,019 users and 4 items filtered out'
    """
    if user_rows < 1 or item_rows < 1:
        raise InvalidArgumentError(f"user_rows and item_rows must be at least 1, got {user_rows} and {item_rows}")
    rows = np.arange(log.n_events)
    while len(rows):
        users = np.bincount(log.user[rows], minlength=log.n_users)
        items = np.bincount(log.item[rows], minlength=log.n_items)
        keep = (users[log.user[rows]] >= user_rows) & (items[log.item[rows]] >= item_rows)
        if keep.all():
            break
        rows = rows[keep]
    if not len(rows):
        raise DataError(
            f"no row is left: no part of {log.name!r} has {user_rows} rows for each user and {item_rows} for each "
            "item; ask for fewer"
        )
    return _filtered(log, rows)


def filter_lengths(log: InteractionLog, *, least: int = 1, most: int | None = None) -> Filtered:
    """Drop the sessions (or users, where there are no sessions) shorter than ``least``; cut the others to ``most``.

    The last ``most`` rows of a sequence stay. Leaks nothing between parts of a split, but those who left at once, and
    the beginnings of long stories, are gone from what a model learns.
    """
    if least < 1 or (most is not None and most < least):
        raise InvalidArgumentError(f"least must be at least 1 and most at least that, got {least} and {most}")
    sequences = log.sequences()
    lengths = np.repeat(sequences.lengths, sequences.lengths)
    to_end = np.repeat(sequences.offsets[1:], sequences.lengths) - np.arange(log.n_events)  # 1 at the last row
    keep = (lengths >= least) & (to_end <= (log.n_events if most is None else most))
    return _filtered(log, np.flatnonzero(keep))


def compact(log: InteractionLog) -> InteractionLog:
    """Return the log without the users and items that have no rows: indices move, ids stay.

    The catalogue becomes another one, so artifacts that were made for the old one refuse it.
    """
    users, items = np.unique(log.user), np.unique(log.item)
    user_index, item_index = _positions(users, log.n_users), _positions(items, log.n_items)
    return replace(
        log,
        users=Vocabulary(log.users.ids[users]),
        user_features=None if log.user_features is None else log.user_features.take(users),
        catalog=ItemCatalog(Vocabulary(log.catalog.ids[items]), log.catalog.features.take(items)),
        user=user_index[log.user],
        item=item_index[log.item],
    )


def _positions(kept: NDArray[np.integer], n: int) -> NDArray[np.int32]:
    index = np.full(n, -1, np.int32)
    index[kept] = np.arange(len(kept), dtype=np.int32)
    return index


def _filtered(log: InteractionLog, rows: NDArray[np.int64]) -> Filtered:
    part = log.select(rows)
    return Filtered(
        part,
        log.n_events - part.n_events,
        len(np.unique(log.user)) - len(np.unique(part.user)),
        int((log.item_counts > 0).sum() - (part.item_counts > 0).sum()),
    )
