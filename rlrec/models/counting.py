"""Sequence models that only count: popularity, and a first-order Markov chain interpolated with it.

Both are full `SequenceModel`s (end, event and gap heads are smoothed frequencies), so each can drive the simulator or
generate a log, and stands beside the LSTM in every table. First-order Markov is a strong baseline on shop sessions.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.core.artifacts import Artifact
from rlrec.core.config import config_from_dict, config_to_dict
from rlrec.core.errors import DataError
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import N_GAPS, Sequences
from rlrec.models.base import BehaviourBatch, BehaviourSpace, BehaviourStep, Heads, RecurrentState, SequenceModel
from rlrec.models.config import MarkovConfig

_PRIOR = 5.0  # pseudo-observations that pull an item's end rate and event mix to the log's own (chosen here)


class CountingHeads(Heads):
    """Heads that know the last item only, (...)."""

    def __init__(self, model: CountingModel, last: Tensor) -> None:
        self._model = model
        self._last = last  # (...) item before, -1 at the start

    def item_log_probs(self) -> Tensor:
        """Return log p(item | last item), (..., I)."""
        return self._model.item_probs(self._last).log().float()

    def end_probs(self) -> Tensor:
        """Return p(end | last item), (...); 0 before anything came."""
        return torch.where(self._last < 0, 0.0, self._model.tables["end"][self._last.clamp(min=0)]).float()

    def event_probs(self, items: Tensor) -> Tensor:
        """Return the event mix of each item, (..., K, n_events)."""
        return self._model.tables["event"][items].float()

    def gap_probs(self) -> Tensor:
        """Return the gap histogram, (..., N_GAPS)."""
        return self._model.tables["gap"].float().expand(*self._last.shape, N_GAPS)


class CountingModel(SequenceModel):
    """Base of the models whose state is the last item: tables of smoothed frequencies."""

    def __init__(self, space: BehaviourSpace, tables: dict[str, Tensor], config: Any = None) -> None:
        self.space = space
        self.tables = tables
        self.config = config

    @abstractmethod
    def item_probs(self, last: Tensor) -> Tensor:
        """Return p(item | last item), shape (*last.shape, I), double."""

    @property
    def interest_size(self) -> int:
        """``n_items``: a counting model's interest vector is its forecast."""
        return self.n_items

    def initial_state(self, batch_size: int) -> RecurrentState:
        """Return the state before any behaviour: no last item."""
        return RecurrentState((torch.full((batch_size,), -1),))

    def forward(self, tokens: BehaviourBatch, state: RecurrentState | None = None) -> tuple[Heads, RecurrentState]:
        """Scan: the state after t is the item at t."""
        last = tokens.item.gather(1, (tokens.length - 1).unsqueeze(1)).squeeze(1)
        return CountingHeads(self, tokens.item), RecurrentState((last,))

    def step(self, tokens: BehaviourStep, state: RecurrentState) -> tuple[Heads, RecurrentState]:
        """Take one behaviour in."""
        after = RecurrentState((tokens.item,))
        return self.heads(after), after

    def scores_at(self, sequences: Sequences, rows: NDArray[np.int64]) -> Tensor:
        """Return log p(item | the item before each flat row), (n, I)."""
        last = items_before(sequences, rows, 1)
        return CountingHeads(self, torch.from_numpy(last[:, 0])).item_log_probs()

    def heads(self, state: RecurrentState) -> Heads:
        """Return what comes next."""
        return CountingHeads(self, state.tensors[0])

    def interest(self, state: RecurrentState) -> Tensor:
        """Return p(item | history), (B, I)."""
        return self.item_probs(state.tensors[0]).float()

    def _export(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, NDArray[Any]]]:
        config = {} if self.config is None else config_to_dict(self.config)
        return config, {}, {name: table.numpy() for name, table in self.tables.items()}

    @classmethod
    def _from_artifact(cls, artifact: Artifact) -> Self:
        tables = {name: torch.from_numpy(array.copy()) for name, array in artifact.arrays.items()}
        return cls(BehaviourSpace.from_artifact(artifact), tables, cls._config(artifact.config))

    @classmethod
    def _config(cls, values: dict[str, Any]) -> Any:
        return None


class PopularityModel(CountingModel):
    """Everyone wants what everyone wanted: p(item) = (count + 1) / (n + I)."""

    kind: ClassVar[str] = "models/popularity"

    @classmethod
    def fit(cls, train: InteractionLog) -> PopularityModel:
        """Count a log."""
        return cls(BehaviourSpace.of(train), count_tables(train))

    def item_probs(self, last: Tensor) -> Tensor:
        """Return p(item), the same everywhere."""
        return self.tables["popularity"].expand(*last.shape, self.n_items)


class MarkovModel(CountingModel):
    r"""First-order Markov chain with absolute discounting, interpolated with popularity.

    .. math:: p(j \mid i) = \frac{\max(n_{ij} - d, 0)}{n_i} + \frac{d\, N_{1+}(i)}{n_i}\, p_0(j)

    where :math:`n_{ij}` counts transitions, :math:`N_{1+}(i)` the distinct successors of i, and :math:`p_0` is
    add-one-smoothed popularity (of opening items, for the first item of a sequence).

    References
    ----------
    .. [1] Ney, Essen & Kneser, "On structuring probabilistic dependences in stochastic language modelling", 1994.
    """

    kind: ClassVar[str] = "models/markov"

    @classmethod
    def fit(cls, train: InteractionLog, *, config: MarkovConfig | None = None) -> MarkovModel:
        """Count a log."""
        config = MarkovConfig() if config is None else config
        sequences, n_items = train.sequences(), train.n_items
        here = np.flatnonzero(_later(sequences))
        pair = sequences.item[here - 1].astype(np.int64) * n_items + sequences.item[here]
        pairs, counts = np.unique(pair, return_counts=True)
        before, after = pairs // n_items, pairs % n_items
        total = np.bincount(before, weights=counts, minlength=n_items)  # (I,) n_i
        distinct = np.bincount(before, minlength=n_items)  # (I,) N_{1+}
        backoff = np.where(total > 0, config.discount * distinct / np.maximum(total, 1), 1.0)
        opening = np.bincount(sequences.item[sequences.offsets[:-1]], minlength=n_items) + 1.0
        tables = count_tables(train) | {
            "row": torch.from_numpy(np.searchsorted(before, np.arange(n_items + 1))),
            "column": torch.from_numpy(after),
            "weight": torch.from_numpy(np.maximum(counts - config.discount, 0) / total[before]),
            "backoff": torch.from_numpy(backoff),
            "opening": torch.from_numpy(opening / opening.sum()),
        }
        return cls(BehaviourSpace.of(train), tables, config)

    def item_probs(self, last: Tensor) -> Tensor:
        """Return p(item | last): the back-off everywhere, plus the seen transitions scattered in."""
        flat = last.reshape(-1)
        known = flat.clamp(min=0)
        probs = self.tables["backoff"][known].unsqueeze(1) * self.tables["popularity"]  # (n, I)
        begin, end = self.tables["row"][known], self.tables["row"][known + 1]
        lengths = end - begin
        owner = torch.repeat_interleave(torch.arange(len(flat)), lengths)
        within = torch.arange(len(owner)) - torch.repeat_interleave(lengths.cumsum(0) - lengths, lengths)
        entry = begin[owner] + within
        probs.index_put_((owner, self.tables["column"][entry]), self.tables["weight"][entry], accumulate=True)
        probs = torch.where((flat < 0).unsqueeze(1), self.tables["opening"], probs)
        return probs.view(*last.shape, self.n_items)

    @classmethod
    def _config(cls, values: dict[str, Any]) -> MarkovConfig:
        return config_from_dict(MarkovConfig, values, where="manifest")


def items_before(sequences: Sequences, rows: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Return the ``n`` items before each flat row, (len(rows), n), oldest first; -1 at the start, -2 before it."""
    owner = np.searchsorted(sequences.offsets, rows, side="right") - 1
    position = (rows - sequences.offsets[owner])[:, None] - np.arange(n, 0, -1)  # in the sequence
    flat = np.maximum(sequences.offsets[owner][:, None] + position, 0)
    items = sequences.item[flat].astype(np.int64) if sequences.n_events else np.zeros(position.shape, np.int64)
    return np.where(position >= 0, items, np.where(position == -1, -1, -2))


def count_tables(log: InteractionLog) -> dict[str, Tensor]:
    """Return popularity (I,), end rate after an item (I,), event mix (I, n_events) and the gap histogram (N_GAPS,)."""
    if log.n_events == 0:
        raise DataError("there are no rows to count; check the split and the log")
    sequences = log.sequences()
    counts = log.item_counts
    ends = np.bincount(sequences.item[_seen_ends(sequences)], minlength=log.n_items)
    end_rate = ends.sum() / log.n_events
    events = np.zeros((log.n_items, log.n_event_types))
    np.add.at(events, (log.item, log.event), 1)
    mix = events.sum(axis=0) / log.n_events
    gaps = np.bincount(sequences.gap[_later(sequences)], minlength=N_GAPS) + 1e-3
    return {
        "popularity": torch.from_numpy((counts + 1.0) / (log.n_events + log.n_items)),
        "end": torch.from_numpy((ends + _PRIOR * end_rate) / (counts + _PRIOR)),
        "event": torch.from_numpy((events + _PRIOR * mix) / (counts[:, None] + _PRIOR)),
        "gap": torch.from_numpy(gaps / gaps.sum()),
    }


def _seen_ends(sequences: Sequences) -> NDArray[np.int64]:
    return (sequences.offsets[1:] - 1)[sequences.ended]


def _later(sequences: Sequences) -> NDArray[np.bool_]:
    later = np.ones(sequences.n_events, np.bool_)
    later[sequences.offsets[:-1]] = False
    return later
