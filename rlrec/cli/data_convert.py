"""``rlrec data convert``: any log, of any size, to the form that opens at once."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rlrec.cli.sources import SourceCommand

if TYPE_CHECKING:
    from rlrec.data.log import InteractionLog


@dataclass(frozen=True, kw_only=True)
class Command(SourceCommand):
    """Convert a log to one file a column, which every other verb opens at once and takes in place of the source.

    Reads block by block, so the source may be larger than the memory. Nothing here is random.
    """

    out: Path = Path("logs/log")
    """Folder for the log."""
    session_gap: float | None = None
    """Cut sessions where a user is silent for more than this many seconds, such as 1800."""
    pseudonym_key: Path | None = None
    """File with at least 16 secret bytes: ids become keyed hashes."""
    pseudonyms: Literal["users", "items", "both"] = "users"
    """Whose ids become keyed hashes."""
    drop: tuple[str, ...] = ()
    """Columns to leave out, such as value users.age items.*"""


def run(command: Command) -> int:
    """Convert, and say what was kept."""
    from rlrec.data.ingest import ingest_log
    from rlrec.data.store import is_stored_log, save_log

    ready = command.log.startswith("builtin:") or is_stored_log(command.log)
    plain = command.session_gap is None and command.pseudonym_key is None and not command.drop
    if plain and not ready:
        log = ingest_log(command.log, command.out, **command.options())
    else:
        command.out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=command.out.parent, prefix=".rlrec-") as scratch:
            log = command.load() if ready else ingest_log(command.log, Path(scratch) / "log", **command.options())
            log = _changed(log, command)
            save_log(log, command.out)
    if log.cleaning is not None:
        print(log.cleaning.summary())
        for warning in log.cleaning.warnings:
            print(f"warning: {warning}")
    print(f"{log.n_events:,} events are in {command.out}; use it as: rlrec fit {command.out}")
    return 0


def _changed(log: InteractionLog, command: Command) -> InteractionLog:
    from rlrec.data.privacy import drop_columns, pseudonymise
    from rlrec.data.sessions import sessionise

    if command.session_gap is not None:
        log = sessionise(log, gap=command.session_gap)
    log = drop_columns(log, command.drop)
    if command.pseudonym_key is not None:
        log = pseudonymise(log, command.pseudonym_key.read_bytes().strip(), ids=command.pseudonyms)
    return log
