"""Times of any spelling to UTC seconds: numbers in four units, ISO 8601, and day/month/year once its order is known."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import polars as pl

from rlrec.core.errors import DataError

_UNITS = (
    (1e11, 1.0, "seconds"),
    (1e14, 1e3, "milliseconds"),
    (1e17, 1e6, "microseconds"),
    (float("inf"), 1e9, "nanoseconds"),
)
"""(numbers below, divisor, name): seconds reach the year 5138 at 1e11, where milliseconds stand in 1973."""
_CLOCK_SECONDS = 1e8
"""Numbers below this are no clock time since 1970 (they end in 1973), but an order or an offset."""
_TIME = r"(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(\.\d+)?)?)?"
_ZONE = r"\s*(Z|z|UTC|GMT|[+-]\d{2}:?\d{2})?"
_YEAR_FIRST = rf"^\s*(\d{{4}})[-/.](\d{{1,2}})[-/.](\d{{1,2}}){_TIME}{_ZONE}\s*$"
_YEAR_LAST = rf"^\s*(\d{{1,2}})[-/.](\d{{1,2}})[-/.](\d{{4}}){_TIME}{_ZONE}\s*$"


class DateEvidence(NamedTuple):
    """What the dates of the form 01/02/2010 say about which of the two is the day; add the evidence of all blocks."""

    n: int = 0
    """Dates of this form."""
    day_first: int = 0
    """Dates whose first number alone is above 12."""
    month_first: int = 0
    """Dates whose second number alone is above 12."""
    example: str = ""
    """The first date of this form."""

    def plus(self, other: DateEvidence) -> DateEvidence:
        """Return the evidence of both."""
        return DateEvidence(
            self.n + other.n,
            self.day_first + other.day_first,
            self.month_first + other.month_first,
            self.example or other.example,
        )

    def decide(self) -> bool:
        """Return whether the day comes first.

        Raises
        ------
        DataError
            If no date tells, or some tell one thing and some the other.
        """
        if bool(self.day_first) != bool(self.month_first):
            return self.day_first > 0
        what = (
            f"{self.day_first} have the day first and {self.month_first} the month"
            if self.day_first
            else "nothing tells day from month"
        )
        raise DataError(
            f"column 'timestamp' has {self.n} dates such as {self.example!r}, and {what}; "
            "say CleaningPolicy(day_first=True) or (day_first=False)"
        )


class Parsed(NamedTuple):
    """Times of a block."""

    seconds: pl.Series
    """Float64, null where a time is missing or cannot be read; 01/02/2010 is read with the day first if it is open."""
    units: Counter[str]
    """Rows by unit of numeric times that are a clock time."""
    month_first: pl.Series | None = None
    """The same times with the month first, where only the whole column can tell."""
    evidence: DateEvidence = DateEvidence()
    """For that decision."""


def parse_times(times: pl.Series, *, day_first: bool | None = None, convert_units: bool = True) -> Parsed:
    """Return UTC seconds.

    Parameters
    ----------
    times : Series
        Numbers, dates, datetimes or text. A datetime or a text without a zone is read as UTC.
    day_first : bool, optional
        Meaning of 01/02/2010; by default both readings are returned, with the evidence to choose between them.
    convert_units : bool
        Turn milli-, micro- and nanoseconds into seconds, value by value, by their size.

    Examples
    --------
    >>> parse_times(pl.Series(["1291195920", "2010-12-01T09:32:00Z", "13/12/2010 09:32", "?"])).seconds.to_list()
    [1291195920.0, 1291195920.0, 1292232720.0, None]
    """
    if times.dtype in (pl.Date, pl.Datetime):
        return Parsed(times.cast(pl.Datetime("us")).dt.epoch("us") / 1e6, Counter())
    if times.dtype != pl.String:
        return _from_numbers(times.cast(pl.Float64, strict=False), convert_units)
    parsed = _from_numbers(_numbers(times), convert_units)
    unread = parsed.seconds.is_null() & times.is_not_null()
    if not unread.any():
        return parsed
    rows = unread.arg_true()
    text = times.filter(unread)
    year_first, groups = _year_first(text), _groups(text, _YEAR_LAST)
    if groups is None:
        return parsed._replace(seconds=parsed.seconds.clone().scatter(rows, year_first))
    day, month = (
        parsed.seconds.clone().scatter(rows, year_first.fill_null(_compose(groups["3"], groups[m], groups[d], groups)))
        for d, m in (("1", "2"), ("2", "1"))
    )
    if day_first is not None:
        return parsed._replace(seconds=day if day_first else month)
    return parsed._replace(seconds=day, month_first=month, evidence=_evidence(text, groups))


def _numbers(times: pl.Series) -> pl.Series:
    """Cast text; whole numbers go through Int64, several times faster than through Float64."""
    whole = times.cast(pl.Int64, strict=False)
    if whole.null_count() == times.null_count():
        return whole.cast(pl.Float64)
    return times.cast(pl.Float64, strict=False)


def _from_numbers(numbers: pl.Series, convert_units: bool) -> Parsed:
    size = numbers.abs()
    finite = numbers.is_finite()
    if not finite.all():  # a null compares as null and counts as finite here, which keeps it null
        numbers = pl.select(pl.when(finite).then(numbers).otherwise(None)).to_series()
        size = numbers.abs()
    units: Counter[str] = Counter()
    low = _CLOCK_SECONDS
    seconds = numbers
    largest = size.max()
    for high, divisor, name in _UNITS:
        if largest is None or not isinstance(largest, float) or largest < low:
            break
        inside = (size >= low) & (size < high)
        n = int(inside.sum())
        if n:
            units[name] = n
            if divisor > 1 and convert_units:
                seconds = pl.select(pl.when(inside).then(seconds / divisor).otherwise(seconds)).to_series()
        low = high
    return Parsed(seconds.rename("timestamp"), units)


def _groups(text: pl.Series, pattern: str) -> pl.DataFrame | None:
    """Return the parts of the texts that match, null where one does not; None where none does."""
    groups = text.str.extract_groups(pattern).struct.unnest()
    return None if groups["1"].null_count() == len(groups) else groups


def _year_first(text: pl.Series) -> pl.Series:
    groups = _groups(text, _YEAR_FIRST)
    if groups is None:
        return pl.Series(text.name, [None] * len(text), dtype=pl.Float64)
    return _compose(groups["1"], groups["2"], groups["3"], groups)


def _evidence(text: pl.Series, groups: pl.DataFrame) -> DateEvidence:
    first, second = (groups[name].cast(pl.Int32, strict=False) for name in ("1", "2"))
    example = text.filter(first.is_not_null())[0]
    day_first, month_first = (first > 12) & (second <= 12), (second > 12) & (first <= 12)
    return DateEvidence(len(first) - first.null_count(), int(day_first.sum()), int(month_first.sum()), example)


def _compose(year: pl.Series, month: pl.Series, day: pl.Series, groups: pl.DataFrame) -> pl.Series:
    frame = pl.DataFrame({"y": year, "m": month, "d": day}).with_columns(
        groups["4"].fill_null("0").alias("hour"),
        groups["5"].fill_null("0").alias("minute"),
        groups["6"].fill_null("0").alias("second"),
        groups["7"].fill_null(".0").alias("fraction"),
        groups["8"].fill_null("Z").alias("zone"),
    )
    two = [pl.col(name).str.zfill(2) for name in ("m", "d", "hour", "minute", "second")]
    stamp = pl.format("{}-{}-{} {}:{}:{}", pl.col("y"), *two).str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False)
    offset = pl.col("zone").str.replace(":", "", literal=True).cast(pl.Int32, strict=False).fill_null(0)
    minutes = (offset.abs() // 100 * 60 + offset.abs() % 100) * offset.sign()
    seconds = stamp.dt.epoch("s").cast(pl.Float64) + ("0" + pl.col("fraction")).cast(pl.Float64) - minutes * 60
    return frame.select(seconds).to_series()
