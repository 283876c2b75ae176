"""``rlrec train``: let an agent practise on simulated users."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from rlrec.agents.config import (
    A2CConfig,
    AgentConfig,
    DQNConfig,
    MaskablePPOConfig,
    PPOConfig,
    QRDQNConfig,
    SlateQConfig,
)
from rlrec.cli.command import BaseCommand
from rlrec.cli.judging import PlannerName
from rlrec.core.checks import check_at_least
from rlrec.core.errors import InvalidArgumentError
from rlrec.envs.config import SimulatorConfig

if TYPE_CHECKING:
    from rlrec.agents.judge import Check, Judge
    from rlrec.core.protocols import Policy
    from rlrec.envs.vector import RecommendationVectorEnv
    from rlrec.models.base import SequenceModel


@dataclass(frozen=True, kw_only=True)
class Command(BaseCommand):
    """Train an agent on users who behave as a saved model says, and judge it beside what it has to beat.

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
    algorithm: Literal["ppo", "a2c", "dqn", "maskable_ppo", "qrdqn", "slate_q"] = "ppo"
    """How it learns; (qr)dqn shows single items, slate_q slates; maskable_ppo and qrdqn need the extra `contrib`."""
    n_users: int = 500
    """Users that the agent and the policies beside it meet at the end, for a session each; 0 judges nothing."""
    checks: int = 8
    """Times that the policy is judged while it trains; the best is kept, and the start where nothing is surely better.
    0 keeps the last one, unjudged."""
    judge: Path | None = None
    """A saved model whose people judge it then, such as one fitted on a later period; by default other people of the
    model that it trains on."""
    planners: tuple[PlannerName, ...] = ()
    """Policies that look ahead in the model, to be judged beside the agent: beam, cem."""
    agent: PPOConfig = field(default_factory=PPOConfig)
    """PPO, and MaskablePPO."""
    a2c: A2CConfig = field(default_factory=A2CConfig)
    """A2C."""
    dqn: DQNConfig = field(default_factory=DQNConfig)
    """DQN."""
    qrdqn: QRDQNConfig = field(default_factory=QRDQNConfig)
    """QR-DQN."""
    slate_q: SlateQConfig = field(default_factory=SlateQConfig)
    """SlateQ."""
    simulator: SimulatorConfig = field(default_factory=SimulatorConfig)
    """How simulated people react."""

    def __post_init__(self) -> None:
        """Refuse no agent at all, and a number of users that gives no interval."""
        check_at_least("seeds", self.seeds, 1)
        check_at_least("checks", self.checks, 0)
        if self.judge is not None and not self.checks:
            raise InvalidArgumentError("judge names a model and checks=0 asks it nothing; leave one of them out")
        if self.n_users:
            check_at_least("n_users", self.n_users, 2)

    @property
    def chosen(self) -> AgentConfig:
        """The settings of the algorithm that was asked for."""
        if self.algorithm == "maskable_ppo":
            return MaskablePPOConfig(**asdict(self.agent))
        configs: dict[str, AgentConfig] = {"ppo": self.agent, "a2c": self.a2c, "dqn": self.dqn, "qrdqn": self.qrdqn}
        configs["slate_q"] = self.slate_q
        return configs[self.algorithm]


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
    from rlrec.evaluation.report_details import ReportDetails

    env = people(command, model, observer)
    config = command.chosen
    start_run(command.out, command)
    (command.out / "summary.json").unlink(missing_ok=True)  # it says that a run came to its end
    print(f"Training on {command.num_envs} simulated users at a time, {config.total_steps:,} steps", flush=True)
    began = time.perf_counter()
    judge = judge_for(command, env)
    agent = train_agent(env, config, seed=command.seed, folder=command.out, judge=judge)
    seconds = {"train": time.perf_counter() - began}
    if judge is not None:
        print(wording(judge.kept))
    agent.save(command.out / "policy")
    curve = learning_curve(command.out, f"agents/{config.algorithm}/return")
    ReportDetails(ppo_curve=curve).save(command.out)
    summary: dict[str, Any] = {"seconds": seconds, "versions": package_versions(), "seed": command.seed}
    if command.n_users:
        summary["policies"] = judge_beside(agent, model, command)
    if judge is not None:
        summary["checks"] = [check.to_dict() for check in judge.checks]
    write_json(command.out / "summary.json", summary)
    if curve is not None:
        print(f"return per session in training: {curve[0][1]:.3f} at first, {curve[-1][1]:.3f} at last")


def people(command: Command, model: SequenceModel, observer: SequenceModel | None) -> RecommendationVectorEnv:
    """Return users who behave as ``model`` says, seen through ``observer``."""
    from rlrec.envs.vector import make_vec

    return make_vec(
        model,
        num_envs=command.num_envs,
        slate_size=command.slate_size,
        config=command.simulator,
        observer=observer,
        seed=command.seed,
    )


def judge_for(command: Command, env: RecommendationVectorEnv) -> Judge | None:
    """Return who judges the agent while it trains, or None if nobody shall."""
    from rlrec.agents.judge import Judge
    from rlrec.cli.saved import load_model

    if not command.checks:
        return None
    if command.judge is None:
        return Judge(env, n_checks=command.checks)
    return Judge(people(command, load_model(command.judge), env.observer), n_checks=command.checks)


def wording(kept: Check) -> str:
    """Return which policy was kept, as a sentence."""
    if kept.step == 0:
        return "kept: the policy that it started with, as nothing later was surely better; try more steps"
    return f"kept: the policy after {kept.step:,} steps, {kept.gain} a session over the one it started with"


def judge_beside(agent: Policy, model: SequenceModel, command: Command) -> dict[str, Any]:
    """Print the agent's row below those of policies that learn nothing, on new users of its own simulator."""
    from rlrec.cli.judging import baseline_policies, judge, policy_rows, print_judgement

    policies = baseline_policies(
        model,
        slate_size=command.slate_size,
        seed=command.seed,
        planners=command.planners,
        kappa=command.simulator.kappa,
    )
    policies["agent"] = agent
    home, _ = judge(
        policies,
        model,
        config=command.simulator,
        slate_size=command.slate_size,
        n_users=command.n_users,
        seed=command.seed,
    )
    print_judgement(home, None)
    return policy_rows(home, None)
