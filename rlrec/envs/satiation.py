r"""Satiation: what somebody had lately is less wanted, beyond what the user model learned. Off unless asked for.

.. math:: n_i = \sum_{w \ge 0} d^{\,w}\, [g(i_w) = g(i)], \qquad
    P(\text{click } i) = \frac{p_i e^{-\beta n_i}}{\sum_{j \in S} p_j e^{-\beta n_j} + \kappa\,(1 - \sum_{j \in S} p_j)}

:math:`i_w` is the item that the person touched w behaviours ago, g its group (itself, or its category), d the decay, β
the strength in nats. The pull of what is not shown stays, so tired people click less. Alone they take
:math:`\propto p_i e^{-\beta n_i}`. β comes from a log's repeats by maximum likelihood: ``satiation_fit.py``.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.core.errors import InvalidArgumentError
from rlrec.models.base import BehaviourBatch

_FORGOTTEN = 0.01  # weight below which a behaviour is left out
_LONGEST = 50  # behaviours remembered at most
_FEW_GROUPS = 64  # so few can all be tiring at once; above, something fresh is always left


class Satiation:
    """How much less is wanted of what somebody had.

    Parameters
    ----------
    strength : float
        β, nats for one fresh behaviour with the same group.
    decay : float
        d, in (0, 1]: weight of a behaviour against the one after it.
    n_items : int
    groups : int array, shape (I,), optional
        Group of each item, such as its category's code; by default each item is its own.
    device : torch.device or str
    """

    def __init__(
        self,
        strength: float,
        decay: float,
        n_items: int,
        *,
        groups: NDArray[np.integer] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        groups = check_groups(groups, n_items)
        self.strength = strength
        self._groups = torch.from_numpy(groups).to(device)  # (I,)
        self._weights = torch.from_numpy(fatigue_weights(decay)).to(device)  # (W,)
        _, first = np.unique(groups, return_index=True)
        self._one_of_each = torch.from_numpy(first).to(device) if len(first) <= _FEW_GROUPS else None

    def arrived(self, history: BehaviourBatch) -> Tensor:
        """Return what people who come with ``history`` had: groups, the latest first, -1 for nothing, (B, W)."""
        place = history.length.unsqueeze(1) - 1 - torch.arange(len(self._weights), device=history.length.device)
        groups = self._groups[history.item].gather(1, place.clamp(min=0))
        return torch.where(place >= 0, groups, -1)

    def after(self, had: Tensor, item: Tensor) -> Tensor:
        """Return what people had after touching ``item`` (B,); -1 for none leaves them as they were."""
        newest = self._groups[item.clamp(min=0)].unsqueeze(1)
        return torch.where((item >= 0).unsqueeze(1), torch.cat([newest, had[:, :-1]], dim=1), had)

    def appeal(self, had: Tensor, items: Tensor) -> Tensor:
        """Return the factor on p of ``items`` (B, K) for people who had ``had`` (B, W): (B, K), in (0, 1], double."""
        same = self._groups[items].unsqueeze(2) == had.unsqueeze(1)  # (B, K, W)
        return torch.exp(-self.strength * (same.double() @ self._weights))

    def largest_appeal(self, had: Tensor) -> Tensor:
        """Return a bound on the appeal of anything, (B,): 1, or where there are few groups that of the freshest."""
        if self._one_of_each is None:
            return torch.ones(len(had), dtype=torch.float64, device=had.device)
        return self.appeal(had, self._one_of_each.expand(len(had), -1)).amax(1)


def fatigue_weights(decay: float) -> NDArray[np.float64]:
    """Return the weight of each behaviour, the latest first, down to where it is forgotten; (W,)."""
    n = _LONGEST if decay == 1 else min(math.ceil(math.log(_FORGOTTEN) / math.log(decay)), _LONGEST)
    return np.asarray(decay ** np.arange(n), np.float64)


def check_groups(groups: NDArray[np.integer] | None, n_items: int) -> NDArray[np.int64]:
    """Return one group for each item, (I,), or say what is wrong."""
    if groups is None:
        return np.arange(n_items)
    groups = np.asarray(groups)
    if groups.shape != (n_items,) or groups.dtype.kind not in "iu" or groups.min() < 0:
        raise InvalidArgumentError(
            f"groups must be a non-negative integer array of shape ({n_items},), one group for each item, "
            f"got {groups.dtype} {groups.shape}"
        )
    return groups.astype(np.int64)
