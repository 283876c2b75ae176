"""What a sequence model is: next-behaviour probabilities with an explicit recurrent state.

Shapes: B sequences, T steps, K items asked about, I = ``n_items``, D = size of the interest vector. All tensors of a
state have the batch as their first axis, so rows can be picked, mixed and reset without knowing the model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.data.sequences import PaddedBatch, Sequences
from rlrec.models.recommender import Recommender, ScoreKind, top_of
from rlrec.models.space import BehaviourSpace

__all__ = [
    "BehaviourBatch",
    "BehaviourSpace",
    "BehaviourStep",
    "Heads",
    "RecurrentState",
    "SequenceModel",
    "top_of",
]

_ENCODE_TOKENS = 16_384  # padded behaviours encoded at a time: large enough for the GEMM, small enough for any memory


class BehaviourStep(NamedTuple):
    """One behaviour for each sequence, all (B,)."""

    item: Tensor
    event: Tensor
    gap: Tensor


class BehaviourBatch(NamedTuple):
    """Padded behaviours, (B, T), and how many of each row are real, (B,)."""

    item: Tensor
    event: Tensor
    gap: Tensor
    length: Tensor

    @classmethod
    def from_padded(cls, batch: PaddedBatch, device: torch.device | str = "cpu") -> BehaviourBatch:
        """Move a padded NumPy batch to torch."""
        columns = (batch.item, batch.event, batch.gap, batch.length)
        return cls(*(torch.from_numpy(np.ascontiguousarray(column)).to(device) for column in columns))

    def at(self, step: int) -> BehaviourStep:
        """Return step ``step`` of every row."""
        return BehaviourStep(self.item[:, step], self.event[:, step], self.gap[:, step])


@dataclass(frozen=True)
class RecurrentState:
    """What a model remembers of each sequence: tensors with leading axis B."""

    tensors: tuple[Tensor, ...]

    @property
    def batch_size(self) -> int:
        """Number of sequences B."""
        return len(self.tensors[0])

    def select(self, index: Tensor) -> RecurrentState:
        """Return the rows at ``index``."""
        return RecurrentState(tuple(tensor[index] for tensor in self.tensors))

    def where(self, mask: Tensor, other: RecurrentState) -> RecurrentState:
        """Return ``other``'s rows where ``mask`` (B,) is true, and this state's elsewhere."""
        return RecurrentState(
            tuple(
                torch.where(mask.view(-1, *[1] * (mine.dim() - 1)), theirs, mine)
                for mine, theirs in zip(self.tensors, other.tensors, strict=True)
            )
        )

    def put(self, rows: Tensor, other: RecurrentState) -> RecurrentState:
        """Return this state with the sequences ``rows`` (n,) replaced by ``other``'s n."""
        pairs = zip(self.tensors, other.tensors, strict=True)
        return RecurrentState(tuple(mine.index_copy(0, rows, theirs) for mine, theirs in pairs))

    @staticmethod
    def cat(states: Sequence[RecurrentState]) -> RecurrentState:
        """Stack states along the batch."""
        return RecurrentState(tuple(torch.cat(parts) for parts in zip(*(s.tensors for s in states), strict=True)))


class Heads(ABC):
    """What comes next, asked for piece by piece: the catalogue softmax is paid for only by who wants all of it.

    The leading axes ``...`` are (B,) after a step and (B, T) after a scan.
    """

    @abstractmethod
    def item_log_probs(self) -> Tensor:
        """Return log p(item | h), shape (..., I); rows of exp sum to 1."""

    @abstractmethod
    def end_probs(self) -> Tensor:
        """Return p(the sequence ends after this behaviour | h), shape (...)."""

    @abstractmethod
    def event_probs(self, items: Tensor) -> Tensor:
        """Return p(event | h, item) for ``items`` (..., K), shape (..., K, n_events)."""

    @abstractmethod
    def gap_probs(self) -> Tensor:
        """Return p(gap bucket before the next behaviour | h), shape (..., N_GAPS)."""

    def item_log_probs_of(self, items: Tensor) -> Tensor:
        """Return log p(item | h) of ``items`` (..., K), shape (..., K)."""
        return self.item_log_probs().gather(-1, items)


class SequenceModel(Recommender):
    """Next-behaviour probabilities with an explicit state. Subclasses give the abstract methods."""

    score_kind: ClassVar[ScoreKind] = "log_probs"

    @abstractmethod
    def initial_state(self, batch_size: int) -> RecurrentState:
        """Return the state before any behaviour."""

    @abstractmethod
    def forward(self, tokens: BehaviourBatch, state: RecurrentState | None = None) -> tuple[Heads, RecurrentState]:
        """Scan T behaviours; the heads at t know behaviours 0..t, the state is that after each row's last real one."""

    @abstractmethod
    def step(self, tokens: BehaviourStep, state: RecurrentState) -> tuple[Heads, RecurrentState]:
        """Take one behaviour in; scanning with `step` equals `forward`."""

    @abstractmethod
    def heads(self, state: RecurrentState) -> Heads:
        """Return what comes next after ``state``."""

    @abstractmethod
    def interest(self, state: RecurrentState) -> Tensor:
        """Return the user-interest vector, shape (B, D)."""

    @property
    @abstractmethod
    def interest_size(self) -> int:
        """D."""

    @torch.no_grad()
    def read(self, tokens: BehaviourBatch, state: RecurrentState) -> RecurrentState:
        """Return the state after whole histories (B, T); a row of length 0 keeps ``state``'s."""
        if tokens.item.shape[1] == 0:
            return state
        if tokens.item.shape[1] == 1:
            after = self.step(tokens.at(0), state)[1]
        else:
            after = self.forward(tokens._replace(length=tokens.length.clamp(min=1)), state)[1]
        return after if bool((tokens.length > 0).all()) else after.where(tokens.length == 0, state)

    # ---- use ----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(self, sequences: Sequences) -> RecurrentState:
        """Return the state after each sequence, in their order; an empty sequence has the initial state."""
        order = [*sequences.batches(n_tokens=_ENCODE_TOKENS)]
        states = [self._encode_batch(sequences.pad(index)) for index in order]
        if not states:
            return self.initial_state(0)
        back = np.argsort(np.concatenate(order), kind="stable")
        return RecurrentState.cat(states).select(torch.from_numpy(back).to(self.device))

    def _encode_batch(self, batch: PaddedBatch) -> RecurrentState:
        return self.read(BehaviourBatch.from_padded(batch, self.device), self.initial_state(len(batch.length)))

    @torch.no_grad()
    def scores(self, sequences: Sequences) -> Tensor:
        """Return log p(item | history) of every item, (n, I)."""
        return self.heads(self.encode(sequences)).item_log_probs()

    @torch.no_grad()
    def interests(self, histories: Iterable[Iterable[Hashable]] | Sequences) -> NDArray[np.float32]:
        """Return the interest vector of each history, shape (n, D)."""
        state = self.encode(self.as_sequences(histories))
        return self.interest(state).cpu().numpy().astype(np.float32)
