"""What every model can do, recurrent or not: score a history, recommend from it, be saved and loaded.

Shapes: n histories, I = ``n_items``. Scores are comparable inside a row only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.core.artifacts import Artifact, load_artifact, save_artifact
from rlrec.core.errors import InvalidArgumentError
from rlrec.data.sequences import Sequences
from rlrec.models.prefixes import prefixes
from rlrec.models.space import BehaviourSpace

_SCORES = 2**22  # scores held at a time: 16 MB in single precision; larger blocks wait for memory (measured)
_BLOCK = 64  # neighbouring scores of which only the maximum is looked at first (measured among 32, 64, 128)

ScoreKind = Literal["log_probs", "weights", "real"]


class Recommender(ABC):
    """Scores of every item after a history. Subclasses give `scores` and the two halves of save and load."""

    kind: ClassVar[str]
    """Name of the artifact, such as ``"models/lstm"``."""
    score_kind: ClassVar[ScoreKind] = "real"
    """What the scores are: natural log of probabilities, non-negative weights, or any real numbers."""
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
        """Where the scores are computed."""
        return torch.device("cpu")

    @abstractmethod
    def scores(self, sequences: Sequences) -> Tensor:
        """Return the score of every item after each sequence, shape (n, I); an empty sequence is a newcomer."""

    def scores_at(self, sequences: Sequences, rows: NDArray[np.int64]) -> Tensor:
        """Return the scores before each flat row of ``sequences``, (n, I): `scores` of the cut histories.

        A model that can read a sequence once for many rows does so here.
        """
        return self.scores(prefixes(sequences, rows).histories)

    def ranking_scores(self, sequences: Sequences) -> Tensor:
        """Return numbers that rank a row as `scores` does, (n, I), where those cost more than ranking needs."""
        return self.scores(sequences)

    # ---- use ----------------------------------------------------------------------------------------------------

    def histories(self, histories: Iterable[Iterable[Hashable]]) -> Sequences:
        """Return lists of raw item ids, oldest first, as sequences: every behaviour of the log's usual event and gap.

        Raises
        ------
        UnknownIdError
            Naming the first id that the model does not know.
        """
        lists = [list(history) for history in histories]
        flat = self.space.items.index_of([id_ for history in lists for id_ in history])
        offsets = np.concatenate([[0], np.cumsum([len(history) for history in lists])]).astype(np.int64)
        sequences = Sequences.from_items(flat, offsets)
        gap = np.full(len(flat), self.space.usual_gap, np.int64)
        gap[offsets[:-1][sequences.lengths > 0]] = 0
        event = np.full(len(flat), self.space.usual_event, np.int16)
        return replace(sequences, event=event, gap=gap)

    @torch.no_grad()
    def recommend(
        self,
        histories: Iterable[Iterable[Hashable]] | Sequences,
        k: int = 10,
        *,
        exclude_seen: bool = False,
        n_new: int = 0,
    ) -> NDArray[Any]:
        """Return the ``k`` best next items of each history as raw ids, best first, shape (n, k).

        Parameters
        ----------
        histories : iterable of iterables of item ids, or Sequences
            Oldest first; an empty history is a newcomer.
        k : int
            At most the number of items.
        exclude_seen : bool
            Leave out the items of the history. Ties go to the lower index.
        n_new : int
            Places kept for items without a training row, the best of them; they come last. A new item's score is an
            honest guess, and seldom among the ten best of a catalogue whose favourites are known.
        """
        items, _ = self._best(self.ranking_scores, self.as_sequences(histories), k, exclude_seen, n_new)
        return self.space.items.ids[items]

    @torch.no_grad()
    def top_items(
        self, sequences: Sequences, k: int, *, exclude_seen: bool = False, n_new: int = 0
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return item indices (n, k), best first, and their scores (n, k); log probabilities of a sequence model.

        ``n_new`` as in `recommend`.
        """
        return self._best(self.scores, sequences, k, exclude_seen, n_new)

    def _best(
        self, score: Callable[[Sequences], Tensor], sequences: Sequences, k: int, exclude_seen: bool, n_new: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        if not 1 <= k <= self.n_items:
            raise InvalidArgumentError(f"k must lie in 1..{self.n_items} (the catalogue), got {k}")
        new = torch.from_numpy(self.space.item_counts == 0)
        check_places(n_new, k, int(new.sum()))
        size = max(_SCORES // self.n_items, 1)
        items, values = [np.zeros((0, k), np.int64)], [np.zeros((0, k))]
        for begin in range(0, len(sequences), size):
            part = sequences.select(np.arange(begin, min(begin + size, len(sequences))))
            top, best = top_of(score(part), part, k, exclude_seen=exclude_seen, new=new, n_new=n_new)
            items.append(top)
            values.append(best)
        return np.concatenate(items), np.concatenate(values)

    def as_sequences(self, histories: Iterable[Iterable[Hashable]] | Sequences) -> Sequences:
        """Return sequences as they are, and lists of raw ids as sequences."""
        return histories if isinstance(histories, Sequences) else self.histories(histories)

    # ---- disk ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def _export(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, NDArray[Any]]]:
        """Return (config, content, arrays) for the artifact."""

    @classmethod
    @abstractmethod
    def _from_artifact(cls, artifact: Artifact) -> Self:
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


def top_of(
    scores: Tensor,
    sequences: Sequences,
    k: int,
    *,
    exclude_seen: bool = False,
    new: Tensor | None = None,
    n_new: int = 0,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the ``k`` items with the highest scores (n, I) for each history: indices (n, k), best first, and scores.

    Ties go to the lower index. ``exclude_seen`` leaves out the items of the history. ``n_new`` of the places, the last
    ones, go to the best of the ``new`` items (I,) that the others did not take.
    """
    if not 1 <= k <= scores.shape[1]:
        raise InvalidArgumentError(f"k must lie in 1..{scores.shape[1]} (the catalogue), got {k}")
    scores = without_seen(scores, sequences) if exclude_seen else scores
    if not n_new or new is None:
        items, values = best_of(scores, k)
    else:
        first, values = (best[:, : k - n_new] for best in best_of(scores, max(k - n_new, 1)))
        left = scores.masked_fill(~new.to(scores.device), -torch.inf).scatter(1, first, -torch.inf)
        last, more = best_of(left, n_new)
        items, values = torch.cat([first, last], dim=1), torch.cat([values, more], dim=1)
    return items.cpu().numpy(), values.double().cpu().numpy()


def check_places(n_new: int, k: int, n_items: int) -> None:
    """Refuse more places for new items than the list has, or than the list and the new items can fill.

    Raises
    ------
    InvalidArgumentError
        Saying how many new items there are.
    """
    if not 0 <= n_new <= k:
        raise InvalidArgumentError(f"n_new must lie in 0..{k} (the places of a list), got {n_new}")
    if n_new and n_items < k:
        raise InvalidArgumentError(
            f"n_new={n_new} places are kept for items without a training row, which must be at least k={k}, "
            f"and the catalogue has {n_items}; ask for n_new=0"
        )


def without_seen(scores: Tensor, sequences: Sequences) -> Tensor:
    """Return ``scores`` (n, I) with the items of each row's history at minus infinity."""
    row = torch.from_numpy(np.repeat(np.arange(len(sequences)), sequences.lengths))
    masked = scores.clone()
    masked[row.to(scores.device), torch.from_numpy(sequences.item.astype(np.int64)).to(scores.device)] = -torch.inf
    return masked


def best_of(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the ``k`` best columns of each row and their scores, (n, k); ties go to the lower index.

    Only rows whose k-th score ties with the next are sorted as a whole.

    Examples
    --------
    >>> best_of(torch.tensor([[1.0, 3.0, 1.0, 2.0]]), 3)[0]
    tensor([[1, 3, 0]])
    """
    n = min(k + 1, scores.shape[1])
    values, items = _highest(scores, n)
    tied = values[:, k - 1] == values[:, n - 1] if n > k else torch.zeros(len(scores), dtype=torch.bool)
    items, order = items[:, :k].sort(dim=1)
    values, by_value = values[:, :k].gather(1, order).sort(dim=1, descending=True, stable=True)
    items = items.gather(1, by_value)
    if bool(tied.any()):
        whole = scores[tied].sort(dim=1, descending=True, stable=True)
        items[tied], values[tied] = whole.indices[:, :k], whole.values[:, :k]
    return items, values


def _highest(scores: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Return the ``n`` highest scores of each row and their columns, (N, n); which ones of a tie is left open.

    They lie in the n blocks with the highest maxima: each of those has a score at least as high as any outside.
    """
    width = scores.shape[1]
    whole = width - width % _BLOCK
    if whole <= 4 * n * _BLOCK:  # too few blocks to leave most of them out
        return scores.topk(n, dim=1)
    maxima = scores[:, :whole].reshape(len(scores), -1, _BLOCK).amax(2)
    blocks = maxima.topk(n, dim=1, sorted=False).indices  # (N, n)
    inside = torch.arange(_BLOCK, device=scores.device)
    columns = (blocks.unsqueeze(2) * _BLOCK + inside).flatten(1)
    rest = torch.arange(whole, width, device=scores.device).expand(len(scores), -1)
    columns = torch.cat([columns, rest], dim=1)
    values, places = scores.gather(1, columns).topk(n, dim=1)
    return values, columns.gather(1, places)
