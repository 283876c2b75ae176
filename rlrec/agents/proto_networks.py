r"""Actors that answer with a point in item space, and a critic that picks among the items near it (Wolpertinger).

.. math:: a(h) = \tanh\big(\widehat{\textstyle\sum_i \pi_0(i \mid h)\, v_i} + f(h)\big), \qquad
    i^* = \arg\max_{i \in \mathrm{nearest}_k(a)} Q(h, v_i)

with :math:`v_i` the items' vectors and :math:`\pi_0 \propto p^2` of the user model: the proto-action starts at the mean
vector of what is expected next, inside the items' hull, and f starts at 0. A slate is the K items nearest to the point.

References
----------
.. [1] Dulac-Arnold et al., "Deep reinforcement learning in large discrete action spaces", arXiv 1512.07679, 2015.
.. [2] Liu et al., "Exploration and Regularization of the Latent Action Space in Recommendation" (HAC), WWW 2023.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rlrec.agents.actor_critic import ActorCritic, mlp
from rlrec.agents.networks import forecast_of
from rlrec.agents.observation import interest_in, masked
from rlrec.models.base import SequenceModel

_SHARPNESS = 2.0  # of the user model (chosen here)


class ProtoActor(nn.Module):
    """From interests (B, D) to points before the tanh, (B, E).

    Parameters
    ----------
    observer : SequenceModel, optional
        Its forecast gives the point to start from; without one the actor is a plain network.
    vectors : Tensor, shape (I, E)
        Of the items.
    size, hidden_size : int
        D, and units of the hidden layers.
    """

    def __init__(self, observer: SequenceModel | None, vectors: Tensor, size: int, hidden_size: int) -> None:
        super().__init__()
        self.forecast = None if observer is None else forecast_of(observer)
        self.register_buffer("items", vectors.clone())
        self.correction = mlp(size, hidden_size, vectors.shape[1], last_scale=1.0 if observer is None else 0.0)

    items: Tensor

    def forward(self, interest: Tensor) -> Tensor:
        """Return the points, (B, E)."""
        point: Tensor = self.correction(interest)
        if self.forecast is None:
            return point
        expected = (_SHARPNESS * self.forecast.scores(interest)).softmax(-1) @ self.items
        return nn.functional.normalize(expected, dim=-1) + point


class ProtoNetwork(ActorCritic):
    """Actor, critic, and the items that an answer is resolved to.

    Parameters
    ----------
    observer, vectors, size, hidden_size
        As for `ProtoActor`.
    n_nearest : int
        Items near the point among which the critic picks, k.
    temperature : float
        Of the softmax of values from which the trained policy draws, reward units.
    slate_size : int
        Above 1 the slate is what is nearest, and the critic picks nothing.
    """

    def __init__(
        self,
        observer: SequenceModel | None,
        vectors: Tensor,
        size: int,
        *,
        hidden_size: int,
        n_nearest: int,
        temperature: float,
        slate_size: int = 1,
    ) -> None:
        super().__init__()
        self.actor = ProtoActor(observer, vectors, size, hidden_size)
        self.critic: nn.Module = mlp(size + vectors.shape[1], hidden_size, 1)
        self.n_nearest = min(n_nearest, len(vectors)) if slate_size == 1 else 0
        self.temperature = temperature

    @property
    def items(self) -> Tensor:
        """Vectors of the items, (I, E)."""
        return self.actor.items

    def take_critic(self, critic: nn.Module) -> None:
        """Judge by another network of the same shape from now on, from (N, D + E) to (N, 1)."""
        self.critic = critic

    def logits(self, observation: Any) -> Tensor:
        """Return Q / temperature of the items near the point, the others below them by nearness, (B, I)."""
        return self.ranked(observation, self.actor(interest_in(observation)).tanh())

    def ranked(self, observation: Any, points: Tensor) -> Tensor:
        """Return the same for given points (B, E)."""
        near = masked(points @ self.items.T, observation)  # (B, I)
        if not self.n_nearest:
            return near / self.temperature
        chosen = near.topk(self.n_nearest, dim=1).indices  # (B, k)
        q = self._q(interest_in(observation), chosen)
        below = q.amin(1, keepdim=True) - 1.0 + near.clamp(min=-1e3) - near.amax(1, keepdim=True)
        return below.scatter(1, chosen, q) / self.temperature

    def values(self, observation: Any) -> Tensor:
        """Return the critic's value of the point itself, (B,)."""
        interest = interest_in(observation)
        values: Tensor = self.critic(torch.cat([interest, self.actor(interest).tanh()], dim=-1)).squeeze(-1)
        return values

    def _q(self, interest: Tensor, items: Tensor) -> Tensor:
        """Return Q of items (B, k), (B, k)."""
        people = interest.unsqueeze(1).expand(-1, items.shape[1], -1)
        q: Tensor = self.critic(torch.cat([people, self.items[items]], dim=-1)).squeeze(-1)
        return q
