"""How simulated people arrive: with a behaviour of their own, with a history from somewhere, or with nothing.

A session always shows at least one slate, because an episode without a step is none. People who leave right after their
opening behaviour would see no slate, so they belong to no episode: an opening is drawn *given that its owner stays*.
Drawing it regardless would fill the site with people who in the log were already gone.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.core.checks import check_at_least
from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.core.random import CounterRng
from rlrec.data.sequences import Sequences
from rlrec.models.base import BehaviourBatch, BehaviourStep, SequenceModel

_CHUNK = 16_384  # openings scored at a time
_LANE = 32  # the simulator's own lanes lie below


class Arrivals(Protocol):
    """Gives the visible history with which people come in."""

    def open(self, model: SequenceModel, keys: NDArray[np.int64], rng: CounterRng) -> BehaviourBatch:
        """Return the history of each person ``keys`` (B,), padded to (B, T); a length may be 0."""
        ...


class OwnOpening:
    r"""One behaviour as logged sessions open, given that its owner stays.

    .. math:: P(i, e) \propto p(i \mid \text{start})\, p(e \mid i)\, (1 - p(\text{end} \mid i, e))

    All start alike, so the table of openings is computed once, at the first arrival: the model is taken as fixed.
    """

    def __init__(self) -> None:
        self._table: Tensor | None = None
        self._model: SequenceModel | None = None

    def open(self, model: SequenceModel, keys: NDArray[np.int64], rng: CounterRng) -> BehaviourBatch:
        """Draw an opening for each key; (B, 1)."""
        if self._table is None or self._model is not model:
            self._model, self._table = model, opening_weights(model).cumsum(0)
        uniform = torch.from_numpy(rng.uniform(keys, -1, lane=_LANE)).to(self._table.device)
        total = self._table[-1]
        target = torch.minimum(uniform * total, torch.nextafter(total, torch.zeros_like(total)))
        drawn = torch.searchsorted(self._table, target, right=True)  # (B,)
        item, event = drawn // model.n_events, drawn % model.n_events
        gap = torch.zeros_like(item)
        return BehaviourBatch(item.unsqueeze(1), event.unsqueeze(1), gap.unsqueeze(1), torch.ones_like(item))


class Cold:
    """Nothing is known of anybody: the model's own start."""

    def open(self, model: SequenceModel, keys: NDArray[np.int64], rng: CounterRng) -> BehaviourBatch:
        """Return empty histories; (B, 1) of padding."""
        nothing = torch.zeros(len(keys), 1, dtype=torch.int64, device=model.device)
        return BehaviourBatch(nothing, nothing, nothing, nothing[:, 0])


class Prefixes:
    """The beginnings of given sequences: real sessions, or generated ones.

    Parameters
    ----------
    sequences : Sequences
        Such as ``train.sequences()`` or what a generator sampled. Ones too short for ``min_length`` are left out.
    min_length, max_length : int
        A person comes with the first n behaviours, n uniform in ``min_length`` .. ``max_length`` and below the
        sequence's length where it can be (so that something was left to do).

    Raises
    ------
    DataError
        If no sequence is long enough.
    """

    def __init__(self, sequences: Sequences, *, min_length: int = 1, max_length: int = 10) -> None:
        check_at_least("min_length", min_length, 1)
        check_at_least("max_length", max_length, min_length)
        self._sequences = sequences.select(sequences.lengths > min_length)
        if len(self._sequences) == 0:
            raise DataError(f"no sequence goes on after {min_length} behaviours; lower min_length or give longer ones")
        self._min, self._max = min_length, max_length

    def open(self, model: SequenceModel, keys: NDArray[np.int64], rng: CounterRng) -> BehaviourBatch:
        """Draw a sequence and a length for each key."""
        if len(keys) == 0:
            raise InvalidArgumentError("keys must name at least one person, got none")
        if int(self._sequences.item.max()) >= model.n_items:
            raise DataError("the sequences know items that the model does not; fit both on one catalogue")
        uniform = rng.uniform(keys, -1, lane=_LANE, n=2)  # (B, 2)
        row = (uniform[:, 0] * len(self._sequences)).astype(np.int64)
        longest = np.minimum(self._sequences.lengths[row] - 1, self._max)
        length = self._min + (uniform[:, 1] * (longest - self._min + 1)).astype(np.int64)
        position = np.arange(length.max())  # (T,)
        index = self._sequences.offsets[row][:, None] + np.minimum(position, length[:, None] - 1)  # (B, T)
        columns = (self._sequences.item, self._sequences.event, self._sequences.gap)
        padded = [torch.from_numpy(column[index].astype(np.int64)) for column in columns]
        return BehaviourBatch(*(column.to(model.device) for column in (*padded, torch.from_numpy(length))))


@torch.no_grad()
def opening_weights(model: SequenceModel) -> Tensor:
    """Return P(item, event, stays) of an opening behaviour, double, shape (I * n_events,), item-major.

    Raises
    ------
    DataError
        If nobody stays: every opening is the end.
    """
    heads = model.heads(model.initial_state(1))
    items = torch.arange(model.n_items, device=model.device)
    event = heads.event_probs(items.unsqueeze(0)).squeeze(0).double()  # (I, n_events)
    weights = (heads.item_log_probs().double().exp().squeeze(0).unsqueeze(1) * event).flatten()
    for begin in range(0, len(weights), _CHUNK):
        code = torch.arange(begin, min(begin + _CHUNK, len(weights)), device=model.device)
        behaviour = BehaviourStep(code // model.n_events, code % model.n_events, torch.zeros_like(code))
        after, _ = model.step(behaviour, model.initial_state(len(code)))
        weights[code] *= 1.0 - after.end_probs().double()
    if not bool(weights.sum() > 0):
        raise DataError("everybody leaves after the opening behaviour; fit the model on sessions that go on")
    return weights
