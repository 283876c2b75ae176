"""What cleaning did to a log: every row that was read is kept, or counted under one reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rlrec.core.errors import DataError


@dataclass
class CleaningReport:
    """The account of one load.

    The law: ``n_read == n_kept + sum(dropped.values())``; `check` raises where it does not hold. ``fixed`` counts rows
    that were kept and changed, so a row may be in several of its counts.

    Examples
    --------
    >>> report = CleaningReport(n_read=10, n_kept=8)
    >>> report.drop("missing user_id", 2)
    >>> report.check()
    >>> print(report.summary())
    10 rows read, 8 kept, 2 dropped (missing user_id: 2)
    """

    n_read: int = 0
    """Records in the source, header and blank lines not counted."""
    n_kept: int = 0
    """Rows in the log."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Rows left out, by the first reason that applied."""
    fixed: Counter[str] = field(default_factory=Counter)
    """Rows kept and changed, by what was changed."""
    events: Counter[str] = field(default_factory=Counter)
    """Kept rows by event name."""
    warnings: list[str] = field(default_factory=list)
    """Sentences for a person: what looks wrong and was left as it is."""

    def drop(self, reason: str, n: int) -> None:
        """Count ``n`` rows as left out."""
        if n:
            self.dropped[reason] += n

    def fix(self, what: str, n: int) -> None:
        """Count ``n`` rows as changed."""
        if n:
            self.fixed[what] += n

    def warn(self, sentence: str) -> None:
        """Remember a warning, once."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    @property
    def n_dropped(self) -> int:
        """Rows left out for any reason."""
        return sum(self.dropped.values())

    def check(self) -> None:
        """Raise unless the counts add up."""
        if self.n_read != self.n_kept + self.n_dropped:
            raise DataError(
                f"the account of rows does not add up: {self.n_read} read, {self.n_kept} kept, "
                f"{self.n_dropped} dropped; this is a defect of rlrec, please report it"
            )

    def summary(self) -> str:
        """Return the account in one line."""
        text = f"{self.n_read:,} rows read, {self.n_kept:,} kept, {self.n_dropped:,} dropped"
        if self.dropped:
            text += f" ({_counts(self.dropped)})"
        if self.fixed:
            text += f"; changed: {_counts(self.fixed)}"
        return text

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "n_read": self.n_read,
            "n_kept": self.n_kept,
            "dropped": dict(self.dropped),
            "fixed": dict(self.fixed),
            "events": dict(self.events),
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> CleaningReport:
        """Rebuild from `to_dict`."""
        return cls(
            n_read=values["n_read"],
            n_kept=values["n_kept"],
            dropped=Counter(values["dropped"]),
            fixed=Counter(values["fixed"]),
            events=Counter(values["events"]),
            warnings=list(values["warnings"]),
        )


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name}: {n:,}" for name, n in counter.most_common())
