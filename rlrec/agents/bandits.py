r"""Linear bandits on interest vectors: LinUCB and Thompson sampling, one linear model of the reward for each item.

.. math:: \hat\theta_i = A_i^{-1} b_i, \qquad A_i = \rho I + \sum x x^\top, \qquad b_i = \sum r x

LinUCB shows the item with the largest :math:`x^\top \hat\theta_i + \alpha \sqrt{x^\top A_i^{-1} x}`; Thompson sampling
draws each mean reward from :math:`N(x^\top \hat\theta_i, \alpha^2 x^\top A_i^{-1} x)` and shows the largest. They
look one step ahead: they learn what is clicked, not what keeps people. Memory is I · D² doubles.

References
----------
.. [1] Li et al., "A Contextual-Bandit Approach to Personalized News Article Recommendation", WWW 2010.
.. [2] Agrawal & Goyal, "Thompson Sampling for Contextual Bandits with Linear Payoffs", ICML 2013.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from torch import Tensor

from rlrec.agents.logit_policy import LogitPolicy
from rlrec.agents.observation import check_interests, check_masks, masked
from rlrec.core.checks import check_at_least, check_positive
from rlrec.models.threads import torch_threads


class LinUCBPolicy(LogitPolicy):
    """Optimism in the face of doubt; see the module.

    Parameters
    ----------
    n_items, size : int
        I and D.
    alpha : float
        Width of the optimism, in standard deviations of a reward of spread 1.
    ridge : float
        ρ: pseudo-observations of nothing in every direction.
    slate_size, seed
        As for every `LogitPolicy`.
    """

    def __init__(
        self, n_items: int, size: int, *, alpha: float = 1.0, ridge: float = 1.0, slate_size: int = 1, seed: int = 0
    ) -> None:
        super().__init__(n_items, slate_size, seed=seed)
        check_at_least("alpha", alpha, 0.0)
        check_positive("ridge", ridge)
        self.size, self.alpha = size, alpha
        self._a = np.tile(np.eye(size) * ridge, (n_items, 1, 1))  # (I, D, D)
        self._b = np.zeros((n_items, size))
        self._inverse = np.tile(np.eye(size) / ridge, (n_items, 1, 1))
        self._theta = np.zeros((n_items, size))

    def logits(self, observation: Any) -> Tensor:
        """Return optimistic rewards, (B, I)."""
        mean, spread = self._forecast(observation)
        return torch.from_numpy(mean + self.alpha * spread)

    def update(self, observation: Any, actions: NDArray[np.integer], rewards: NDArray[np.floating]) -> None:
        """Learn from B users: what was shown to each, (B,), and what came of it, (B,)."""
        x = check_interests(observation, self.size).astype(np.float64)
        np.add.at(self._a, actions, x[:, :, None] * x[:, None, :])
        np.add.at(self._b, actions, x * rewards[:, None])
        changed = np.unique(actions)
        self._inverse[changed] = np.linalg.inv(self._a[changed])
        self._theta[changed] = np.einsum("idj,ij->id", self._inverse[changed], self._b[changed])

    def _forecast(self, observation: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the mean and the standard deviation of each item's mean reward, both (B, I)."""
        x = check_interests(observation, self.size).astype(np.float64)
        turned = np.einsum("bd,ide->bie", x, self._inverse, optimize=True)  # (B, I, D)
        return x @ self._theta.T, np.sqrt(np.einsum("bie,be->bi", turned, x))


class ThompsonPolicy(LinUCBPolicy):
    """Draws from what is believed; the deterministic choice is the best mean. Parameters as for `LinUCBPolicy`."""

    def logits(self, observation: Any) -> Tensor:
        """Return mean rewards, (B, I)."""
        return torch.from_numpy(self._forecast(observation)[0])

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
        action_masks: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[np.int64], Any]:
        """Return the best items of one draw of beliefs, or with ``deterministic`` of their means."""
        if deterministic:
            return super().predict(observation, state, episode_start, True, action_masks)
        mean, spread = self._forecast(observation)
        noise = torch.randn(mean.shape, dtype=torch.float64, generator=self._generator).numpy()
        drawn = masked(torch.from_numpy(mean + self.alpha * spread * noise), observation).numpy()
        if action_masks is not None:
            drawn = np.where(check_masks(action_masks, drawn.shape), drawn, -np.inf)
        slates = np.argsort(-drawn, axis=1, kind="stable")[:, : self.slate_size]
        return slates[:, 0] if self.slate_size == 1 else slates, state


def play_bandit(
    env: VectorEnv[Any, Any, Any], policy: LinUCBPolicy, n_steps: int, *, seed: int = 0
) -> NDArray[np.float64]:
    """Let a bandit for single items serve and learn at once; returns the mean reward of each step, (n_steps,)."""
    observation, _ = env.reset(seed=seed)
    means = np.empty(n_steps)
    explore = isinstance(policy, ThompsonPolicy)  # LinUCB explores by its bonus, so its best action is the one to take
    with torch_threads(1):
        for step in range(n_steps):
            actions, _ = policy.predict(observation, deterministic=not explore)
            after, rewards, _, _, _ = env.step(actions)
            policy.update(observation, actions, rewards)
            observation, means[step] = after, rewards.mean()
    return means
