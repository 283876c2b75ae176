"""Ancestral sampling: whole sequences from any sequence model, freely or from a start.

A sequence's luck is keyed by its number alone, so sequence 7 is the same whether ten or ten thousand are sampled.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor

from rlrec.core.checks import check_at_least
from rlrec.core.random import CounterRng
from rlrec.data.sequences import Sequences
from rlrec.gan.beginning import Beginning, check_starts
from rlrec.gan.choosing import ItemChoice
from rlrec.gan.event_order import EventMemory
from rlrec.gan.sampling_config import SamplingConfig
from rlrec.models.base import BehaviourStep, Heads, SequenceModel
from rlrec.models.lstm import LSTMHeads, LSTMModel
from rlrec.models.sampling import as_uniform, inverse_cdf
from rlrec.models.threads import torch_threads

_CELLS = 4_000_000  # probabilities held at a time: sequences x items
_ITEM, _EVENT, _GAP, _END, _LENGTH, _VALUE = range(6)  # lanes of the random numbers


class _Rows(NamedTuple):
    """What one step added: all (B,) of the sequences still alive."""

    key: NDArray[np.int64]
    item: NDArray[np.int64]
    event: NDArray[np.int64]
    gap: NDArray[np.int64]
    value: NDArray[np.float64]


@torch.no_grad()
def generate_sequences(
    model: SequenceModel,
    n: int,
    *,
    seed: int,
    max_length: int = 200,
    first: int = 0,
    sampling: SamplingConfig | None = None,
    starts: Sequences | None = None,
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
        Temperature, repeats, cuts, lengths, order of events; by default the model as it is.
    starts : Sequences, optional
        What the sequences begin with: sequence i goes on from start i, or, where there are fewer, from start
        i modulo their number. A history of a person gives people like that one.

    Returns
    -------
    Sequences
        Users 0..n-1, start times 0; values where the model has a value head (not those of the starts).

    Raises
    ------
    InvalidArgumentError
        If a start holds an unknown item or event, or is longer than ``max_length``.
    """
    check_at_least("n", n, 0)
    check_at_least("max_length", max_length, 1)
    sampling = SamplingConfig() if sampling is None else sampling
    if starts is not None:
        check_starts(starts, model, max_length)
    size = int(np.clip(_CELLS // model.n_items, 64, 8_192))
    rng = CounterRng(seed)
    rows: list[_Rows] = []
    cut: list[NDArray[np.int64]] = []
    with torch_threads(1):
        for begin in range(0, n, size):
            keys = np.arange(first + begin, first + min(begin + size, n), dtype=np.int64)
            cut.append(_sample_chunk(model, keys, rng, max_length, rows, sampling, starts))
    return _assemble(rows, cut, n, first, has_values(model))


def has_values(model: SequenceModel) -> bool:
    """Return whether a model has a head for the value of a behaviour: an LSTM that was fitted with one."""
    return isinstance(model, LSTMModel) and model.config.value_weight > 0


def _sample_chunk(
    model: SequenceModel,
    keys: NDArray[np.int64],
    rng: CounterRng,
    max_length: int,
    rows: list[_Rows],
    sampling: SamplingConfig,
    starts: Sequences | None,
) -> NDArray[np.int64]:
    """Run one chunk to its end, appending to ``rows``; return the keys that were cut at ``max_length``."""
    state = model.initial_state(len(keys))
    heads = model.heads(state)
    device = state.tensors[0].device
    choice = ItemChoice(sampling, model.n_items, len(keys), device)
    memory = EventMemory(sampling.event_order, model.n_items, model.n_events, len(keys), device)
    beginning = Beginning(starts, keys, device)
    length = _lengths(rng, keys, sampling, beginning.length)
    for t in range(max_length):
        luck = _Luck(keys, rng, t)
        step = _draw(model, heads, luck, choice, memory, beginning)
        value = _values(model, heads, step, luck)
        item, event, gap = (column.cpu().numpy() for column in step)
        rows.append(_Rows(keys, item, event, gap, value))
        heads, state = model.step(step, state)
        if length is None:
            end = heads.end_probs()
            alive = luck.uniform(_END, end) >= end.double()
        else:
            alive = torch.from_numpy(length > t + 1).to(device)
        alive = beginning.goes_on(t, alive)
        survivors = alive.cpu().numpy()
        keys = keys[survivors]
        if len(keys) == 0:
            break
        if not survivors.all():
            index = alive.nonzero().squeeze(1)
            state = state.select(index)
            heads = model.heads(state)
            choice.keep(index)
            memory.keep(index)
            beginning.keep(survivors, index)
            length = None if length is None else length[survivors]
    return keys


class _Luck(NamedTuple):
    """Who draws at which step."""

    keys: NDArray[np.int64]
    rng: CounterRng
    t: int

    def uniform(self, lane: int, like: Tensor) -> Tensor:
        return as_uniform(self.rng.uniform(self.keys, self.t, lane=lane), like)


def _lengths(
    rng: CounterRng, keys: NDArray[np.int64], sampling: SamplingConfig, told: NDArray[np.int64]
) -> NDArray[np.int64] | None:
    """Draw the length of each sequence beforehand, (B,), where the config gives their probabilities.

    Of lengths that a start of ``told`` (B,) behaviours leaves open: where none is left, the sequence ends with it.
    """
    if not sampling.length_probs:
        return None
    cumulative = np.cumsum(sampling.length_probs)
    below = np.concatenate([[0.0, 0.0], cumulative])[np.minimum(told, len(cumulative) + 1)]  # mass of shorter ones
    target = below + rng.uniform(keys, 0, lane=_LENGTH) * (cumulative[-1] - below)
    place = np.minimum(np.searchsorted(cumulative, target, side="right"), len(cumulative) - 1)
    return np.maximum(np.asarray(place, np.int64) + 1, told)


def _draw(
    model: SequenceModel, heads: Heads, luck: _Luck, choice: ItemChoice, memory: EventMemory, beginning: Beginning
) -> BehaviourStep:
    """Draw the next behaviour of each sequence, (B,), or take what its start says."""
    probs = choice.weights(heads.item_log_probs())  # (B, I)
    item = inverse_cdf(probs, luck.uniform(_ITEM, probs))
    item = beginning.told(luck.t, BehaviourStep(item, item, item)).item  # the event depends on the item
    choice.took(item)
    event, gap = torch.zeros_like(item), torch.zeros_like(item)
    if model.n_events > 1:
        event_probs = heads.event_probs(item.unsqueeze(-1)).squeeze(-2)
        allowed = memory.allowed(item)
        event_probs = event_probs if allowed is None else torch.where(allowed, event_probs, 0.0)
        event = inverse_cdf(event_probs, luck.uniform(_EVENT, probs))
    if luck.t > 0:
        gap = inverse_cdf(heads.gap_probs(), luck.uniform(_GAP, probs))
    step = beginning.told(luck.t, BehaviourStep(item, event, gap))
    memory.took(step.item, step.event)
    return step


def _values(model: SequenceModel, heads: Heads, step: BehaviourStep, luck: _Luck) -> NDArray[np.float64]:
    """Draw the value of each behaviour, (B,), from the normal distribution that the head gives; NaN without one."""
    if not (isinstance(heads, LSTMHeads) and has_values(model)):
        return np.full(len(luck.keys), np.nan)
    mean, deviation = (part.squeeze(-1).double().cpu().numpy() for part in heads.value_distribution(step.item[:, None]))
    uniform = np.clip(luck.rng.uniform(luck.keys, luck.t, lane=_VALUE), 1e-12, 1 - 1e-12)
    drawn: NDArray[np.float64] = mean + deviation * ndtri(uniform)
    return drawn


def _assemble(rows: list[_Rows], cut: list[NDArray[np.int64]], n: int, first: int, with_values: bool) -> Sequences:
    """Turn step-wise rows into sequences, ordered by key."""
    key, item, event, gap = (
        np.concatenate([np.zeros(0, np.int64), *(row[place] for row in rows)]) for place in range(4)
    )
    value = np.concatenate([np.zeros(0), *(row.value for row in rows)])
    order = np.argsort(key, kind="stable")  # steps of one key keep their order
    ended = np.ones(n, np.bool_)
    if cut:
        ended[np.concatenate(cut) - first] = False
    return Sequences(
        offsets=np.concatenate([[0], np.cumsum(np.bincount(key - first, minlength=n))]).astype(np.int64),
        item=item[order].astype(np.int32),
        event=event[order].astype(np.int16),
        gap=gap[order],
        value=value[order] if with_values else None,
        start=np.zeros(n),
        user=np.arange(n, dtype=np.int64),
        ended=ended,
    )
