"""What a detector sees of a sequence: one row of numbers, and the pieces that they are made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rlrec.data.features import Categorical
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences

FloatArray = NDArray[np.float64]

_MAX_LEVELS = 20  # a categorical feature with more levels is left out
_PULL = 5.0  # pseudo-observations of popularity in a transition row


def owners(sequences: Sequences) -> NDArray[np.int64]:
    """Return the number of the sequence that each behaviour belongs to, (N,)."""
    return np.repeat(np.arange(len(sequences)), sequences.lengths)


def is_repeat(sequences: Sequences) -> NDArray[np.bool_]:
    """Return which behaviours take up an item that came before in the same sequence, (N,)."""
    key = owners(sequences) * width_of(sequences) + sequences.item
    repeat = np.ones(len(key), np.bool_)
    repeat[np.unique(key, return_index=True)[1]] = False
    return repeat


def width_of(*sets: Sequences) -> int:
    """Return one more than the largest item index."""
    return 1 + max((int(s.item.max()) for s in sets if s.n_events), default=0)


def transition_pairs(sequences: Sequences, width: int) -> NDArray[np.int64]:
    """Return ``before * width + after`` of every transition inside a sequence."""
    item = sequences.item.astype(np.int64)
    inside = np.diff(owners(sequences)) == 0
    pairs: NDArray[np.int64] = (item[:-1] * width + item[1:])[inside]
    return pairs


def sequence_features(
    sequences: Sequences,
    *,
    top_items: NDArray[np.integer],
    categories: tuple[NDArray[np.int64], ...] = (),
    reference: Sequences | None = None,
) -> FloatArray:
    """Return one row of numbers for each sequence, (S, F): what the detector sees.

    Length, distinct and repeated items, immediate repeats, gaps, event shares, shares of ``top_items``, shares of the
    levels of each item category, and the first item's popularity and mean log probability of the transitions under
    counts of ``reference``.
    """
    owner, n = owners(sequences), len(sequences)
    length = np.maximum(sequences.lengths, 1).astype(np.float64)

    def mean(values: NDArray[np.generic]) -> FloatArray:
        return np.bincount(owner, weights=values.astype(np.float64), minlength=n) / length

    def shares(code: NDArray[np.integer], n_levels: int) -> FloatArray:
        flat = np.bincount(owner * (n_levels + 1) + code, minlength=n * (n_levels + 1))
        return flat.reshape(n, n_levels + 1)[:, :n_levels] / length[:, None]

    immediate = np.zeros(sequences.n_events, np.bool_)
    immediate[1:] = (np.diff(owner) == 0) & (np.diff(sequences.item) == 0)
    rank = np.full(max(width_of(sequences), int(top_items.max(initial=-1)) + 1), len(top_items))
    rank[top_items] = np.arange(len(top_items))
    n_events = int(sequences.event.max(initial=0)) + 1
    columns = [length, mean(is_repeat(sequences)), mean(immediate), mean(sequences.gap)]
    blocks = [np.stack(columns, axis=1), shares(rank[sequences.item], len(top_items))]
    blocks.append(shares(sequences.event, max(n_events, 2))[:, :2])
    blocks += [shares(levels[sequences.item], int(levels.max(initial=0)) + 1) for levels in categories]
    if reference is not None:
        blocks.append(np.stack(_typicality(sequences, reference), axis=1))
    return np.concatenate(blocks, axis=1)


def typicality(sequences: Sequences, reference: Sequences) -> tuple[FloatArray, FloatArray]:
    """Return how usual openings and transitions are under smoothed counts of ``reference``, nats.

    Returns
    -------
    opening : (S,) log popularity of each sequence's first item, 0 where it is empty
    transitions : (M,) log p(next | item) of every transition inside a sequence, in order
    """
    width = width_of(sequences, reference)
    # The denominator knows the reference alone: were it to know the largest item of ``sequences``, every number of a
    # set would be off by a hair that is the set's own, and trees see hairs.
    popularity = (np.bincount(reference.item, minlength=width) + 1.0) / (reference.n_events + width_of(reference))
    keys, counts = np.unique(transition_pairs(reference, width), return_counts=True)
    total = np.bincount(keys // width, weights=counts, minlength=width)
    pair = transition_pairs(sequences, width)
    place = np.minimum(np.searchsorted(keys, pair), max(len(keys) - 1, 0))
    seen = np.where(keys[place] == pair, counts[place], 0) if len(keys) else np.zeros(len(pair))
    before, after = pair // width, pair % width
    log_p = np.log((seen + _PULL * popularity[after]) / (total[before] + _PULL))
    opening = np.zeros(len(sequences))
    filled = sequences.lengths > 0
    opening[filled] = np.log(popularity[sequences.item[sequences.offsets[:-1][filled]]])
    return opening, log_p


def _typicality(sequences: Sequences, reference: Sequences) -> tuple[FloatArray, FloatArray]:
    """Return the opening item's log share, and the mean log p(next | item), under smoothed counts of ``reference``."""
    opening, log_p = typicality(sequences, reference)
    owner = owners(sequences)[1:][np.diff(owners(sequences)) == 0]
    sums = np.bincount(owner, weights=log_p, minlength=len(sequences))
    return opening, sums / np.maximum(sequences.lengths - 1, 1)


def item_categories(log: InteractionLog) -> tuple[NDArray[np.int64], ...]:
    """Return the codes (I,) of the catalogue's categorical features of few levels, for the detector."""
    features = log.catalog.features
    columns = [column for column in features.values() if isinstance(column, Categorical)]
    codes = [np.asarray(column.codes, np.int64) for column in columns]
    return tuple(code - code.min(initial=0) for code in codes if code.max(initial=0) < _MAX_LEVELS)
