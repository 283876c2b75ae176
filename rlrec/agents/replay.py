"""A ring of remembered steps, as flat arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class ReplayBatch(NamedTuple):
    """Steps drawn from the ring, all with leading axis N."""

    observation: Tensor
    action: Tensor
    reward: Tensor
    after: Tensor
    """What was observed next: of the same person, also where it left."""
    terminated: Tensor
    """1 where nothing follows."""


class Replay:
    """The last ``capacity`` steps.

    Parameters
    ----------
    capacity : int
        Steps kept.
    size : int
        D of an observation.
    """

    def __init__(self, capacity: int, size: int) -> None:
        self._observation, self._after = np.zeros((2, capacity, size), np.float32)
        self._action = np.zeros(capacity, np.int64)
        self._reward, self._terminated = np.zeros((2, capacity), np.float32)
        self._capacity, self._next, self._filled = capacity, 0, 0

    def __len__(self) -> int:
        return self._filled

    def add(
        self,
        observation: NDArray[np.float32],
        action: NDArray[np.int64],
        reward: NDArray[np.floating],
        after: NDArray[np.float32],
        terminated: NDArray[np.bool_],
    ) -> None:
        """Remember B steps, forgetting the oldest."""
        place = (self._next + np.arange(len(action))) % self._capacity
        self._observation[place], self._after[place] = observation, after
        self._action[place], self._reward[place], self._terminated[place] = action, reward, terminated
        self._next = (self._next + len(action)) % self._capacity
        self._filled = min(self._filled + len(action), self._capacity)

    def sample(self, n: int, rng: np.random.Generator) -> ReplayBatch:
        """Draw ``n`` steps with replacement."""
        place = rng.integers(0, self._filled, n)
        columns = (self._observation, self._action, self._reward, self._after, self._terminated)
        return ReplayBatch(*(torch.from_numpy(column[place]) for column in columns))
