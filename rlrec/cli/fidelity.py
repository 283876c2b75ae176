"""``rlrec fidelity``: whether a simulator is any good, and for what."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from rlrec.cli.command import BaseCommand
from rlrec.core.checks import check_at_least
from rlrec.envs.config import SimulatorConfig

if TYPE_CHECKING:
    from rlrec.data.log import InteractionLog
    from rlrec.evaluation.calibration import HeadCalibration
    from rlrec.models.base import SequenceModel


@dataclass(frozen=True, kw_only=True)
class Command(BaseCommand):
    """Compare the people that a model simulates with real ones whom it has not seen, and say what to trust.

    The latest part of the log is held out, as rlrec fit does; give the log and the shares that the model was fitted
    with. Writes summary.json, details.json, report.html and config.toml.
    """

    model: tyro.conf.Positional[Path]
    """A saved model, or the folder that `rlrec fit` wrote."""
    log: tyro.conf.Positional[str]
    """"builtin:eshop2008", "builtin:online_retail", or a file or folder with a behaviour log."""
    out: Path = Path("runs/fidelity")
    """Folder for the numbers and the page."""
    valid: float = 0.1
    """Share of the sessions, by time, before the held-out ones: the real-vs-real column."""
    test: float = 0.1
    """Share of the sessions, the latest, that simulated ones are compared with."""
    n_simulated: int = 4
    """Simulated sessions for each held-out one."""
    n_users: int = 500
    """Simulated users on whom the baselines are judged for each kappa."""
    members: tuple[Path, ...] = ()
    """More user models of the same log, such as fits with other seeds: do they agree, and rank policies alike?"""
    simulator: SimulatorConfig = field(default_factory=SimulatorConfig)
    """How simulated people react."""

    def __post_init__(self) -> None:
        """Refuse counts that make no comparison."""
        check_at_least("n_simulated", self.n_simulated, 1)
        check_at_least("n_users", self.n_users, 2)


def run(command: Command) -> int:
    """Compare, print the table and the verdict, and write the page."""
    from rlrec.cli.doubt import doubt_lines, members_doubt, satiation_of
    from rlrec.cli.judging import KAPPAS, baseline_policies, kappa_sweep
    from rlrec.cli.runs import data_summary, drawn_samples, start_run
    from rlrec.cli.saved import load_model
    from rlrec.cli.tables import print_table
    from rlrec.core.artifacts import package_versions, write_json
    from rlrec.data.load import load_log
    from rlrec.data.splits import split_by_time
    from rlrec.evaluation.calibration import head_calibration
    from rlrec.evaluation.fidelity import Comparison
    from rlrec.evaluation.report import write_report
    from rlrec.evaluation.report_details import ReportDetails
    from rlrec.evaluation.report_tables import kappa_table, metrics_table
    from rlrec.evaluation.trust import requirements, verdict
    from rlrec.gan.sampling import generate_sequences

    model, log = load_model(command.model), load_log(command.log)
    members = [model, *map(load_model, command.members)]
    for member in members:
        member.space.check_log(log)
    train, valid, test = split_by_time(log, valid=command.valid, test=command.test)
    start_run(command.out, command)
    began = time.perf_counter()
    real = test.sequences()
    print(f"Comparing simulated sessions with {len(real):,} held-out ones", flush=True)
    compared = Comparison.of(train, valid, test, seed=command.seed)
    free = generate_sequences(model, command.n_simulated * len(real), seed=command.seed)
    table = compared.table({"simulated": free})
    heads, nll = head_calibration(model, real), _held_out_nll(model, train, test)
    found = requirements(table, heads, nll)
    policies = baseline_policies(model, seed=command.seed)
    sweep = kappa_sweep(
        policies,
        model,
        KAPPAS,
        config=command.simulator,
        n_users=command.n_users,
        seed=command.seed,
    )
    options: Any = {"config": command.simulator, "n_users": command.n_users, "seed": command.seed}
    doubt = members_doubt(members, policies, **options) if command.members else None
    satiation = satiation_of(model, valid.sequences(), command.simulator.satiation_decay)
    remarks = doubt_lines(doubt, satiation)
    summary: dict[str, Any] = {
        "data": data_summary(log),
        "simulator": {"fidelity": table | _head_rows(heads)},
        "test_nll": nll,
        "heads": {name: head._asdict() for name, head in heads.items()},
        "requirements": [vars(requirement) for requirement in found],
        "verdict": verdict(found),
        "kappa_sweep": sweep,
        "doubt": doubt,
        "satiation": satiation,
        "seconds": {"fidelity": time.perf_counter() - began},
        "versions": package_versions(),
        "seed": command.seed,
    }
    details = ReportDetails(
        **drawn_samples({"real": real, "simulated": free}, log.n_items),
        kappa_sweep=sweep,
        licence=log.notes.get("licence"),
        notes=(verdict(found), *map(str, found), *remarks),
    )
    details.save(command.out)
    write_json(command.out / "summary.json", summary)
    write_report(summary, details, command.out / "report.html")
    print_table(metrics_table(table | _head_rows(heads), "Simulated people beside real ones"))
    print_table(kappa_table(sweep))
    print("\n".join([*map(str, found), *remarks]))
    print(f"\n{verdict(found)}\nnumbers: {command.out / 'summary.json'}; page: {command.out / 'report.html'}")
    return 0


def _held_out_nll(model: SequenceModel, train: InteractionLog, test: InteractionLog) -> dict[str, float]:
    """Return nats per held-out next item of the model and of what it must beat."""
    from rlrec.evaluation.ranking import evaluate_ranking
    from rlrec.models.counting import MarkovModel, PopularityModel

    models = {"model": model, "markov": MarkovModel.fit(train), "popularity": PopularityModel.fit(train)}
    k = min(10, model.n_items)
    return {name: evaluate_ranking(one, test, k=k).summary()["test_nll"] for name, one in models.items()}


def _head_rows(heads: dict[str, HeadCalibration]) -> dict[str, dict[str, Any]]:
    """Lay the heads out as rows of the fidelity table."""
    rows: dict[str, dict[str, Any]] = {}
    for name, head in heads.items():
        rows[f"rate_of_{name}"] = {"real": head.rate, "simulated": head.predicted}
        rows[f"calibration_error_of_{name}"] = {"simulated": head.ece}
        rows[f"auc_of_{name}"] = {"simulated": head.auc}
    return rows
