"""``rlrec demo``: the loop on the embedded shop log, from the log to a report."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlrec.agents.config import PPOConfig
from rlrec.cli.command import BaseCommand
from rlrec.core.artifacts import package_versions, write_json
from rlrec.envs.config import SimulatorConfig
from rlrec.models.config import LSTMConfig

if TYPE_CHECKING:
    from rlrec.data.log import InteractionLog
    from rlrec.data.sequences import Sequences
    from rlrec.models.lstm import LSTMModel

_N_SPEED_STEPS = 30
_N_SPEED_ENVS = 1_024


@dataclass(frozen=True, kw_only=True)
class Command(BaseCommand):
    """Fit the user model on the shop log, train an agent on simulated users, judge it, sample a log, write a report.

    Synthetic sequences come from the maximum-likelihood LSTM: adversarial training is not part of this version.
    """

    log: str = "builtin:eshop2008"
    """The log: a builtin name or a path."""
    out: Path | None = Path("runs/demo")
    """Folder for models, summary.json and report.html."""
    quick: bool = False
    """Train for a few seconds only, to see that everything runs; the numbers mean little."""
    n_users: int = 2_000
    """Simulated users on whom each policy is judged."""
    num_envs: int = 256
    """Simulated users at a time in training."""
    model: LSTMConfig = field(default_factory=LSTMConfig)
    """The user model."""
    agent: PPOConfig = field(default_factory=PPOConfig)
    """The agent."""
    simulator: SimulatorConfig = field(default_factory=SimulatorConfig)
    """How simulated people react."""


class _Stages:
    """Announces stages and remembers their wall seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str, what: str) -> Iterator[None]:
        print(f"{what} ...", flush=True)
        begin = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - begin, 2)


def run(command: Command) -> int:
    """Run every stage and write the run folder."""
    from dataclasses import replace

    from rlrec.agents.training import train_agent
    from rlrec.cli.judging import baseline_policies, judge, policy_rows, print_judgement
    from rlrec.cli.runs import data_summary, learning_curve, start_run
    from rlrec.data.load import load_log
    from rlrec.data.splits import split_by_time
    from rlrec.envs.vector import make_vec
    from rlrec.evaluation.report import write_report
    from rlrec.evaluation.report_details import ReportDetails
    from rlrec.models.counting import MarkovModel, PopularityModel
    from rlrec.models.lstm import LSTMModel

    out = Path("runs/demo") if command.out is None else command.out
    model_config, agent_config, n_users = command.model, command.agent, command.n_users
    if command.quick:
        model_config = replace(model_config, n_epochs=1)
        agent_config = replace(agent_config, total_steps=16_384)
        n_users = min(n_users, 300)
    start_run(out, command)
    stage = _Stages()
    with stage("data", f"Loading {command.log}"):
        log = load_log(command.log)
        train, valid, test = split_by_time(log)
        print(f"  {log}")
    with stage("fit", "Fitting the LSTM user model"):
        lstm = LSTMModel.fit(train, valid=valid, config=model_config, seed=command.seed, folder=out)
        lstm.save(out / "lstm")
        others = {"markov": MarkovModel.fit(train), "popularity": PopularityModel.fit(train)}
        models = _rank({"lstm": lstm, **others}, test)
    with stage("heldout", "Fitting a second user model on the test period"):
        heldout = LSTMModel.fit(test, valid=valid, config=model_config, seed=command.seed + 1)
    env = make_vec(lstm, num_envs=command.num_envs, config=command.simulator, seed=command.seed)
    with stage("train", "Training PPO on simulated users"):
        agent = train_agent(env, agent_config, seed=command.seed, folder=out)
        agent.save(out / "ppo")
    with stage("evaluate", "Judging the policies at home and in the held-out simulator"):
        policies = {**baseline_policies(lstm, seed=command.seed), "ppo": agent}
        home, away = judge(
            policies, lstm, heldout=heldout, config=command.simulator, n_users=n_users, seed=command.seed
        )
    with stage("synthetic", "Sampling sessions and comparing them with real ones"):
        fidelity, synthetic, samples = _compare(lstm, train, valid, test, command.seed)
    summary = {
        "data": data_summary(log),
        "models": models,
        "simulator": {"user_steps_per_cpu_second": _speed(lstm, command), "fidelity": fidelity},
        "policies": policy_rows(home, away),
        "synthetic": synthetic,
        "seconds": stage.seconds,
        "versions": package_versions(),
        "seed": command.seed,
    }
    details = ReportDetails(
        valid_nll=None if lstm.record is None else lstm.record.valid_nll,
        ppo_curve=learning_curve(out),
        session_lengths={name: part.lengths for name, part in samples.items()},
        item_popularity={name: _counts(part, log.n_items) for name, part in samples.items()},
        journeys=_journeys(agent, lstm, log, command),
        licence=log.notes.get("licence"),
        notes=("Synthetic sequences come from the maximum-likelihood LSTM; adversarial training is not in it yet.",),
    )
    details.save(out)
    write_json(out / "summary.json", summary)
    print_judgement(home, away)
    write_report(summary, details, out / "report.html")
    print(f"summary: {out / 'summary.json'}\nreport:  {out / 'report.html'}")
    return 0


def _rank(models: dict[str, Any], test: InteractionLog) -> dict[str, dict[str, float]]:
    from rlrec.evaluation.ranking import evaluate_ranking

    return {name: evaluate_ranking(model, test).summary() for name, model in models.items()}


def _compare(
    lstm: LSTMModel, train: InteractionLog, valid: InteractionLog, test: InteractionLog, seed: int
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Sequences]]:
    """Return fidelity and synthetic numbers beside real-vs-real, and the samples that they were computed on."""
    from rlrec.evaluation.fidelity import compare_sequences as compare
    from rlrec.evaluation.fidelity import copied_share, item_categories, real_vs_real
    from rlrec.gan.sampling import generate_sequences

    real, past = test.sequences(), train.sequences()
    sample = generate_sequences(lstm, len(real), seed=seed)
    categories = item_categories(train)
    found = compare(real, sample, seed=seed, categories=categories, reference=past)
    ceiling = real_vs_real(real, valid.sequences(), seed=seed, categories=categories, reference=past)
    fidelity: dict[str, Any] = {
        "session_length_mean": {"real": float(real.lengths.mean()), "simulated": float(sample.lengths.mean())}
    }
    synthetic: dict[str, Any] = {}
    for name, value in found.items():
        fidelity.setdefault(name, {"simulated": value, "real_vs_real": ceiling.get(name)})
        synthetic[name] = {"mle": value, "real_vs_real": ceiling.get(name)}
    for name, value in copied_share(sample, past).items():
        synthetic[f"copied_{name}"] = {"mle": value}
    return fidelity, synthetic, {"real": real, "simulated": sample}


def _counts(sequences: Sequences, n_items: int) -> Any:
    import numpy as np

    return np.bincount(sequences.item, minlength=n_items)


def _speed(lstm: LSTMModel, command: Command) -> float:
    """Return user-steps per CPU-second of the vector environment under random actions."""
    import numpy as np

    from rlrec.envs.vector import make_vec

    env = make_vec(lstm, num_envs=_N_SPEED_ENVS, config=command.simulator, seed=command.seed)
    env.reset()
    rng = np.random.default_rng(command.seed)
    actions = rng.integers(0, lstm.n_items, (_N_SPEED_STEPS, _N_SPEED_ENVS))
    begin = time.process_time()
    for action in actions:
        env.step(action)
    return round(_N_SPEED_STEPS * _N_SPEED_ENVS / (time.process_time() - begin), 1)


def _journeys(agent: Any, lstm: LSTMModel, log: InteractionLog, command: Command, n: int = 3) -> list[list[str]]:
    """Return what happened to a few simulated users whom the agent served, items in words."""
    from rlrec.envs.single import RecommendationEnv

    journeys = []
    for user in range(n):
        env = RecommendationEnv(lstm, config=command.simulator)
        observation, _ = env.reset(seed=command.seed + 2, options={"user": user})
        lines, over = [], False
        while not over:
            action, _ = agent.predict(observation[None], deterministic=True)
            observation, _, left, late, info = env.step(int(action[0]))
            over = left or late
            lines.append(_line(log, int(action[0]), info, left))
        journeys.append(lines)
    return journeys


def _line(log: InteractionLog, action: int, info: dict[str, Any], left: bool) -> str:
    shown = f"shown {log.catalog.describe(action)}: "
    if info["clicked_item"] >= 0:
        shown += "clicked"
    elif info["item"] >= 0:
        shown += f"passed, found {log.catalog.describe(info['item'])} alone"
    else:
        shown += "passed"
    return shown + ("; left" if left else "")
