"""``rlrec compare``: how far a synthetic log is from the real one, whatever made it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from rlrec.cli.command import BaseCommand

if TYPE_CHECKING:
    from rlrec.data.log import InteractionLog


@dataclass(frozen=True, kw_only=True)
class Command(BaseCommand):
    """Compare a synthetic log with the real one: distances, detectors of three families, use, privacy.

    The real log is split by time; the synthetic one is compared with the latest part, beside the training part and
    another real part. Whoever made it, it must have seen the training part only. Writes summary.json and config.toml.
    """

    real: tyro.conf.Positional[str]
    """The real log."""
    synthetic: tyro.conf.Positional[str]
    """The synthetic log; its items must be the real log's."""
    out: Path = Path("runs/compare")
    """Folder for the results."""
    valid: float = 0.1
    """Share of the sessions, by time, for the real-vs-real column."""
    test: float = 0.1
    """Share of the sessions, the latest, that everything is compared with."""
    n_probe: int = 3_000
    """Most sessions that a detector looks at."""


def run(command: Command) -> int:
    """Compare, print and write."""
    from rlrec.cli.runs import data_summary, start_run
    from rlrec.cli.tables import print_table
    from rlrec.core.artifacts import package_versions, write_json
    from rlrec.data.load import load_log
    from rlrec.data.splits import split_by_time
    from rlrec.evaluation.fidelity import Comparison
    from rlrec.evaluation.privacy import audit_privacy
    from rlrec.evaluation.report_tables import metrics_table
    from rlrec.evaluation.utility import training_utility

    log = load_log(command.real)
    synthetic = over_catalog(load_log(command.synthetic), log)
    train, valid, test = split_by_time(log, valid=command.valid, test=command.test)
    start_run(command.out, command)
    sampled = synthetic.sequences()
    compared = Comparison.of(train, valid, test, seed=command.seed, max_n=command.n_probe)
    table: dict[str, Any] = compared.table({"synthetic": sampled})
    use = training_utility({"real": train, "synthetic": synthetic}, test, seed=command.seed)
    table["tstr_ndcg@10"] = {"synthetic": use["synthetic"].to_dict(), "real_vs_real": use["real"].to_dict()}
    audit = audit_privacy(sampled, compared.reference, compared.real, other_real=compared.other_real, seed=command.seed)
    write_json(
        command.out / "summary.json",
        {
            "data": data_summary(log),
            "synthetic": table,
            "privacy": audit.to_dict(),
            "versions": package_versions(),
            "seed": command.seed,
        },
    )
    print_table(metrics_table(table, "The synthetic log beside real ones"))
    print(f"membership inference: nearest neighbour {audit.nearest}, control {audit.nearest_control}")
    print(f"                      refitted model {audit.refit}, control {audit.refit_control}")
    print(f"summary: {command.out / 'summary.json'}")
    return 0


def over_catalog(log: InteractionLog, real: InteractionLog) -> InteractionLog:
    """Return a log over the catalogue and the events of another one.

    Raises
    ------
    UnknownIdError
        If it holds an item that the other does not have.
    InvalidArgumentError
        If it holds an event that the other does not have.
    """
    import numpy as np

    from rlrec.core.errors import InvalidArgumentError
    from rlrec.data.log import InteractionLog

    unknown = sorted(set(log.event_names) - set(real.event_names))
    if unknown:
        raise InvalidArgumentError(
            f"the synthetic log has the event {unknown[0]!r}, the real one has {', '.join(real.event_names)}; "
            "rename it, or compare with the log that it was made from"
        )
    items = real.catalog.vocabulary.index_of(log.catalog.ids.tolist())
    events = np.array([real.event_names.index(name) for name in log.event_names], np.int16)
    columns: dict[str, Any] = {"event": events[log.event]}
    if log.session is not None:
        columns["session"] = log.session
    return InteractionLog.from_columns(
        name=log.name,
        user=log.user,
        item=items[log.item],
        timestamp=log.timestamp,
        users=log.users,
        catalog=real.catalog,
        event_names=real.event_names,
        **columns,
    )
