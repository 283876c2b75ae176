"""The order of events on one item, as a log keeps it: no purchase before a view, where none ever came before one.

A pair ``(before, after)`` says that in a sequence event ``after`` happens to an item only after event ``before``
happened to the same item. Checked against: a log that keeps an order (learned, and kept by samples), one that breaks
it once (not learned).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.core.errors import InvalidArgumentError
from rlrec.data.sequences import Sequences
from rlrec.evaluation.sequence_features import owners, width_of

EventOrder = tuple[tuple[int, int], ...]

_MIN_COUNT = 20  # occurrences below which "never" is no evidence (chosen here)


def learn_event_order(sequences: Sequences, *, min_count: int = _MIN_COUNT) -> EventOrder:
    """Return the pairs (before, after) that no sequence breaks, of events that occur often enough to say.

    Parameters
    ----------
    min_count : int
        Occurrences of ``after`` below which it is left free.

    Examples
    --------
    >>> from dataclasses import replace
    >>> bought = Sequences.from_items(np.array([3, 3, 5]), np.array([0, 3]))
    >>> bought = replace(bought, event=np.array([0, 1, 0], np.int16))
    >>> learn_event_order(bought, min_count=1)
    ((0, 1),)
    """
    n_events = int(sequences.event.max(initial=0)) + 1
    if n_events == 1:
        return ()
    key = owners(sequences) * width_of(sequences) + sequences.item
    _, code = np.unique(key, return_inverse=True)
    counts = np.bincount(sequences.event, minlength=n_events)
    first = {event: _first_rows(code, sequences.event == event) for event in range(n_events)}
    pairs = []
    for after in np.flatnonzero(counts >= min_count):
        rows = np.flatnonzero(sequences.event == after)
        for before in range(n_events):
            if before != after and bool((first[before][code[rows]] < rows).all()):
                pairs.append((before, int(after)))
    return tuple(pairs)


def _first_rows(code: NDArray[np.int64], happened: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the first row of each (sequence, item) in which an event happened, past all rows where it never did."""
    first = np.full(int(code.max(initial=-1)) + 1, len(code))
    rows = np.flatnonzero(happened)[::-1]
    first[code[rows]] = rows  # backwards, so that the earliest is written last
    return first


def requirements(order: Iterable[tuple[int, int]], n_events: int) -> Tensor:
    """Return the events that each event needs, as the bits of an integer, (E,).

    Raises
    ------
    InvalidArgumentError
        If a pair names an event that the model does not have.
    """
    needed = torch.zeros(n_events, dtype=torch.int64)
    for before, after in order:
        if max(before, after) >= n_events:
            raise InvalidArgumentError(
                f"event_order names event {max(before, after)}, the model has events 0..{n_events - 1}; "
                "learn the order again from this log"
            )
        needed[after] |= 1 << before
    return needed


class EventMemory:
    """What happened to each item in a batch of sequences in the making, and what may happen next.

    Parameters
    ----------
    order : tuple of (int, int)
    n_items, n_events, n_rows : int
    device : torch.device
    """

    def __init__(self, order: EventOrder, n_items: int, n_events: int, n_rows: int, device: torch.device) -> None:
        self._needed = requirements(order, n_events).to(device)  # (E,)
        width = n_items if order else 0
        self._happened = torch.zeros((n_rows, width), dtype=torch.int64, device=device)  # bits of events

    def allowed(self, item: Tensor) -> Tensor | None:
        """Return which events may happen to ``item`` (B,) now, (B, E); None where all may."""
        if not self._happened.shape[1]:
            return None
        return may_happen(self._happened.gather(1, item.unsqueeze(1)), self._needed)

    def took(self, item: Tensor, event: Tensor) -> None:
        """Remember that ``event`` (B,) happened to ``item`` (B,)."""
        if self._happened.shape[1]:
            place = item.unsqueeze(1)
            bits = self._happened.gather(1, place) | (1 << event).unsqueeze(1)
            self._happened.scatter_(1, place, bits)

    def keep(self, index: Tensor) -> None:
        """Keep the rows at ``index`` only: the others have ended."""
        self._happened = self._happened[index]


def may_happen(happened: Tensor, needed: Tensor) -> Tensor:
    """Return which events have all that they need, (..., E), from bits (..., 1) and (E,); where none has, all may."""
    allowed = (happened & needed) == needed
    return allowed | ~allowed.any(-1, keepdim=True)


def allowed_events(item: Tensor, event: Tensor, order: EventOrder, n_events: int) -> Tensor:
    """Return which events might have happened at each step of finished sequences, (B, T, E).

    Parameters
    ----------
    item, event : Tensor, shape (B, T)
        What happened.
    """
    same = (item.unsqueeze(2) == item.unsqueeze(1)).tril(-1)  # (B, T, T): an earlier step with the same item
    happened = torch.zeros_like(item)
    for number in range(n_events):
        seen = (same & (event == number).unsqueeze(1)).any(2)
        happened = happened | (seen.to(torch.int64) << number)
    return may_happen(happened.unsqueeze(2), requirements(order, n_events).to(item.device))
