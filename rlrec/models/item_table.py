r"""The output layer of an LSTM as a frozen table: a few items are scored without paying for the catalogue.

.. math:: l_i = s\,(q(h) \cdot v_i + b_i), \qquad
    \log \hat Z(h) = \log \Big(\sum_{i \in \text{head}} e^{l_i}
    + \sum_{i \in \text{tail sample}} \frac{e^{l_i}}{n\,q_i}\Big) + w \cdot h + c

The head are the most frequent items, counted exactly; the tail is estimated from a fixed systematic sample drawn in
proportion to training popularity. What that misses depends on h smoothly, so w and c are learned (`ItemTable.correct`):
ridge regression on the exact log Z of states that the model itself reaches. With every item in the table there is
nothing to learn, and log Z is exact.

``tests/models/test_item_table.py`` measures the error of log Z against the exact one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.core.checks import check_between
from rlrec.models.base import RecurrentState
from rlrec.models.lstm import LSTMModel
from rlrec.models.sampling import blocked_cdf

_SCORES = 1 << 19  # scores held at a time (2 MB, a core's cache): products, exponentials and sums stay in it
_FEWEST_ROWS = 16  # below, a product reads the table for too few rows
_NEVER = -1e30  # a logit that exp turns into 0, and a product with 0 does not turn into NaN
_RIDGE = 1e-5  # per state, against hidden units of variance some 0.1 (chosen here)


class NormaliserError(NamedTuple):
    """How far log Z is off on states that the correction did not see, in nats."""

    before: float
    """Root mean square without the correction."""
    after: float
    """And with it."""
    n: int
    """States."""


class TableArrays(NamedTuple):
    """What an `ItemTable` holds."""

    vectors: NDArray[np.float32]
    """(I, E)"""
    bias: NDArray[np.float32]
    """(I,)"""
    support: NDArray[np.float32]
    """(E + 2, M): vector, bias and log weight of the items that stand for the catalogue; padded."""
    items: NDArray[np.int64]
    """(M,) which they are."""
    correction: NDArray[np.float32] | None
    """(H + 2,) of log Z: on the hidden units, at a person's start, and a constant."""


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
        self.is_exact = n_sampled == model.n_items
        with torch.no_grad():
            self._vectors = network.item_vectors().detach()  # (I, E)
            self._bias = network.item_bias.detach().unsqueeze(1)  # (I, 1)
            if network.cold is not None:
                self._bias = self._bias.masked_fill(network.cold.unsqueeze(1), _NEVER)
            self._query = (network.to_item.weight.detach(), network.to_item.bias.detach())
        self._scales = (calibration.item_scale, calibration.first_scale)
        items, log_weights = support(model.space.item_counts, n_sampled, seed)
        self.items = torch.from_numpy(items).to(model.device)  # (M,)
        self._support = self._laid_out(torch.from_numpy(log_weights).to(self._vectors))  # (E + 2, M padded)
        self._correction: Tensor | None = None  # (H + 2,): of the hidden units, a person's start, and a constant
        self.error: NormaliserError | None = None

    def _laid_out(self, log_weights: Tensor) -> Tensor:
        """Return the columns [v_i, b_i, log weight] of the table's items, so that one product gives weighted logits."""
        rows = (self._vectors[self.items], self._bias[self.items], log_weights.unsqueeze(1))
        columns = torch.cat(rows, dim=1).T  # (E + 2, M)
        self._width = block_width(columns.shape[1])
        n_more = -columns.shape[1] % self._width
        empty = columns.new_zeros(columns.shape[0], n_more)
        empty[-1] = _NEVER
        return torch.cat([columns, empty], dim=1).contiguous()

    @torch.no_grad()
    def forecast(self, state: RecurrentState, uniform: Tensor | None = None) -> ItemScores:
        """Return the scores of the next item for each sequence of an LSTM's state, and an item drawn by ``uniform``.

        Parameters
        ----------
        state : RecurrentState
            Of B sequences.
        uniform : Tensor, shape (B,), optional
            Numbers in [0, 1), one draw from p(. | h) each: among the M items, by importance.
        """
        scaled, scale = self._queries(state)
        log_z, drawn = self._scan(scaled, uniform)
        if self._correction is not None:
            log_z = log_z + (_features(state) @ self._correction).unsqueeze(1)
        return ItemScores(self, scaled[:, :-2], scale, log_z, drawn)

    @torch.no_grad()
    def exact_log_z(self, state: RecurrentState) -> Tensor:
        """Return log Z over the whole catalogue, (B,), a few items at a time."""
        scaled, scale = self._queries(state)
        log_z = scaled.new_full((len(scaled),), -torch.inf)
        size = max(_SCORES // len(scaled), 1)
        for at in range(0, len(self._vectors), size):
            logits = scaled[:, :-2] @ self._vectors[at : at + size].T + scale * self._bias[at : at + size].T
            log_z = torch.logaddexp(log_z, logits.logsumexp(1))
        return log_z

    def _queries(self, state: RecurrentState) -> tuple[Tensor, Tensor]:
        """Return scaled queries with what multiplies bias and log weight, (B, E + 2), and the scales, (B, 1)."""
        query: Tensor = torch.nn.functional.linear(state.tensors[0][:, -1], *self._query)  # (B, E)
        later, first = self._scales
        scale = torch.where(_fresh(state), first, later).to(query.dtype)
        return torch.cat([query * scale, scale, torch.ones_like(scale)], dim=1), scale

    def _scan(self, scaled: Tensor, uniform: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return log Z (B, 1) and the items drawn (B,), a few rows at a time."""
        n, per_row = len(scaled), self._support.shape[1]
        size = max(_SCORES // per_row, _FEWEST_ROWS)
        log_z, places = scaled.new_empty(n, 1), []
        for at in range(0, n, size):
            rows = slice(at, at + size)
            weights = scaled[rows] @ self._support  # (b, M)
            top = weights.amax(1, keepdim=True)
            weights.sub_(top).exp_()
            total, place = blocked_cdf(weights, self._width, None if uniform is None else uniform[rows])
            log_z[rows] = top + total.log().to(top.dtype)
            places.append(place)
        return log_z, None if uniform is None else self.items[torch.cat([p for p in places if p is not None])]

    @torch.no_grad()
    def correct(self, state: RecurrentState, exact: Tensor) -> NormaliserError:
        """Learn what log Z misses, from states whose `exact_log_z` (N,) is known; return the error on every fourth.

        The correction is kept only if it makes that error smaller.
        """
        self._correction = None
        missed = (exact - self.forecast(state).log_z.squeeze(1)).double()
        features = _features(state).double()  # (N, H + 2)
        judged = torch.arange(len(missed)) % 4 == 3
        learned = _ridge(features[~judged], missed[~judged])
        left = missed[judged] - features[judged] @ learned
        before, after = (float(part.square().mean().sqrt()) for part in (missed[judged], left))
        if after < before:
            self._correction = learned.to(exact.dtype)
        self.error = NormaliserError(before, min(after, before), int(judged.sum()))
        return self.error

    def arrays(self) -> TableArrays:
        """Return what the table holds in NumPy, sharing its memory."""
        correction = None if self._correction is None else self._correction.cpu().numpy()
        return TableArrays(
            vectors=self._vectors.cpu().numpy(),
            bias=self._bias.squeeze(1).cpu().numpy(),
            support=self._support.cpu().numpy(),
            items=self.items.cpu().numpy(),
            correction=correction,
        )

    def logits_of(self, scaled: Tensor, scale: Tensor, items: Tensor) -> Tensor:
        """Return calibrated logits of ``items`` (B, K) for scaled queries (B, E) and scales (B, 1), shape (B, K)."""
        vectors = torch.nn.functional.embedding(items, self._vectors)  # (B, K, E)
        bias = torch.nn.functional.embedding(items, self._bias).squeeze(-1)  # (B, K)
        return torch.bmm(scaled.unsqueeze(1), vectors.transpose(1, 2)).squeeze(1).addcmul_(bias, scale)


class ItemScores:
    """Calibrated next-item probabilities of B sequences, asked for item by item."""

    def __init__(self, table: ItemTable, scaled: Tensor, scale: Tensor, log_z: Tensor, drawn: Tensor | None) -> None:
        self._table, self._scaled, self._scale = table, scaled, scale
        self.log_z = log_z  # (B, 1)
        self.drawn = drawn  # (B,) an item for each sequence, if uniforms were given

    def log_probs_of(self, items: Tensor) -> Tensor:
        """Return log p(item | h) of ``items`` (B, K), up to the error of the normaliser."""
        return self._table.logits_of(self._scaled, self._scale, items) - self.log_z


def block_width(n: int) -> int:
    """Return how many scores are summed at a time: some root of their number, in whole vectors."""
    return int(np.clip(8 * round(np.sqrt(n) / 8), 8, 256))


def _features(state: RecurrentState) -> Tensor:
    """Return what the correction is linear in, (B, H + 2)."""
    hidden = state.tensors[0][:, -1]
    return torch.cat([hidden, _fresh(state).to(hidden.dtype), torch.ones_like(hidden[:, :1])], dim=1)


def _fresh(state: RecurrentState) -> Tensor:
    """Return True where no behaviour came yet, (B, 1)."""
    return (state.tensors[2] == 0).unsqueeze(1)


def _ridge(features: Tensor, target: Tensor) -> Tensor:
    penalty = _RIDGE * len(features) * torch.eye(features.shape[1], dtype=features.dtype, device=features.device)
    solved: Tensor = torch.linalg.solve(features.T @ features + penalty, features.T @ target)
    return solved


def support(counts: NDArray[np.int64], n: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return ``n`` items that stand for a catalogue, and the log of how many items each stands for.

    Half are the most frequent (log weight 0); the others are a systematic sample of the rest in proportion to
    (count + 1), where an item drawn with probability q stands for 1 / (n_tail q). With n = I it is exact.
    """
    if n == len(counts):
        return np.arange(n), np.zeros(n)
    order = np.argsort(-counts, kind="stable")
    n_head = n // 2
    head, tail = order[:n_head], order[n_head:]
    q = (counts[tail] + 1.0) / (counts[tail] + 1.0).sum()
    offset = np.random.default_rng(seed).random()
    drawn = np.searchsorted(np.cumsum(q), (offset + np.arange(n - n_head)) / (n - n_head), side="right")
    drawn = np.minimum(drawn, len(tail) - 1)
    log_weights = np.concatenate([np.zeros(n_head), -np.log((n - n_head) * q[drawn])])
    return np.concatenate([head, tail[drawn]]), log_weights
