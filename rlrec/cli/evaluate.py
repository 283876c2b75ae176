"""``rlrec evaluate``: judge policies on simulated users, all on the same ones."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from rlrec.cli.command import BaseCommand
from rlrec.cli.judging import PlannerName
from rlrec.core.checks import check_at_least
from rlrec.envs.config import SimulatorConfig

if TYPE_CHECKING:
    from rlrec.core.protocols import Policy
    from rlrec.models.base import SequenceModel


@dataclass(frozen=True, kw_only=True)
class Command(BaseCommand):
    """Judge policies on users who behave as a saved model says, beside random, popular and greedy-by-model.

    All meet the same users, so differences have narrow intervals. Writes summary.json and config.toml; for a page:
    rlrec report RUN.
    """

    model: tyro.conf.Positional[Path]
    """The users: a saved model, or the folder that `rlrec fit` wrote."""
    policies: tuple[str, ...] = ()
    """PATH or NAME=PATH of each: a folder that `rlrec train` wrote, or a saved model, which shows what it expects. All
    agents of a run over several seeds are judged, and summed up."""
    heldout: Path | None = None
    """A second model, best of a later period: a policy that wins only at home has learned the simulator's mistakes."""
    out: Path = Path("runs/evaluate")
    """Folder for the numbers."""
    n_users: int = 2_000
    """Users that each policy meets, for a session each."""
    slate_size: int = 1
    """Items shown at a time."""
    planners: tuple[PlannerName, ...] = ()
    """Also judge policies that look ahead in the model; some seconds for every hundred users: beam, cem."""
    simulator: SimulatorConfig = field(default_factory=SimulatorConfig)
    """How simulated people react."""

    def __post_init__(self) -> None:
        """Refuse too few users before anything is read."""
        check_at_least("n_users", self.n_users, 2)  # an interval needs two


def run(command: Command) -> int:
    """Judge, print the tables, and write the numbers."""
    from rlrec.cli.judging import baseline_policies, judge, policy_rows, print_judgement
    from rlrec.cli.runs import start_run
    from rlrec.cli.saved import load_model
    from rlrec.cli.seeds import print_seeds, seed_rows
    from rlrec.core.artifacts import package_versions, write_json

    model = load_model(command.model)
    heldout = None if command.heldout is None else load_model(command.heldout)
    if heldout is not None:
        check_same_items("the held-out model", heldout, model)
    policies = baseline_policies(
        model,
        slate_size=command.slate_size,
        seed=command.seed,
        planners=command.planners,
        kappa=command.simulator.kappa,
    )
    trained, groups = trained_policies(command, model)
    policies |= trained
    start_run(command.out, command)
    print(f"Judging {', '.join(policies)} on {command.n_users:,} simulated users", flush=True)
    began = time.perf_counter()
    home, away = judge(
        policies,
        model,
        heldout=heldout,
        config=command.simulator,
        slate_size=command.slate_size,
        n_users=command.n_users,
        seed=command.seed,
    )
    seeds = seed_rows(groups, home, away, seed=command.seed)
    summary = {
        "policies": policy_rows(home, away),
        **({"seeds": seeds} if seeds else {}),
        "seconds": {"evaluate": time.perf_counter() - began},
        "versions": package_versions(),
        "seed": command.seed,
    }
    write_json(command.out / "summary.json", summary)
    print_judgement(home, away)
    print_seeds(seeds)
    if away is None:
        print("\nJudged in one simulator only; --heldout MODEL shows what is left in another.")
    print(f"\nnumbers: {command.out / 'summary.json'}; for a page: rlrec report {command.out}")
    return 0


def trained_policies(command: Command, model: SequenceModel) -> tuple[dict[str, Policy], dict[str, list[str]]]:
    """Read the policies that were asked for, by name; a name twice or a policy that does not fit is an error.

    Also returns the names of those that differ by their training seed, by run.
    """
    from rlrec.cli.judging import BASELINES
    from rlrec.cli.saved import load_policy
    from rlrec.cli.seeds import member_name, seed_folders
    from rlrec.core.errors import InvalidArgumentError

    found: dict[str, Policy] = {}
    groups: dict[str, list[str]] = {}
    for given in command.policies:
        name, path = split_name(given)
        members = {member_name(name, seed): folder for seed, folder in seed_folders(path).items()}
        if name in found or name in BASELINES or name in groups:
            raise InvalidArgumentError(f"there are two policies named {name!r}; give one another: --policies NAME=PATH")
        if len(members) > 1:
            groups[name] = list(members)
        for member, folder in (members or {name: path}).items():
            policy = load_policy(folder, slate_size=command.slate_size, seed=command.seed)
            check_fits(member, policy, model, command.slate_size)
            found[member] = policy
    return found, groups


def split_name(given: str) -> tuple[str, Path]:
    """Split NAME=PATH; a path alone is named by its folder, or by its run where that folder is called ``policy``.

    Examples
    --------
    >>> split_name("mine=runs/a"), split_name("runs/a/policy")
    (('mine', PosixPath('runs/a')), ('a', PosixPath('runs/a/policy')))
    """
    name, equals, path = given.partition("=")
    if equals and name and "/" not in name:
        return name, Path(path)
    folder = Path(given).absolute()
    return (folder.parent if folder.name == "policy" else folder).name, Path(given)


def check_fits(name: str, policy: Policy, model: SequenceModel, slate_size: int) -> None:
    """Raise where a policy knows other items than the model, or shows another number of them at a time."""
    from rlrec.core.errors import InvalidArgumentError

    check_same_items(f"policy {name!r}", getattr(policy, "observer", model), model)
    own = getattr(policy, "slate_size", slate_size)
    if own != slate_size:
        raise InvalidArgumentError(
            f"policy {name!r} shows {own} at a time, but slate_size is {slate_size}; give --slate-size {own}"
        )


def check_same_items(what: str, other: SequenceModel, model: SequenceModel) -> None:
    """Raise where two models know different items."""
    from rlrec.core.errors import CatalogMismatchError

    if other.space.items != model.space.items:
        raise CatalogMismatchError(
            f"{what} knows other items than the model; make both from one log, as rlrec fit LOG --heldout does"
        )
