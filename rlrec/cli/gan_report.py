"""``rlrec gan report``: the quality of a synthetic log as a page to read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from rlrec.cli.command import BaseCommand


@dataclass(frozen=True, kw_only=True)
class Command(BaseCommand):
    """Judge a synthetic log and write the report: resemblance, detectors, use, privacy.

    Every number stands beside the same number for another real part, on as many sessions, and beside a control where
    one is given: what maximum likelihood alone gives, or any other generator. Writes report.html, summary.json,
    details.json and config.toml.
    """

    real: tyro.conf.Positional[str]
    """The real log, split by time as rlrec gan splits it; the generator must have seen the training part only."""
    synthetic: tyro.conf.Positional[str]
    """The synthetic log; its items must be the real log's."""
    control: str | None = None
    """A second synthetic log to judge it by, such as one of the same model without an adversary."""
    out: Path = Path("runs/gan-report")
    """Folder for the results."""
    valid: float = 0.1
    """Share of the sessions, by time, for the real-vs-real column."""
    test: float = 0.1
    """Share of the sessions, the latest, that everything is compared with."""
    n_probe: int = 3_000
    """Most sessions of each set that are compared."""


def run(command: Command) -> int:
    """Judge, write and say where."""
    from rlrec.cli.compare import judged, over_catalog, say
    from rlrec.cli.runs import drawn_samples, start_run
    from rlrec.core.artifacts import write_json
    from rlrec.data.load import load_log
    from rlrec.evaluation.report import report_folder
    from rlrec.evaluation.report_details import ReportDetails

    log = load_log(command.real)
    sets = {"synthetic": over_catalog(load_log(command.synthetic), log)}
    if command.control is not None:
        sets["control"] = over_catalog(load_log(command.control), log)
    start_run(command.out, command)
    summary, samples = judged(
        log, sets, valid=command.valid, test=command.test, n_probe=command.n_probe, seed=command.seed
    )
    summary["title"] = f"How good the synthetic sessions of {log.name} are"
    write_json(command.out / "summary.json", summary)
    notes = () if command.control else ("No control was given, so nothing here says what an adversary was worth.",)
    ReportDetails(**drawn_samples(samples, log.n_items), licence=log.notes.get("licence"), notes=notes).save(
        command.out
    )
    say(summary)
    print(report_folder(command.out))
    return 0
