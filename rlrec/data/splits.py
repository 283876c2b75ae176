"""Splits that keep the future out of the past. Each says what it leaks and what it does not."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.data.log import InteractionLog

Split = tuple[InteractionLog, InteractionLog, InteractionLog]


def split_by_time(
    log: InteractionLog, *, valid: float = 0.1, test: float = 0.1, unit: Literal["auto", "session", "row"] = "auto"
) -> Split:
    """Cut the log at two instants: everything before the first trains, everything after the second tests.

    Leaks nothing: no training row is later than a validation or test row. With ``unit="session"`` a session belongs to
    the part in which it starts, and the rows of a session that run past the cut are dropped; with ``unit="row"`` users
    may have rows in all parts, as they have in life.

    Parameters
    ----------
    valid, test : float
        Share of the sessions (or rows) in each part, in (0, 1). Rows that tie with the cut go to the later part.
    unit : {"auto", "session", "row"}
        ``"auto"`` is sessions where the log has them.

    Returns
    -------
    (train, valid, test)

    Raises
    ------
    DataError
        If a part comes out empty, as when all timestamps are equal.
    """
    _check_shares(valid, test)
    if unit == "auto":
        unit = "row" if log.session is None else "session"
    if unit == "session":
        sequences = log.sequences()
        start = np.repeat(sequences.start, sequences.lengths)  # (N,) when the row's session began
        instants = sequences.start
    else:
        start = instants = log.timestamp
    first, second = _cut_instants(instants, valid, test)
    part = (start >= first).astype(int) + (start >= second)  # (N,) 0 train, 1 valid, 2 test
    overrun = ((part == 0) & (log.timestamp >= first)) | ((part == 1) & (log.timestamp >= second))
    return _parts(log, np.where(overrun, -1, part))


def split_by_sequence(log: InteractionLog, *, valid: float = 0.1, test: float = 0.1, seed: int = 0) -> Split:
    """Give whole sessions (or users, where there are no sessions) to train, validation and test at random.

    Leaks the calendar: the parts overlap in time, so trends and popularity of the test period are known in training.
    Rows of one sequence are never shared. For users see ``split_by_user``.
    """
    _check_shares(valid, test)
    sequences = log.sequences()
    part = np.repeat(_random_parts(len(sequences), valid, test, seed), sequences.lengths)
    return _parts(log, part)


def split_by_user(log: InteractionLog, *, valid: float = 0.1, test: float = 0.1, seed: int = 0) -> Split:
    """Give whole users to train, validation and test at random: a test user is a stranger to training.

    Leaks the calendar, as `split_by_sequence` does; shares no user.
    """
    _check_shares(valid, test)
    return _parts(log, _random_parts(log.n_users, valid, test, seed)[log.user])


def split_leave_last_out(log: InteractionLog, *, n_valid: int = 1, n_test: int = 1) -> Split:
    """Give each user's last rows to test, those before them to validation, the rest to training.

    Leaks the calendar: one user's training rows may be later than another's test rows, so the fashion of the test
    period is known in training, and every test user is known. Does not leak a user's own future: no training row of a
    user is later than that user's validation rows, and no validation row later than the test rows. A user with too few
    rows to leave one for training is in training only. For sessions, hold out whole ones with `split_by_time`.

    Parameters
    ----------
    n_valid, n_test : int
        Rows that each user gives, at least 1.

    Returns
    -------
    (train, valid, test)

    Raises
    ------
    DataError
        If no user has more than ``n_valid + n_test`` rows.

    Examples
    --------
    >>> from rlrec.data.load import load_log
    >>> train, valid, test = split_leave_last_out(load_log("builtin:online_retail"))
    >>> len(set(test.user.tolist())) == test.n_events
    True
    """
    if n_valid < 1 or n_test < 1:
        raise InvalidArgumentError(f"n_valid and n_test must be at least 1, got {n_valid} and {n_test}")
    rows = np.bincount(log.user, minlength=log.n_users)  # (n_users,)
    ends = np.cumsum(rows)[log.user]
    to_end = ends - np.arange(log.n_events)  # (N,) 1 at the last row of a user: rows are sorted by user and time
    part = (to_end <= n_test + n_valid).astype(np.int64) + (to_end <= n_test)
    part[rows[log.user] <= n_test + n_valid] = 0
    if not (part == 2).any():
        raise DataError(
            f"no user has more than {n_test + n_valid} rows, {n_valid} for validation and {n_test} for test and one to "
            "train on; use split_by_user"
        )
    return _parts(log, part)


class FitSplit(NamedTuple):
    """Three parts that models can be fitted and compared on."""

    train: InteractionLog
    valid: InteractionLog
    test: InteractionLog
    note: str
    """Why the parts are not cut by time; empty where they are."""


def split_to_fit(log: InteractionLog, *, valid: float = 0.1, test: float = 0.1, seed: int = 0) -> FitSplit:
    """Split by time; where that leaves a part without two behaviours in a row, as in a tiny log, by sequence.

    Leaks nothing in the first case, the calendar in the second, which ``note`` says.

    Raises
    ------
    DataError
        If neither leaves something to learn in each part.
    """
    try:
        parts = split_by_time(log, valid=valid, test=test)
        reason = "" if all(map(_has_steps, parts)) else "a part of it would have no two behaviours in a row"
    except DataError as error:
        reason = str(error)
    if reason:
        parts = split_by_sequence(log, valid=valid, test=test, seed=seed)
        if not all(map(_has_steps, parts)):
            raise DataError(
                f"{log.name!r} is too small to fit on: no split leaves two behaviours in a row in each part"
            )
        reason = f"the log was split by sequence and not by time ({reason}); the parts overlap in time"
    return FitSplit(*parts, reason)


def _has_steps(part: InteractionLog) -> bool:
    return bool((part.sequences().lengths > 1).any())


class Window(NamedTuple):
    """One step of a rolling evaluation."""

    train: InteractionLog
    test: InteractionLog
    begin: float
    """When the test window begins, UTC seconds; training ends before it."""
    end: float
    """When it ends."""


def rolling_windows(
    log: InteractionLog, *, n_windows: int = 5, test: float = 0.05, n_train: int | None = None
) -> list[Window]:
    """Cut the last part of the log into windows; each is tested by what came before it.

    Leaks nothing: no training row is as late as its window's first. A session belongs to the window in which it starts,
    and its rows past the window's end are left out, as are those of a training session that run into the window. The
    windows are tested one after another, so a choice made on one and kept for the next is honest, and a choice made on
    all of them is not.

    Parameters
    ----------
    n_windows : int
        Number of windows.
    test : float
        Share of the sessions (or rows, where there are none) in each window; ``n_windows * test`` must be below 1.
    n_train : int, optional
        Windows' widths of training data before each window: training slides. By default it grows from the beginning.

    Returns
    -------
    list of Window, in the order of time

    Raises
    ------
    DataError
        If a window comes out empty, as when many rows share one instant.
    """
    if n_windows < 1 or not 0 < test < 1 or n_windows * test >= 1 or (n_train is not None and n_train < 1):
        raise InvalidArgumentError(
            f"n_windows and n_train must be at least 1 and n_windows * test in (0, 1), got {n_windows}, {n_train} and "
            f"{test}"
        )
    if log.session is None:
        start = instants = log.timestamp
    else:
        sequences = log.sequences()
        start, instants = np.repeat(sequences.start, sequences.lengths), sequences.start
    edges = _edges(instants, n_windows, test)
    windows = []
    for i in range(n_windows):
        begin, end = edges[i], edges[i + 1]
        since = -np.inf if n_train is None else _quantile(instants, 1 - (n_windows - i + n_train) * test)
        inside = (start >= begin) & (start < end) & (log.timestamp < end)
        before = (start >= since) & (log.timestamp < begin)
        windows.append(Window(log.select(before), log.select(inside), float(begin), float(end)))
    return windows


def _edges(instants: NDArray[np.float64], n_windows: int, test: float) -> NDArray[np.float64]:
    """Return the instants at which windows begin, and one after the last; (n_windows + 1,), ascending."""
    inner = [_quantile(instants, 1 - k * test) for k in range(n_windows, 0, -1)] if len(instants) else []
    edges = np.array([*inner, np.inf])
    if not len(instants) or not (np.diff(edges) > 0).all() or instants.min() >= edges[0]:
        raise DataError(
            f"the timestamps do not allow {n_windows} windows of {test:g} of the log: too many rows share one instant, "
            "or there are too few; ask for fewer or wider windows"
        )
    return edges


def _quantile(instants: NDArray[np.float64], share: float) -> float:
    """Return the first instant at or after this share of them; minus infinity where the share is below 0."""
    if share < 0:
        return float("-inf")
    ordered = np.sort(instants)
    return float(ordered[min(math.ceil(share * len(ordered) - 1e-9), len(ordered) - 1)])


def split_nested_last_out(log: InteractionLog) -> Split:
    """Keep each user's last behaviour for the test, the one before for validation, in nested parts.

    As `split_leave_last_out`, but each part holds the ones before it, because a prediction may look back at everything
    before its target: validation is training plus one behaviour a user, test is the whole log. So only the *last*
    behaviour of a validation or test sequence is a target; say so with ``valid_targets="last"`` in `LSTMModel.fit` and
    ``targets="last"`` in `evaluate_ranking`.

    Leaks the calendar: one user's training rows may be later than another's test row. Published results on MovieLens
    and Amazon sets use this split. Users with fewer than three behaviours stay in training.

    Raises
    ------
    DataError
        If no user has three behaviours.
    """
    n = np.bincount(log.user, minlength=log.n_users)
    position = np.arange(log.n_events) - (np.cumsum(n) - n)[log.user]
    from_end = n[log.user] - 1 - position
    enough = n[log.user] >= 3
    if not enough.any():
        raise DataError("leave-last-out needs a user with at least 3 behaviours; use split_by_user or split_by_time")
    train, valid = (log.select(~enough | (from_end >= k), name=log.name) for k in (2, 1))
    return train, valid.select(enough[~enough | (from_end >= 1)], name=log.name), log.select(enough, name=log.name)


def _check_shares(valid: float, test: float) -> None:
    if not (0 < valid < 1 and 0 < test < 1 and valid + test < 1):
        raise InvalidArgumentError(f"valid and test must be in (0, 1) and sum to less than 1, got {valid} and {test}")


def _cut_instants(instants: NDArray[np.float64], valid: float, test: float) -> tuple[float, float]:
    if len(instants) < 3:
        raise DataError(f"a split by time needs at least 3 sessions or rows, got {len(instants)}")
    ordered = np.sort(instants)
    second = ordered[min(int(np.ceil((1 - test) * len(ordered))), len(ordered) - 1)]
    first = ordered[min(int(np.ceil((1 - test - valid) * len(ordered))), len(ordered) - 1)]
    if not ordered[0] < first < second:
        raise DataError(
            f"the timestamps do not allow a split by time (first {ordered[0]:g}, cuts at {first:g} and {second:g}); "
            "use split_by_user or split_by_sequence"
        )
    return float(first), float(second)


def _random_parts(n: int, valid: float, test: float, seed: int) -> NDArray[np.int64]:
    if n < 3:
        raise DataError(f"a split needs at least 3 sequences or users, got {n}")
    n_test, n_valid = max(round(n * test), 1), max(round(n * valid), 1)
    part = np.zeros(n, np.int64)
    order = np.random.default_rng(seed).permutation(n)
    part[order[:n_test]] = 2
    part[order[n_test : n_test + n_valid]] = 1
    return part


def _parts(log: InteractionLog, part: NDArray[np.int64]) -> Split:
    train, valid, test = (log.select(part == i, name=log.name) for i in range(3))
    return train, valid, test
