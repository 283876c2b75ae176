"""What policies learned from a log alone earn with the true users, who are a user model fitted on eshop2008.

A logging policy that draws from the model's forecast serves people of the simulator; its log, with propensities, is all
that an agent is given. Each log has a training seed of its own. All policies then meet the same other people, by draws.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import rlrec
from rlrec.agents.baselines import GreedyPolicy
from rlrec.agents.logged_q import train_logged_q
from rlrec.agents.logged_steps import LoggedSteps
from rlrec.agents.off_policy import clone_behavior, train_off_policy
from rlrec.agents.offline_config import CQLConfig, OfflineConfig, SQNConfig
from rlrec.core.protocols import Policy
from rlrec.envs.vector import RecommendationVectorEnv, make_vec
from rlrec.evaluation.collect import collect
from rlrec.evaluation.rollout import evaluate_policies
from rlrec.evaluation.seeds import over_seeds
from rlrec.models.base import SequenceModel
from rlrec.models.config import LSTMConfig
from rlrec.models.lstm import LSTMModel

CLONE = "behaviour cloning"
WAYS: dict[str, Callable[[SequenceModel, LoggedSteps, int], Policy]] = {
    CLONE: lambda model, steps, seed: clone_behavior(model, steps, seed=seed, show_progress=False),
    "REINFORCE": lambda model, steps, seed: train_off_policy(model, steps, seed=seed, show_progress=False),
    "REINFORCE, gamma 0, 4 epochs at 3e-3, ratios to 3": lambda model, steps, seed: train_off_policy(
        model,
        steps,
        OfflineConfig(gamma=0.0, n_epochs=4, learning_rate=3e-3, clip_ratio=3.0),
        seed=seed,
        show_progress=False,
    ),
    "SQN": lambda model, steps, seed: train_logged_q(model, steps, SQNConfig(), seed=seed, show_progress=False),
    "CQL": lambda model, steps, seed: train_logged_q(model, steps, CQLConfig(), seed=seed, show_progress=False),
}


def log_part(*, n_logs: int, quick: bool) -> dict[str, Any]:
    """Return by way of learning what it earns, its gain over cloning with an interval, and CPU-seconds."""
    n_sessions, n_users = (500, 200) if quick else (12_000, 1_500)
    train, valid, _ = rlrec.split_by_time(rlrec.load_log("builtin:eshop2008"))
    config = LSTMConfig(n_epochs=1) if quick else LSTMConfig()
    model = LSTMModel.fit(train, valid=valid, config=config, seed=0, show_progress=False)
    env = make_vec(model, num_envs=min(1_000, n_users))
    logger = GreedyPolicy(model)
    seconds = dict.fromkeys(WAYS, 0.0)
    policies: dict[str, Policy] = {"the logging policy": logger}
    for seed in range(n_logs):
        steps = LoggedSteps.from_trajectories(collect(env, logger, n_users=n_sessions, seed=seed))
        for name, way in WAYS.items():
            begin = time.process_time()
            policies[f"{name}/{seed}"] = way(model, steps, seed)
            seconds[name] += (time.process_time() - begin) / n_logs
    return {"n_logs": n_logs, "n_sessions": n_sessions, "n_users": n_users} | _judge(policies, env, n_users, seconds)


def _judge(
    policies: dict[str, Policy], env: RecommendationVectorEnv, n_users: int, seconds: dict[str, float]
) -> dict[str, Any]:
    found = evaluate_policies(policies, env, n_users=n_users, seed=900, deterministic=False, show_progress=False)
    n_logs = (len(policies) - 1) // len(WAYS)

    def earned(name: str) -> Any:
        return np.stack([found[f"{name}/{seed}"].return_ for seed in range(n_logs)])  # (S, n): the same people

    rows: dict[str, Any] = {}
    for name in WAYS:
        rows[name] = {"cpu_s": round(seconds[name], 1)} | _spread(earned(name))
        if name != CLONE:
            rows[name] |= {f"gain_{key}": value for key, value in _spread(earned(name) - earned(CLONE)).items()}
    logging = found.estimate("the logging policy")
    return {"logging_policy": round(logging.value, 3), "ways": rows}


def _spread(returns: Any) -> dict[str, float]:
    if len(returns) < 2:
        mean, half = float(returns.mean()), 1.96 * float(returns.std() / np.sqrt(returns.size))
        return {"value": round(mean, 3), "low": round(mean - half, 3), "high": round(mean + half, 3)}
    spread = over_seeds(returns, rng=np.random.default_rng(0))
    iqm = {"value": spread.iqm.value, "low": spread.iqm.low, "high": spread.iqm.high, "seed_sd": spread.seed_sd}
    return {name: round(value, 3) for name, value in iqm.items()}


def log_lines(found: dict[str, Any]) -> list[str]:
    """Return the table as text."""
    lines = [
        f"from a log of {found['n_sessions']:,} sessions, {found['n_logs']} logs and training seeds, "
        f"{found['n_users']:,} people; the logging policy earns {found['logging_policy']:.2f}"
    ]
    for name, row in found["ways"].items():
        gain = ""
        if "gain_value" in row:
            gain = f"  minus cloning {row['gain_value']:+.2f} [{row['gain_low']:+.2f}, {row['gain_high']:+.2f}]"
        lines.append(
            f"  {name:50}{row['value']:6.2f} [{row['low']:.2f}, {row['high']:.2f}]{gain}  {row['cpu_s']} CPU-s"
        )
    return lines
