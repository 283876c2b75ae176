"""``rlrec compare``: how far a synthetic log is from the real one, whatever made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from rlrec.cli.command import BaseCommand

if TYPE_CHECKING:
    from rlrec.data.log import InteractionLog
    from rlrec.data.sequences import Sequences


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
    from rlrec.cli.runs import start_run
    from rlrec.core.artifacts import write_json
    from rlrec.data.load import load_log

    log = load_log(command.real)
    synthetic = over_catalog(load_log(command.synthetic), log)
    start_run(command.out, command)
    summary, _ = judged(
        log,
        {"synthetic": synthetic},
        valid=command.valid,
        test=command.test,
        n_probe=command.n_probe,
        seed=command.seed,
    )
    write_json(command.out / "summary.json", summary)
    say(summary)
    print(f"summary: {command.out / 'summary.json'}")
    return 0


def judged(
    log: InteractionLog, sets: Mapping[str, InteractionLog], *, valid: float, test: float, n_probe: int, seed: int
) -> tuple[dict[str, Any], dict[str, Sequences]]:
    """Return the summary of synthetic logs beside real parts of equal size, and the sessions behind it.

    Parameters
    ----------
    sets : mapping
        ``"synthetic"``, whose privacy is audited, and perhaps ``"control"``, over the catalogue of ``log``.
    """
    from rlrec.cli.runs import data_summary
    from rlrec.core.artifacts import package_versions
    from rlrec.data.splits import split_by_time
    from rlrec.evaluation.fidelity import Comparison
    from rlrec.evaluation.privacy import audit_privacy
    from rlrec.evaluation.resemblance import Resemblance, item_clusters
    from rlrec.evaluation.utility import training_utility

    train, near_time, held = split_by_time(log, valid=valid, test=test)
    sampled = {name: part.sequences() for name, part in sets.items()}
    n = min(n_probe, len(near_time.sequences()), len(held.sequences()), *map(len, sampled.values()))
    compared = Comparison.of(train, near_time, held, seed=seed, max_n=n)
    near = Resemblance(
        real=compared.real,
        train=compared.reference,
        cluster=item_clusters(compared.reference, log.n_items, seed=seed),
        n=n,
        seed=seed,
    )
    table: dict[str, Any] = compared.table(sampled)
    beside = sampled | {"train_vs_real": compared.reference, "real_vs_real": compared.other_real, "real": compared.real}
    for column, sequences in beside.items():
        for measure, value in near.measure(sequences).items():
            if column != "real" or measure == "new_transition_share":  # the real set is what the others are held to
                table.setdefault(measure, {})[column] = value
    del table["new_transition_share"]["train_vs_real"]  # 0 by its definition
    use = training_utility({"real": train, **sets}, held, seed=seed)
    table["tstr_ndcg@10"] = {name: use[name].to_dict() for name in sets} | {"real_vs_real": use["real"].to_dict()}
    audit = audit_privacy(
        sampled["synthetic"], compared.reference, compared.real, other_real=compared.other_real, seed=seed
    )
    summary = {
        "data": data_summary(log),
        "synthetic": table,
        "n_compared": n,
        "privacy": audit.to_dict(),
        "versions": package_versions(),
        "seed": seed,
    }
    return summary, {"real": compared.real, "synthetic": sampled["synthetic"]}


def say(summary: Mapping[str, Any]) -> None:
    """Print the tables of a summary."""
    from rlrec.cli.tables import print_table
    from rlrec.evaluation.report_tables import metrics_table, privacy_table

    print_table(
        metrics_table(summary["synthetic"], f"The synthetic log beside real ones, {summary['n_compared']} each")
    )
    print_table(privacy_table(summary["privacy"]))


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
