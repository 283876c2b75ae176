"""Item values over a model of what people take from a slate; see `rlrec.agents.slate_q` for the formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from rlrec.agents.actor_critic import ActorCritic, mlp
from rlrec.agents.observation import interest_in, masked

_ITERATIONS = 4  # Dinkelbach's converge faster than linearly
Attraction = Callable[[Tensor], Tensor]
"""From observations (B, D) to the attraction of every item, (B, I), positive."""


class SlateQNetwork(ActorCritic):
    r"""Item values over an attraction model; its logits rank items for slates.

    Parameters
    ----------
    size, n_items, slate_size, hidden_size : int
        D, I, K, and units of the hidden layers.
    attraction : callable
        v of the choice model.
    outside : float
        Attraction v_0 of nothing. With ``kappa`` it is :math:`\kappa (1 - \sum_S v)`, the simulator's.
    kappa : float, optional
    temperature : float
        Of the softmax from which slates are drawn.
    """

    def __init__(
        self,
        size: int,
        n_items: int,
        slate_size: int,
        hidden_size: int,
        attraction: Attraction,
        *,
        outside: float = 1.0,
        kappa: float | None = None,
        temperature: float = 0.05,
    ) -> None:
        super().__init__()
        self.attraction, self.outside, self.kappa, self.temperature = attraction, outside, kappa, temperature
        self.n_items, self.slate_size = n_items, slate_size
        self.q = mlp(size, hidden_size, n_items + 1)  # the last one is the null item's

    def scores(self, observation: Any) -> Tensor:
        """Return v (Q - λ) of all items, (B, I), at the λ of the best slate that may be shown: its K largest are it."""
        interest = interest_in(observation)
        q, v = self.q(interest), self.attraction(interest)
        value = q[:, -1]  # (B,) λ: that of showing nothing, and then of better and better slates
        for _ in range(_ITERATIONS):
            scores = masked(self._scores(q, v, value), observation)
            value = self._ratio(q, v, scores.topk(self.slate_size, dim=1).indices)
        return self._scores(q, v, value)

    def _scores(self, q: Tensor, v: Tensor, value: Tensor) -> Tensor:
        """Return each item's part of numerator minus λ times denominator, (B, I)."""
        if self.kappa is None:
            return v * (q[:, :-1] - value.unsqueeze(1))
        return v * (q[:, :-1] - self.kappa * q[:, -1:] - (1.0 - self.kappa) * value.unsqueeze(1))

    def logits(self, observation: Any) -> Tensor:
        """Return scores / temperature."""
        return self.scores(observation) / self.temperature

    def values(self, observation: Any) -> Tensor:
        """Return the value of the best slate, (B,)."""
        best = masked(self.scores(observation), observation).topk(self.slate_size, dim=1).indices
        return self.slate_values(observation, best)

    def slate_values(self, observation: Any, slates: Tensor) -> Tensor:
        """Return Q(h, S) of slates (B, K), shape (B,)."""
        interest = interest_in(observation)
        return self._ratio(self.q(interest), self.attraction(interest), slates)

    def _ratio(self, q: Tensor, v: Tensor, slates: Tensor) -> Tensor:
        shown = v.gather(1, slates)  # (B, K)
        total = shown.sum(1)
        outside = self.kappa * (1.0 - total).clamp(min=0.0) if self.kappa is not None else self.outside
        weighted = (shown * q.gather(1, slates)).sum(1) + outside * q[:, -1]
        return weighted / (total + outside)


class ForecastAttraction:
    """The observer's p(item | interest) as attraction; kept apart from the network, which would learn it."""

    def __init__(self, forecast: nn.Module) -> None:
        self._forecast = forecast

    def __call__(self, observation: Tensor) -> Tensor:
        """Return p(item | interest), (B, I)."""
        probs: Tensor = self._forecast(observation).exp()
        return probs
