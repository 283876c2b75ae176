"""What to do with each fault of a log. The defaults lose as little as can be kept honestly, and count the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DropOrFail = Literal["drop", "fail"]


@dataclass(frozen=True, kw_only=True)
class CleaningPolicy:
    """One decision for each fault; ``CleaningPolicy.strict()`` refuses every one of them."""

    missing_id: DropOrFail = "drop"
    """A user or item id is missing: empty, or spelt as one of ``missing_spellings``."""
    missing_spellings: tuple[str, ...] = ("", "NA", "N/A", "<NA>", "nan", "NaN", "NAN", "null", "NULL", "None", "NaT")
    """Text that means "no value" in ids, times, events and sessions (chosen here: pandas', SQL's and JSON's ways)."""
    bad_timestamp: DropOrFail = "drop"
    """A time is missing or cannot be read."""
    mixed_units: Literal["fix", "fail", "keep"] = "fix"
    """Times come in milli-, micro- or nanoseconds: convert to seconds by size, refuse, or take as they are."""
    day_first: bool | None = None
    """How to read 01/12/2010. None decides by a day above 12 somewhere in the column, and refuses where none tells."""
    missing_event: Literal["fill", "drop", "fail"] = "fill"
    """An event name is missing: give it the name ``event_fill``, drop the row, or refuse."""
    event_fill: str = "unknown"
    """The event type of rows without one."""
    known_events: tuple[str, ...] = ()
    """Event types that may occur; empty allows all."""
    unknown_event: Literal["keep", "drop", "fail"] = "keep"
    """An event is not in ``known_events``."""
    tidy_events: bool = False
    """Strip spaces and lower the case of event names, so that ``"Purchase "`` is ``"purchase"``."""
    bad_value: Literal["missing", "mean", "median", "drop", "fail"] = "missing"
    """A value is NaN, infinite or no number: leave it missing, fill it, drop the row, or refuse. Empty is no fault."""
    missing_feature: Literal["keep", "mean", "median"] = "keep"
    """A feature of an item or user is missing: keep it so (models that need numbers fill it, and say where), or fill
    numbers by the mean or median and give labels a category of its own."""
    decimal_comma: bool = False
    """Read ``1,5`` as 1.5."""
    bad_exposure: DropOrFail = "drop"
    """A propensity lies outside (0, 1], or an exposure flag or a position cannot be read."""
    duplicates: Literal["keep", "drop", "fail"] = "keep"
    """Rows equal in all canonical columns: people do click twice in a second, so the default keeps and counts them."""
    twin_ids: Literal["keep", "merge", "fail"] = "keep"
    """Ids differ only in Unicode form (e + accent, or one letter): two ids, merged to the composed form, or refused."""
    ragged: DropOrFail = "drop"
    """A row has more or fewer fields than the header."""
    repeated_header: DropOrFail = "drop"
    """The header stands again inside the file, as in files that were joined."""
    bad_encoding: Literal["fail", "replace"] = "fail"
    """Bytes are not valid in the file's encoding: refuse, or put U+FFFD in their place and count the rows."""
    bad_record: DropOrFail = "drop"
    """A line of JSON cannot be read, or is no object."""

    @classmethod
    def strict(cls) -> CleaningPolicy:
        """Return the policy that refuses every fault instead of repairing or dropping."""
        return cls(
            missing_id="fail",
            bad_timestamp="fail",
            mixed_units="fail",
            missing_event="fail",
            unknown_event="fail",
            bad_value="fail",
            bad_exposure="fail",
            duplicates="fail",
            twin_ids="fail",
            ragged="fail",
            repeated_header="fail",
            bad_encoding="fail",
            bad_record="fail",
        )
