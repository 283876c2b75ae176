"""``rlrec generate``: write a synthetic log."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from rlrec.cli.command import BaseCommand
from rlrec.core.checks import check_at_least

if TYPE_CHECKING:
    from rlrec.data.log import InteractionLog

FORMATS = (".parquet", ".csv")


@dataclass(frozen=True, kw_only=True)
class Command(BaseCommand):
    """Sample a log of people who do not exist from a trained GAN. It loads back with every verb that takes a log.

    Nothing keeps a generator from having learned a rare person's rows by heart: read copied_share in the GAN's
    summary.json before you share what it writes.
    """

    gan: tyro.conf.Positional[Path]
    """The folder that rlrec gan or rlrec demo wrote."""
    out: Path = Path("synthetic.parquet")
    """File to write, .parquet or .csv."""
    n_users: int = 5_000
    """Synthetic users, a session each."""
    max_length: int = 200
    """Behaviours after which a session is cut."""

    def __post_init__(self) -> None:
        """Refuse what cannot be written before anything is read."""
        from rlrec.core.errors import InvalidArgumentError

        check_at_least("n_users", self.n_users, 1)
        check_at_least("max_length", self.max_length, 1)
        if self.out.suffix not in FORMATS:
            raise InvalidArgumentError(f"--out must end in {' or '.join(FORMATS)}, got {str(self.out)!r}")


def run(command: Command) -> int:
    """Sample and write."""
    from rlrec.cli.saved import load_gan

    log = load_gan(command.gan).sample(command.n_users, seed=command.seed, max_length=command.max_length)
    write_log(log, command.out)
    print(f"{log}\nwritten to {command.out}")
    return 0


def write_log(log: InteractionLog, path: Path) -> None:
    """Write a log's canonical columns, as the file's ending says."""
    from rlrec.core.artifacts import atomic_path

    if path.suffix == ".parquet":
        log.to_parquet(path)
        return
    with atomic_path(path) as temporary:
        log.to_polars().write_csv(temporary)
