"""``rlrec train``: let an agent practise on simulated users."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from rlrec.agents.config import PPOConfig
from rlrec.cli.command import BaseCommand
from rlrec.core.checks import check_at_least
from rlrec.envs.config import SimulatorConfig

if TYPE_CHECKING:
    from rlrec.models.base import SequenceModel


@dataclass(frozen=True, kw_only=True)
class Command(BaseCommand):
    """Train an agent by PPO on users who behave as a saved model says.

    Writes policy/, summary.json, details.json, config.toml, metrics.jsonl and tensorboard/; with several seeds, a
    folder seed-N/ with these for each. The policy holds its observer model, so it works alone on raw item ids:
    rlrec.AgentPolicy.load("RUN/policy").recommend(histories).
    """

    model: tyro.conf.Positional[Path]
    """The users: a saved model, or the folder that `rlrec fit` wrote."""
    out: Path = Path("runs/train")
    """Folder for the policy."""
    observer: Path | None = None
    """A saved model that turns what users do into what the agent sees; by default their own model, the best case."""
    seeds: int = 1
    """Agents to train, one after another, with seed, seed + 1, ...: rlrec evaluate then tells luck from learning."""
    slate_size: int = 1
    """Items shown at a time."""
    num_envs: int = 256
    """Users met in parallel."""
    agent: PPOConfig = field(default_factory=PPOConfig)
    """The agent."""
    simulator: SimulatorConfig = field(default_factory=SimulatorConfig)
    """How simulated people react."""

    def __post_init__(self) -> None:
        """Refuse no agent at all."""
        check_at_least("seeds", self.seeds, 1)


def run(command: Command) -> int:
    """Train, save, and say where."""
    from rlrec.cli.runs import start_run
    from rlrec.cli.saved import load_model
    from rlrec.cli.seeds import seed_folder

    model = load_model(command.model)
    observer = None if command.observer is None else load_model(command.observer)
    if command.seeds == 1:
        _train(command, model, observer)
        print(f"the policy is in {command.out / 'policy'}")
    else:
        start_run(command.out, command)
        for seed in range(command.seed, command.seed + command.seeds):
            out = seed_folder(command.out, seed)
            print(f"seed {seed}: ", end="", flush=True)
            if not _is_trained(one := replace(command, seed=seed, seeds=1, out=out)):
                _train(one, model, observer)
        print(f"the policies are in {seed_folder(command.out, command.seed)} and beside it")
    print(f"to judge: rlrec evaluate {command.model} --policies {command.out}")
    return 0


def _is_trained(command: Command) -> bool:
    """Say whether an earlier run of the same command came to its end, so that a killed one goes on where it stopped."""
    from rlrec.cli.runs import CONFIG_FILE
    from rlrec.core.config import dump_toml

    before = command.out / CONFIG_FILE
    done = (command.out / "summary.json").is_file() and before.is_file()
    if not done or before.read_text(encoding="utf-8") != dump_toml(replace(command, config=None)):
        return False
    print("trained before")
    return True


def _train(command: Command, model: SequenceModel, observer: SequenceModel | None) -> None:
    """Train one agent and write its run."""
    from rlrec.agents.training import train_agent
    from rlrec.cli.runs import learning_curve, start_run
    from rlrec.core.artifacts import package_versions, write_json
    from rlrec.envs.vector import make_vec
    from rlrec.evaluation.report_details import ReportDetails

    env = make_vec(
        model,
        num_envs=command.num_envs,
        slate_size=command.slate_size,
        config=command.simulator,
        observer=observer,
        seed=command.seed,
    )
    start_run(command.out, command)
    (command.out / "summary.json").unlink(missing_ok=True)  # it says that a run came to its end
    print(f"Training on {command.num_envs} simulated users at a time, {command.agent.total_steps:,} steps", flush=True)
    began = time.perf_counter()
    agent = train_agent(env, command.agent, seed=command.seed, folder=command.out)
    seconds = {"train": time.perf_counter() - began}
    agent.save(command.out / "policy")
    curve = learning_curve(command.out)
    ReportDetails(ppo_curve=curve).save(command.out)
    summary = {"seconds": seconds, "versions": package_versions(), "seed": command.seed}
    write_json(command.out / "summary.json", summary)
    if curve is not None:
        print(f"return per session in training: {curve[0][1]:.3f} at first, {curve[-1][1]:.3f} at last")
