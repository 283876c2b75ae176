"""Ancestral sampling: whole sequences from any sequence model, and the log that they make.

A sequence's luck is keyed by its number alone, so sequence 7 is the same whether ten or ten thousand are sampled.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.core.checks import check_at_least
from rlrec.core.errors import InvalidArgumentError
from rlrec.core.random import CounterRng
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import GAP_SECONDS, Sequences
from rlrec.data.vocabulary import Vocabulary
from rlrec.gan.choosing import ItemChoice
from rlrec.gan.sampling_config import SamplingConfig
from rlrec.models.base import BehaviourStep, Heads, SequenceModel
from rlrec.models.sampling import as_uniform, inverse_cdf
from rlrec.models.threads import torch_threads

_CELLS = 4_000_000  # probabilities held at a time: sequences x items
_ITEM, _EVENT, _GAP, _END, _LENGTH = range(5)  # lanes of the random numbers


class _Rows(NamedTuple):
    """What one step added: all (B,) of the sequences still alive."""

    key: NDArray[np.int64]
    item: NDArray[np.int64]
    event: NDArray[np.int64]
    gap: NDArray[np.int64]


@torch.no_grad()
def generate_sequences(
    model: SequenceModel,
    n: int,
    *,
    seed: int,
    max_length: int = 200,
    first: int = 0,
    sampling: SamplingConfig | None = None,
) -> Sequences:
    """Sample ``n`` sequences from a model: item, event and gap of each behaviour, then whether it was the last.

    Parameters
    ----------
    model : SequenceModel
    n : int
        Number of sequences.
    seed : int
    max_length : int
        A sequence that reaches it is cut; its ``ended`` is False.
    first : int
        Number of the first sequence: sampling 0..99 and then 100..199 gives what sampling 0..199 gives.
    sampling : SamplingConfig, optional
        Temperature, repeats, cuts, lengths; by default the model as it is.

    Returns
    -------
    Sequences
        Users 0..n-1, start times 0, no values.
    """
    check_at_least("n", n, 0)
    check_at_least("max_length", max_length, 1)
    sampling = SamplingConfig() if sampling is None else sampling
    size = int(np.clip(_CELLS // model.n_items, 64, 8_192))
    rng = CounterRng(seed)
    rows: list[_Rows] = []
    cut: list[NDArray[np.int64]] = []
    with torch_threads(1):
        for begin in range(0, n, size):
            keys = np.arange(first + begin, first + min(begin + size, n), dtype=np.int64)
            cut.append(_sample_chunk(model, keys, rng, max_length, rows, sampling))
    return _assemble(rows, cut, n, first)


def _sample_chunk(
    model: SequenceModel,
    keys: NDArray[np.int64],
    rng: CounterRng,
    max_length: int,
    rows: list[_Rows],
    sampling: SamplingConfig,
) -> NDArray[np.int64]:
    """Run one chunk to its end, appending to ``rows``; return the keys that were cut at ``max_length``."""
    state = model.initial_state(len(keys))
    heads = model.heads(state)
    choice = ItemChoice(sampling, model.n_items, len(keys), state.tensors[0].device)
    length = _lengths(rng, keys, sampling)
    for t in range(max_length):
        step = _draw(model, heads, keys, rng, t, choice)
        rows.append(_Rows(keys, *(column.cpu().numpy() for column in step)))
        heads, state = model.step(step, state)
        if length is None:
            end = heads.end_probs()
            alive = _uniform(rng, keys, t, _END, end) >= end.double()
        else:
            alive = torch.from_numpy(length > t + 1).to(state.tensors[0].device)
        survivors = alive.cpu().numpy()
        keys = keys[survivors]
        if len(keys) == 0:
            break
        if not survivors.all():
            index = alive.nonzero().squeeze(1)
            state = state.select(index)
            heads = model.heads(state)
            choice.keep(index)
            length = None if length is None else length[survivors]
    return keys


def _lengths(rng: CounterRng, keys: NDArray[np.int64], sampling: SamplingConfig) -> NDArray[np.int64] | None:
    """Draw the length of each sequence beforehand, (B,), where the config gives their probabilities."""
    if not sampling.length_probs:
        return None
    cumulative = np.cumsum(sampling.length_probs)
    target = rng.uniform(keys, 0, lane=_LENGTH) * cumulative[-1]
    place = np.minimum(np.searchsorted(cumulative, target, side="right"), len(cumulative) - 1)
    return np.asarray(place, np.int64) + 1


def _draw(
    model: SequenceModel, heads: Heads, keys: NDArray[np.int64], rng: CounterRng, t: int, choice: ItemChoice
) -> BehaviourStep:
    """Draw the next behaviour of each sequence, (B,)."""
    probs = choice.weights(heads.item_log_probs())  # (B, I)
    item = inverse_cdf(probs, _uniform(rng, keys, t, _ITEM, probs))
    choice.took(item)
    event, gap = torch.zeros_like(item), torch.zeros_like(item)
    if model.n_events > 1:
        event = inverse_cdf(heads.event_probs(item.unsqueeze(-1)).squeeze(-2), _uniform(rng, keys, t, _EVENT, probs))
    if t > 0:
        gap = inverse_cdf(heads.gap_probs(), _uniform(rng, keys, t, _GAP, probs))
    return BehaviourStep(item, event, gap)


def _uniform(rng: CounterRng, keys: NDArray[np.int64], t: int, lane: int, like: Tensor) -> Tensor:
    return as_uniform(rng.uniform(keys, t, lane=lane), like)


def _assemble(rows: list[_Rows], cut: list[NDArray[np.int64]], n: int, first: int) -> Sequences:
    """Turn step-wise rows into sequences, ordered by key."""
    columns = [np.concatenate(parts) for parts in zip(*rows, strict=True)] if rows else [np.zeros(0, np.int64)] * 4
    key, item, event, gap = columns
    order = np.argsort(key, kind="stable")  # steps of one key keep their order
    ended = np.ones(n, np.bool_)
    if cut:
        ended[np.concatenate(cut) - first] = False
    return Sequences(
        offsets=np.concatenate([[0], np.cumsum(np.bincount(key - first, minlength=n))]).astype(np.int64),
        item=item[order].astype(np.int32),
        event=event[order].astype(np.int16),
        gap=gap[order],
        value=None,
        start=np.zeros(n),
        user=np.arange(n, dtype=np.int64),
        ended=ended,
    )


class Period(NamedTuple):
    """When synthetic sessions begin: spread evenly over a stretch of time, UTC seconds."""

    begin: float
    seconds: float

    @classmethod
    def after(cls, log: InteractionLog) -> Period:
        """Return a period as long as ``log``'s own, right after it."""
        if log.n_events == 0:
            return cls(0.0, 86_400.0)
        last = float(log.timestamp.max())
        return cls(last, max(last - float(log.timestamp.min()), 1.0))

    def starts(self, n: int) -> NDArray[np.float64]:
        """Return ``n`` instants in order, (n,): no real person's time is in them."""
        return np.round(self.begin + (np.arange(n) + 0.5) / max(n, 1) * self.seconds, 3)


def sequences_to_log(
    sequences: Sequences, like: InteractionLog, *, period: Period | None = None, prefix: str = "synthetic"
) -> InteractionLog:
    """Return sampled sequences as a log over ``like``'s catalogue and events.

    Each sequence is one user, named ``synthetic-000001`` and so on, with one session; the times inside a session are
    the typical seconds of the sampled gaps.

    Parameters
    ----------
    period : Period, optional
        When the sessions begin; by default evenly spread over a period as long as ``like``'s and right after it.

    Raises
    ------
    InvalidArgumentError
        If the sequences hold an item or event that ``like`` does not have.
    """
    if sequences.n_events and int(sequences.item.max()) >= like.n_items:
        raise InvalidArgumentError(
            f"the sequences hold item {int(sequences.item.max())}, the log has {like.n_items} items; "
            "give the log whose catalogue the model was fitted on"
        )
    if sequences.n_events and int(sequences.event.max()) >= like.n_event_types:
        raise InvalidArgumentError(
            f"the sequences hold event {int(sequences.event.max())}, the log has {like.n_event_types} event types"
        )
    owner = np.repeat(np.arange(len(sequences)), sequences.lengths)  # (N,)
    elapsed = np.cumsum(GAP_SECONDS[sequences.gap])
    opening = sequences.offsets[:-1][owner]  # (N,) row of the session's first behaviour
    starts = (Period.after(like) if period is None else period).starts(len(sequences))
    return InteractionLog.from_columns(
        name=f"{prefix} {like.name}",
        user=owner,
        item=sequences.item,
        timestamp=starts[owner] + np.round(elapsed - elapsed[opening], 3),
        event=sequences.event,
        session=owner,
        users=Vocabulary([f"{prefix}-{number:06d}" for number in range(1, len(sequences) + 1)]),
        catalog=like.catalog,
        event_names=like.event_names,
        notes={"origin": f"sampled from a model of {like.name!r}; no row is a real person's"},
    )
