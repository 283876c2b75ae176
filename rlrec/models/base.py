"""What a sequence model is: next-behaviour probabilities with an explicit recurrent state.

Shapes: B sequences, T steps, K items asked about, I = ``n_items``, D = size of the interest vector. All tensors of a
state have the batch as their first axis, so rows can be picked, mixed and reset without knowing the model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.core.artifacts import Artifact, load_artifact, save_artifact
from rlrec.core.errors import ArtifactError, CatalogMismatchError, InvalidArgumentError
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import PaddedBatch, Sequences
from rlrec.data.vocabulary import Vocabulary

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


@dataclass(frozen=True)
class BehaviourSpace:
    """What a model was fitted on: ids, event names, the catalogue's hash and how often each item occurred."""

    items: Vocabulary
    """Item ids by index."""
    event_names: tuple[str, ...]
    """Event types by code."""
    catalog_sha256: str
    """Hash of the catalogue."""
    item_counts: NDArray[np.int64] = field(compare=False)
    """(I,) training rows of each item, for novelty and popularity."""

    @classmethod
    def of(cls, log: InteractionLog) -> BehaviourSpace:
        """Return the space of a training log."""
        return cls(log.catalog.vocabulary, log.event_names, log.catalog.sha256, log.item_counts)

    def check_log(self, log: InteractionLog) -> None:
        """Raise `CatalogMismatchError` unless ``log`` has the catalogue that the model was fitted on."""
        if log.catalog.sha256 != self.catalog_sha256:
            raise CatalogMismatchError(
                f"the model was fitted on catalogue {self.catalog_sha256[:12]}, the log {log.name!r} has "
                f"{log.catalog.sha256[:12]}; fit the model again on this log, or load the log it was fitted on"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        ids = self.items.ids.tolist()
        if not all(isinstance(id_, int | str) for id_ in ids):
            raise ArtifactError("only integer and string item ids can be saved; convert the others to strings")
        return {"item_ids": ids, "event_names": list(self.event_names), "item_counts": self.item_counts.tolist()}

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> BehaviourSpace:
        """Read back what `to_dict` gave."""
        content = artifact.content["space"]
        return cls(
            items=Vocabulary(content["item_ids"]),
            event_names=tuple(content["event_names"]),
            catalog_sha256=artifact.catalog_sha256 or "",
            item_counts=np.asarray(content["item_counts"], np.int64),
        )


class SequenceModel(ABC):
    """Next-behaviour probabilities with an explicit state. Subclasses give the four abstract methods."""

    kind: ClassVar[str]
    """Name of the artifact, such as ``"models/lstm"``."""
    space: BehaviourSpace

    @property
    def n_items(self) -> int:
        """Number of items I."""
        return len(self.space.items)

    @property
    def n_events(self) -> int:
        """Number of event types."""
        return len(self.space.event_names)

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""
        return torch.device("cpu")

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
        fresh = self.initial_state(len(batch.length))
        if batch.item.shape[1] == 0:
            return fresh
        tokens = BehaviourBatch.from_padded(batch, self.device)
        longer = tokens._replace(length=tokens.length.clamp(min=1))
        _, state = self.forward(longer, fresh)
        return state.where(tokens.length == 0, fresh)

    def histories(self, histories: Iterable[Iterable[Hashable]]) -> Sequences:
        """Return lists of raw item ids (oldest first, most frequent event, no known times) as sequences.

        Raises
        ------
        UnknownIdError
            Naming the first id that the model does not know.
        """
        lists = [list(history) for history in histories]
        flat = self.space.items.index_of([id_ for history in lists for id_ in history])
        offsets = np.concatenate([[0], np.cumsum([len(history) for history in lists])]).astype(np.int64)
        return Sequences.from_items(flat, offsets)

    @torch.no_grad()
    def interests(self, histories: Iterable[Iterable[Hashable]] | Sequences) -> NDArray[np.float32]:
        """Return the interest vector of each history, shape (n, D)."""
        state = self.encode(self._sequences(histories))
        return self.interest(state).cpu().numpy().astype(np.float32)

    @torch.no_grad()
    def recommend(
        self, histories: Iterable[Iterable[Hashable]] | Sequences, k: int = 10, *, exclude_seen: bool = False
    ) -> NDArray[Any]:
        """Return the ``k`` most probable next items of each history as raw ids, best first, shape (n, k).

        Parameters
        ----------
        histories : iterable of iterables of item ids, or Sequences
            Oldest first; an empty history is a newcomer.
        k : int
            At most the number of items.
        exclude_seen : bool
            Leave out the items of the history. Ties go to the lower index.
        """
        items, _ = self.top_items(self._sequences(histories), k, exclude_seen=exclude_seen)
        return self.space.items.ids[items]

    @torch.no_grad()
    def top_items(
        self, sequences: Sequences, k: int, *, exclude_seen: bool = False
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return item indices (n, k), best first, and their log probabilities (n, k)."""
        if not 1 <= k <= self.n_items:
            raise InvalidArgumentError(f"k must lie in 1..{self.n_items} (the catalogue), got {k}")
        scores = self.heads(self.encode(sequences)).item_log_probs().double()  # (n, I)
        if exclude_seen:
            row = torch.from_numpy(np.repeat(np.arange(len(sequences)), sequences.lengths))
            scores[row.to(self.device), torch.from_numpy(sequences.item.astype(np.int64)).to(self.device)] = -torch.inf
        top = torch.sort(scores, dim=1, descending=True, stable=True)
        return top.indices[:, :k].cpu().numpy(), top.values[:, :k].cpu().numpy()

    def _sequences(self, histories: Iterable[Iterable[Hashable]] | Sequences) -> Sequences:
        return histories if isinstance(histories, Sequences) else self.histories(histories)

    # ---- disk ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def _export(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, NDArray[Any]]]:
        """Return (config, content, arrays) for the artifact."""

    @classmethod
    @abstractmethod
    def _from_artifact(cls, artifact: Artifact) -> SequenceModel:
        """Build the model that `_export` described."""

    def save(self, folder: str | Path) -> None:
        """Write the model as a folder of JSON and safetensors."""
        config, content, arrays = self._export()
        save_artifact(
            folder,
            kind=self.kind,
            config=config,
            content={"space": self.space.to_dict(), **content},
            arrays=arrays,
            catalog_sha256=self.space.catalog_sha256,
        )

    @classmethod
    def load(cls, folder: str | Path) -> Any:
        """Read a model that `save` wrote; nothing is unpickled."""
        return cls._from_artifact(load_artifact(folder, kind=cls.kind))
