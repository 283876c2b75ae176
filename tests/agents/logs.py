"""Logs of the tiny worlds, by a policy whose propensities are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rlrec.agents.logged_steps import LoggedSteps


def logged(world: Any, behavior: Callable[[np.ndarray], np.ndarray], n_steps: int, seed: int = 0) -> LoggedSteps:
    """Let a policy, probabilities (B, I) from observations, serve people; rows become episodes one after another."""
    observation, _ = world.reset(seed=seed + 1)
    rng, columns = np.random.default_rng(seed), []
    start = np.ones(world.num_envs, bool)
    for _ in range(n_steps):
        probs = behavior(observation)
        action = (probs.cumsum(axis=1) < rng.random((len(probs), 1))).sum(axis=1)
        after, rewards, terminated, truncated, _ = world.step(action)
        columns.append((observation, action, rewards, start, probs[np.arange(len(probs)), action]))
        observation, start = after, terminated | truncated
    arrays = [np.stack(column, axis=1) for column in zip(*columns, strict=True)]  # (B, T, ...)
    arrays[3][:, 0] = True
    return LoggedSteps(*(array.reshape(-1, *array.shape[2:]) for array in arrays))
