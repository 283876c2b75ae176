r"""What a person takes from a slate: a conditional logit with an outside option.

.. math:: P(\text{click } i) = \frac{p_i}{\sum_{j \in S} p_j + \kappa\,(1 - \sum_{j \in S} p_j)}

where :math:`p_i = p(\text{item } i \mid h)`; the rest is "no click". See ``docs/guide/simulator.md`` for what κ means.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.core.errors import InvalidArgumentError


def click_probs(probs: Tensor, kappa: float, appeal: Tensor | None = None) -> Tensor:
    """Return the click probability of each shown item.

    Parameters
    ----------
    probs : Tensor, shape (B, K)
        p(item | h) of the shown items; rows sum to at most 1.
    kappa : float
        Pull of what is not shown, in (0, 1].
    appeal : Tensor, shape (B, K), optional
        Factors on ``probs`` of what is shown, such as satiation's; the pull of what is not shown stays.

    Returns
    -------
    Tensor, shape (B, K)
        Rows sum to at most 1; what is missing is "no click".
    """
    shown = probs.sum(-1, keepdim=True)  # rounding, or an estimated normaliser, may put it above 1
    outside = kappa * (1.0 - shown).clamp(min=0.0)
    if appeal is not None:
        probs = probs * appeal
        shown = probs.sum(-1, keepdim=True)
    return probs / (shown + outside).clamp(min=torch.finfo(probs.dtype).tiny)


def choose(clicks: Tensor, uniform: Tensor) -> Tensor:
    """Return the slate position that each person clicks, -1 for none: shape (B,), from click probabilities (B, K)."""
    position = torch.searchsorted(
        clicks.cumsum(-1), uniform.to(clicks.dtype).contiguous().unsqueeze(-1), right=True
    ).squeeze(-1)
    return torch.where(position < clicks.shape[-1], position, -1)


def kappa_for_click_rate(probs: NDArray[np.float64], rate: float) -> float:
    """Return the κ at which slates with these probabilities (N, K) are clicked with the declared mean rate.

    The rate falls as κ grows, so it is found by bisection to 1e-6.

    Raises
    ------
    InvalidArgumentError
        If no κ in (0, 1] gives the rate: even at κ = 1 people take more than that.
    """
    shown = torch.from_numpy(np.asarray(probs, np.float64))

    def mean_rate(kappa: float) -> float:
        return float(click_probs(shown, kappa).sum(-1).mean())

    low, high = 1e-9, 1.0
    if not mean_rate(high) <= rate <= mean_rate(low):
        raise InvalidArgumentError(
            f"a click rate of {rate} cannot be had with these slates: kappa in (0, 1] gives "
            f"{mean_rate(high):.4f} to {mean_rate(low):.4f}; declare a rate inside that range"
        )
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if mean_rate(middle) > rate else (low, middle)
    return (low + high) / 2
