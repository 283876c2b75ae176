"""``rlrec report``: build a run's report again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from rlrec.cli.command import BaseCommand


@dataclass(frozen=True, kw_only=True)
class Command(BaseCommand):
    """Build report.html from a run folder's summary.json and details.json.

    Nothing here is random: the seed has no effect. Without --out the report goes into the run folder.
    """

    run: tyro.conf.Positional[Path]
    """Folder that `rlrec fit` or `rlrec demo` wrote."""


def run(command: Command) -> int:
    """Write the report and say where."""
    from rlrec.evaluation.report import report_folder

    print(report_folder(command.run, command.out))
    return 0
