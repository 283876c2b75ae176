"""Several user models as one: each simulated person behaves as one member, and all members watch.

Doubt is their disagreement about the slate shown. Members may differ by seed, by bootstrap, by period or by
architecture; they must share one catalogue and the same event types.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.core.artifacts import Artifact
from rlrec.core.errors import ArtifactError, CatalogMismatchError, InvalidArgumentError
from rlrec.models.base import BehaviourBatch, BehaviourStep, Heads, RecurrentState, SequenceModel


class EnsembleModel(SequenceModel):
    """M sequence models, of which each sequence follows one.

    A state is the member's number (B,) and then every member's own tensors. The interest vector is the first member's:
    which member somebody follows is hidden, as it would be in life.

    Parameters
    ----------
    members : sequence of SequenceModel
        At least two, on one catalogue.
    """

    kind: ClassVar[str] = "envs/ensemble"

    def __init__(self, members: Sequence[SequenceModel]) -> None:
        if len(members) < 2:
            raise InvalidArgumentError(f"members must hold at least 2 models, got {len(members)}")
        first = members[0].space
        for member in members[1:]:
            if member.space.items != first.items or member.space.event_names != first.event_names:
                raise CatalogMismatchError("members know different items or events; fit them on one catalogue")
        self.members = tuple(members)
        self.space = first

    @property
    def device(self) -> torch.device:
        """Where the first member lives."""
        return self.members[0].device

    @property
    def interest_size(self) -> int:
        """Of the first member."""
        return self.members[0].interest_size

    def initial_state(self, batch_size: int) -> RecurrentState:
        """Return the start; sequence r follows member r modulo M (see `assign`)."""
        member = torch.arange(batch_size, device=self.device) % len(self.members)
        return self._join(member, [model.initial_state(batch_size) for model in self.members])

    def assign(self, state: RecurrentState, member: NDArray[np.int64]) -> RecurrentState:
        """Return ``state`` with each sequence following the given member, (B,)."""
        return RecurrentState((torch.from_numpy(member).to(self.device), *state.tensors[1:]))

    def forward(self, tokens: BehaviourBatch, state: RecurrentState | None = None) -> tuple[Heads, RecurrentState]:
        """Let every member scan (B, T)."""
        state = self.initial_state(len(tokens.length)) if state is None else state
        member, parts = state.tensors[0], self.split(state)
        results = [model.forward(tokens, part) for model, part in zip(self.members, parts, strict=True)]
        heads = EnsembleHeads([heads for heads, _ in results], member)
        return heads, self._join(member, [after for _, after in results])

    def step(self, tokens: BehaviourStep, state: RecurrentState) -> tuple[Heads, RecurrentState]:
        """Let every member take one behaviour in."""
        member, parts = state.tensors[0], self.split(state)
        results = [model.step(tokens, part) for model, part in zip(self.members, parts, strict=True)]
        heads = EnsembleHeads([heads for heads, _ in results], member)
        return heads, self._join(member, [after for _, after in results])

    def heads(self, state: RecurrentState) -> EnsembleHeads:
        """Return what comes next by each sequence's own member."""
        parts = self.split(state)
        return EnsembleHeads(
            [model.heads(part) for model, part in zip(self.members, parts, strict=True)], state.tensors[0]
        )

    def interest(self, state: RecurrentState) -> Tensor:
        """Return the first member's interest vector."""
        return self.members[0].interest(self.split(state)[0])

    def split(self, state: RecurrentState) -> list[RecurrentState]:
        """Return every member's own state."""
        sizes = [len(model.initial_state(0).tensors) for model in self.members]
        ends = np.cumsum(sizes) + 1
        return [RecurrentState(state.tensors[end - size : end]) for size, end in zip(sizes, ends, strict=True)]

    @staticmethod
    def _join(member: Tensor, parts: Sequence[RecurrentState]) -> RecurrentState:
        return RecurrentState((member, *(tensor for part in parts for tensor in part.tensors)))

    def _export(self) -> NoReturn:
        raise ArtifactError("an ensemble is not saved as one; save its members, and build it again from them")

    @classmethod
    def _from_artifact(cls, artifact: Artifact) -> Any:
        raise ArtifactError("an ensemble is not loaded as one; load its members, and build it from them")


class EnsembleHeads(Heads):
    """What each sequence's own member says; `each` has what all of them say."""

    def __init__(self, each: Sequence[Heads], member: Tensor) -> None:
        self.each = tuple(each)
        self._member = member  # (B,)

    def item_log_probs(self) -> Tensor:
        """Return log p(item | h), (B, ..., I)."""
        return self._own([heads.item_log_probs() for heads in self.each])

    def end_probs(self) -> Tensor:
        """Return p(end | h)."""
        return self._own([heads.end_probs() for heads in self.each])

    def event_probs(self, items: Tensor) -> Tensor:
        """Return p(event | h, item)."""
        return self._own([heads.event_probs(items) for heads in self.each])

    def gap_probs(self) -> Tensor:
        """Return p(gap | h)."""
        return self._own([heads.gap_probs() for heads in self.each])

    def _own(self, answers: list[Tensor]) -> Tensor:
        own = answers[0]
        for number, answer in enumerate(answers[1:], start=1):
            mine = (self._member == number).view(-1, *[1] * (answer.dim() - 1))
            own = torch.where(mine, answer, own)
        return own
