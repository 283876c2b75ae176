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
from rlrec.agents.slates import sample_items_, sample_slates, slate_log_probs, slate_log_probs_and_entropies, top_slates


class SlateActing:
    """What `SlatePolicy` and its maskable twin share: a mixin in front of a policy class of SB3's.

    Parameters
    ----------
    actor_critic : ActorCritic
        Trained in place.
    uses_entropy : bool
        False spares a pass over the catalogue where the entropy bonus is 0; the entropy is then logged as an estimate.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        *,
        actor_critic: ActorCritic,
        uses_entropy: bool = True,
        **kwargs: Any,
    ) -> None:
        self._given = [actor_critic]  # in a list, because a module cannot be assigned before Module.__init__
        self.slate_size = action_space.shape[0] if isinstance(action_space, spaces.MultiDiscrete) else 1
        self.uses_entropy = uses_entropy
        super().__init__(observation_space, action_space, lr_schedule, **kwargs)  # type: ignore[call-arg]

    def _build(self: Any, lr_schedule: Schedule) -> None:
        """Take the given network in place of SB3's own."""
        self.actor_critic = self._given.pop()
        fused = {"fused": True} if issubclass(self.optimizer_class, torch.optim.Adam) else {}  # one pass over weights
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs | fused)

    def act(self: Any, logits: Tensor, obs: PyTorchObs, deterministic: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Return actions (B,) or (B, K), values (B, 1) and log probabilities (B,)."""
        if self.slate_size == 1 and not deterministic and not logits.requires_grad:
            items, log_probs = sample_items_(logits, torch.rand(len(logits), 1, dtype=torch.float64))
            return self.as_actions(items), self.predict_values(obs), log_probs
        slates = self.slates(logits, deterministic)
        return self.as_actions(slates), self.predict_values(obs), slate_log_probs(logits, slates)

    def judge(self: Any, logits: Tensor, obs: PyTorchObs, actions: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return values (B, 1), log probabilities (B,) and entropies (B,), if used, of actions taken."""
        slates = actions.long().view(len(logits), self.slate_size)
        if not self.uses_entropy:
            return self.predict_values(obs), slate_log_probs(logits, slates), None
        return self.predict_values(obs), *slate_log_probs_and_entropies(logits, slates)

    def predict_values(self: Any, obs: PyTorchObs) -> Tensor:
        """Return values, (B, 1)."""
        values: Tensor = self.actor_critic.values(obs).unsqueeze(-1)
        return values

    def logits(self: Any, obs: PyTorchObs) -> Tensor:
        """Return the actor's logits, -inf where the observation's mask forbids, (B, n_actions)."""
        return masked(self.actor_critic.logits(obs), obs)

    def slates(self: Any, logits: Tensor, deterministic: bool) -> Tensor:
        """Return the best slates, or drawn ones, (B, K)."""
        if deterministic:
            return top_slates(logits, self.slate_size)
        return sample_slates(logits, torch.rand(len(logits), self.slate_size, dtype=torch.float64))

    def as_actions(self: Any, slates: Tensor) -> Tensor:
        """Return slates as actions of the environment."""
        return slates.squeeze(-1) if isinstance(self.action_space, spaces.Discrete) else slates


class SlatePolicy(SlateActing, ActorCriticPolicy):
    """SB3's face of an `ActorCritic`: sampling by inverse CDF, exact slate probabilities, masks from the observation.

    Parameters as for `SlateActing`.
    """

    def forward(self, obs: PyTorchObs, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Return actions (B,) or (B, K), values (B, 1) and log probabilities (B,)."""
        return self.act(self.logits(obs), obs, deterministic)

    def evaluate_actions(self, obs: PyTorchObs, actions: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return values (B, 1), log probabilities (B,) and entropies (B,) of actions taken."""
        if self.slate_size == 1 and not self.uses_entropy:
            return self.predict_values(obs), self.actor_critic.log_probs_of(obs, actions.long().view(-1, 1)), None
        return self.judge(self.logits(obs), obs, actions)

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> Tensor:
        return self.as_actions(self.slates(self.logits(observation), deterministic))
