"""``rlrec data``: look at a log, and keep it in the form that opens at once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rlrec.cli.sources import SourceCommand

if TYPE_CHECKING:
    from rlrec.data.log import InteractionLog

_DAY = 86_400.0
_TOP_SHARE = 0.1
_DATED = (631_152_000.0, 4_102_444_800.0)  # 1990 to 2100: outside it, a time is an order or of another unit


@dataclass(frozen=True, kw_only=True)
class Command(SourceCommand):
    """Load a log and print what is in it, with an account of every row that was read.

    With --out the log is also written there as one file a column, which every other verb opens at once and takes in
    place of the source. Nothing here is random: the seed has no effect.
    """

    out: Path | None = None
    """Folder to keep the log in, one file a column."""
    json: bool = False
    """Print JSON, for a script."""


def run(command: Command) -> int:
    """Load, print, and save where asked."""
    from rlrec.data.store import save_log

    log = command.load()
    facts = describe_log(log)
    if command.out is not None:
        save_log(log, command.out)
    print(json.dumps(facts, indent=2, ensure_ascii=False) if command.json else as_text(facts))
    if command.out is not None and not command.json:
        print(f"\nsaved; use it as: rlrec fit {command.out}")
    return 0


def describe_log(log: InteractionLog) -> dict[str, Any]:
    """Return what is in a log as plain values."""
    sequences = log.sequences()
    counts = np.bincount(log.event, minlength=log.n_event_types)
    columns = ("value", "session", "exposed", "propensity", "position")
    return {
        "name": log.name,
        "n_events": log.n_events,
        "n_users": log.n_users,
        "n_items": log.n_items,
        "n_items_seen": int((log.item_counts > 0).sum()),
        "n_sequences": len(sequences),
        "sequences_are": "users" if log.session is None else "sessions",
        "sequence_length": _lengths(sequences.lengths),
        "time": _span(log.timestamp),
        "events": {name: int(n) for name, n in zip(log.event_names, counts, strict=True)},
        "top_tenth_share": _top_share(log.item_counts),
        "columns": [name for name in columns if getattr(log, name) is not None],
        "item_features": list(log.catalog.features),
        "user_features": list(log.user_features or ()),
        "cleaning": None if log.cleaning is None else log.cleaning.to_dict(),
        "sha256": log.sha256,
    }


def as_text(facts: dict[str, Any]) -> str:
    """Lay the facts out for a reader."""
    length, time, n = facts["sequence_length"], facts["time"], max(facts["n_events"], 1)
    unseen = facts["n_items"] - facts["n_items_seen"]
    days = "" if time["days"] is None else f" ({time['days']:,.1f} days)"
    lines = {
        "log": facts["name"],
        "rows": _account(facts),
        "users": f"{facts['n_users']:,}",
        "items": f"{facts['n_items']:,}" + (f", of which {unseen:,} never occur" if unseen else ""),
        "events": ", ".join(f"{name} {k:,} ({k / n:.1%})" for name, k in facts["events"].items()),
        "time": f"{time['first']} to {time['last']}{days}",
        "sequences": f"{facts['n_sequences']:,} {facts['sequences_are']}, length: mean {length['mean']:.2f}, median "
        f"{length['median']:g}, 90 % up to {length['p90']:g}, longest {length['max']:,}",
        "popularity": f"the most frequent tenth of the items ({_n_top(facts['n_items'])}) has "
        f"{facts['top_tenth_share']:.1%} of the rows",
        "also holds": ", ".join(facts["columns"]) or "nothing more",
        "item features": ", ".join(facts["item_features"]) or "none",
        "user features": ", ".join(facts["user_features"]) or "none",
        "sha256": facts["sha256"],
    }
    warnings = [] if facts["cleaning"] is None else facts["cleaning"]["warnings"]
    return "\n".join([f"{name:<14} {text}" for name, text in lines.items()] + [f"warning: {w}" for w in warnings])


def _account(facts: dict[str, Any]) -> str:
    from rlrec.data.cleaning_report import CleaningReport

    if facts["cleaning"] is None:
        return f"{facts['n_events']:,} (no cleaning)"
    return CleaningReport.from_dict(facts["cleaning"]).summary()


def _lengths(lengths: NDArray[np.int64]) -> dict[str, float]:
    if not len(lengths):
        return {"mean": 0.0, "median": 0.0, "p90": 0.0, "max": 0}
    median, p90 = np.quantile(lengths, [0.5, 0.9])
    return {"mean": float(lengths.mean()), "median": float(median), "p90": float(p90), "max": int(lengths.max())}


def _span(timestamp: NDArray[np.float64]) -> dict[str, Any]:
    """Return the first and last time as dates; as the plain numbers where they can be no dates."""
    if not len(timestamp):
        return {"first": None, "last": None, "days": None}
    first, last = float(timestamp.min()), float(timestamp.max())
    if not _DATED[0] <= first <= last <= _DATED[1]:
        return {"first": first, "last": last, "days": None}
    texts = [datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC") for seconds in (first, last)]
    return {"first": texts[0], "last": texts[1], "days": (last - first) / _DAY}


def _top_share(counts: NDArray[np.int64]) -> float:
    """Return the share of the rows that the most frequent tenth of the items has."""
    return float(np.sort(counts)[::-1][: _n_top(len(counts))].sum() / max(counts.sum(), 1))


def _n_top(n_items: int) -> int:
    return max(round(n_items * _TOP_SHARE), 1)
