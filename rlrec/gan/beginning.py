"""Sequences that begin as told: a start of some behaviours, after which the generator goes on by itself."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.core.errors import InvalidArgumentError
from rlrec.data.sequences import Sequences
from rlrec.models.base import BehaviourStep, SequenceModel


class Beginning:
    """The starts of a batch of sequences in the making.

    Parameters
    ----------
    starts : Sequences, optional
        What the sequences begin with; sequence ``key`` gets start ``key % len(starts)``. Without them, nothing is told.
    keys : ndarray, shape (B,)
        Numbers of the sequences.
    device : torch.device
    """

    def __init__(self, starts: Sequences | None, keys: NDArray[np.int64], device: torch.device) -> None:
        self.length = np.zeros(len(keys), np.int64)
        if starts is None:
            return
        batch = starts.pad(keys % len(starts))
        self.length = batch.length
        columns = (batch.item, batch.event, batch.gap)
        self._columns = [torch.from_numpy(np.ascontiguousarray(column)).to(device) for column in columns]

    def told(self, t: int, drawn: BehaviourStep) -> BehaviourStep:
        """Return the behaviours of step ``t``: what the start says where it still speaks, else what was drawn."""
        speaks = self.length > t
        if not speaks.any():
            return drawn
        mask = torch.from_numpy(speaks).to(drawn.item.device)
        pairs = zip(self._columns, drawn, strict=True)
        return BehaviourStep(*(torch.where(mask, column[:, t], mine) for column, mine in pairs))

    def goes_on(self, t: int, alive: Tensor) -> Tensor:
        """Return ``alive`` (B,) with the sequences kept whose start goes on after step ``t``."""
        return alive | torch.from_numpy(self.length > t + 1).to(alive.device)

    def keep(self, survivors: NDArray[np.bool_], index: Tensor) -> None:
        """Keep the rows of the survivors only."""
        if self.length.any():
            self._columns = [column[index] for column in self._columns]
        self.length = self.length[survivors]


def check_starts(starts: Sequences, model: SequenceModel, max_length: int) -> None:
    """Refuse starts that a model cannot go on from.

    Raises
    ------
    InvalidArgumentError
        If there are none, or they hold an unknown item or event, or are as long as a sequence may be.
    """
    if len(starts) == 0:
        raise InvalidArgumentError("starts must hold at least one sequence, got none; leave them out to start freely")
    for name, column, n in (("item", starts.item, model.n_items), ("event", starts.event, model.n_events)):
        if int(column.max(initial=0)) >= n:
            raise InvalidArgumentError(
                f"the starts hold {name} {int(column.max())}, the model has {name}s 0..{n - 1}; "
                "give starts over the catalogue that the model was fitted on"
            )
    if int(starts.lengths.max()) > max_length:
        raise InvalidArgumentError(
            f"a start of {int(starts.lengths.max())} behaviours is longer than max_length ({max_length}); "
            "raise max_length, or give its tail: starts.tail(n)"
        )
