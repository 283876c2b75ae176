"""What an agent's network is, and the plain one for worlds that have no user model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from rlrec.agents.observation import interest_in, masked
from rlrec.agents.slates import log_prob_of


class ActorCritic(nn.Module, ABC):
    """Scores actions and states. An observation is a tensor (B, D), or a dict of tensors by part."""

    @abstractmethod
    def logits(self, observation: Any) -> Tensor:
        """Return the logits of all actions, (B, n_actions), masks aside."""

    @abstractmethod
    def values(self, observation: Any) -> Tensor:
        """Return the expected return from here, (B,)."""

    def log_probs_of(self, observation: Any, items: Tensor) -> Tensor:
        """Return the log probabilities of ``items`` (B, 1) of actions, the observation's mask obeyed, (B,)."""
        return log_prob_of(masked(self.logits(observation), observation), items)


class PlainActorCritic(ActorCritic):
    """Two separate networks of two hidden layers, as SB3's; for any observation of one axis.

    Parameters
    ----------
    size : int
        D.
    n_actions : int
    hidden_size : int
    """

    def __init__(self, size: int, n_actions: int, hidden_size: int) -> None:
        super().__init__()
        self.actor = mlp(size, hidden_size, n_actions, last_scale=0.01)  # start near uniform, as SB3 does
        self.critic = mlp(size, hidden_size, 1)

    def logits(self, observation: Any) -> Tensor:
        """Return the logits of all actions."""
        logits: Tensor = self.actor(interest_in(observation))
        return logits

    def values(self, observation: Any) -> Tensor:
        """Return the expected return from here."""
        values: Tensor = self.critic(interest_in(observation)).squeeze(-1)
        return values


class CandidateActorCritic(ActorCritic):
    r"""Ranks C candidates by their features; new items need no retraining, and the cost ignores the catalogue.

    .. math:: \mathrm{logits}_c = \alpha \log p(c \mid h) + f(h) \cdot \varphi(x_c)

    with :math:`x_c` the candidate's features (see `rlrec.envs.observations.Observations`). The correction starts at 0.

    Parameters
    ----------
    size : int
        D of the interest vector.
    n_features : int
        Features of a candidate; the first is log p / 10.
    alpha, rank, hidden_size
        See `rlrec.agents.config.PPOConfig`.
    """

    def __init__(self, size: int, n_features: int, *, alpha: float, rank: int, hidden_size: int) -> None:
        super().__init__()
        self.log_alpha = nn.Parameter(torch.tensor(alpha).log())
        self.user = mlp(size, hidden_size, rank)
        self.item = mlp(n_features, hidden_size, rank, last_scale=0.0)
        self.critic = mlp(size, hidden_size, 1)

    def logits(self, observation: Any) -> Tensor:
        """Return the logits of the candidates, (B, C)."""
        features = observation["candidate_features"].float()  # (B, C, F)
        learned = (self.item(features) * self.user(interest_in(observation)).unsqueeze(1)).sum(-1)
        logits: Tensor = self.log_alpha.exp() * 10.0 * features[..., 0] + learned
        return logits

    def values(self, observation: Any) -> Tensor:
        """Return the expected return from here."""
        values: Tensor = self.critic(interest_in(observation)).squeeze(-1)
        return values


def mlp(size: int, hidden_size: int, out: int, *, last_scale: float = 1.0) -> nn.Sequential:
    """Return two hidden layers of tanh units, the last layer's first weights multiplied by ``last_scale``."""
    last = nn.Linear(hidden_size, out)
    with torch.no_grad():
        last.weight.mul_(last_scale)
        last.bias.mul_(last_scale)
    return nn.Sequential(nn.Linear(size, hidden_size), nn.Tanh(), nn.Linear(hidden_size, hidden_size), nn.Tanh(), last)
