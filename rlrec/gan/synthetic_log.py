"""Sampled sequences as a log: who the synthetic users are, and when they come."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlrec.core.errors import InvalidArgumentError
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import GAP_SECONDS, Sequences
from rlrec.data.vocabulary import Vocabulary


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
        value=sequences.value,
        session=owner,
        users=Vocabulary([f"{prefix}-{number:06d}" for number in range(1, len(sequences) + 1)]),
        catalog=like.catalog,
        event_names=like.event_names,
        notes={"origin": f"sampled from a model of {like.name!r}; no row is a real person's"},
    )
