"""Sets of sequences put together: one after another, and a set repeated."""

from __future__ import annotations

import numpy as np

from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences
from rlrec.gan.synthetic_log import sequences_to_log


def joined(*sets: Sequences) -> Sequences:
    """Return sets of sequences one after another; users keep apart, values stay where all have them.

    Examples
    --------
    >>> one = Sequences.from_items(np.array([1, 2]), np.array([0, 2]))
    >>> joined(one, one).offsets.tolist()
    [0, 2, 4]
    """
    n_users = np.cumsum([0] + [int(s.user.max(initial=-1)) + 1 for s in sets])
    n_events = np.cumsum([0] + [s.n_events for s in sets])
    values = [s.value for s in sets if s.value is not None]
    return Sequences(
        offsets=np.concatenate([[0], *(s.offsets[1:] + n for s, n in zip(sets, n_events, strict=False))]),
        item=np.concatenate([s.item for s in sets]),
        event=np.concatenate([s.event for s in sets]),
        gap=np.concatenate([s.gap for s in sets]),
        value=np.concatenate(values) if len(values) == len(sets) else None,
        start=np.concatenate([s.start for s in sets]),
        user=np.concatenate([s.user + n for s, n in zip(sets, n_users, strict=False)]),
        ended=np.concatenate([s.ended for s in sets]),
    )


def joined_log(real: Sequences, added: Sequences, like: InteractionLog) -> InteractionLog:
    """Return real and added sequences as one log to train on: a sequence is a session, users are lost."""
    return sequences_to_log(joined(real, added), like, prefix="augmented")


def repeated(sequences: Sequences, n: int) -> Sequences:
    """Return ``n`` sequences: the set over and over again, the last time cut.

    Examples
    --------
    >>> one = Sequences.from_items(np.array([1, 2]), np.array([0, 1, 2]))
    >>> repeated(one, 3).item.tolist()
    [1, 2, 1]
    """
    return sequences.select(np.arange(n) % len(sequences))
