"""An actor-critic of ours in the dress that stable-baselines3's PPO and A2C train."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor

from rlrec.agents.actor_critic import ActorCritic
from rlrec.agents.observation import masked
from rlrec.agents.slates import sample_slates, slate_log_probs, top_slates


class SlatePolicy(ActorCriticPolicy):
    """SB3's face of an `ActorCritic`: sampling by inverse CDF, exact slate probabilities, masks from the observation.

    Parameters
    ----------
    actor_critic : ActorCritic
        Trained in place.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        *,
        actor_critic: ActorCritic,
        **kwargs: Any,
    ) -> None:
        self._given = [actor_critic]  # in a list, because a module cannot be assigned before Module.__init__
        self.slate_size = action_space.shape[0] if isinstance(action_space, spaces.MultiDiscrete) else 1
        super().__init__(observation_space, action_space, lr_schedule, **kwargs)

    def _build(self, lr_schedule: Schedule) -> None:
        """Take the given network in place of SB3's own."""
        self.actor_critic = self._given.pop()
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)  # type: ignore[call-arg]

    def forward(self, obs: PyTorchObs, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Return actions (B,) or (B, K), values (B, 1) and log probabilities (B,)."""
        logits = self._logits(obs)
        slates = self._slates(logits, deterministic)
        log_probs, _ = slate_log_probs(logits, slates)
        return self._as_actions(slates), self.predict_values(obs), log_probs

    def evaluate_actions(self, obs: PyTorchObs, actions: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return values (B, 1), log probabilities (B,) and entropies (B,) of actions taken."""
        logits = self._logits(obs)
        log_probs, entropy = slate_log_probs(logits, actions.long().view(len(logits), self.slate_size))
        return self.predict_values(obs), log_probs, entropy

    def predict_values(self, obs: PyTorchObs) -> Tensor:
        """Return values, (B, 1)."""
        return self.actor_critic.values(obs).unsqueeze(-1)

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> Tensor:
        return self._as_actions(self._slates(self._logits(observation), deterministic))

    def _logits(self, obs: PyTorchObs) -> Tensor:
        return masked(self.actor_critic.logits(obs), obs)

    def _slates(self, logits: Tensor, deterministic: bool) -> Tensor:
        if deterministic:
            return top_slates(logits, self.slate_size)
        return sample_slates(logits, torch.rand(len(logits), self.slate_size, dtype=torch.float64))

    def _as_actions(self, slates: Tensor) -> Tensor:
        return slates.squeeze(-1) if isinstance(self.action_space, spaces.Discrete) else slates
