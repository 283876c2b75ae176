"""``rlrec data check``: what a careful colleague would say of a log before anybody trains on it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from rlrec.cli.sources import SourceCommand


@dataclass(frozen=True, kw_only=True)
class Command(SourceCommand):
    """Print the numbers of a log and the warnings that a careful colleague would give.

    Looks for a false order, invented clocks, bursts, ties, robots, thinned users and items, and with --test for what
    leaks between the two parts. With --out it writes check.json and check.html with plots.
    """

    out: Path | None = None
    """Folder for check.html and check.json."""
    test: str | None = None
    """The test part that belongs to this training part; read with the same options."""
    json: bool = False
    """Print JSON, for a script."""
    fail_on_warning: bool = False
    """Exit with code 1 if there is a warning, for a pipeline."""


def run(command: Command) -> int:
    """Check, print, and write where asked."""
    from rlrec.core.artifacts import write_json
    from rlrec.data.check import check_log
    from rlrec.data.check_page import write_check_page
    from rlrec.data.load import load_log

    test = None if command.test is None else load_log(command.test, **command.options())
    check = check_log(command.load(), test=test, seed=command.seed)
    if command.out is not None:
        command.out.mkdir(parents=True, exist_ok=True)
        write_json(command.out / "check.json", check.to_dict())
        write_check_page(check, command.out / "check.html")
    print(json.dumps(check.to_dict(), indent=2, ensure_ascii=False) if command.json else check.summary())
    if command.out is not None and not command.json:
        print(f"plots are in {command.out / 'check.html'}")
    return int(command.fail_on_warning and bool(check.warnings))
