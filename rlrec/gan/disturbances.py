"""The usual disturbances of sequences, which cost no generator: what synthetic sequences have to be better than."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rlrec.data.sequences import Sequences
from rlrec.gan.joining import joined


def disturbed(sequences: Sequences, n_items: int, *, seed: int) -> Sequences:
    """Return a disturbed copy of each sequence: two neighbours swapped, an end cropped, or items masked.

    The copies come in random order, so that the first of them are a fair share of the three kinds.

    Each sequence gets one of the three at random: a swap of two neighbouring items; a crop to a run of 60 % of its
    length; or a fifth of its items replaced by items drawn as often as they occur.

    References
    ----------
    .. [1] Xie et al., "Contrastive learning for sequential recommendation", ICDE 2022 (crop, mask, reorder).
    """
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, len(sequences))
    parts = [sequences.select(kind == which) for which in range(3)]
    copies = joined(_swapped(parts[0], rng), _cropped(parts[1], rng), _masked(parts[2], n_items, rng))
    return copies.select(rng.permutation(len(copies)))


def _swapped(sequences: Sequences, rng: np.random.Generator) -> Sequences:
    long = np.flatnonzero(sequences.lengths >= 2)
    place = sequences.offsets[long] + rng.integers(0, sequences.lengths[long] - 1)
    item = sequences.item.copy()
    item[place], item[place + 1] = sequences.item[place + 1], sequences.item[place]
    return replace(sequences, item=item)


def _cropped(sequences: Sequences, rng: np.random.Generator) -> Sequences:
    kept = np.maximum(np.round(0.6 * sequences.lengths).astype(np.int64), np.minimum(sequences.lengths, 1))
    begin = sequences.offsets[:-1] + rng.integers(0, sequences.lengths - kept + 1)
    offsets = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
    rows = np.arange(offsets[-1]) + np.repeat(begin - offsets[:-1], kept)
    gap = sequences.gap[rows]
    gap[offsets[:-1][kept > 0]] = 0
    whole = kept == sequences.lengths
    ended = sequences.ended & (whole | (begin + kept == sequences.offsets[1:]))
    return replace(
        sequences,
        offsets=offsets,
        item=sequences.item[rows],
        event=sequences.event[rows],
        gap=gap,
        value=None,
        ended=ended,
    )


def _masked(sequences: Sequences, n_items: int, rng: np.random.Generator) -> Sequences:
    hit = rng.random(sequences.n_events) < 0.2
    item = sequences.item.copy()
    counts = sequences.item_counts(n_items) + 1e-9
    item[hit] = rng.choice(n_items, int(hit.sum()), p=counts / counts.sum())
    return replace(sequences, item=item)
