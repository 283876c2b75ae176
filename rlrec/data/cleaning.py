"""Cleaning with an account: each fault has a policy; every row is kept, or counted under the first reason against it.

The cleaner works on blocks of canonical columns, so that a log of any size passes through it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from rlrec.core.errors import DataError
from rlrec.data.cleaning_policy import CleaningPolicy
from rlrec.data.cleaning_report import CleaningReport
from rlrec.data.log import (
    DEFAULT_EVENT,
    EVENT,
    EXPOSED,
    ITEM_ID,
    POSITION,
    PROPENSITY,
    SESSION_ID,
    TIMESTAMP,
    USER_ID,
    VALUE,
)
from rlrec.data.readers.base import Block
from rlrec.data.readers.delimited import RAGGED, REPEATED_HEADER
from rlrec.data.settling import (
    BAD_VALUE,
    MONTH_FIRST,
    check_twins,
    fill_value,
    settle_dates,
    settle_duplicates,
    settle_values,
)
from rlrec.data.times import DateEvidence, parse_times

_ROW = "__row"
_TRUE, _FALSE = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")
_FLOAT_EXACT = 2.0**53
_DAY = 86_400.0
_LAST_DATE = 253_402_300_799.0  # the end of the year 9999, the last that datetime has


class Cleaner:
    """Cleans blocks one after another and keeps the account.

    Parameters
    ----------
    policy : CleaningPolicy
        What to do with each fault.
    events : mapping, optional
        Event names to rename, such as ``{"addtocart": "cart"}``.
    """

    def __init__(self, policy: CleaningPolicy | None = None, *, events: Mapping[str, str] | None = None) -> None:
        self.policy = CleaningPolicy() if policy is None else policy
        self.report = CleaningReport()
        self._renames = dict(events or {})
        self._units: Counter[str] = Counter()
        self.dates = DateEvidence()
        self._now = time.time()
        self._n_future, self._latest = 0, 0.0

    def clean(self, block: Block) -> pl.DataFrame:
        """Return the rows worth keeping.

        Columns that come out: ``user_id, item_id`` (String or an integer type), ``timestamp`` (Float64, UTC seconds;
        the row number where the source has no time), ``event`` (String), and those of ``value, session_id, exposed,
        propensity, position`` that the source has; and the helper columns of `rlrec.data.settling`.
        """
        self._account_reader(block)
        offset = self.report.n_read
        self.report.n_read += block.frame.height
        frame = block.frame.with_row_index(_ROW, offset=offset)
        for step in (self._ids, self._times, self._events, self._values, self._sessions, self._exposures):
            frame = step(frame)
        self.report.n_kept += frame.height
        self._watch_future(frame[TIMESTAMP])
        return frame.drop(_ROW)

    def settle(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Decide for all cleaned rows together what one block could not; the helper columns go."""
        if MONTH_FIRST in frame.columns:
            frame = settle_dates(frame, day_first=self.dates.decide(), policy=self.policy, report=self.report)
        if BAD_VALUE in frame.columns and self.policy.bad_value in ("mean", "median"):
            how: Any = self.policy.bad_value
            frame = settle_values(frame, fill_value(frame[VALUE], how, self.report))
        for name in (USER_ID, ITEM_ID):
            check_twins(frame[name].unique(), self.policy, self.report)
        return settle_duplicates(frame, self.policy, self.report)

    def count_events(self, frame: pl.DataFrame) -> None:
        """Add the rows of a cleaned frame to the counts by event name."""
        for name, n in frame[EVENT].value_counts().rows():
            self.report.events[name] += n

    def finish(self) -> CleaningReport:
        """Close the account: warnings that need the whole log, and the check that the counts add up."""
        if len(self._units) > 1:
            self.report.warn(f"timestamps mix units ({_counts(self._units)} rows); they were told apart by their size")
        if self._n_future and self._units:
            latest = datetime.fromtimestamp(min(self._latest, _LAST_DATE), UTC)
            self.report.warn(
                f"{self._n_future:,} timestamps lie in the future, up to {latest:%Y-%m-%d}; check their unit"
            )
        lowered = Counter(name.strip().casefold() for name in self.report.events)
        twins = [name for name in self.report.events if lowered[name.strip().casefold()] > 1]
        if twins:
            self.report.warn(
                f"event names differ only in case or spaces: {', '.join(map(repr, sorted(twins)))}; "
                "join them with CleaningPolicy(tidy_events=True)"
            )
        self.report.check()
        return self.report

    def _watch_future(self, timestamps: pl.Series) -> None:
        """Count clock times that lie ahead of the clock; they are kept as they are."""
        ahead = timestamps > self._now + _DAY
        if ahead.any():
            self._n_future += int(ahead.sum())
            self._latest = max(self._latest, float(timestamps.filter(ahead).max()))  # type: ignore[arg-type]

    # ---- one step for each kind of column -----------------------------------------------------------------------

    def _account_reader(self, block: Block) -> None:
        policy = {RAGGED: self.policy.ragged, REPEATED_HEADER: self.policy.repeated_header}
        for reason, n in block.dropped.items():
            if policy.get(reason, self.policy.bad_record) == "fail":
                raise DataError(f"{n} rows refused: {reason}; repair them, or let a CleaningPolicy drop them")
            self.report.n_read += n
            self.report.drop(reason, n)
        for what, n in block.fixed.items():
            self.report.fix(what, n)

    def _ids(self, frame: pl.DataFrame) -> pl.DataFrame:
        for name in (USER_ID, ITEM_ID):
            frame = frame.with_columns(self._plain_ids(frame[name], name))
            frame = self._drop(frame, self._missing(frame[name]), f"missing {name}", self.policy.missing_id)
            if self.policy.twin_ids == "merge" and frame[name].dtype == pl.String:
                composed = frame[name].str.normalize("NFC")
                self.report.fix(f"{name} to composed Unicode form", int((composed != frame[name]).sum()))
                frame = frame.with_columns(composed)
        return frame

    def _plain_ids(self, ids: pl.Series, name: str) -> pl.Series:
        """Return text or integers; whole floats, which pandas makes of integers beside a gap, become integers."""
        if ids.dtype.is_integer() or ids.dtype == pl.String:
            return ids
        if ids.dtype.is_float():
            whole = ids.drop_nans().drop_nulls()
            if (whole.abs() >= _FLOAT_EXACT).any():
                raise DataError(
                    f"column {name!r} holds ids as floats beyond 2**53, where neighbours have become one number; "
                    "read the source with that column as text or int64"
                )
            if bool((whole == whole.floor()).all()):
                return ids.fill_nan(None).cast(pl.Int64)
        return ids.cast(pl.String)

    def _missing(self, values: pl.Series) -> pl.Series:
        if values.dtype != pl.String:
            return values.is_null()
        return values.is_null() | values.is_in(list(self.policy.missing_spellings))

    def _times(self, frame: pl.DataFrame) -> pl.DataFrame:
        if TIMESTAMP not in frame.columns:
            return frame.with_columns(pl.col(_ROW).cast(pl.Float64).alias(TIMESTAMP))
        policy = self.policy
        parsed = parse_times(frame[TIMESTAMP], day_first=policy.day_first, convert_units=policy.mixed_units != "keep")
        self._units.update(parsed.units)
        if policy.mixed_units == "fail" and len(self._units) > 1:
            raise DataError(
                f"column 'timestamp' mixes units ({_counts(self._units)} rows); convert them to one, or allow "
                "CleaningPolicy(mixed_units='fix')"
            )
        if policy.mixed_units == "fix":
            for unit in ("milliseconds", "microseconds", "nanoseconds"):
                self.report.fix(f"timestamp from {unit} to seconds", parsed.units[unit])
        bad = parsed.seconds.is_null()
        text = frame[TIMESTAMP]
        frame = frame.with_columns(parsed.seconds.alias(TIMESTAMP))
        if parsed.month_first is not None:
            self.dates = self.dates.plus(parsed.evidence)
            bad &= parsed.month_first.is_null()
            frame = frame.with_columns(parsed.month_first.alias(MONTH_FIRST))
        return self._drop(frame, bad, "missing or unreadable timestamp", policy.bad_timestamp, text)

    def _events(self, frame: pl.DataFrame) -> pl.DataFrame:
        if EVENT not in frame.columns:
            frame = frame.with_columns(pl.lit(DEFAULT_EVENT).alias(EVENT))
        frame = frame.with_columns(pl.col(EVENT).cast(pl.String))
        names = frame[EVENT].unique()
        missing = names.filter(self._missing(names) | (names.str.strip_chars() == "").fill_null(True))
        bad = frame[EVENT].is_null() | frame[EVENT].is_in(missing.drop_nulls().to_list())
        if self.policy.missing_event == "fill":
            self.report.fix(f"missing event named {self.policy.event_fill!r}", int(bad.sum()))
        else:
            frame = self._drop(frame, bad, "missing event", self.policy.missing_event)
        renames = {name: self._event_name(name) for name in names.drop_nulls().to_list()}
        renames |= dict.fromkeys(missing.drop_nulls().to_list(), self.policy.event_fill)
        changed = {old: new for old, new in renames.items() if old != new}
        if changed:
            frame = frame.with_columns(pl.col(EVENT).replace(changed))
        frame = frame.with_columns(pl.col(EVENT).fill_null(self.policy.event_fill))
        if self.policy.known_events and self.policy.unknown_event != "keep":
            known = [*self.policy.known_events, self.policy.event_fill]
            frame = self._drop(
                frame, ~frame[EVENT].is_in(known), "unknown event", self.policy.unknown_event, frame[EVENT]
            )
        return frame

    def _event_name(self, name: str) -> str:
        tidy = name.strip().lower() if self.policy.tidy_events else name
        return self._renames.get(name, self._renames.get(tidy, tidy))

    def _values(self, frame: pl.DataFrame) -> pl.DataFrame:
        if VALUE not in frame.columns:
            return frame
        text = frame[VALUE]
        empty = (
            self._missing(text) & (text != "NaN").fill_null(True) & (text != "nan").fill_null(True)
            if (text.dtype == pl.String)
            else text.is_null()
        )
        if text.dtype == pl.String and self.policy.decimal_comma:
            text = text.str.replace(",", ".", literal=True)
        number = text.cast(pl.Float64, strict=False)
        number = pl.select(pl.when(number.is_finite()).then(number)).to_series()
        bad = number.is_null() & ~empty
        frame = frame.with_columns(number.alias(VALUE))
        if self.policy.bad_value in ("drop", "fail"):
            return self._drop(frame, bad, "value is no finite number", self.policy.bad_value, text)
        what = "set to missing" if self.policy.bad_value == "missing" else f"set to the {self.policy.bad_value}"
        self.report.fix(f"value is no finite number: {what}", int(bad.sum()))
        return frame if self.policy.bad_value == "missing" else frame.with_columns(bad.alias(BAD_VALUE))

    def _sessions(self, frame: pl.DataFrame) -> pl.DataFrame:
        if SESSION_ID not in frame.columns:
            return frame
        frame = frame.with_columns(self._plain_ids(frame[SESSION_ID], SESSION_ID))
        return self._drop(frame, self._missing(frame[SESSION_ID]), "missing session_id", self.policy.missing_id)

    def _exposures(self, frame: pl.DataFrame) -> pl.DataFrame:
        for name, parse in ((EXPOSED, _flags), (PROPENSITY, _propensities), (POSITION, _positions)):
            if name in frame.columns:
                text = frame[name]
                parsed = parse(text)
                bad = parsed.is_null() & ~self._missing(text)
                frame = frame.with_columns(parsed.alias(name))
                frame = self._drop(frame, bad, f"{name} cannot be read", self.policy.bad_exposure, text)
        return frame

    def _drop(
        self, frame: pl.DataFrame, bad: pl.Series, reason: str, decision: str, shown: pl.Series | None = None
    ) -> pl.DataFrame:
        """Drop rows and count them, or refuse the log naming the first rows."""
        n = int(bad.sum())
        if not n:
            return frame
        if decision == "fail":
            rows = ", ".join(str(row) for row in frame[_ROW].filter(bad).head(5).to_list())
            example = "" if shown is None else f", such as {_first_text(shown.filter(bad))!r}"
            raise DataError(
                f"{n} rows refused: {reason}{example} (data rows {rows}{', ...' if n > 5 else ''}, counted from 0); "
                "repair them, or allow it in the CleaningPolicy"
            )
        self.report.drop(reason, n)
        return frame.filter(~bad)


def _flags(values: pl.Series) -> pl.Series:
    if values.dtype == pl.Boolean:
        return values
    text = values.cast(pl.String).str.strip_chars().str.to_lowercase()
    flag = pl.when(text.is_in(list(_TRUE))).then(True).when(text.is_in(list(_FALSE))).then(False)
    return pl.select(flag.otherwise(None)).to_series()


def _propensities(values: pl.Series) -> pl.Series:
    number = values.cast(pl.Float64, strict=False)
    return pl.select(pl.when((number > 0) & (number <= 1)).then(number)).to_series()


def _positions(values: pl.Series) -> pl.Series:
    number = values.cast(pl.Float64, strict=False)
    return pl.select(pl.when((number == number.floor()) & (number >= -1)).then(number)).to_series().cast(pl.Int32)


def _first_text(values: pl.Series) -> Any:
    return values.head(1).to_list()[0] if len(values) else None


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name}: {n:,}" for name, n in counter.most_common())
