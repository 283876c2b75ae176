"""What agents reach of the known optimum in small worlds, and at what cost in CPU-seconds.

    python benchmarks/bench_agents.py                 # the table
    python benchmarks/bench_agents.py --json --quick  # the short half, one line of JSON at the end

"Best" is the policy's most probable action, "sampled" a draw from it; both are computed exactly (see
`rlrec.testing.oracles`), so nothing here is noise but the training itself.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
from bench_env import model_of
from record import record
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

from rlrec.agents.config import A2CConfig, AgentConfig, DQNConfig, PPOConfig
from rlrec.agents.policies import AgentPolicy
from rlrec.agents.sb3 import SB3VecEnv
from rlrec.agents.slate_q import train_slate_q
from rlrec.agents.training import train_agent
from rlrec.envs.single import RecommendationEnv
from rlrec.envs.vector import RecommendationVectorEnv
from rlrec.testing.oracles import BoredomWorld, LeaveWorld, SlateLeaveWorld

SEED = 0
ONE_STEP: dict[str, Any] = {"gamma": 1.0, "gae_lambda": 0.0, "vf_coef": 0.5, "learning_rate": 1e-2, "n_steps": 16}
SLATE_Q = DQNConfig(
    total_steps=100_000,
    gamma=1.0,
    learning_rate=2e-3,
    learning_starts=2_048,
    gradient_steps=2,
    batch_size=256,
    target_update_interval=2_048,
)

RUNS: dict[str, tuple[Callable[[], Any], AgentConfig, bool]] = {
    "boredom/ppo": (
        lambda: BoredomWorld(64),
        PPOConfig(total_steps=100_000, learning_rate=3e-3, vf_coef=0.5),
        True,
    ),
    "boredom/a2c": (
        lambda: BoredomWorld(64),
        A2CConfig(total_steps=100_000, n_steps=16, learning_rate=3e-3, vf_coef=0.5),
        True,
    ),
    "boredom/dqn": (lambda: BoredomWorld(16), DQNConfig(total_steps=50_000, learning_starts=2_048), False),
    "leave10/ppo": (
        lambda: LeaveWorld(128, n_items=10),
        PPOConfig(total_steps=200_000, batch_size=2_048, ent_coef=0.1, **ONE_STEP),
        True,
    ),
    "leave10/a2c": (
        lambda: LeaveWorld(64, n_items=10),
        A2CConfig(total_steps=200_000, ent_coef=0.1, **ONE_STEP),
        True,
    ),
    "leave100/ppo": (
        lambda: LeaveWorld(1_024, n_items=100),
        PPOConfig(total_steps=2_000_000, batch_size=8_192, ent_coef=0.05, **ONE_STEP),
        False,
    ),
}
"""World, config, and whether ``--quick`` runs it."""


def fractions(world: Any, agent: AgentPolicy) -> tuple[float, float]:
    """Return the fraction of the optimum of the best action and of sampled ones."""

    def best(observation: Any) -> Any:
        probs = agent.action_probs(observation)
        return np.eye(probs.shape[1])[probs.argmax(axis=1)]

    if isinstance(world, LeaveWorld):
        observations = world.observations()
        return tuple(world.value(probs(observations)) / world.optimum for probs in (best, agent.action_probs))  # type: ignore[return-value]
    return world.value(best) / world.optimum, world.value(agent.action_probs) / world.optimum


def run(name: str) -> dict[str, float]:
    """Train one agent and say what it reached."""
    make, config, _ = RUNS[name]
    world = make()
    begin = time.process_time()
    agent = train_agent(world, config, seed=SEED, show_progress=False)
    seconds = time.process_time() - begin
    best, sampled = fractions(world, agent)
    return {
        "fraction_of_optimum": round(best, 4),
        "fraction_sampled": round(sampled, 4),
        "greedy": round(world.greedy / world.optimum, 4),
        "cpu_s": round(seconds, 1),
    }


def slates() -> dict[str, float]:
    """Train SlateQ in the world of slates."""
    world = SlateLeaveWorld(64)
    attraction = torch.from_numpy(world.attraction).float()
    begin = time.process_time()
    agent = train_slate_q(
        world, SLATE_Q, attraction=lambda o: o @ attraction, outside=world.outside, seed=SEED, show_progress=False
    )
    seconds = time.process_time() - begin
    shown, _ = agent.predict(world.observations(), deterministic=True)
    return {
        "fraction_of_optimum": round(world.value(shown) / world.optimum, 4),
        "greedy": round(world.greedy / world.optimum, 4),
        "cpu_s": round(seconds, 1),
    }


def speeds(n_items: int, n_steps: int) -> dict[str, float]:
    """Return training steps per CPU-second: SB3 as it comes, SB3 on the vector environment, and our PPO there.

    As it comes means default hyper-parameters on 8 single environments; the other two have equal ones.
    """
    model = model_of(n_items)
    fast = PPOConfig(total_steps=n_steps, n_steps=32, batch_size=512, n_epochs=4)

    def naive() -> None:
        single = [lambda: RecommendationEnv(model) for _ in range(8)]
        PPO("MlpPolicy", DummyVecEnv(single), n_steps=n_steps // 8, seed=SEED, device="cpu").learn(n_steps)  # type: ignore[arg-type]

    def native() -> None:
        env = SB3VecEnv(RecommendationVectorEnv(model, 256))
        same = {"n_steps": fast.n_steps, "batch_size": fast.batch_size, "n_epochs": fast.n_epochs}
        PPO("MlpPolicy", env, seed=SEED, device="cpu", **same).learn(n_steps)  # type: ignore[arg-type]

    def ours() -> None:
        train_agent(RecommendationVectorEnv(model, 256), fast, seed=SEED, show_progress=False)

    rates = {}
    for name, train in (("naive", naive), ("native", native), ("ours", ours)):
        begin = time.process_time()
        train()
        rates[name] = n_steps / (time.process_time() - begin)
    return rates


def mask_mb(n_items: int = 10_000, n_steps: int = 4_096) -> float:
    """Return the MB that a rollout buffer keeps for masks in bits; SB3 stores every part as 32-bit floats."""
    return n_steps * ((n_items + 7) // 8) * 4 / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the short half; records nothing")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--out", type=Path, help="folder for the record")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    worlds = {}
    print(f"{'world/agent':16}{'best':>8}{'sampled':>9}{'greedy':>8}{'CPU-s':>8}", flush=True)
    for name, (_, _, quick) in RUNS.items():
        if quick or not arguments.quick:
            worlds[name] = found = run(name)
            values = (found["fraction_of_optimum"], found["fraction_sampled"], found["greedy"])
            print(f"{name:16}{values[0]:8.3f}{values[1]:9.3f}{values[2]:8.3f}{found['cpu_s']:8.1f}", flush=True)
    if not arguments.quick:
        worlds["slates/slate_q"] = found = slates()
        print(
            f"{'slates/slate_q':16}{found['fraction_of_optimum']:8.3f}{'':9}{found['greedy']:8.3f}{found['cpu_s']:8.1f}"
        )
    n_steps = 8_192 if arguments.quick else 32_768
    small = speeds(1_682, n_steps)
    print("steps per CPU-second at 1,682 items: " + ", ".join(f"{name} {rate:,.0f}" for name, rate in small.items()))
    results: dict[str, Any] = {
        "sb3_ppo_ratio_naive": round(small["native"] / small["naive"], 2),
        "own_ppo_ratio_naive": round(small["ours"] / small["naive"], 2),
        "steps_per_cpu_s_1682": {name: round(rate) for name, rate in small.items()},
        "mask_mb_10k": round(mask_mb(), 1),
        "worlds": worlds,
    }
    if arguments.out is not None and not arguments.quick:
        print(f"record: {record('agents', results, arguments.out, seed=SEED).name}")
    if arguments.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
