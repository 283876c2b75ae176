"""Items without a training row: kept out of the softmax while training, then scored by their features alone.

Left in, they would be trained as wrong answers: every batch pushes their own vector and bias down, and no batch ever
pulls them up. So their own vector is zero, their features speak, and one shared bias gives them the probability that
new items have: the validation part's share of them, or Good and Turing's estimate from the training part.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.models.network import SequenceNetwork

_BISECTIONS = 60  # halvings of [-40, 40]: far below float precision


@torch.no_grad()
def set_cold_items(network: SequenceNetwork, item_counts: NDArray[np.int64]) -> None:
    """Keep the items without training rows out of every softmax, with a zero vector of their own."""
    cold = torch.from_numpy(item_counts == 0).to(network.item_bias.device)
    network.cold = cold if bool(cold.any()) and not bool(cold.all()) else None
    if network.cold is not None:
        network.item_embedding.weight[network.cold] = 0.0


def good_turing(item_counts: NDArray[np.int64]) -> float:
    """Return the probability that the next item is a new one: the share of rows whose item occurs once.

    Half a row where there is none, so that it is never 0.

    Examples
    --------
    >>> good_turing(np.array([3, 1, 1, 0]))
    0.4
    """
    return float(max((item_counts == 1).sum(), 0.5) / max(item_counts.sum(), 1))


@torch.no_grad()
def release_cold_items(network: SequenceNetwork, hidden: Tensor, share: float) -> None:
    """Let the cold items into the softmax, with one bias that gives them their share.

    Parameters
    ----------
    hidden : Tensor, shape (N, H)
        What is known before N next items; the mean over them gets the share.
    share : float
        In (0, 1).
    """
    cold = network.cold
    if cold is None:
        return
    network.cold = None
    network.item_bias[cold] = 0.0
    logits = network.item_logits(hidden).double()
    odds = logits[:, cold].logsumexp(1) - logits[:, ~cold].logsumexp(1)  # (N,) cold against warm at bias 0
    low, high = -40.0, 40.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if float(torch.sigmoid(odds + middle).mean()) < share else (low, middle)
    network.item_bias[cold] = (low + high) / 2
