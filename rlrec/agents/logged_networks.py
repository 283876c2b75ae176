"""Networks with two heads, for SQN: a cross-entropy head that says what was shown, and values that say what it paid."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from rlrec.agents.actor_critic import mlp
from rlrec.agents.networks import forecast_of
from rlrec.agents.observation import interest_in
from rlrec.agents.q_networks import QNetwork
from rlrec.models.base import SequenceModel


class TwoHeadNetwork(QNetwork):
    """Its logits are those of the cross-entropy head plus Q / temperature."""

    @abstractmethod
    def supervised(self, observation: Any) -> Tensor:
        """Return the logits of the cross-entropy head, (B, n_actions)."""

    def logits(self, observation: Any) -> Tensor:
        """Return supervised logits + Q / temperature."""
        return self.supervised(observation) + super().logits(observation)


class ResidualTwoHeadNetwork(TwoHeadNetwork):
    """Both heads over the items of an observer model, from one hidden layer; it starts as the observer's forecast.

    Parameters
    ----------
    observer : SequenceModel
        Gives the interest vectors and the frozen forecast; not changed.
    alpha, temperature, rank, hidden_size
        See `rlrec.agents.offline_config.SQNConfig`.
    """

    def __init__(
        self, observer: SequenceModel, *, alpha: float, temperature: float, rank: int, hidden_size: int
    ) -> None:
        super().__init__(temperature)
        self.forecast = forecast_of(observer)
        self.log_alpha = nn.Parameter(torch.tensor(math.log(alpha)))
        self.hidden = nn.Sequential(nn.Linear(observer.interest_size, hidden_size), nn.Tanh())
        self.heads = nn.ModuleList(nn.Linear(hidden_size, rank) for _ in range(2))  # of what was shown, of its value
        self.item_corrections = nn.Parameter(torch.zeros(2, observer.n_items, rank))
        self.item_bonuses = nn.Parameter(torch.zeros(2, observer.n_items))
        self.state_value = nn.Linear(hidden_size, 1)

    def supervised(self, observation: Any) -> Tensor:
        """Return α log p(item | interest) + correction, (B, I)."""
        interest = interest_in(observation)
        logits: Tensor = self.log_alpha.exp() * self.forecast(interest) + self._correction(self.hidden(interest), 0)
        return logits

    def q_values(self, observation: Any) -> Tensor:
        """Return Q of all items, (B, I)."""
        hidden = self.hidden(interest_in(observation))
        q: Tensor = self.state_value(hidden) + self._correction(hidden, 1)
        return q

    def _correction(self, hidden: Tensor, head: int) -> Tensor:
        learned: Tensor = self.heads[head](hidden) @ self.item_corrections[head].T + self.item_bonuses[head]
        return learned


class PlainTwoHeadNetwork(TwoHeadNetwork):
    """Both heads on one hidden layer, for any observation of one axis."""

    def __init__(self, size: int, n_actions: int, *, temperature: float, hidden_size: int) -> None:
        super().__init__(temperature)
        self.n_actions = n_actions
        self.both = mlp(size, hidden_size, 2 * n_actions)

    def supervised(self, observation: Any) -> Tensor:
        """Return the first head, (B, n_actions)."""
        both: Tensor = self.both(interest_in(observation))
        return both[:, : self.n_actions]

    def q_values(self, observation: Any) -> Tensor:
        """Return the second head, (B, n_actions)."""
        both: Tensor = self.both(interest_in(observation))
        return both[:, self.n_actions :]
