"""Times of any spelling to UTC seconds: numbers in four units, ISO 8601, and day/month/year once its order is known."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import polars as pl

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


class Parsed(NamedTuple):
    """Times of a block."""

    seconds: pl.Series
    """Float64, null where a time is missing or cannot be read."""
    units: Counter[str]
    """Rows by unit of numeric times that are a clock time."""
    ambiguous: int
    """Rows like 01/02/2010 in a column that does not tell which is the day."""


def parse_times(times: pl.Series, *, day_first: bool | None = None, convert_units: bool = True) -> Parsed:
    """Return UTC seconds.

    Parameters
    ----------
    times : Series
        Numbers, dates, datetimes or text. A datetime or a text without a zone is read as UTC.
    day_first : bool, optional
        Meaning of 01/02/2010; by default a day above 12 somewhere in the column decides.
    convert_units : bool
        Turn milli-, micro- and nanoseconds into seconds, value by value, by their size.

    Examples
    --------
    >>> parse_times(pl.Series(["1291195920", "2010-12-01T09:32:00Z", "13/12/2010 09:32", "?"])).seconds.to_list()
    [1291195920.0, 1291195920.0, 1292232720.0, None]
    """
    if times.dtype in (pl.Date, pl.Datetime):
        return Parsed(times.cast(pl.Datetime("us")).dt.epoch("us") / 1e6, Counter(), 0)
    if times.dtype != pl.String:
        return _from_numbers(times.cast(pl.Float64, strict=False), convert_units)
    parsed = _from_numbers(_numbers(times), convert_units)
    unread = parsed.seconds.is_null() & times.is_not_null()
    if not unread.any():
        return parsed
    read, ambiguous = _from_text(times.filter(unread), day_first)
    rows = unread.arg_true()
    return parsed._replace(seconds=parsed.seconds.scatter(rows, read), ambiguous=ambiguous)


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
    return Parsed(seconds.rename("timestamp"), units, 0)


def _from_text(text: pl.Series, day_first: bool | None) -> tuple[pl.Series, int]:
    """Return seconds of texts that are no numbers, and how many of them are ambiguous."""
    first = text.str.extract_groups(_YEAR_FIRST).struct.unnest()
    seconds = _compose(first["1"], first["2"], first["3"], first)
    last = text.str.extract_groups(_YEAR_LAST).struct.unnest()
    if last["1"].null_count() == len(last):
        return seconds, 0
    order = _day_first(last) if day_first is None else day_first
    if order is None:
        return seconds, int(last["1"].is_not_null().sum())
    day, month = ("1", "2") if order else ("2", "1")
    return seconds.fill_null(_compose(last["3"], last[month], last[day], last)), 0


def _day_first(groups: pl.DataFrame) -> bool | None:
    """Return whether the first number is the day: it is if one is above 12, it is not if a second one is, else None."""
    first = (groups["1"].cast(pl.Int32, strict=False) > 12).any()
    second = (groups["2"].cast(pl.Int32, strict=False) > 12).any()
    return None if first == second else bool(first)


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
