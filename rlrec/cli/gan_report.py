"""``rlrec gan report``: the quality of a synthetic log as a page to read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from rlrec.cli.command import BaseCommand
from rlrec.core.checks import check_at_least


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
    policies: bool = False
    """Rank policies built on synthetic users on real ones, too: random, popular, greedy and a small PPO agent."""
    agent_steps: int = 50_000
    """Environment steps of that agent, with --policies; 0 leaves it out."""

    def __post_init__(self) -> None:
        """Refuse a negative number of steps."""
        check_at_least("agent_steps", self.agent_steps, 0)


def run(command: Command) -> int:
    """Judge, write and say where."""
    from rlrec.cli.compare import judged, over_catalog, say
    from rlrec.cli.policy_ranking import rank_policies, ranking_lines
    from rlrec.cli.runs import drawn_samples, start_run
    from rlrec.core.artifacts import write_json
    from rlrec.data.load import load_log
    from rlrec.data.splits import split_by_time
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
    lines: list[str] = []
    if command.policies:
        train, _, test = split_by_time(log, valid=command.valid, test=command.test)
        ranked = rank_policies(sets["synthetic"], train, test, n_steps=command.agent_steps, seed=command.seed)
        summary["policy_ranking"] = {name: found.to_dict() for name, found in ranked.items()}
        lines = ranking_lines(ranked)
    write_json(command.out / "summary.json", summary)
    no_control = "No control was given, so nothing here says what an adversary was worth."
    notes = (*(() if command.control else (no_control,)), *lines)
    ReportDetails(**drawn_samples(samples, log.n_items), licence=log.notes.get("licence"), notes=notes).save(
        command.out
    )
    say(summary)
    print("".join(f"{line}\n" for line in lines), end="")
    print(report_folder(command.out))
    return 0
