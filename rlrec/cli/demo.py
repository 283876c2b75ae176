"""``rlrec demo``: the loop on the embedded shop log, from the log to a report."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlrec.agents.config import PPOConfig
from rlrec.cli.command import BaseCommand
from rlrec.cli.journeys import journeys
from rlrec.core.artifacts import atomic_path, package_versions, write_json
from rlrec.envs.config import SimulatorConfig
from rlrec.gan.config import GANConfig
from rlrec.models.config import LSTMConfig

if TYPE_CHECKING:
    from rlrec.agents.policies import AgentPolicy
    from rlrec.data.log import InteractionLog
    from rlrec.data.sequences import Sequences
    from rlrec.evaluation.fidelity import Comparison
    from rlrec.gan.sequence_gan import SequenceGAN
    from rlrec.models.lstm import LSTMModel

_N_SPEED_STEPS = 30
_N_SPEED_ENVS = 1_024
_SIMULATED_PER_REAL = 4  # a mean over more simulated sessions than real ones leaves the error with the real ones


@dataclass(frozen=True, kw_only=True)
class Command(BaseCommand):
    """Run the loop on the shop log: user model, simulator, agent, evaluation, GAN, synthetic log, report.

    Writes lstm/, ppo/, gan/, synthetic.parquet, summary.json, report.html, policies.svg, config.toml,
    metrics.jsonl, tensorboard/.
    """

    log: str = "builtin:eshop2008"
    """The log: a builtin name or a path."""
    out: Path = Path("runs/demo")
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
    gan: GANConfig = field(default_factory=GANConfig)
    """Adversarial training of the generator."""
    n_synthetic: int = 5_000
    """Synthetic users to write."""
    n_probe: int = 3_000
    """Sessions, real or synthetic, that a detector looks at and that the models of the usefulness test train on."""
    n_sweep: int = 500
    """Simulated users on whom each policy is judged for each kappa."""

    def shortened(self) -> Command:
        """Return the command with everything cut to seconds if ``quick`` was asked for."""
        if not self.quick:
            return self
        return replace(
            self,
            model=replace(self.model, n_epochs=1),
            agent=replace(self.agent, total_steps=16_384),
            gan=replace(self.gan, n_rounds=4, n_warmup=2, check_every=2, detector_sequences=300),
            n_users=min(self.n_users, 300),
            n_synthetic=min(self.n_synthetic, 500),
            n_probe=min(self.n_probe, 400),
            n_sweep=min(self.n_sweep, 100),
        )


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
    from rlrec.cli.judging import KAPPAS, baseline_policies, judge, kappa_sweep, policy_rows, print_judgement
    from rlrec.cli.runs import data_summary, drawn_samples, learning_curve, start_run
    from rlrec.data.load import load_log
    from rlrec.data.splits import split_by_time
    from rlrec.evaluation.fidelity import Comparison
    from rlrec.evaluation.plots import policies_plot, standalone_svg
    from rlrec.evaluation.ranking import evaluate_ranking
    from rlrec.evaluation.report import write_report
    from rlrec.evaluation.report_details import ReportDetails
    from rlrec.gan.quality import quality_table
    from rlrec.models.counting import MarkovModel, PopularityModel
    from rlrec.models.lstm import LSTMModel

    command, out, seed = command.shortened(), command.out, command.seed
    start_run(out, command)
    stage = _Stages()
    with stage("data", f"Loading {command.log}"):
        log = load_log(command.log)
        train, valid, test = split_by_time(log)
        print(f"  {log}")
    with stage("fit", "Fitting the LSTM user model"):
        lstm = LSTMModel.fit(train, valid=valid, config=command.model, seed=seed, folder=out)
        lstm.save(out / "lstm")
        models = {"lstm": lstm, "markov": MarkovModel.fit(train), "popularity": PopularityModel.fit(train)}
        ranking = {name: evaluate_ranking(model, test).summary() for name, model in models.items()}
    with stage("heldout", "Fitting a second user model on the test period"):
        heldout = LSTMModel.fit(test, valid=valid, config=command.model, seed=seed + 1)
        heldout.save(out / "heldout")
    with stage("train", "Training PPO on simulated users"):
        agent = _train(lstm, command)
    with stage("evaluate", "Judging the policies at home and in the held-out simulator"):
        policies = {**baseline_policies(lstm, seed=seed), "ppo": agent}
        users = {"n_users": command.n_users, "seed": seed}
        home, away = judge(policies, lstm, heldout=heldout, config=command.simulator, **users)
        sweep = kappa_sweep(policies, lstm, KAPPAS, config=command.simulator, n_users=command.n_sweep, seed=seed)
    compared = Comparison.of(train, valid, test, seed=seed, max_n=command.n_probe)
    with stage("fidelity", "Comparing freely simulated sessions with held-out real ones"):
        fidelity, free = _fidelity(lstm, compared, seed)
        speed = _speed(lstm, command)
    with stage("gan", "Training the generator against a discriminator, and its control"):
        gan = _adversarial(lstm, train, valid, command)
    with stage("synthetic", "Sampling synthetic sessions and asking what they are good for"):
        gan.sample(command.n_synthetic, seed=seed).to_parquet(out / "synthetic.parquet")
        synthetic, samples = quality_table(gan, train, compared=compared, test=test, seed=seed)
    rows = policy_rows(home, away)
    summary = {
        "data": data_summary(log),
        "models": ranking,
        "simulator": {"user_steps_per_cpu_second": speed, "fidelity": fidelity},
        "policies": rows,
        "synthetic": synthetic,
        "gan": asdict(gan.record),
        "seconds": stage.seconds,
        "versions": package_versions(),
        "seed": seed,
    }
    drawn = {"real": compared.real, "simulated": free, "synthetic": samples["gan"]}
    details = ReportDetails(
        valid_nll=None if lstm.record is None else lstm.record.valid_nll,
        ppo_curve=learning_curve(out),
        **drawn_samples(drawn, log.n_items),
        journeys=journeys(agent, lstm, log.catalog, config=command.simulator, seed=seed + 2),
        kappa_sweep=sweep,
        licence=log.notes.get("licence"),
        notes=(gan.kept_sentence,),
    )
    details.save(out)
    write_json(out / "summary.json", summary)
    write_report(summary, details, out / "report.html")
    with atomic_path(out / "policies.svg") as temporary:
        temporary.write_text(standalone_svg(policies_plot(rows)), encoding="utf-8")
    print_judgement(home, away)
    print(f"\n{gan.kept_sentence}\nsummary: {out / 'summary.json'}\nreport:  {out / 'report.html'}")
    return 0


def _train(lstm: LSTMModel, command: Command) -> AgentPolicy:
    from rlrec.agents.training import train_agent
    from rlrec.envs.vector import make_vec

    env = make_vec(lstm, num_envs=command.num_envs, config=command.simulator, seed=command.seed)
    agent = train_agent(env, command.agent, seed=command.seed, folder=command.out)
    agent.save(command.out / "ppo")
    return agent


def _fidelity(lstm: LSTMModel, compared: Comparison, seed: int) -> tuple[dict[str, dict[str, Any]], Sequences]:
    """Return the table of sessions simulated without a recommender beside real ones, and the sessions."""
    from rlrec.gan.sampling import generate_sequences

    free = generate_sequences(lstm, _SIMULATED_PER_REAL * len(compared.real), seed=seed)
    return compared.table({"simulated": free}), free


def _adversarial(lstm: LSTMModel, train: InteractionLog, valid: InteractionLog, command: Command) -> SequenceGAN:
    from rlrec.gan.sequence_gan import SequenceGAN

    gan = SequenceGAN.fit(
        train, init=lstm, valid=valid, config=command.gan, seed=command.seed, folder=command.out / "gan"
    )
    gan.save(command.out / "gan")
    return gan


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
