r"""Values of actions, for DQN and SlateQ: networks that start as the greedy policy of the user model.

.. math:: Q(h, i) = V(h) + w\, p(i \mid h) + f(h) \cdot e_i + b_i

with p frozen, w = 1 at the start and the correction 0, so that the best action is the most probable item.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from rlrec.agents.actor_critic import ActorCritic, mlp
from rlrec.agents.networks import forecast_of
from rlrec.agents.observation import interest_in
from rlrec.models.base import SequenceModel


class QNetwork(ActorCritic):
    """An `ActorCritic` whose actor is a softmax of values: logits = Q / temperature."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    @abstractmethod
    def q_values(self, observation: Any) -> Tensor:
        """Return Q of all actions, (B, n_actions)."""

    def logits(self, observation: Any) -> Tensor:
        """Return Q / temperature."""
        return self.q_values(observation) / self.temperature

    def values(self, observation: Any) -> Tensor:
        """Return the largest Q."""
        return self.q_values(observation).amax(-1)


class ResidualQNetwork(QNetwork):
    """Q over the items of an observer model; parameters as in `rlrec.agents.networks.ResidualActorCritic`."""

    def __init__(self, observer: SequenceModel, *, temperature: float, rank: int, hidden_size: int) -> None:
        super().__init__(temperature)
        size = observer.interest_size
        self.forecast = forecast_of(observer)
        self.weight = nn.Parameter(torch.ones(()))
        self.correction = nn.Sequential(nn.Linear(size, hidden_size), nn.Tanh(), nn.Linear(hidden_size, rank))
        self.item_correction = nn.Parameter(torch.zeros(observer.n_items, rank))
        self.item_bonus = nn.Parameter(torch.zeros(observer.n_items))
        self.state_value = mlp(size, hidden_size, 1)

    def q_values(self, observation: Any) -> Tensor:
        """Return Q of all items, (B, I)."""
        interest = interest_in(observation)
        learned = self.correction(interest) @ self.item_correction.T + self.item_bonus
        q: Tensor = self.state_value(interest) + self.weight * self.forecast(interest).exp() + learned
        return q


class PlainQNetwork(QNetwork):
    """Q of any observation of one axis."""

    def __init__(self, size: int, n_actions: int, *, temperature: float, hidden_size: int) -> None:
        super().__init__(temperature)
        self.q = mlp(size, hidden_size, n_actions)

    def q_values(self, observation: Any) -> Tensor:
        """Return Q of all actions."""
        q: Tensor = self.q(interest_in(observation))
        return q


class QuantileNetwork(QNetwork):
    """Quantiles of the return of each action, for QR-DQN; Q is their mean."""

    @abstractmethod
    def quantiles(self, observation: Any) -> Tensor:
        """Return N quantiles of the return of all actions, (B, N, n_actions)."""

    def q_values(self, observation: Any) -> Tensor:
        """Return Q of all actions."""
        return self.quantiles(observation).mean(dim=1)


class ResidualQuantileNetwork(QuantileNetwork):
    """Quantiles over the items of an observer model, at first all equal to `ResidualQNetwork`'s Q.

    Parameters
    ----------
    observer, temperature, rank, hidden_size
        As for `ResidualQNetwork`.
    n_quantiles : int
        N.
    """

    def __init__(
        self, observer: SequenceModel, *, n_quantiles: int, temperature: float, rank: int, hidden_size: int
    ) -> None:
        super().__init__(temperature)
        size = observer.interest_size
        self.shape = (n_quantiles, rank)
        self.forecast = forecast_of(observer)
        self.weight = nn.Parameter(torch.ones(()))
        self.correction = nn.Sequential(
            nn.Linear(size, hidden_size), nn.Tanh(), nn.Linear(hidden_size, n_quantiles * rank)
        )
        self.item_correction = nn.Parameter(torch.zeros(observer.n_items, rank))
        self.item_bonus = nn.Parameter(torch.zeros(observer.n_items))
        self.state_value = mlp(size, hidden_size, n_quantiles)

    def quantiles(self, observation: Any) -> Tensor:
        """Return the quantiles, (B, N, I)."""
        interest = interest_in(observation)
        learned = self.correction(interest).unflatten(-1, self.shape) @ self.item_correction.T  # (B, N, I)
        shared = self.weight * self.forecast(interest).exp() + self.item_bonus  # (B, I)
        quantiles: Tensor = self.state_value(interest).unsqueeze(-1) + shared.unsqueeze(1) + learned
        return quantiles


class PlainQuantileNetwork(QuantileNetwork):
    """Quantiles of any observation of one axis."""

    def __init__(self, size: int, n_actions: int, *, n_quantiles: int, temperature: float, hidden_size: int) -> None:
        super().__init__(temperature)
        self.shape = (n_quantiles, n_actions)
        self.q = mlp(size, hidden_size, n_quantiles * n_actions)

    def quantiles(self, observation: Any) -> Tensor:
        """Return the quantiles, (B, N, n_actions)."""
        quantiles: Tensor = self.q(interest_in(observation)).unflatten(-1, self.shape)
        return quantiles
