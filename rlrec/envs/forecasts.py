"""What people want next: exactly, or from a table whose cost does not grow with the catalogue."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from rlrec.core.errors import InvalidArgumentError
from rlrec.envs.config import SimulatorConfig
from rlrec.models.base import BehaviourStep, Heads, RecurrentState, SequenceModel
from rlrec.models.item_table import ItemTable
from rlrec.models.lstm import LSTMModel
from rlrec.models.sampling import inverse_cdf

_PEOPLE, _STEPS = 256, 8  # whose states teach the correction of log Z
_LEARNING_SCORES = 20_000_000  # exact scores that it may cost a step: fewer people where the catalogue is large
_FEWEST_PEOPLE = 64


class Forecast(Protocol):
    """Next-item probabilities of B people."""

    def log_probs_of(self, items: Tensor) -> Tensor:
        """Return log p(item | h) of ``items`` (B, K), (B, K)."""
        ...

    @property
    def drawn(self) -> Tensor | None:
        """An item ~ p(. | h) for each, (B,), if uniforms were given."""
        ...


class ExactForecast:
    """The whole softmax of any model."""

    def __init__(self, heads: Heads, uniform: Tensor | None) -> None:
        self._log_probs = heads.item_log_probs()  # (B, I)
        self.drawn = None if uniform is None else inverse_cdf(self._log_probs.exp().double(), uniform)

    def log_probs_of(self, items: Tensor) -> Tensor:
        """Return log p(item | h) of ``items`` (B, K)."""
        return self._log_probs.gather(-1, items)


class Forecaster:
    """Makes forecasts of a model's states.

    Parameters
    ----------
    model : SequenceModel
    config : SimulatorConfig
        Says how many items stand for the catalogue.

    Raises
    ------
    InvalidArgumentError
        If a number of items is asked for and ``model`` is no `LSTMModel`.
    """

    def __init__(self, model: SequenceModel, config: SimulatorConfig) -> None:
        if config.n_sampled_items and not isinstance(model, LSTMModel):
            raise InvalidArgumentError(
                f"n_sampled_items needs an LSTMModel, got {type(model).__name__}; set it to 0 for the exact softmax"
            )
        self.table: ItemTable | None = None
        if isinstance(model, LSTMModel) and model.n_items > 1:
            self.table = ItemTable(model, config.items_in_normaliser(model.n_items))
            if not self.table.is_exact:
                learn_normaliser(self.table, model)

    def __call__(self, heads: Heads, memory: RecurrentState, uniform: Tensor | None = None) -> Forecast:
        """Return the forecast of people with this memory, and an item each for uniforms (B,)."""
        if self.table is None:
            return ExactForecast(heads, uniform)
        return self.table.forecast(memory, uniform)


@torch.no_grad()
def learn_normaliser(table: ItemTable, model: LSTMModel, *, seed: int = 0) -> None:
    """Teach a table what its log Z misses, on states of people who browse alone as the table says; see `correct`."""
    n = int(np.clip(_LEARNING_SCORES // model.n_items, _FEWEST_PEOPLE, _PEOPLE))
    rng = np.random.default_rng(seed)
    state, reached = model.initial_state(n), []
    for _ in range(_STEPS):
        reached.append(state)
        item = table.forecast(state, torch.from_numpy(rng.random(n)).to(model.device)).drawn
        assert item is not None
        zeros = torch.zeros_like(item)
        _, state = model.step(BehaviourStep(item, zeros, zeros), state)
    exact = [table.exact_log_z(one) for one in reached]
    table.correct(RecurrentState.cat(reached), torch.cat(exact))
