"""The run folder that verbs write into: it starts clean and says which command made it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlrec.cli.command import BaseCommand
from rlrec.core.artifacts import atomic_path

if TYPE_CHECKING:
    from rlrec.data.log import InteractionLog
    from rlrec.data.sequences import Sequences

CONFIG_FILE = "config.toml"


def start_run(folder: Path, command: BaseCommand) -> None:
    """Make ``folder`` ready: take away an earlier run's curves, which new ones would join, and write ``config.toml``.

    Only a folder with a ``config.toml`` held a run; others lose nothing. A run of the same command that was killed, and
    left a checkpoint, keeps its curves: it goes on.
    """
    from rlrec.core.config import dump_toml

    text = dump_toml(replace(command, config=None))
    before = folder / CONFIG_FILE
    goes_on = (folder / "checkpoint").is_dir() and before.is_file() and before.read_text(encoding="utf-8") == text
    if before.is_file() and not goes_on:
        (folder / "metrics.jsonl").unlink(missing_ok=True)
        shutil.rmtree(folder / "tensorboard", ignore_errors=True)
    with atomic_path(folder / CONFIG_FILE) as temporary:
        temporary.write_text(text, encoding="utf-8")


def learning_curve(folder: Path, metric: str = "agents/ppo/return") -> list[tuple[int, float]] | None:
    """Return (step, value) of a metric in ``metrics.jsonl``; None if it was never logged."""
    from rlrec.core.progress import read_metrics

    path = folder / "metrics.jsonl"
    records = read_metrics(path) if path.is_file() else iter(())
    return [(r["step"], r[metric]) for r in records if r.get(metric) is not None] or None


def data_summary(log: InteractionLog) -> dict[str, Any]:
    """Return the ``data`` part of ``summary.json``."""
    return {
        "name": log.name,
        "n_users": log.n_users,
        "n_items": log.n_items,
        "n_events": log.n_events,
        "sha256": log.sha256,
    }


def drawn_samples(samples: Mapping[str, Sequences], n_items: int) -> dict[str, Any]:
    """Return what `ReportDetails` draws of samples by name: their session lengths and their items' popularity."""
    return {
        "session_lengths": {name: part.lengths for name, part in samples.items()},
        "item_popularity": {name: part.item_counts(n_items) for name, part in samples.items()},
    }
