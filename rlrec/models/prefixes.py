"""Sequences cut before a target: what was known when a behaviour came, for models that read whole histories."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlrec.data.sequences import Sequences


class Prefixes(NamedTuple):
    """N histories and what followed each."""

    histories: Sequences
    """The behaviours before each target."""
    target: NDArray[np.int64]
    """(N,) the item that followed."""


def target_rows(sequences: Sequences, *, last_only: bool = False) -> NDArray[np.int64]:
    """Return the flat rows that follow at least one behaviour, or only each sequence's last; shape (N,), ascending."""
    if last_only:
        return (sequences.offsets[1:] - 1)[sequences.lengths >= 2]
    follows = np.ones(sequences.n_events, np.bool_)
    follows[sequences.offsets[:-1][sequences.lengths > 0]] = False
    return np.flatnonzero(follows)


def prefixes(sequences: Sequences, rows: NDArray[np.int64]) -> Prefixes:
    """Cut sequences before the flat rows ``rows``.

    Examples
    --------
    >>> sequences = Sequences.from_items(np.array([4, 5, 6]), np.array([0, 3]))
    >>> cut = prefixes(sequences, np.array([1, 2]))
    >>> cut.histories.item.tolist(), cut.histories.lengths.tolist(), cut.target.tolist()
    ([4, 4, 5], [1, 2], [5, 6])
    """
    owner = np.searchsorted(sequences.offsets, rows, side="right") - 1
    lengths = rows - sequences.offsets[owner]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    flat = np.arange(offsets[-1]) + np.repeat(sequences.offsets[owner] - offsets[:-1], lengths)
    histories = replace(
        sequences,
        offsets=offsets,
        item=sequences.item[flat],
        event=sequences.event[flat],
        gap=sequences.gap[flat],
        value=None if sequences.value is None else sequences.value[flat],
        start=sequences.start[owner],
        user=sequences.user[owner],
        ended=np.zeros(len(rows), np.bool_),
    )
    return Prefixes(histories, sequences.item[rows].astype(np.int64))
