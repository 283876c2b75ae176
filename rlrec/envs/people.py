"""Simulated people between two slates, and what they did with one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.models.base import RecurrentState


@dataclass(frozen=True, kw_only=True)
class UserState:
    """B people between two slates."""

    memory: RecurrentState
    """What the user model remembers of each."""
    key: NDArray[np.int64]
    """(B,) who they are."""
    clock: NDArray[np.int64]
    """(B,) slates answered."""
    streak: Tensor
    """(B,) useless slates in a row."""
    had: Tensor
    """(B, W) groups touched lately, for `Satiation`; W is 0 where it is off."""
    visit: NDArray[np.int64]
    """(B,) visits before this one."""
    seen: NDArray[np.int64]
    """(B,) slates answered in this visit."""
    day: NDArray[np.float64]
    """(B,) days from a person's arrival to the start of this visit."""

    def put(self, rows: NDArray[np.int64], other: UserState) -> UserState:
        """Return these people with those in ``rows`` (n,) replaced by ``other``'s n."""
        index = torch.from_numpy(rows).to(self.streak.device)
        merged = {}
        for name in _COLUMNS:
            merged[name] = getattr(self, name).copy()
            merged[name][rows] = getattr(other, name)
        streak, had = self.streak.index_copy(0, index, other.streak), self.had.index_copy(0, index, other.had)
        return UserState(memory=self.memory.put(index, other.memory), streak=streak, had=had, **merged)

    def select(self, rows: NDArray[np.int64]) -> UserState:
        """Return the people in ``rows``."""
        index = torch.from_numpy(rows).to(self.streak.device)
        columns = {name: getattr(self, name)[rows] for name in _COLUMNS}
        return UserState(memory=self.memory.select(index), streak=self.streak[index], had=self.had[index], **columns)


_COLUMNS = ("key", "clock", "visit", "seen", "day")


class Responses(NamedTuple):
    """What B people did with their slates; all (B,) but ``click_probs``."""

    position: NDArray[np.int64]
    """Slate position of the click, -1 for none."""
    item: NDArray[np.int64]
    """Item of the visible behaviour: clicked, or found alone; -1 if there was none."""
    event: NDArray[np.int64]
    """Its event type; 0 if there was none."""
    gap: NDArray[np.int64]
    """Its gap bucket."""
    left: NDArray[np.bool_]
    """True where the person then left."""
    click_probs: NDArray[np.float64]
    """(B, K) probability with which each shown item was going to be clicked."""
    leave_probs: NDArray[np.float64]
    """Probability with which the person was going to leave."""
    streak: NDArray[np.int64]
    """Useless slates in a row, this one included."""
    disagreement: NDArray[np.float64]
    """Standard deviation over an ensemble's members of the probability of any click; 0 for a single model."""

    @property
    def clicked(self) -> NDArray[np.bool_]:
        """True where something shown was taken."""
        return self.position >= 0
