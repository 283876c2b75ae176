r"""Sampled softmax with log-Q correction: the loss of a large catalogue at the price of a small one.

Checked against the full softmax in expectation (``tests/models/test_negatives.py``).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from rlrec.models.network import SequenceNetwork

_LARGE = 20_000  # items above which sampling pays (measured by benchmarks/bench_models.py)
_N_NEGATIVES = 2_048
_POWER = 0.75  # of popularity, in the sampling distribution (Mikolov et al. 2013)


class NegativeSampler:
    r"""Negatives drawn from popularity to the power 0.75 and shared by a batch.

    .. math:: \ell = -s_t + \log\Big(e^{s_t} + \sum_{j \in S, j \ne t} e^{s_j - \log(M q_j)}\Big)

    with M draws S from q. Subtracting log(M q) makes the sum an unbiased estimate of the normaliser's other terms, so
    that the logits learned are those of the full softmax.

    Parameters
    ----------
    item_counts : ndarray, shape (I,)
        Training rows of each item; one without any is never drawn.
    n : int
        M.

    References
    ----------
    .. [1] Bengio & Senécal, "Adaptive importance sampling to accelerate training of a neural probabilistic language
       model", IEEE TNN 2008.
    """

    def __init__(self, item_counts: NDArray[np.int64], n: int, device: torch.device | str = "cpu") -> None:
        weight = torch.from_numpy(item_counts.astype(np.float64) ** _POWER).to(device)
        self.n = n
        self._cumulative = (weight / weight.sum()).cumsum(0)
        self._log_expected = (n * weight / weight.sum()).clamp(min=1e-12).log().float()

    def draw(self) -> Tensor:
        """Return M items, (M,), with replacement, from torch's generator."""
        uniform = torch.rand(self.n, dtype=torch.float64, device=self._cumulative.device) * self._cumulative[-1]
        return torch.searchsorted(self._cumulative, uniform, right=True).clamp(max=len(self._cumulative) - 1)

    def losses(self, network: SequenceNetwork, hidden: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each target, (N,), under hidden vectors (N, H)."""
        negatives = self.draw()  # (M,)
        query = network.to_item(hidden)  # (N, E)
        both = torch.cat([target, negatives])
        vectors = network.vectors_of(both)
        bias = network.item_bias[both]
        n = len(target)
        own = (query * vectors[:n]).sum(-1) + bias[:n]  # (N,)
        others = query @ vectors[n:].T + bias[n:] - self._log_expected[negatives]  # (N, M)
        others = others.masked_fill(negatives.unsqueeze(0) == target.unsqueeze(1), -torch.inf)
        return F.softplus(others.logsumexp(1) - own)


def count_of_negatives(wanted: int | None, n_items: int) -> int:
    """Return how many negatives to draw: what was asked for, or 0 (the full softmax) up to 20,000 items, 2,048 above.

    Examples
    --------
    >>> count_of_negatives(None, 3_000), count_of_negatives(None, 100_000), count_of_negatives(64, 3_000)
    (0, 2048, 64)
    """
    if wanted is not None:
        return wanted
    return 0 if n_items <= _LARGE else _N_NEGATIVES
