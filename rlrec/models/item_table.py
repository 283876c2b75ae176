r"""The output layer of an LSTM as a frozen table, to score a few items without paying for the catalogue.

.. math:: l_i = s\,(q(h) \cdot v_i + b_i), \qquad
    \log \hat Z(h) = \log \Big(\sum_{i \in \text{head}} e^{l_i}
    + \sum_{i \in \text{tail sample}} \frac{e^{l_i}}{n\,q_i}\Big)

The head are the most frequent items, counted exactly; the tail is estimated from a fixed systematic sample drawn in
proportion to training popularity. So a probability costs what its items cost, whatever the size of the catalogue.
``tests/models/test_item_table.py`` measures the error of log Z against the exact one.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.core.checks import check_between
from rlrec.models.base import RecurrentState
from rlrec.models.lstm import LSTMModel
from rlrec.models.sampling import inverse_cdf


class ItemTable:
    """Item vectors (I, E) and biases (I,) of a fitted model, computed once: the model is taken as fixed.

    Parameters
    ----------
    model : LSTMModel
    n_sampled : int
        Items M that stand for the catalogue in the normaliser, in 2..I; at I the normaliser is exact.
    seed : int
        Of the tail sample.
    """

    def __init__(self, model: LSTMModel, n_sampled: int, *, seed: int = 0) -> None:
        check_between("n_sampled", n_sampled, 2, model.n_items)
        network, calibration = model.network, model.calibration
        with torch.no_grad():
            self._vectors = network.item_vectors().detach()  # (I, E)
            self._bias = network.item_bias.detach().unsqueeze(1)  # (I, 1)
            self._query = (network.to_item.weight.detach(), network.to_item.bias.detach())
        self._scales = (calibration.item_scale, calibration.first_scale)
        items, log_weights = support(model.space.item_counts, n_sampled, seed)
        self.items = torch.from_numpy(items).to(model.device)  # (M,)
        self._log_weights = torch.from_numpy(log_weights).to(self._vectors)  # (M,)
        self._support_vectors = self._vectors[self.items].T.contiguous()  # (E, M)
        self._support_bias = self._bias[self.items].squeeze(1)  # (M,)

    @torch.no_grad()
    def forecast(self, state: RecurrentState) -> ItemScores:
        """Return the scores of the next item for each sequence of an LSTM's state."""
        query: Tensor = torch.nn.functional.linear(state.tensors[0][:, -1], *self._query)  # (B, E)
        later, first = self._scales
        scale = torch.where(state.tensors[2] == 0, first, later).to(query.dtype).unsqueeze(1)  # (B, 1)
        weighted = torch.addmm(self._support_bias, query, self._support_vectors) * scale + self._log_weights  # (B, M)
        return ItemScores(self, query, scale, weighted)

    def logits_of(self, query: Tensor, items: Tensor) -> Tensor:
        """Return uncalibrated logits of ``items`` (B, K) for ``query`` (B, E), shape (B, K)."""
        vectors = torch.nn.functional.embedding(items, self._vectors)  # (B, K, E)
        bias = torch.nn.functional.embedding(items, self._bias).squeeze(-1)  # (B, K)
        return torch.bmm(vectors, query.unsqueeze(-1)).squeeze(-1) + bias


class ItemScores:
    """Calibrated next-item probabilities of B sequences, asked for item by item."""

    def __init__(self, table: ItemTable, query: Tensor, scale: Tensor, weighted: Tensor) -> None:
        self._table, self._query, self._scale = table, query, scale
        self._top = weighted.amax(1, keepdim=True)  # (B, 1)
        self._weights = (weighted - self._top).exp()  # (B, M): in units of exp(top), so none overflows
        self.log_z = self._top + self._weights.sum(1, keepdim=True).log()  # (B, 1)

    def log_probs_of(self, items: Tensor) -> Tensor:
        """Return log p(item | h) of ``items`` (B, K), up to the error of the normaliser."""
        return self._table.logits_of(self._query, items) * self._scale - self.log_z

    def draw(self, uniform: Tensor, rows: Tensor) -> Tensor:
        """Return an item for each sequence in ``rows`` (n,): one of the M, by importance (its expectation is p's)."""
        return self._table.items[inverse_cdf(self._weights[rows], uniform)]


def support(counts: NDArray[np.int64], n: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return ``n`` items that stand for a catalogue, and the log of how many items each stands for.

    Half are the most frequent (log weight 0); the others are a systematic sample of the rest in proportion to
    (count + 1), where an item drawn with probability q stands for 1 / (n_tail q). With n = I it is exact.
    """
    order = np.argsort(-counts, kind="stable")
    if n == len(counts):
        return order, np.zeros(n)
    n_head = n // 2
    head, tail = order[:n_head], order[n_head:]
    q = (counts[tail] + 1.0) / (counts[tail] + 1.0).sum()
    offset = np.random.default_rng(seed).random()
    drawn = np.searchsorted(np.cumsum(q), (offset + np.arange(n - n_head)) / (n - n_head), side="right")
    drawn = np.minimum(drawn, len(tail) - 1)
    log_weights = np.concatenate([np.zeros(n_head), -np.log((n - n_head) * q[drawn])])
    return np.concatenate([head, tail[drawn]]), log_weights
