"""``check_log``: the numbers of a log, and the warnings that a careful colleague would give before training on it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlrec.core.errors import DataError
from rlrec.data.log import InteractionLog
from rlrec.data.order import SORTED, OrderGain, ascending_share, order_gain
from rlrec.data.splits import split_by_time

_CLOCK = 1e8
"""Times below this are no clock time but an order (they would end in 1973)."""
_MANY = 50
"""Users, items or sequences from which shares of them mean something (chosen here)."""
_QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)


@dataclass(frozen=True)
class CheckWarning:
    """One thing to know before training."""

    code: str
    """A short name that does not change, such as ``"false-order"``."""
    sentence: str
    """What was seen, and what to do."""


@dataclass(frozen=True, kw_only=True)
class LogCheck:
    """What `check_log` found."""

    name: str
    n_events: int
    n_users: int
    """Users with rows."""
    n_items: int
    """Items with rows."""
    n_items_in_catalog: int
    n_sequences: int
    """Sessions, or users where there are no sessions."""
    begin: float
    """First time, UTC seconds or an order."""
    end: float
    """Last time."""
    has_clock: bool
    """True if times are clock times."""
    events: dict[str, int]
    """Rows by event name."""
    density: float
    """Rows by users times items."""
    repeat_share: float
    """Share of the rows whose user had the item before."""
    tie_share: float
    """Share of the rows whose user has another row at the same time."""
    top_tenth_share: float
    """Share of the rows that the most popular tenth of the items takes."""
    sequence_lengths: dict[str, float]
    """Quantiles of the rows of a sequence."""
    order_gain: float
    """What the order tells of the next item, nats a step; see `rlrec.data.order`."""
    order_gain_error: float | None
    """Its standard error; None where it cannot be measured."""
    test_only: dict[str, int] = field(default_factory=dict)
    """Items, users and rows that only the test part has; where none was given, that of `split_by_time`."""
    warnings: tuple[CheckWarning, ...] = ()
    """What a careful colleague would say."""
    lengths: tuple[int, ...] = field(default=(), repr=False)
    """Number of sequences by length, 0, 1, ...; the last counts all longer ones."""
    popularity: tuple[int, ...] = field(default=(), repr=False)
    """Rows of the 1st, 2nd, ... most popular item, thinned to at most 200 places."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self) | {"warnings": [asdict(warning) for warning in self.warnings]}

    def summary(self) -> str:
        """Return the numbers and the warnings as lines of text."""
        span = f"{_when(self.begin)} to {_when(self.end)}" if self.has_clock else "order only, no clock time"
        lines = [
            f"{self.name}: {self.n_events:,} events, {self.n_users:,} users, {self.n_items:,} items "
            f"({self.n_items_in_catalog:,} in the catalogue), {self.n_sequences:,} sequences",
            f"time: {span}",
            "events: " + ", ".join(f"{name} {n:,}" for name, n in self.events.items()),
            f"density {self.density:.4%}, repeats {self.repeat_share:.1%}, ties in time {self.tie_share:.1%}, "
            f"the most popular tenth of the items takes {self.top_tenth_share:.0%}",
            "sequence length: " + ", ".join(f"{name} {value:g}" for name, value in self.sequence_lengths.items()),
        ]
        if self.order_gain_error is not None:
            lines.append(f"the order tells {self.order_gain:.3f} ± {2 * self.order_gain_error:.3f} nats a step")
        if self.test_only:
            lines.append("only in the test part: " + ", ".join(f"{n:,} {what}" for what, n in self.test_only.items()))
        lines += [f"warning ({warning.code}): {warning.sentence}" for warning in self.warnings]
        return "\n".join(lines)


def check_log(log: InteractionLog, *, test: InteractionLog | None = None, seed: int = 0) -> LogCheck:
    """Look a log over, and with ``test`` what leaks between the two.

    Parameters
    ----------
    log : InteractionLog
        The log, or its training part.
    test : InteractionLog, optional
        A test part, of the same or of another catalogue; parts are compared by the caller's ids.
    seed : int
        For the shuffles.

    Returns
    -------
    LogCheck

    Examples
    --------
    >>> from rlrec.data.load import load_log
    >>> check = check_log(load_log("builtin:eshop2008"))
    >>> check.n_events, [warning.code for warning in check.warnings]
    (165474, ['invented-clock', 'users-are-sessions'])
    """
    owner = log.user if log.session is None else log.session
    lengths = log.sequences().lengths
    counts = np.sort(log.item_counts)[::-1]
    gain = order_gain(log, seed=seed)
    n_users, n_items = len(np.unique(log.user)), int((counts > 0).sum())
    names = dict(zip(log.event_names, np.bincount(log.event, minlength=log.n_event_types).tolist(), strict=True))
    warnings = [
        *_order_warnings(log, owner, gain),
        *_time_warnings(log),
        *_user_warnings(log, lengths),
        *_value_warnings(log),
        *([] if test is None else _leaks(log, test)),
    ]
    if log.cleaning is not None:
        warnings += [CheckWarning("cleaning", sentence) for sentence in log.cleaning.warnings]
    return LogCheck(
        name=log.name,
        n_events=log.n_events,
        n_users=n_users,
        n_items=n_items,
        n_items_in_catalog=log.n_items,
        n_sequences=len(lengths),
        begin=float(log.timestamp.min(initial=np.inf)) if log.n_events else 0.0,
        end=float(log.timestamp.max(initial=-np.inf)) if log.n_events else 0.0,
        has_clock=has_clock(log),
        events=names,
        density=log.n_events / max(n_users * n_items, 1),
        repeat_share=_repeats(log),
        tie_share=float(_tied(log).mean()) if log.n_events else 0.0,
        top_tenth_share=float(counts[: max(n_items // 10, 1)].sum() / max(log.n_events, 1)),
        sequence_lengths=_quantiles(lengths),
        order_gain=gain.gain,
        order_gain_error=None if np.isnan(gain.error) else gain.error,
        test_only=_own_test_only(log) if test is None else _test_only(log, test),
        warnings=tuple(warnings),
        lengths=tuple(np.bincount(np.minimum(lengths, 100), minlength=1).tolist()),
        popularity=tuple(counts[: max(n_items, 1)][:: max(n_items // 200, 1)].tolist()),
    )


def has_clock(log: InteractionLog) -> bool:
    """Return whether times are clock times and not an order that was invented."""
    return bool(log.n_events) and float(np.median(log.timestamp)) >= _CLOCK


# ---- warnings ---------------------------------------------------------------------------------------------------


def _order_warnings(log: InteractionLog, owner: NDArray[np.integer], gain: OrderGain) -> list[CheckWarning]:
    found = []
    for values, what in _sort_keys(log):
        share = ascending_share(values, owner)
        if max(share, 1 - share) >= SORTED:
            way = "up" if share > 0.5 else "down"
            found.append(
                CheckWarning(
                    "false-order",
                    f"{max(share, 1 - share):.1%} of the steps inside a sequence go {way} by {what}: the rows look "
                    "sorted, so their order is not what people did; a sequence model would learn the sorting",
                )
            )
    if not found and gain.judged and not gain.told:
        found.append(
            CheckWarning(
                "false-order",
                f"a bigram fitted on the sequences predicts no better than one fitted on shuffled sequences (gain "
                f"{gain.gain:.4f} ± {2 * gain.error:.4f} nats a step): the order tells nothing of the next item, so "
                "popularity or an orderless model will do as well as a sequence model",
            )
        )
    return found


def _sort_keys(log: InteractionLog) -> list[tuple[NDArray[Any], str]]:
    """Return what rows may have been sorted by: the order of the ids, and the value."""
    vocabulary = log.catalog.vocabulary
    comparable = vocabulary.ids.dtype.kind == "i" or vocabulary.is_text
    rank = (
        np.argsort(np.argsort(vocabulary.ids, kind="stable"), kind="stable") if comparable else np.arange(log.n_items)
    )
    keys: list[tuple[NDArray[Any], str]] = [(rank[log.item], "item id")]
    if log.value is not None:
        keys.append((log.value, "value"))
    return keys


def _time_warnings(log: InteractionLog) -> list[CheckWarning]:
    if not has_clock(log):
        sentence = "times are no clock times but an order: gaps mean nothing, and a split by time cuts by that order"
        return [CheckWarning("no-clock", sentence)]
    found = []
    gaps = np.diff(log.timestamp)[np.diff(log.user) == 0]
    usual = float(np.median(gaps)) if len(gaps) else 0.0
    fast = float(np.mean(gaps <= 1.0)) if len(gaps) else 0.0
    if usual > 0 and np.mean(gaps == usual) >= SORTED:
        found.append(
            CheckWarning(
                "invented-clock",
                f"{np.mean(gaps == usual):.0%} of the steps of a user take exactly {usual:g} s: the clock was made up "
                "from the order, and gaps mean nothing",
            )
        )
    elif fast >= 0.3:
        found.append(
            CheckWarning(
                "bursts",
                f"{fast:.0%} of the steps of a user take at most one second: rows were entered in bursts, as when "
                "people rate a list, and their order inside a burst is that of the page",
            )
        )
    tied = float(_tied(log).mean())
    if tied >= 0.2:
        found.append(
            CheckWarning(
                "ties",
                f"{tied:.0%} of the rows share user and time with another row: their order is that of the file",
            )
        )
    return found


def _user_warnings(log: InteractionLog, lengths: NDArray[np.int64]) -> list[CheckWarning]:
    rows = np.bincount(log.user)
    rows = rows[rows > 0]
    found = []
    if log.n_events and len(rows) >= 2:
        limit = max(10 * float(np.quantile(rows, 0.99)), 0.05 * log.n_events, 100.0)
        heavy = rows > limit
        if heavy.any() and len(rows) >= _MANY:
            found.append(
                CheckWarning(
                    "heavy-users",
                    f"{int(heavy.sum())} of the users, each with more than {limit:,.0f} rows, make "
                    f"{rows[heavy].sum() / rows.sum():.0%} of the log: they may be robots or shared accounts; look at "
                    "them, or cut them with filter_lengths",
                )
            )
    if len(lengths) >= _MANY and lengths.max() == 1:
        found.append(CheckWarning("no-sequences", "no user has a second row: there is no sequence to learn from"))
    if len(rows) >= _MANY and rows.min() >= 3:
        found.append(
            CheckWarning(
                "thinned",
                f"no user has fewer than {rows.min()} rows: users with less were left out before this log was made, so "
                "newcomers are missing and lengths are longer than in life",
            )
        )
    items = log.item_counts[log.item_counts > 0]
    if len(items) >= _MANY and items.min() >= 3:
        found.append(
            CheckWarning("thinned", f"no item has fewer than {items.min()} rows: rare items were left out of this log")
        )
    if len(rows) >= _MANY and _users_are_sessions(log, lengths, len(rows)):
        found.append(
            CheckWarning(
                "users-are-sessions",
                "every user has one short visit: the user ids look like session ids, so nobody ever comes back, and a "
                "split by user is a split by session",
            )
        )
    return found


def _users_are_sessions(log: InteractionLog, lengths: NDArray[np.int64], n_users: int) -> bool:
    if log.session is not None and len(lengths) == n_users:
        return True
    if log.session is not None or not has_clock(log) or (lengths > 1).mean() < 0.3:
        return False
    offsets = log.sequences().offsets
    span = log.timestamp[offsets[1:] - 1] - log.timestamp[offsets[:-1]]
    return bool(np.quantile(span, 0.95) <= 6 * 3_600)


def _value_warnings(log: InteractionLog) -> list[CheckWarning]:
    if log.value is None:
        return []
    known = log.value[np.isfinite(log.value)]
    if len(known) and known.min() == known.max():
        return [CheckWarning("one-value", f"every value is {known[0]:g}: it tells nothing")]
    return []


def _leaks(train: InteractionLog, test: InteractionLog) -> list[CheckWarning]:
    found = []
    shared = _shared_rows(train, test)
    if shared:
        found.append(
            CheckWarning(
                "shared-rows", f"{shared:,} rows of the test part are in the training part, too: take them out"
            )
        )
    if train.n_events and test.n_events and has_clock(train):
        first = float(test.timestamp.min())
        late = float((train.timestamp >= first).mean())
        if late > 0:
            found.append(
                CheckWarning(
                    "future-in-train",
                    f"{late:.0%} of the training rows are as late as the first test row ({_when(first)}) or later: the "
                    "fashion of the test period is known in training; split_by_time keeps it out",
                )
            )
    only = _test_only(train, test)
    if only["items"]:
        found.append(
            CheckWarning(
                "test-only-items",
                f"{only['items']:,} items with {only['rows']:,} rows occur in the test part only: a model that knows "
                "items by their ids alone cannot rank them, and each counts as a miss",
            )
        )
    return found


# ---- numbers ----------------------------------------------------------------------------------------------------


def _tied(log: InteractionLog) -> NDArray[np.bool_]:
    """Return, for each row, whether its user has another row at the same time."""
    tied = np.zeros(log.n_events, np.bool_)
    same = (np.diff(log.user) == 0) & (np.diff(log.timestamp) == 0)
    tied[:-1] |= same
    tied[1:] |= same
    return tied


def _repeats(log: InteractionLog) -> float:
    pairs = log.user.astype(np.int64) * max(log.n_items, 1) + log.item
    return 1 - len(np.unique(pairs)) / len(pairs) if len(pairs) else 0.0


def _quantiles(lengths: NDArray[np.int64]) -> dict[str, float]:
    if not len(lengths):
        return {}
    names = ("min", "25%", "median", "75%", "90%", "99%", "max")
    return dict(zip(names, np.quantile(lengths, _QUANTILES).tolist(), strict=True)) | {"mean": float(lengths.mean())}


def _test_only(train: InteractionLog, test: InteractionLog) -> dict[str, int]:
    items = np.flatnonzero(test.item_counts)
    known = _rows_of(train.item_counts, train.catalog.vocabulary.find(test.catalog.ids[items]))
    users = np.unique(test.user)
    known_users = _rows_of(np.bincount(train.user, minlength=train.n_users), train.users.find(test.users.ids[users]))
    return {
        "items": int((known == 0).sum()),
        "users": int((known_users == 0).sum()),
        "rows": int(test.item_counts[items][known == 0].sum()),
    }


def _own_test_only(log: InteractionLog) -> dict[str, int]:
    """Return what the latest tenth of a log has that the rest lacks; empty where it cannot be split by time."""
    try:
        train, _, test = split_by_time(log)
    except DataError:
        return {}
    return _test_only(train, test)


def _rows_of(counts: NDArray[np.int64], index: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where(index < 0, 0, counts[np.maximum(index, 0)]) if len(counts) else np.zeros(len(index), np.int64)


def _shared_rows(train: InteractionLog, test: InteractionLog) -> int:
    user = train.users.find(test.users.ids)[test.user]
    item = train.catalog.vocabulary.find(test.catalog.ids)[test.item]
    known = (user >= 0) & (item >= 0)
    kind = np.dtype([("user", np.int64), ("item", np.int64), ("timestamp", np.float64)])
    ours, theirs = np.empty(train.n_events, kind), np.empty(int(known.sum()), kind)
    ours["user"], ours["item"], ours["timestamp"] = train.user, train.item, train.timestamp
    theirs["user"], theirs["item"], theirs["timestamp"] = user[known], item[known], test.timestamp[known]
    return int(np.isin(theirs, ours).sum())


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(min(max(seconds, 0.0), 253_402_300_799.0), UTC).strftime("%Y-%m-%d %H:%M")
