"""What only the whole log can decide: the order of day and month, fill values, duplicates, and ids that are twins.

The `Cleaner` sees one block at a time and leaves two helper columns where it cannot know; here they are settled. Each
function takes and returns rows, so that a log in memory and a log in parts on disk go the same way.
"""

from __future__ import annotations

from typing import Any, Literal

import polars as pl

from rlrec.core.errors import DataError
from rlrec.data.cleaning_policy import CleaningPolicy
from rlrec.data.cleaning_report import CleaningReport
from rlrec.data.log import TIMESTAMP, VALUE

MONTH_FIRST, BAD_VALUE = "__month_first", "__bad_value"
"""Helper columns: the other reading of a date; True where a value is to be filled."""
_UNREADABLE = "missing or unreadable timestamp"


def settle_dates(
    frame: pl.DataFrame, *, day_first: bool, policy: CleaningPolicy, report: CleaningReport
) -> pl.DataFrame:
    """Choose one reading of the dates, and drop or refuse the rows that it cannot read."""
    if MONTH_FIRST not in frame.columns:
        return frame
    chosen = frame[TIMESTAMP] if day_first else frame[MONTH_FIRST]
    frame = frame.drop(MONTH_FIRST).with_columns(chosen.alias(TIMESTAMP))
    n = frame[TIMESTAMP].null_count()
    if not n:
        return frame
    if policy.bad_timestamp == "fail":
        order = "day" if day_first else "month"
        raise DataError(
            f"{n} rows refused: {_UNREADABLE}, read with the {order} first as other rows ask for; "
            "repair them, or allow it in the CleaningPolicy"
        )
    report.drop(_UNREADABLE, n)
    report.n_kept -= n
    return frame.filter(pl.col(TIMESTAMP).is_not_null())


def fill_value(values: pl.Series, how: Literal["mean", "median"], report: CleaningReport) -> float | None:
    """Return what bad values are filled with; None, with a warning, where no value is good."""
    fill: Any = values.mean() if how == "mean" else values.median()
    if fill is None:
        report.warn(f"no value is a finite number, so there is no {how} to fill the others with; they stay missing")
    return None if fill is None else float(fill)


def settle_values(frame: pl.DataFrame, fill: float | None) -> pl.DataFrame:
    """Fill the values that were no finite numbers; values that were empty stay missing."""
    if BAD_VALUE not in frame.columns:
        return frame
    bad = pl.col(BAD_VALUE).fill_null(False)
    filled = pl.when(bad).then(pl.lit(fill, pl.Float64)).otherwise(pl.col(VALUE))
    return frame.with_columns(filled.alias(VALUE)).drop(BAD_VALUE)


def settle_duplicates(frame: pl.DataFrame, policy: CleaningPolicy, report: CleaningReport) -> pl.DataFrame:
    """Drop, refuse or only count rows that equal an earlier one in every column."""
    unique = frame.unique(maintain_order=True) if policy.duplicates == "drop" else None
    n = frame.height - (int(frame.n_unique()) if unique is None else unique.height) if frame.height else 0
    account_duplicates(n, policy, report)
    return frame if unique is None else unique


def account_duplicates(n: int, policy: CleaningPolicy, report: CleaningReport) -> None:
    """Refuse ``n`` exact repetitions of a row, count them as dropped, or warn of them, as the policy says."""
    if not n:
        return
    if policy.duplicates == "fail":
        raise DataError(f"{n} rows refused: they repeat an earlier row exactly; allow it with duplicates='keep'")
    if policy.duplicates == "keep":
        report.warn(
            f"{n:,} rows repeat an earlier row exactly and were kept; CleaningPolicy(duplicates='drop') drops them"
        )
        return
    report.drop("exact duplicate", n)
    report.n_kept -= n


def check_twins(ids: pl.Series, policy: CleaningPolicy, report: CleaningReport) -> None:
    """Refuse or report distinct ids that are one id after Unicode normalisation.

    Parameters
    ----------
    ids : Series
        Distinct ids; its name is the column's.
    """
    if ids.dtype != pl.String or policy.twin_ids == "merge":
        return
    composed = ids.str.normalize("NFC")
    twins = ids.filter(composed.is_duplicated()).sort()
    if not len(twins):
        return
    shown = ", ".join(ascii(twin) for twin in twins.head(4).to_list())
    sentence = f"{len(twins)} ids of column {ids.name!r} differ only in Unicode form: {shown}"
    if policy.twin_ids == "fail":
        raise DataError(f"{sentence}; join them with CleaningPolicy(twin_ids='merge'), or allow it with 'keep'")
    report.warn(f"{sentence}; CleaningPolicy(twin_ids='merge') joins them")
