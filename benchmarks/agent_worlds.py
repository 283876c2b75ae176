"""What agents reach in the worlds of `rlrec.testing.oracles`, whose optimum is known, and in how many CPU-seconds.

"Best" is the policy's most probable action, "sampled" a draw from it; both are computed exactly, so nothing here is
noise but the training itself. Settings were found with the seeds 0 to 2, of the training and of the world; those
measured are others.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorWrapper
from gymnasium.vector.utils import batch_space
from stable_baselines3 import PPO

from rlrec.agents.config import A2CConfig, AgentConfig, DQNConfig, PPOConfig, QRDQNConfig
from rlrec.agents.continuous_config import DDPGConfig, SACConfig, TD3Config
from rlrec.agents.policies import AgentPolicy
from rlrec.agents.sb3 import SB3VecEnv
from rlrec.agents.slate_q import train_slate_q
from rlrec.agents.training import train_agent
from rlrec.envs.actions import Actions
from rlrec.envs.nearest import NearestItems
from rlrec.testing.oracles import BoredomWorld, LeaveWorld, SlateLeaveWorld

# In Leave a person's value does not change, so one-step advantages carry all there is to know, with least noise.
ONE_STEP: dict[str, Any] = {"gamma": 1.0, "gae_lambda": 0.0, "vf_coef": 0.5, "learning_rate": 1e-2, "n_steps": 16}
# Many items are nearly as good as the best: much entropy keeps them tried, steps are large, and each is used once.
MANY = PPOConfig(batch_size=4_096, n_epochs=1, ent_coef=0.1, **ONE_STEP | {"learning_rate": 3e-2})
VALUES: dict[str, Any] = {"gamma": 1.0, "learning_starts": 4_096, "exploration_final": 0.1}
SLATE_Q = DQNConfig(
    total_steps=100_000,
    gamma=1.0,
    learning_rate=2e-3,
    learning_starts=2_048,
    gradient_steps=2,
    batch_size=256,
    target_update_interval=2_048,
)
SLATE_PPO = PPOConfig(total_steps=400_000, batch_size=2_048, ent_coef=0.02, **ONE_STEP)


WORLDS = ("boredom", "leave10", "leave100", "leave1000", "slates")
FRESH = (11, 12, 13)


class PointWorld(VectorWrapper):  # type: ignore[type-arg]
    """A world whose items stand at the corners of a simplex, and that is answered with points."""

    def __init__(self, world: BoredomWorld) -> None:
        super().__init__(world)
        nearest = NearestItems(np.eye(world.n_items))
        self.actions = Actions(world.num_envs, 1, world.n_items, staged=False, nearest=nearest)
        self.single_action_space = self.actions.single_space
        self.action_space = batch_space(self.single_action_space, world.num_envs)

    def step(self, actions: Any) -> Any:
        """Show what is nearest."""
        return self.env.step(self.actions.slates(actions, None, None)[:, 0])


@dataclass(frozen=True)
class Run:
    """A world and an agent for it."""

    world: Callable[[int], Any]
    """From a seed; Boredom has no luck in it."""
    config: AgentConfig
    quick: bool = False
    """``--quick`` runs it."""


RUNS = {
    "boredom/ppo": Run(
        lambda seed: BoredomWorld(64), PPOConfig(total_steps=100_000, learning_rate=3e-3, vf_coef=0.5), quick=True
    ),
    "boredom/a2c": Run(
        lambda seed: BoredomWorld(64),
        A2CConfig(total_steps=100_000, n_steps=16, learning_rate=3e-3, vf_coef=0.5),
        quick=True,
    ),
    "boredom/dqn": Run(lambda seed: BoredomWorld(16), DQNConfig(total_steps=50_000, learning_starts=2_048)),
    "boredom/qrdqn": Run(
        lambda seed: BoredomWorld(16),
        QRDQNConfig(total_steps=50_000, learning_starts=2_048, batch_size=128, n_quantiles=11),
    ),
    "boredom/td3": Run(
        lambda seed: PointWorld(BoredomWorld(16)),
        TD3Config(total_steps=16_000, learning_starts=2_048, batch_size=256, noise=0.3),
    ),
    "boredom/ddpg": Run(
        lambda seed: PointWorld(BoredomWorld(16)),
        DDPGConfig(total_steps=16_000, learning_starts=2_048, batch_size=256, noise=0.3),
    ),
    "boredom/sac": Run(
        lambda seed: PointWorld(BoredomWorld(16)), SACConfig(total_steps=16_000, learning_starts=2_048, batch_size=256)
    ),
    "leave10/ppo": Run(
        lambda seed: LeaveWorld(128, n_items=10, seed=seed),
        PPOConfig(total_steps=300_000, batch_size=2_048, ent_coef=0.07, **ONE_STEP),
        quick=True,
    ),
    "leave10/a2c": Run(
        lambda seed: LeaveWorld(64, n_items=10, seed=seed),
        A2CConfig(total_steps=200_000, ent_coef=0.1, **ONE_STEP),
        quick=True,
    ),
    "leave10/dqn": Run(
        lambda seed: LeaveWorld(128, n_items=10, seed=seed),
        DQNConfig(total_steps=100_000, temperature=0.01, **VALUES),
        quick=True,
    ),
    "leave100/ppo": Run(lambda seed: LeaveWorld(256, n_items=100, seed=seed), replace(MANY, total_steps=2_000_000)),
    "leave1000/ppo": Run(lambda seed: LeaveWorld(256, n_items=1_000, seed=seed), replace(MANY, total_steps=3_000_000)),
    "leave100/dqn": Run(
        lambda seed: LeaveWorld(256, n_items=100, seed=seed),
        DQNConfig(total_steps=400_000, exploration_fraction=0.7, temperature=0.001, **VALUES),
    ),
}


def worlds_part(world: str, *, quick: bool, seeds: tuple[int, ...]) -> dict[str, dict[str, float]]:
    """Return by world and agent the mean over seeds, and the worst of them, for the worlds of one name."""
    found = {}
    for name, run in RUNS.items():
        if name.startswith(f"{world}/") and (run.quick or not quick):
            found[name] = over([_one(run, seed) for seed in seeds])
            print(world_line(name, found[name]), flush=True)
    if world == "slates" and not quick:
        for name, train in SLATES.items():
            found[name] = over([_slates(train, seed) for seed in seeds])
            print(world_line(name, found[name]), flush=True)
    return found


def over(runs: list[dict[str, float]]) -> dict[str, float]:
    """Return the means of several runs, and the least fraction of the best action."""
    means = {key: round(float(np.mean([run[key] for run in runs])), 4) for key in runs[0]}
    return means | {"least": min(run["fraction_of_optimum"] for run in runs), "n_seeds": len(runs)}


def world_line(name: str, found: dict[str, float]) -> str:
    """Return one row as text."""
    sampled = f"{found['fraction_sampled']:9.3f}" if "fraction_sampled" in found else f"{'-':>9}"
    return (
        f"{name:18}{found['fraction_of_optimum']:8.3f}{found['least']:8.3f}{sampled}{found['greedy']:8.3f}"
        f"{found['cpu_s']:8.1f}"
    )


HEADER = f"{'world/agent':18}{'best':>8}{'least':>8}{'sampled':>9}{'greedy':>8}{'CPU-s':>8}"


def fractions(world: Any, agent: AgentPolicy) -> tuple[float, float]:
    """Return the fraction of the optimum of the best action and of sampled ones."""
    world = world.unwrapped

    def best(observation: Any) -> Any:
        probs = agent.action_probs(observation)
        return np.eye(probs.shape[1])[probs.argmax(axis=1)]

    if isinstance(world, LeaveWorld):
        seen = world.observations()
        return world.value(best(seen)) / world.optimum, world.value(agent.action_probs(seen)) / world.optimum
    return world.value(best) / world.optimum, world.value(agent.action_probs) / world.optimum


def _one(run: Run, seed: int) -> dict[str, float]:
    world = run.world(seed)
    begin = time.process_time()
    agent = train_agent(world, run.config, seed=seed, show_progress=False)
    seconds = time.process_time() - begin
    best, sampled = fractions(world, agent)
    world = world.unwrapped
    found = {"fraction_of_optimum": best, "fraction_sampled": sampled, "greedy": world.greedy / world.optimum}
    return {name: round(value, 4) for name, value in found.items()} | {"cpu_s": round(seconds, 1)}


# ---- slates of 5 of 20 items -----------------------------------------------------------------------------------------


def _slates(train: Callable[[SlateLeaveWorld, int], Any], seed: int) -> dict[str, float]:
    world = SlateLeaveWorld(64, seed=seed)
    begin = time.process_time()
    policy = train(world, seed)
    seconds = time.process_time() - begin
    shown, _ = policy.predict(world.observations(), deterministic=True)
    found = {"fraction_of_optimum": world.value(shown) / world.optimum, "greedy": world.greedy / world.optimum}
    return {name: round(value, 4) for name, value in found.items()} | {"cpu_s": round(seconds, 1)}


def _slate_q(world: SlateLeaveWorld, seed: int) -> Any:
    attraction = torch.from_numpy(world.attraction).float()
    return train_slate_q(
        world, SLATE_Q, attraction=lambda o: o @ attraction, outside=world.outside, seed=seed, show_progress=False
    )


def _slate_ppo(world: SlateLeaveWorld, seed: int) -> Any:
    return train_agent(world, SLATE_PPO, seed=seed, show_progress=False)


def _sb3_multidiscrete(world: SlateLeaveWorld, seed: int) -> Any:
    """Train SB3's own PPO, whose five heads know nothing of each other, with the settings of `SLATE_PPO`."""
    config = SLATE_PPO
    same = {"gamma": config.gamma, "gae_lambda": config.gae_lambda, "vf_coef": config.vf_coef}
    same |= {"n_steps": config.n_steps, "batch_size": config.n_steps * world.num_envs, "n_epochs": config.n_epochs}
    agent = PPO(
        "MlpPolicy",
        SB3VecEnv(world),
        learning_rate=lambda remaining: config.learning_rate * remaining,
        ent_coef=config.ent_coef,
        max_grad_norm=config.max_grad_norm,
        seed=seed,
        device="cpu",
        **same,  # type: ignore[arg-type]
    )
    return agent.learn(config.total_steps)


SLATES: dict[str, Callable[[SlateLeaveWorld, int], Any]] = {
    "slates/slate_q": _slate_q,
    "slates/ppo": _slate_ppo,
    "slates/sb3_ppo": _sb3_multidiscrete,
}
