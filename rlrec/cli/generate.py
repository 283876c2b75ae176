"""``rlrec generate``: write a synthetic log."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from rlrec.cli.command import BaseCommand
from rlrec.cli.segment import feature_and_value
from rlrec.core.checks import check_at_least, check_between

if TYPE_CHECKING:
    from rlrec.data.catalog import ItemCatalog
    from rlrec.data.log import InteractionLog
    from rlrec.data.sequences import Sequences
    from rlrec.gan.sequence_gan import SequenceGAN

FORMATS = (".parquet", ".csv")


@dataclass(frozen=True, kw_only=True)
class Command(BaseCommand):
    """Sample a log of people who do not exist from a trained GAN. It loads back with every verb that takes a log.

    Nothing keeps a generator from having learned a rare person's rows by heart: with --max-mia the log is attacked
    before it is written, and refused (exit code 1) if the attack learns who was in the training set.
    """

    gan: tyro.conf.Positional[Path]
    """The folder that rlrec gan or rlrec demo wrote."""
    out: Path = Path("synthetic.parquet")
    """File to write, .parquet or .csv."""
    n_users: int = 5_000
    """Synthetic users, a session each."""
    max_length: int = 200
    """Behaviours after which a session is cut."""
    resample: Literal["rejection", "importance", "metropolis"] | None = None
    """Keep, of more candidates, those that a judge takes for real; only where a GRU agreed when rlrec gan tried it."""
    starts: tuple[str, ...] = ()
    """Ids of the items that every session begins with."""
    items: tuple[str, ...] = ()
    """Ids of the items that may occur; all by default."""
    length: int | None = None
    """Behaviours in each session; by default as the generator has them."""
    segment: str | None = None
    """A categorical item feature and its value, such as category=trousers: sessions with half of their items in it."""
    segment_share: float = 0.5
    """Share of the sessions that belong to --segment."""
    max_mia: float | None = None
    """Largest AUC that a membership-inference attack on the log may reach over its control, e.g. 0.55; needs --log."""
    log: str | None = None
    """The log that the generator was trained on, for --max-mia."""
    valid: float = 0.1
    """Share of the sessions, by time, that rlrec gan set aside for validation."""
    test: float = 0.1
    """Share of the sessions, the latest, that rlrec gan set aside for the final table."""

    def __post_init__(self) -> None:
        """Refuse what cannot be written before anything is read."""
        from rlrec.core.errors import InvalidArgumentError

        check_at_least("n_users", self.n_users, 1)
        check_at_least("max_length", self.max_length, 1)
        if self.max_mia is not None:
            check_between("max_mia", self.max_mia, 0.5, 1.0)
            if self.log is None:
                raise InvalidArgumentError("--max-mia needs --log, the log that the generator was trained on")
        if self.length is not None:
            check_between("length", self.length, 1, self.max_length)
        if self.segment is not None:
            feature_and_value(self.segment)
        if self.segment is not None and self.resample is not None:
            raise InvalidArgumentError("give --segment or --resample, not both: a judge of all would undo the segment")
        check_between("segment_share", self.segment_share, 0.0, 1.0)
        if self.out.suffix not in FORMATS:
            raise InvalidArgumentError(f"--out must end in {' or '.join(FORMATS)}, got {str(self.out)!r}")


def run(command: Command) -> int:
    """Sample and write."""
    from rlrec.cli.saved import load_gan

    gan = load_gan(command.gan)
    log = gan.as_log(_drawn(gan, command))
    if command.max_mia is not None and not _is_safe(log, command):
        return 1
    write_log(log, command.out)
    print(f"{log}\nwritten to {command.out}")
    return 0


def _drawn(gan: SequenceGAN, command: Command) -> Sequences:
    """Draw the sessions as the command wants them, and say what that cost."""
    import numpy as np

    from rlrec.data.sequences import Sequences
    from rlrec.gan.segments import draw_with_share, segment_items

    catalog, knobs, starts = gan.template.catalog, gan.sampling, None
    if command.items:
        allowed = catalog.index_of(_known_ids(command.items, catalog))
        knobs = replace(knobs, allowed_items=tuple(np.unique(allowed).tolist()))
    if command.length is not None:
        knobs = replace(knobs, length_probs=(0.0,) * (command.length - 1) + (1.0,))
    if command.starts:
        first = catalog.index_of(_known_ids(command.starts, catalog))
        starts = Sequences.from_items(first, np.array([0, len(first)]))

    def draw(n: int, first: int) -> Sequences:
        return gan.draw(n, seed=command.seed, first=first, max_length=command.max_length, sampling=knobs, starts=starts)

    if command.segment is not None:
        inside = segment_items(catalog, *feature_and_value(command.segment))
        drawn, natural = draw_with_share(draw, inside, command.n_users, command.segment_share)
        print(
            f"{command.segment}: {command.segment_share:.0%} of the sessions, {natural:.1%} as the generator has them"
        )
        return drawn
    if command.resample is None:
        return draw(command.n_users, 0)
    guided = gan.draw_resampled(command.n_users, seed=command.seed, method=command.resample, draw=draw)
    print(
        f"resampled from {guided.n_candidates} candidates, effective sample size {guided.ess_share:.0%}; "
        f"{'' if gan.trial is None else gan.trial.sentence}"
    )
    return guided.sequences


def _known_ids(texts: tuple[str, ...], catalog: ItemCatalog) -> list[Any]:
    """Return ids in the catalogue's own type: an id that is a number comes as a text from the command line."""
    own = {str(known): known for known in catalog.ids.tolist()}
    return [own.get(text, text) for text in texts]


def _is_safe(synthetic: InteractionLog, command: Command) -> bool:
    """Attack a synthetic log and say what came out; False if the attack reached more than ``--max-mia``."""
    from rlrec.data.load import load_log
    from rlrec.data.splits import split_by_time
    from rlrec.evaluation.privacy import audit_privacy

    real = load_log(command.log)
    parts = split_by_time(real, valid=command.valid, test=command.test)
    members, third, strangers = (part.sequences() for part in parts)
    audit = audit_privacy(synthetic.sequences(), members, strangers, other_real=third, seed=command.seed)
    print(f"membership inference: nearest neighbour {audit.nearest}, control {audit.nearest_control}")
    print(f"                      refitted model {audit.refit}, control {audit.refit_control}")
    limit = float(command.max_mia or 1.0)
    if audit.leak <= limit:
        return True
    print(
        f"not written: an attack learns who was in the training set (AUC {audit.leak:.3f} over its control, the limit "
        f"is {limit:g}); train with fewer epochs or more people, or raise --max-mia if the log stays with you"
    )
    return False


def write_log(log: InteractionLog, path: Path) -> None:
    """Write a log's canonical columns, as the file's ending says."""
    from rlrec.data.frames import table_path

    if path.suffix == ".parquet":
        log.to_parquet(path)
        return
    with table_path(path) as temporary:
        log.to_polars().write_csv(temporary)
