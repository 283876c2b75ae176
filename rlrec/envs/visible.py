"""What a real system would know of the people being served: an observer's memory, and the items they touched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rlrec.envs.simulator import Responses
from rlrec.models.base import BehaviourBatch, BehaviourStep, RecurrentState, SequenceModel


@dataclass(frozen=True)
class Visible:
    """The visible side of B people."""

    key: NDArray[np.int64]
    """(B,) who they are."""
    clock: NDArray[np.int64]
    """(B,) slates answered."""
    memory: RecurrentState
    """The observer's."""
    recent: NDArray[np.int64]
    """(B, W) last items, the latest first, -1 where there is none."""
    seen: NDArray[np.uint8] | None
    """(B, ceil(I / 8)) one bit an item that the person touched; None where nobody asks."""

    @classmethod
    def arrived(
        cls,
        key: NDArray[np.int64],
        history: BehaviourBatch,
        memory: RecurrentState,
        *,
        window: int,
        n_items: int,
        track_seen: bool,
    ) -> Visible:
        """Return people who just came with ``history``."""
        items, length = history.item.cpu().numpy(), history.length.cpu().numpy()[:, None]
        back = length - 1 - np.arange(window)  # (B, W) position of the w-th last behaviour
        recent = np.where(back >= 0, np.take_along_axis(items, np.maximum(back, 0), axis=1), -1)
        seen = np.zeros((len(key), (n_items + 7) // 8), np.uint8) if track_seen else None
        visible = cls(key, np.zeros(len(key), np.int64), memory, recent, seen)
        if seen is not None:
            real = np.arange(items.shape[1]) < length
            _mark(seen, np.nonzero(real)[0], items[real])
        return visible

    def after(self, responses: Responses, observer: SequenceModel, memory: RecurrentState | None) -> Visible:
        """Return the same people one slate later; ``memory`` where the observer's is known already."""
        recent, acted = self.recent.copy(), responses.item >= 0
        recent[acted, 1:], recent[acted, 0] = recent[acted, :-1], responses.item[acted]
        seen = None if self.seen is None else self.seen.copy()
        if seen is not None:
            _mark(seen, np.flatnonzero(acted), responses.item[acted])
        if memory is None:
            memory = self._watched(responses, observer)
        return Visible(self.key, self.clock + 1, memory, recent, seen)

    def returned(self, opening: BehaviourBatch, memory: RecurrentState) -> Visible:
        """Return the same people at the start of their next visit, after its ``opening`` (B, T)."""
        items, length = opening.item.cpu().numpy(), opening.length.cpu().numpy()
        recent, seen = self.recent, None if self.seen is None else self.seen.copy()
        for place in range(items.shape[1]):  # T is 1, or a prefix
            real = place < length
            pushed = np.concatenate([items[:, place : place + 1], recent[:, :-1]], axis=1)
            recent = np.where(real[:, None], pushed, recent)
            if seen is not None:
                _mark(seen, np.flatnonzero(real), items[real, place])
        return Visible(self.key, self.clock, memory, recent, seen)

    def put(self, rows: NDArray[np.int64], other: Visible) -> Visible:
        """Return these people with those in ``rows`` (n,) replaced by ``other``'s n."""
        pairs = ((self.key, other.key), (self.clock, other.clock), (self.recent, other.recent))
        columns = [mine.copy() for mine, _ in pairs]
        for column, (_, theirs) in zip(columns, pairs, strict=True):
            column[rows] = theirs
        seen = self.seen
        if seen is not None and other.seen is not None:
            seen = seen.copy()
            seen[rows] = other.seen
        memory = self.memory.put(_index(rows, self.memory), other.memory)
        return Visible(columns[0], columns[1], memory, columns[2], seen)

    def select(self, rows: NDArray[np.int64]) -> Visible:
        """Return the people in ``rows``."""
        seen = None if self.seen is None else self.seen[rows]
        memory = self.memory.select(_index(rows, self.memory))
        return Visible(self.key[rows], self.clock[rows], memory, self.recent[rows], seen)

    def _watched(self, responses: Responses, observer: SequenceModel) -> RecurrentState:
        columns = (responses.item, responses.event, responses.gap)
        item, event, gap = (torch.from_numpy(column).to(observer.device) for column in columns)
        _, stepped = observer.step(BehaviourStep(item.clamp(min=0), event, gap), self.memory)
        return stepped if bool((item >= 0).all()) else self.memory.where(item >= 0, stepped)


def _index(rows: NDArray[np.int64], memory: RecurrentState) -> torch.Tensor:
    return torch.from_numpy(rows).to(memory.tensors[0].device)


def _mark(seen: NDArray[np.uint8], rows: NDArray[np.int64], items: NDArray[np.integer]) -> None:
    """Set the bits of ``items`` (n,) in ``rows`` (n,), in the order of ``np.unpackbits``."""
    np.bitwise_or.at(seen, (rows, items // 8), (128 >> (items % 8)).astype(np.uint8))
