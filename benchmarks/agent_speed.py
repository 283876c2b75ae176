"""Training steps per CPU-second, memory of masks, and what one answer of a trained policy takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from bench_env import SAMPLED, model_of
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

from rlrec.agents.config import PPOConfig
from rlrec.agents.export import export_program
from rlrec.agents.masked_buffers import BitMaskBuffer
from rlrec.agents.policies import AgentPolicy, build_network
from rlrec.agents.sb3 import SB3VecEnv
from rlrec.agents.training import train_agent
from rlrec.envs.candidates import Retriever
from rlrec.envs.single import RecommendationEnv
from rlrec.envs.vector import RecommendationVectorEnv

SEED = 0
FAST = {"n_steps": 32, "batch_size": 512, "n_epochs": 4}
N_ENVS, N_SINGLE = 256, 8


def speeds(n_items: int, n_steps: int, kinds: tuple[str, ...]) -> dict[str, float]:
    """Return training steps per CPU-second of SB3's PPO and ours.

    ``naive``: SB3 as it comes, default settings, on 8 single environments; ``naive_equal``: there, with our settings;
    ``native``: SB3 with our settings on the vector environment; ``ours``: `train_agent` on it.
    """
    model = model_of(n_items)

    def sb3(env: Any, **settings: Any) -> None:
        PPO("MlpPolicy", env, seed=SEED, device="cpu", **settings).learn(n_steps)

    def singles() -> DummyVecEnv:
        return DummyVecEnv([lambda: RecommendationEnv(model) for _ in range(N_SINGLE)])  # type: ignore[list-item]

    def vector() -> SB3VecEnv:
        return SB3VecEnv(RecommendationVectorEnv(model, N_ENVS))

    ways: dict[str, Callable[[], Any]] = {
        "naive": lambda: sb3(singles(), n_steps=min(2_048, n_steps // N_SINGLE)),
        "naive_equal": lambda: sb3(singles(), **FAST | {"n_steps": FAST["n_steps"] * N_ENVS // N_SINGLE}),
        "native": lambda: sb3(vector(), **FAST),
        "ours": lambda: train_agent(
            RecommendationVectorEnv(model, N_ENVS),
            PPOConfig(total_steps=n_steps, **FAST),
            seed=SEED,
            show_progress=False,
        ),
    }
    return {name: _rate(ways[name], n_steps) for name in kinds}


def candidate_speed(n_items: int, n_steps: int) -> float:
    """Return training steps per CPU-second of our PPO ranking 100 candidates out of ``n_items``."""
    model = model_of(n_items)
    neighbors = np.random.default_rng(SEED).integers(0, n_items, (n_items, 30), dtype=np.int32)
    retriever = Retriever(neighbors, model.space.item_counts, n_candidates=100, n_recent=3, n_explored=10)
    env = RecommendationVectorEnv(model, N_ENVS, config=SAMPLED, retriever=retriever)
    config = PPOConfig(total_steps=n_steps, **FAST)
    return _rate(lambda: train_agent(env, config, seed=SEED, show_progress=False), n_steps)


def _rate(train: Callable[[], Any], n_steps: int) -> float:
    begin = time.process_time()
    train()
    return n_steps / (time.process_time() - begin)


def warm_up() -> None:
    """Let torch import what its optimizers need, which takes seconds and would be charged to whoever comes first."""
    model = model_of(50)
    config = PPOConfig(total_steps=64, n_steps=8, batch_size=32, n_epochs=1)
    train_agent(RecommendationVectorEnv(model, 8), config, show_progress=False)


def mask_mb(n_items: int = 10_000, n_steps: int = 4_096) -> dict[str, float]:
    """Return the MB of masks in a roll-out buffer: MaskablePPO's, in bits, and as a part of what the agent sees."""
    from gymnasium import spaces

    space = spaces.Box(-1.0, 1.0, (1,))
    buffer = BitMaskBuffer(n_steps // N_ENVS, space, spaces.Discrete(n_items), "cpu", n_envs=N_ENVS)
    floats = n_steps * n_items * 4
    seen = n_steps * ((n_items + 7) // 8) * 4  # SB3 keeps every part of an observation as 32-bit floats
    return {"maskable_ppo": buffer.action_masks.nbytes / 2**20, "seen": seen / 2**20, "contrib": floats / 2**20}


def answer_ms(n_items: int = 10_000, repeats: int = 300) -> dict[str, float]:
    """Return the median milliseconds of one answer for one user: from interests, from a history, exported."""
    model = model_of(n_items)
    policy = AgentPolicy(build_network(model, PPOConfig()), model, PPOConfig())
    interest = np.random.default_rng(SEED).uniform(-1, 1, (1, model.interest_size)).astype(np.float32)
    history = [[*range(20)]]
    program, seen = export_program(policy).module(), torch.from_numpy(interest)
    ways: dict[str, Callable[[], Any]] = {
        "predict": lambda: policy.predict(interest, deterministic=True),
        "recommend_20_items": lambda: policy.recommend(history, k=10),
        "torch_export": lambda: program(seen),
    }
    with torch.no_grad():
        return {name: _median_ms(call, repeats) for name, call in ways.items()} | _onnx_ms(policy, interest, repeats)


def _onnx_ms(policy: AgentPolicy, interest: Any, repeats: int) -> dict[str, float]:
    """Return the same through ONNX Runtime, where it is installed."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        return {}
    import tempfile
    from pathlib import Path

    from rlrec.agents.export import export_onnx

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "policy.onnx"
        export_onnx(policy, path)
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return {"onnx": _median_ms(lambda: session.run(["logits"], {"interest": interest}), repeats)}


def _median_ms(call: Callable[[], Any], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return float(np.median(times)) * 1e3


def speed_part(*, quick: bool) -> dict[str, Any]:
    """Return every figure of speed and memory; all rates of one call are measured in one run."""
    warm_up()
    small = speeds(1_682, 8_192 if quick else 32_768, ("naive", "naive_equal", "native", "ours"))
    large = speeds(10_000, 8_192 if quick else 16_384, ("native", "ours"))
    n_steps = 8_192 if quick else 65_536
    few, many = candidate_speed(1_000, n_steps), candidate_speed(100_000 if quick else 1_000_000, n_steps)
    masks = mask_mb()
    return {
        "sb3_ppo_ratio_naive": round(small["native"] / small["naive"], 2),
        "sb3_ppo_ratio_equal": round(small["native"] / small["naive_equal"], 2),
        "own_ppo_ratio_naive": round(small["ours"] / small["naive"], 2),
        "own_ppo_ratio_sb3_1682": round(small["ours"] / small["native"], 2),
        "own_ppo_ratio_sb3_10k": round(large["ours"] / large["native"], 2),
        "candidates_slowdown_1m": round(few / many, 2),
        "mask_mb_10k": round(max(masks["maskable_ppo"], masks["seen"]), 1),
        "mask_mb": {name: round(value, 1) for name, value in masks.items()},
        "steps_per_cpu_s_1682": {name: round(rate) for name, rate in small.items()},
        "steps_per_cpu_s_10k": {name: round(rate) for name, rate in large.items()},
        "steps_per_cpu_s_candidates": {"1k": round(few), "1m": round(many)},
        "answer_ms_10k": {name: round(value, 2) for name, value in answer_ms(repeats=50 if quick else 300).items()},
    }


def speed_lines(found: dict[str, Any]) -> list[str]:
    """Return the figures as text."""
    return [f"{name}: {value}" for name, value in found.items()]
