"""What an agent earns over greedy-by-model at home and in simulators of a later period, by other architectures.

For each log, split by time: the home simulator and everything that an agent is trained on is fitted on the training
period; the held-out simulators on the test period, one a GRU, one an n-gram model, neither of which is in any ensemble.
A third, an n-gram model of the validation period, is there to choose settings by. All policies meet the same people.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import rlrec
from rlrec.agents.baselines import GreedyPolicy, PopularPolicy, RandomPolicy
from rlrec.agents.config import PPOConfig
from rlrec.agents.judge import Judge
from rlrec.agents.training import train_agent
from rlrec.core.protocols import Policy
from rlrec.data.log import InteractionLog
from rlrec.envs.config import SimulatorConfig
from rlrec.envs.ensemble import EnsembleModel
from rlrec.envs.rewards import Doubt, EventReward
from rlrec.envs.vector import make_vec
from rlrec.evaluation.policy_rollout import PolicyRollout
from rlrec.evaluation.rollout import RolloutResults, evaluate_policies
from rlrec.evaluation.seeds import over_seeds
from rlrec.models.base import SequenceModel
from rlrec.models.config import LSTMConfig
from rlrec.models.lstm import LSTMModel
from rlrec.models.ngram import NGramModel

LOGS = ("eshop2008", "online_retail")
SIMULATORS = ("home", "valid_ngram", "test_gru", "test_ngram")


@dataclass(frozen=True)
class Variant:
    """A way to train."""

    ensemble: bool = False
    """Train on people of several models; else of the home model alone."""
    pessimism: float = 0.0
    """Reward lost for each unit of the members' disagreement about a click."""
    judged: bool = False
    """Keep the best of what people of the validation period judge, an n-gram model; else the last."""
    config: PPOConfig = field(default_factory=PPOConfig)


VARIANTS = {
    "ppo": Variant(),
    "ppo, alpha 2": Variant(config=PPOConfig(alpha_init=2.0)),
    "ppo, alpha 8": Variant(config=PPOConfig(alpha_init=8.0)),
    "ppo, judged": Variant(judged=True),
    "ppo on an ensemble": Variant(ensemble=True),
    "ppo on an ensemble, pessimism 2": Variant(ensemble=True, pessimism=2.0),
}


def fit_models(log: InteractionLog, *, quick: bool) -> tuple[dict[str, SequenceModel], list[SequenceModel]]:
    """Return the simulators, and what is added to home for the ensemble: halves of the period, another size, counts."""
    train, valid, test = rlrec.split_by_time(log)
    config, small = (LSTMConfig(**({"n_epochs": 1} if quick else {}), **sizes) for sizes in ({}, {"hidden_size": 64}))

    def lstm(part: InteractionLog, config: LSTMConfig, seed: int) -> LSTMModel:
        return LSTMModel.fit(part, valid=valid, config=config, seed=seed, show_progress=False)

    gru = LSTMConfig(**({"n_epochs": 1} if quick else {}), cell="gru", layer_norm=True)
    simulators: dict[str, SequenceModel] = {
        "home": lstm(train, config, 0),
        "valid_ngram": NGramModel.fit(valid),
        "test_gru": lstm(test, gru, 1),
        "test_ngram": NGramModel.fit(test),
    }
    early, _, late = rlrec.split_by_time(train, valid=0.1, test=0.5)
    others: list[SequenceModel] = [lstm(early, small, 2), lstm(late, small, 3), rlrec.MarkovModel.fit(train)]
    return simulators, others


def train_variant(
    variant: Variant,
    simulators: dict[str, SequenceModel],
    others: list[SequenceModel],
    simulator: SimulatorConfig,
    seed: int,
) -> Policy:
    """Train one agent that sees through the home model."""
    home = simulators["home"]
    people = EnsembleModel([home, *others]) if variant.ensemble else home
    rewards = None
    if variant.pessimism:
        weights = simulator.rewards_for(home.space.event_names)
        rewards = {"clicks": (1.0, EventReward(weights)), "doubt": (-variant.pessimism, Doubt())}
    env = make_vec(people, num_envs=256, config=simulator, observer=home, seed=seed, rewards=rewards)
    judge = None
    if variant.judged:
        judge = Judge(make_vec(simulators["valid_ngram"], num_envs=500, config=simulator, observer=home), n_users=1_000)
    return train_agent(env, variant.config, seed=seed, judge=judge, show_progress=False)


def uplift(
    name: str, *, n_seeds: int, quick: bool, variants: dict[str, Variant] | None = None, n_users: int = 2_000
) -> dict[str, Any]:
    """Return the table of one log: for each variant and simulator, what it earns over greedy."""
    variants = VARIANTS if variants is None else variants
    if quick:
        short = PPOConfig(total_steps=16_384)
        variants = {label: replace(variant, config=short) for label, variant in variants.items()}
    n_users = 200 if quick else n_users
    begin = time.process_time()
    simulators, others = fit_models(rlrec.load_log(f"builtin:{name}"), quick=quick)
    fitted = time.process_time() - begin
    home, simulator = simulators["home"], SimulatorConfig()
    agents: dict[str, list[Policy]] = {}
    seconds = {}
    for label, variant in variants.items():
        begin = time.process_time()
        agents[label] = [train_variant(variant, simulators, others, simulator, seed) for seed in range(n_seeds)]
        seconds[label] = (time.process_time() - begin) / n_seeds
    policies: dict[str, Policy] = {
        "random": RandomPolicy(home.n_items),
        "popular": PopularPolicy(home.space.item_counts),
        "greedy": GreedyPolicy(home),
    }
    policies |= {f"{label}/{seed}": agent for label, found in agents.items() for seed, agent in enumerate(found)}
    results = {
        where: evaluate_policies(
            policies,
            make_vec(model, num_envs=min(1_000, n_users), config=simulator, observer=home),
            n_users=n_users,
            seed=1_000,
            show_progress=False,
        )
        for where, model in simulators.items()
    }
    return {
        "fit_cpu_s": round(fitted, 1),
        "n_seeds": n_seeds,
        "n_users": n_users,
        "floors": {where: floors(found) for where, found in results.items()},
        "agents": {
            label: {"cpu_s": round(seconds[label], 1)}
            | {where: over_greedy(found, label, n_seeds) for where, found in results.items()}
            for label in variants
        },
    }


def floors(found: RolloutResults) -> dict[str, Any]:
    """Return what policies earn that learn nothing."""
    return {name: about(found[name]) for name in ("random", "popular", "greedy")}


def about(rollout: PolicyRollout) -> dict[str, float]:
    """Return the return, and what goes with it: share of the catalogue, and of the session's items not yet shown."""
    metrics = {"return": "return_", "coverage": "coverage", "variety": "variety", "popularity": "popularity_bias"}
    return {name: round(rollout.estimate(metric).value, 4) for name, metric in metrics.items()}


def over_greedy(found: RolloutResults, label: str, n_seeds: int) -> dict[str, float]:
    """Return the interquartile mean over seeds of return minus greedy's, its interval, and its share of greedy's."""
    greedy = found["greedy"].return_
    rollouts = [found[f"{label}/{seed}"] for seed in range(n_seeds)]
    gains = np.stack([rollout.return_ - greedy for rollout in rollouts])  # (S, n): the same people
    shared = {name: float(np.mean([about(rollout)[name] for rollout in rollouts])) for name in about(rollouts[0])}
    if n_seeds < 2:
        estimate = found.paired(f"{label}/0", "greedy")
        spread = {"value": estimate.value, "low": estimate.low, "high": estimate.high, "seed_sd": float("nan")}
    else:
        seeds = over_seeds(gains, rng=np.random.default_rng(0))
        iqm = seeds.iqm
        spread = {"value": iqm.value, "low": iqm.low, "high": iqm.high, "seed_sd": seeds.seed_sd}
    share = {f"share_{name}": spread[name] / float(greedy.mean()) for name in ("value", "low", "high")}
    return {name: round(value, 4) for name, value in (spread | share | shared).items()}


def uplift_lines(name: str, found: dict[str, Any]) -> list[str]:
    """Return the table as text."""
    lines = [f"{name}: return minus greedy's, {found['n_seeds']} training seeds, {found['n_users']} people"]
    for where in SIMULATORS:
        floor = found["floors"][where]
        lines.append(f"  {where}: " + ", ".join(f"{policy} {row['return']:.2f}" for policy, row in floor.items()))
        for label, rows in found["agents"].items():
            row = rows[where]
            gain = f"{row['value']:+7.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
            share = f"{row['share_value']:+.1%} [{row['share_low']:+.1%}, {row['share_high']:+.1%}]"
            rest = f"sd of seeds {row['seed_sd']:.3f}, coverage {row['coverage']:.1%}, variety {row['variety']:.0%}"
            lines.append(f"    {label:34}{gain}  {share}  {rest}")
    return lines
