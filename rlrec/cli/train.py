"""``rlrec train``: let an agent practise on simulated users."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import tyro

from rlrec.agents.config import PPOConfig
from rlrec.cli.command import BaseCommand
from rlrec.envs.config import SimulatorConfig


@dataclass(frozen=True, kw_only=True)
class Command(BaseCommand):
    """Train an agent by PPO on users who behave as a saved model says.

    Writes policy/, summary.json, details.json, config.toml, metrics.jsonl and tensorboard/. The policy holds its
    observer model, so it works alone on raw item ids: rlrec.AgentPolicy.load("RUN/policy").recommend(histories).
    """

    model: tyro.conf.Positional[Path]
    """The users: a saved model, or the folder that `rlrec fit` wrote."""
    out: Path = Path("runs/train")
    """Folder for the policy."""
    observer: Path | None = None
    """A saved model that turns what users do into what the agent sees; by default their own model, the best case."""
    slate_size: int = 1
    """Items shown at a time."""
    num_envs: int = 256
    """Users met in parallel."""
    agent: PPOConfig = field(default_factory=PPOConfig)
    """The agent."""
    simulator: SimulatorConfig = field(default_factory=SimulatorConfig)
    """How simulated people react."""


def run(command: Command) -> int:
    """Train, save, and say where."""
    from rlrec.agents.training import train_agent
    from rlrec.cli.runs import learning_curve, start_run
    from rlrec.cli.saved import load_model
    from rlrec.core.artifacts import package_versions, write_json
    from rlrec.envs.vector import make_vec
    from rlrec.evaluation.report_details import ReportDetails

    env = make_vec(
        load_model(command.model),
        num_envs=command.num_envs,
        slate_size=command.slate_size,
        config=command.simulator,
        observer=None if command.observer is None else load_model(command.observer),
        seed=command.seed,
    )
    start_run(command.out, command)
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
    print(f"the policy is in {command.out / 'policy'}")
    print(f"to judge it: rlrec evaluate {command.model} --policies {command.out}")
    return 0
