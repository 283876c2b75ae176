"""``rlrec data download``: fetch a public log, resumed where it was cut, checked, with its terms on the screen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from rlrec.cli.command import BaseCommand


@dataclass(frozen=True, kw_only=True)
class Command(BaseCommand):
    """Fetch a public log by name; without a name, list the names and their terms.

    Nothing else in rlrec asks the network for anything. A download that was cut off is resumed by the same command.
    """

    name: tyro.conf.Positional[str] = ""
    """Name of the log, such as ml-100k."""
    out: Path = Path("data")
    """Folder that gets the archive and a folder of its own for the log."""
    accept_licence: bool = False
    """You have read the terms of a restricted log and keep to them."""


def run(command: Command) -> int:
    """List, or fetch and say how to use it."""
    from rlrec.data.download import download_log
    from rlrec.data.download_sets import REMOTE_SETS

    if not command.name:
        for remote in REMOTE_SETS.values():
            print(f"{remote.name:<16} {remote.licence}{' (to be accepted)' if remote.restricted else ''}")
        return 0
    folder = download_log(command.name, command.out, accept_licence=command.accept_licence)
    print(f"licence: {REMOTE_SETS[command.name].licence}")
    print(f"{command.name} is in {folder}; look at it with: rlrec data check {folder}")
    return 0
