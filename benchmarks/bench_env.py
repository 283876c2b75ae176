"""User-steps per CPU-second of the simulator's environments, under a random policy on one torch thread.

The user model is an LSTM with 128 units and 64-dimensional items. For 10,000 items it is trained here, on sessions that
stay in a topic (`topic_log`). For other sizes its weights are drawn at random and its hazard is 12 % a step: weights
matter through the length of sessions only, and "random_weights" at 10,000 items shows by how much. The normaliser is
that of 1,000 items that stand for the catalogue, with a learned correction, as by default above 5,000 items; "exact"
computes the whole softmax.

    python benchmarks/bench_env.py                 # the table
    python benchmarks/bench_env.py --json --quick  # under a minute, one line of JSON at the end
    python benchmarks/bench_env.py --table         # the guide's table, from the record
    python benchmarks/bench_env.py --sardine PYTHON --out benchmarks/results

``--sardine`` names an interpreter that can import sardine-rec 1.0 (pip install sardine-rec, in an environment of its
own); without it that ratio is null. Numbers are medians over repeats of CPU time, in one run, so ratios hold where
absolute numbers do not.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import math
import pstats
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).parent))
from record import record

from rlrec.agents.sb3 import SB3VecEnv
from rlrec.data.log import InteractionLog
from rlrec.data.vocabulary import Vocabulary
from rlrec.envs.candidates import Retriever
from rlrec.envs.config import SimulatorConfig
from rlrec.envs.registration import ENV_ID, register
from rlrec.envs.simulator import UserSimulator
from rlrec.envs.vector import RecommendationVectorEnv
from rlrec.models.base import BehaviourSpace
from rlrec.models.config import LSTMConfig
from rlrec.models.lstm import LSTMModel
from rlrec.models.network import SequenceNetwork

N_USERS, SLATE, SEED = 1_024, 10, 0
SAMPLED = SimulatorConfig(n_sampled_items=1_000)  # the default above 5,000 items
HAZARD = 0.12
_SARDINE = """
import sys, time, warnings
warnings.filterwarnings("ignore")
import gymnasium as gym, sardine
env = gym.make("sardine/SlateTopK-BoredInf-v0")  # 1,000 items, slates of 10
env.reset(seed=0); env.action_space.seed(0)
n, begin = 0, time.process_time()
while time.process_time() - begin < float(sys.argv[1]):
    _, _, terminated, truncated, _ = env.step(env.action_space.sample()); n += 1
    if terminated or truncated: env.reset()
print(n / (time.process_time() - begin))
"""


def model_of(n_items: int) -> LSTMModel:
    """Return a model over ``n_items`` items with Zipf's popularity."""
    rng = np.random.default_rng(SEED)
    torch.manual_seed(SEED)
    network = SequenceNetwork(n_items, 1, torch.zeros(n_items, 0), LSTMConfig(embedding_size=64, hidden_size=128))
    with torch.no_grad():
        network.item_embedding.weight.mul_(10.0)  # so that preferences differ
        network.end_head.weight.zero_()
        network.end_head.bias.fill_(math.log(HAZARD / (1 - HAZARD)))
    counts = np.sort(rng.zipf(1.3, n_items).clip(max=100_000))[::-1].astype(np.int64)
    return LSTMModel(network, BehaviourSpace(Vocabulary(np.arange(n_items)), ("view",), "none", counts))


def topic_log(n_items: int, n_sessions: int, seed: int = SEED) -> InteractionLog:
    """Return sessions of 8 clicks on average that stay in a topic of 50 items and prefer its popular ones."""
    rng = np.random.default_rng(seed)
    lengths = rng.geometric(HAZARD, n_sessions) + 1
    owner = np.repeat(np.arange(n_sessions), lengths)
    start = n_items // 50 * rng.random(n_sessions) ** 2
    elsewhere = n_items // 50 * rng.random(len(owner)) ** 2
    topic = np.where(rng.random(len(owner)) < 0.15, elsewhere, start[owner]).astype(np.int64)
    item = topic * 50 + (50 * rng.random(len(owner)) ** 3).astype(np.int64)
    columns = {"user_id": owner, "session_id": owner, "item_id": item, "timestamp": np.arange(len(owner)) * 30.0}
    return InteractionLog.from_pandas(pd.DataFrame(columns), items=pd.DataFrame({"item_id": np.arange(n_items)}))


def trained_model(n_items: int, *, quick: bool) -> LSTMModel:
    """Return a model of the same size as `model_of`, fitted on `topic_log`."""
    config = LSTMConfig(
        embedding_size=64,
        hidden_size=128,
        n_epochs=1 if quick else 3,
        optimizer="adamw",
        learning_rate=0.003,
        batch_tokens=2_000,
        n_negatives=1_000,
    )
    n_sessions = 3_000 if quick else 15_000
    logs = topic_log(n_items, n_sessions), topic_log(n_items, 800, SEED + 1)
    return LSTMModel.fit(logs[0], valid=logs[1], config=config, seed=SEED, show_progress=False)


def random_slates(env: RecommendationVectorEnv, n: int) -> list[Any]:
    """Return random actions for ``n`` steps, no item twice in a slate: a random start and even strides."""
    rng = np.random.default_rng(SEED)
    strides = np.arange(env.slate_size) * (env.n_actions // env.slate_size)
    starts = rng.integers(0, env.n_actions, (n, env.num_envs, 1))
    slates = (starts + strides) % env.n_actions
    return list(slates[..., 0] if env.slate_size == 1 else slates)


def rate(step: Any, actions: list[Any], users: int, repeats: int) -> float:
    """Return the median over repeats of user-steps per CPU-second; the first tenth of the actions warms up."""
    warm = max(len(actions) // 10, 2)
    rates = []
    for _ in range(repeats):
        for action in actions[:warm]:
            step(action)
        begin = time.process_time()
        for action in actions[warm:]:
            step(action)
        rates.append((len(actions) - warm) * users / (time.process_time() - begin))
    return statistics.median(rates)


def vector_rate(model: LSTMModel, config: SimulatorConfig, n_steps: int, repeats: int, **options: Any) -> float:
    """Return the rate of the vector environment through Gymnasium's interface."""
    env = RecommendationVectorEnv(model, N_USERS, slate_size=SLATE, config=config, **options)
    env.reset(seed=SEED)
    return rate(env.step, random_slates(env, n_steps), N_USERS, repeats)


def sb3_share(model: LSTMModel, n_steps: int, repeats: int) -> float:
    """Return the rate through the SB3 adapter over the bare rate, measured in turns."""
    shares = []
    for _ in range(repeats):
        bare = vector_rate(model, SAMPLED, n_steps, 1)
        env = RecommendationVectorEnv(model, N_USERS, slate_size=SLATE, config=SAMPLED)
        adapter = SB3VecEnv(env)
        adapter.reset()
        shares.append(rate(adapter.step, random_slates(env, n_steps), N_USERS, 1) / bare)
    return statistics.median(shares)


def single_rate(model: LSTMModel, n_steps: int, repeats: int) -> float:
    """Return the rate of one user of ``gymnasium.make``, resets included."""
    env = gymnasium.make(ENV_ID, model=model, config=SAMPLED)
    env.reset(seed=SEED)

    def step(action: int) -> None:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()

    actions = [int(a) for a in np.random.default_rng(SEED).integers(0, model.n_items, n_steps)]
    return rate(step, actions, 1, repeats)


def single_loop_rate(model: LSTMModel, n_steps: int, n_envs: int = 16) -> float:
    """Return the user-steps per CPU-second of a loop over single environments with the same slates."""
    envs = [gymnasium.make(ENV_ID, model=model, config=SAMPLED, slate_size=SLATE) for _ in range(n_envs)]
    for number, env in enumerate(envs):
        env.reset(seed=number)
    slates = np.random.default_rng(SEED).permuted(np.tile(np.arange(1_000), (n_steps, 1)), axis=1)[:, :SLATE]

    def step(slate: Any) -> None:
        for env in envs:
            _, _, terminated, truncated, _ = env.step(slate)
            if terminated or truncated:
                env.reset()

    return rate(step, list(slates), n_envs, 1)


def candidates_1m(n_steps: int, repeats: int) -> dict[str, float]:
    """Return the rate with a million items and 100 candidates a user, and the process's peak memory."""
    n_items = 1_000_000
    model = model_of(n_items)
    neighbors = np.random.default_rng(SEED).integers(0, n_items, (n_items, 30), dtype=np.int32)
    retriever = Retriever(neighbors, model.space.item_counts, n_candidates=100, n_recent=3, n_explored=10)
    env = RecommendationVectorEnv(
        model, N_USERS, slate_size=SLATE, config=SAMPLED, retriever=retriever, observation=("interest",)
    )
    env.reset(seed=SEED)
    speed = rate(env.step, random_slates(env, n_steps), N_USERS, repeats)
    featured = RecommendationVectorEnv(model, N_USERS, slate_size=SLATE, config=SAMPLED, retriever=retriever)
    featured.reset(seed=SEED)
    with_features = rate(featured.step, random_slates(featured, n_steps), N_USERS, 1)
    return {"rate": speed, "rate_with_features": with_features, "rss_mb": peak_mb()}


_ROWS = {
    "vector_10k_slate10": "vector, 10,000 items, slates of 10, trained",
    "vector_10k_slate10_random_weights": "the same, weights drawn at random",
    "vector_10k_slate10_exact": "the same, trained, exact softmax (`n_sampled_items=0`)",
    "vector_1k_slate10": "vector, 1,000 items, slates of 10, all items in the normaliser",
    "vector_100k_slate10": "vector, 100,000 items, slates of 10",
    "vector_1m_candidates": "vector, 1,000,000 items, slates of 10 out of 100 candidates",
    "vector_1m_candidate_features": "the same, observing candidates' features",
    "single": "`gymnasium.make`, one user, 10,000 items, trained",
    "sardine_1k_slate10": "SARDINE, 1,000 items, slates of 10, its own interface",
}


def table(record: dict[str, Any]) -> str:
    """Return the guide's table of a record, and its ratios, as Markdown."""
    found = record["results"]
    known = {name: "null" if found[name] is None else f"{found[name]:,.0f}" for name in _ROWS}
    lines = [f"<!-- env.json: commit {record['commit']} -->", "| | user-steps / CPU-s |", "|---|---|"]
    lines += [f"| {words} | {known[name]} |" for name, words in _ROWS.items()]
    rival = "" if found["ratio_sardine"] is None else f"{found['ratio_sardine']:.1f} times SARDINE and "
    lines += [
        "",
        f"The vector environment is {rival}{found['ratio_single_loop']:.0f} times a loop of single environments;",
        f"100,000 items cost {found['slowdown_100k_over_1k']:.2f} times what 1,000 cost; the SB3 adapter keeps "
        f"{found['sb3_share']:.0%}; a million items peak at {found['rss_mb_1m']:,.0f} MB.",
        f"On the trained model log Z is off by {found['log_z_error']:.1g} nats, and was by "
        f"{found['log_z_error_uncorrected']:.1g} before the learned correction.",
    ]
    return "\n".join(lines)


def peak_mb() -> float:
    """Return this process's peak memory in MB; on Linux not by getrusage, whose peak is inherited from the parent."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def print_profile() -> None:
    """Print where the time of a step goes at 10,000 items: with 1,000 of them in the normaliser, and with all."""
    model = model_of(10_000)
    for config in (SAMPLED, SimulatorConfig(n_sampled_items=0)):
        env = RecommendationVectorEnv(model, N_USERS, slate_size=SLATE, config=config)
        env.reset(seed=SEED)
        actions = random_slates(env, 24)
        for action in actions[:4]:
            env.step(action)
        profile = cProfile.Profile()
        profile.enable()
        for action in actions[4:]:
            env.step(action)
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(12)


def in_own_process(n_steps: int, repeats: int) -> dict[str, float]:
    """Run `candidates_1m` alone, so that the peak memory is its own."""
    command = [sys.executable, __file__, "--only-1m", str(n_steps), str(repeats)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def sardine_rate(python: str | None, seconds: float) -> float | None:
    """Return SARDINE's own rate (1,000 items, slates of 10), or None without an interpreter that has it."""
    if python is None:
        return None
    done = subprocess.run([python, "-c", _SARDINE, str(seconds)], capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def measure(quick: bool, sardine: str | None) -> dict[str, float | None]:
    """Run everything."""
    steps, repeats = (20, 3) if quick else (60, 5)
    by_size = {n: model_of(n) for n in (1_000, 10_000, 100_000)}
    rates = {n: vector_rate(model, SAMPLED, steps, repeats) for n, model in by_size.items()}
    model = trained_model(10_000, quick=quick)
    vector = vector_rate(model, SAMPLED, steps, repeats)
    loop = single_loop_rate(model, steps)
    rival = sardine_rate(sardine, 2.0 if quick else 5.0)
    million = in_own_process(steps, repeats)
    error = UserSimulator(model, SAMPLED).normaliser_error
    assert error is not None
    return {
        "vector_10k_slate10": vector,
        "vector_10k_slate10_random_weights": rates[10_000],
        "vector_10k_slate10_exact": vector_rate(model, SimulatorConfig(n_sampled_items=0), max(steps // 3, 4), 3),
        "vector_1k_slate10": rates[1_000],
        "vector_100k_slate10": rates[100_000],
        "vector_1m_candidates": million["rate"],
        "vector_1m_candidate_features": million["rate_with_features"],
        "single": single_rate(model, steps * 20, repeats),
        "slowdown_100k_over_1k": rates[1_000] / rates[100_000],
        "sb3_share": sb3_share(model, steps, repeats),
        "log_z_error": error.after,
        "log_z_error_uncorrected": error.before,
        "sardine_1k_slate10": rival,
        "ratio_sardine": None if rival is None else rates[1_000] / rival,
        "ratio_single_loop": vector / loop,
        "rss_mb_1m": million["rss_mb"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small, under a minute; records nothing")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--out", type=Path, help="folder for the record")
    parser.add_argument("--sardine", metavar="PYTHON", help="an interpreter that can import sardine-rec")
    parser.add_argument("--table", action="store_true", help="print the guide's table from the record")
    parser.add_argument("--profile", action="store_true", help="print where the time of a step goes")
    parser.add_argument("--only-1m", nargs=2, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.table:
        print(table(json.loads((Path(__file__).parent / "results" / "env.json").read_text(encoding="utf-8"))))
        return
    torch.set_num_threads(1)
    register()
    if arguments.profile:
        print_profile()
        return
    if arguments.only_1m:
        print(json.dumps(candidates_1m(*arguments.only_1m)))
        return
    results = measure(arguments.quick, arguments.sardine)
    rounded = {name: None if value is None else float(f"{value:.4g}") for name, value in results.items()}
    for name, value in rounded.items():
        print(f"{name:32}{'-' if value is None else f'{value:,.6g}':>12}")
    if arguments.out is not None and not arguments.quick:
        print(f"record: {record('env', rounded, arguments.out, seed=SEED).name}")
    if arguments.json:
        print(json.dumps(rounded))


if __name__ == "__main__":
    main()
