"""Random actions for learning values off-policy: each row explores by its own luck, and only where its mask allows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rlrec.agents.observation import as_tensors, mask_in, n_users


class RowwiseExploration:
    """A mixin in front of SB3's DQN and sb3-contrib's QR-DQN, which explore with all rows at once and ignore masks.

    Draws from NumPy's global generator, as SB3 does; `rlrec.agents.training.train_agent` seeds and restores it.
    """

    def _sample_action(
        self: Any, learning_starts: int, action_noise: Any = None, n_envs: int = 1
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return what to do, and the same for the buffer."""
        share = 1.0 if self.num_timesteps < learning_starts else self.exploration_rate
        explores = np.random.random(n_envs) < share  # noqa: NPY002
        actions = random_actions(self._last_obs, int(self.action_space.n))
        if not explores.all():
            best, _ = self.policy.predict(self._last_obs, deterministic=True)
            actions = np.where(explores, actions, best)
        return actions, actions


def random_actions(observation: Any, n_actions: int) -> NDArray[np.int64]:
    """Return an allowed action for each row, (B,), drawn from NumPy's global generator."""
    uniform = np.random.random(n_users(observation))  # noqa: NPY002
    mask = mask_in(as_tensors(observation), n_actions) if isinstance(observation, dict) else None
    if mask is None:
        return (uniform * n_actions).astype(np.int64)
    allowed = mask.cumsum(1)  # (B, n_actions): the k-th allowed action is where it first reaches k + 1
    rank = torch.from_numpy((uniform * allowed[:, -1].numpy()).astype(np.int64)) + 1
    chosen: NDArray[np.int64] = torch.searchsorted(allowed, rank.unsqueeze(1)).squeeze(1).numpy()
    return chosen
