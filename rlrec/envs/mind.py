"""An LSTM user model of one person, in NumPy: for one row, torch's price of a call is twenty times its arithmetic.

Checked against `LSTMModel` step by step (``tests/envs/test_solo.py``). Weights are copied: the model is taken as fixed.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from rlrec.models.item_table import ItemTable
from rlrec.models.lstm import LSTMModel
from rlrec.models.recurrent import layer_weights

Floats = NDArray[np.float32]


class Memory(NamedTuple):
    """What a person remembers."""

    hidden: tuple[Floats, ...]
    """(H,) for each layer."""
    cell: tuple[Floats, ...]
    """(H,) for each layer."""
    heads: Floats
    """Raw output of all heads on the top layer's hidden vector: query, end, gap, event."""
    fresh: bool
    """True before any behaviour."""


class Mind:
    """Next-behaviour probabilities of one person.

    Parameters
    ----------
    model : LSTMModel
        With LSTM cells, without layer normalisation, on the CPU; see `can_be_one`.
    table : ItemTable
        Of the same model.
    """

    def __init__(self, model: LSTMModel, table: ItemTable) -> None:
        network, self._calibration = model.network, model.calibration
        self.n_events = model.n_events
        self._size = network.config.embedding_size
        self._table = table.arrays()
        self._events, self._gaps = _array(network.event_embedding.weight), _array(network.gap_embedding.weight)
        assert isinstance(network.lstm, nn.LSTM)
        weights = [layer_weights(network.lstm, layer) for layer in range(network.config.n_layers)]
        self._gates = [_half_sigmoids(*map(_array, parts)) for parts in weights]
        self._event_shift = np.asarray(model.calibration.event_shift or 0.0, np.float32)
        heads = (network.to_item, network.end_head, network.gap_head, network.event_head)
        self._heads = np.concatenate([_array(head.weight) for head in heads])
        self._heads_bias = np.concatenate([_array(head.bias) for head in heads])
        self._event_item = _array(network.event_item_head.weight)
        hidden = tuple(_array(network.start_hidden))
        self.start = Memory(hidden, tuple(_array(network.start_cell)), self._read(hidden[-1]), True)

    def _read(self, hidden: Floats) -> Floats:
        raw: Floats = self._heads @ hidden + self._heads_bias
        return raw

    def step(self, memory: Memory, item: int, event: int, gap: int) -> Memory:
        """Take one behaviour in: the textbook cell, layer by layer."""
        vector = self._table.vectors[item] + self._events[event] + self._gaps[gap]
        hiddens, cells = [], []
        for (weight, bias), hidden, cell in zip(self._gates, memory.hidden, memory.cell, strict=True):
            gates = weight @ np.concatenate((vector, hidden))  # (4H,) in torch's order i, f, g, o
            gates += bias
            np.tanh(gates, out=gates)
            size = len(hidden)
            new = gates[2 * size : 3 * size].copy()
            gates *= 0.5
            gates += 0.5  # i, f and o: sigmoid(x) = (1 + tanh(x / 2)) / 2, which cannot overflow
            cell = gates[size : 2 * size] * cell + gates[:size] * new
            vector = gates[3 * size :] * np.tanh(cell)
            hiddens.append(vector)
            cells.append(cell)
        return Memory(tuple(hiddens), tuple(cells), self._read(vector), False)

    def end_prob(self, memory: Memory) -> float:
        """Return p(end | h)."""
        logit = float(memory.heads[self._size]) * self._calibration.end_scale + self._calibration.end_shift
        return 1.0 / (1.0 + math.exp(-logit)) if logit > -700 else 0.0

    def draw_gap(self, memory: Memory, uniform: float) -> int:
        """Draw a gap bucket."""
        end = len(memory.heads) - self.n_events
        return _draw(memory.heads[self._size + 1 : end] * self._calibration.gap_scale, uniform)

    def draw_event(self, memory: Memory, item: int, uniform: float) -> int:
        """Draw what is done with ``item``."""
        raw = memory.heads[-self.n_events :] + self._event_item @ self._table.vectors[item]
        logits = raw * self._calibration.event_scale
        return _draw(logits + self._event_shift, uniform)

    def forecast(self, memory: Memory, items: NDArray[np.int64], uniform: float | None) -> tuple[Floats, int]:
        """Return log p(item | h) of ``items`` (K,), and an item drawn by ``uniform``; -1 without one."""
        table, calibration = self._table, self._calibration
        scale = calibration.first_scale if memory.fresh else calibration.item_scale
        query = memory.heads[: self._size] * np.float32(scale)
        weights = np.concatenate((query, (np.float32(scale), np.float32(1.0)))) @ table.support  # (M,)
        top = weights.max()
        np.exp(weights - top, out=weights)
        running = weights.cumsum(dtype=np.float64)
        total = float(running[-1])
        log_z = float(top) + math.log(total)
        if table.correction is not None:
            log_z += float(memory.hidden[-1] @ table.correction[:-2] + table.correction[-1])
            log_z += float(table.correction[-2]) if memory.fresh else 0.0
        log_probs = table.vectors[items] @ query + table.bias[items] * np.float32(scale) - np.float32(log_z)
        if uniform is None:
            return log_probs, -1
        return log_probs, int(table.items[_place(running, total, uniform)])


def can_be_one(model: object) -> bool:
    """Return whether `Mind` knows a model's architecture."""
    if not isinstance(model, LSTMModel) or model.device.type != "cpu":
        return False
    return model.config.cell == "lstm" and not model.config.layer_norm


def _half_sigmoids(w_in: Floats, w_hidden: Floats, b_in: Floats, b_hidden: Floats) -> tuple[Floats, Floats]:
    """Return weights (4H, E + H) and bias (4H,), halved where a sigmoid follows: one tanh then does for all gates."""
    weight, bias = np.concatenate([w_in, w_hidden], axis=1), b_in + b_hidden
    size = len(bias) // 4
    half = np.full(len(bias), 0.5, np.float32)
    half[2 * size : 3 * size] = 1.0
    return weight * half[:, None], bias * half


def _draw(logits: Floats, uniform: float) -> int:
    running = np.exp(logits - logits.max()).cumsum(dtype=np.float64)
    return _place(running, float(running[-1]), uniform)


def _place(running: NDArray[np.float64], total: float, uniform: float) -> int:
    """Return where the running sum first exceeds ``uniform`` of the total; never a weight of 0."""
    return int(running.searchsorted(min(uniform * total, math.nextafter(total, 0.0)), side="right"))


def _array(tensor: Tensor) -> Floats:
    return np.array(tensor.detach().cpu().numpy(), np.float32)
