"""Policies that learn nothing from rewards: what an agent has to beat.

A policy that acts on interest vectors names the model that they come from in ``observer``; the rollout then gives it
that model's vectors, whatever the environment's own observer is. So a Markov chain's greedy policy and an LSTM's can
stand in one table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from rlrec.agents.logit_policy import LogitPolicy
from rlrec.agents.networks import forecast_of
from rlrec.agents.observation import check_interests, n_users
from rlrec.core.checks import check_positive
from rlrec.core.errors import InvalidArgumentError
from rlrec.models.base import SequenceModel


class RandomPolicy(LogitPolicy):
    """Shows items uniformly at random. It has no best item, so it draws even where ``deterministic`` is asked for."""

    def logits(self, observation: Any) -> torch.Tensor:
        """Return zeros."""
        return torch.zeros(n_users(observation), self.n_items)

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
        action_masks: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[np.int64], Any]:
        """Return random actions."""
        return super().predict(observation, state, episode_start, False, action_masks)


class PopularPolicy(LogitPolicy):
    """Shows everyone the most frequent items of the training log; drawn in proportion to (count + 1) otherwise.

    Parameters
    ----------
    item_counts : int array, shape (I,)
        Such as ``model.space.item_counts``.
    """

    def __init__(self, item_counts: NDArray[np.int64], slate_size: int = 1, *, seed: int = 0) -> None:
        super().__init__(len(item_counts), slate_size, seed=seed)
        self._logits = torch.from_numpy(np.log(np.asarray(item_counts, np.float64) + 1.0))

    def logits(self, observation: Any) -> torch.Tensor:
        """Return log popularity, the same for all."""
        return self._logits.expand(n_users(observation), -1)


class GreedyPolicy(LogitPolicy):
    """Shows what a sequence model thinks comes next: the top K, or a draw from p(item | interest)^(1 / temperature).

    Parameters
    ----------
    observer : SequenceModel
        Any model whose forecast can be read off its interest vector: LSTM, Markov, popularity.
    temperature : float
        Of the draws; the deterministic choice does not depend on it.
    """

    def __init__(
        self, observer: SequenceModel, slate_size: int = 1, *, temperature: float = 1.0, seed: int = 0
    ) -> None:
        super().__init__(observer.n_items, slate_size, seed=seed)
        check_positive("temperature", temperature)
        self.observer = observer
        self.temperature = temperature
        self._forecast = forecast_of(observer)

    def logits(self, observation: Any) -> torch.Tensor:
        """Return log p(item | interest) / temperature."""
        interests = torch.from_numpy(check_interests(observation, self.observer.interest_size))
        log_probs: torch.Tensor = self._forecast(interests)
        return log_probs / self.temperature


class ItemKNNPolicy(LogitPolicy):
    r"""Shows what people who touched the last items touched too: the sum of cosines to the recent items.

    .. math:: s_i = \sum_{w} 2^{-w}\, \frac{|S_i \cap S_{h_w}|}{\sqrt{|S_i|\,|S_{h_w}|}}

    Acts on the observation part ``history``. What was touched last is not shown again. Newcomers get popular items.
    Memory is I² floats.

    Parameters
    ----------
    similarity : float array, shape (I, I)
        Such as `rlrec.envs.candidates.cooccurrence_cosines` gives.
    item_counts : int array, shape (I,)
        Breaks ties by popularity.
    temperature : float
        Of draws, in cosines.

    References
    ----------
    .. [1] Sarwar et al., "Item-based collaborative filtering recommendation algorithms", WWW 2001.
    """

    needs: ClassVar[tuple[str, ...]] = ("history",)

    def __init__(
        self,
        similarity: NDArray[np.floating],
        item_counts: NDArray[np.int64],
        slate_size: int = 1,
        *,
        temperature: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__(len(item_counts), slate_size, seed=seed)
        check_positive("temperature", temperature)
        shares = item_counts / max(int(item_counts.sum()), 1)
        self._tie = torch.from_numpy(1e-4 * shares)
        self._similarity = torch.from_numpy(np.asarray(similarity, np.float64))
        self._temperature = temperature

    def logits(self, observation: Any) -> torch.Tensor:
        """Return scores / temperature, (B, I)."""
        if not isinstance(observation, Mapping) or "history" not in observation:
            raise InvalidArgumentError("item-kNN acts on histories: make the environment with observation=('history',)")
        recent = torch.as_tensor(np.asarray(observation["history"])).long()  # (B, W): 0 is none
        weight = torch.where(recent > 0, 2.0 ** -torch.arange(recent.shape[1], dtype=torch.float64), 0.0)
        near = torch.einsum("bw,bwi->bi", weight, self._similarity[(recent - 1).clamp(min=0)]) + self._tie
        last = (recent[:, :1] - 1).clamp(min=0)
        again = torch.zeros_like(near, dtype=torch.bool).scatter(1, last, recent[:, :1] > 0)
        return near.masked_fill(again, -1.0) / self._temperature
