"""What people want next: exactly, or from a table whose cost does not grow with the catalogue."""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

from torch import Tensor

from rlrec.core.errors import InvalidArgumentError
from rlrec.models.base import Heads, RecurrentState, SequenceModel
from rlrec.models.item_table import ItemScores, ItemTable
from rlrec.models.lstm import LSTMModel
from rlrec.models.sampling import inverse_cdf


class Forecast(Protocol):
    """Next-item probabilities of B people."""

    def log_probs_of(self, items: Tensor) -> Tensor:
        """Return log p(item | h) of ``items`` (B, K), (B, K)."""
        ...

    def draw(self, uniform: Tensor, rows: Tensor) -> Tensor:
        """Return an item ~ p(. | h) for the people ``rows`` (n,), from uniforms (n,)."""
        ...


class ExactForecast:
    """The whole softmax, computed once and only if somebody asks."""

    def __init__(self, heads: Heads) -> None:
        self._heads = heads

    @cached_property
    def _log_probs(self) -> Tensor:
        return self._heads.item_log_probs()  # (B, I)

    def log_probs_of(self, items: Tensor) -> Tensor:
        """Return log p(item | h) of ``items`` (B, K)."""
        return self._log_probs.gather(-1, items)

    def draw(self, uniform: Tensor, rows: Tensor) -> Tensor:
        """Return an item for each of ``rows``."""
        return inverse_cdf(self._log_probs[rows].exp().double(), uniform)


class SampledForecast:
    """Scores of the asked items over an estimated normaliser; see `rlrec.models.item_table`."""

    def __init__(self, scores: ItemScores) -> None:
        self._scores = scores

    def log_probs_of(self, items: Tensor) -> Tensor:
        """Return log p(item | h) of ``items`` (B, K)."""
        return self._scores.log_probs_of(items)

    def draw(self, uniform: Tensor, rows: Tensor) -> Tensor:
        """Return an item for each of ``rows``, among those that stand for the catalogue."""
        return self._scores.draw(uniform, rows)


class Forecaster:
    """Makes forecasts of a model's states.

    Parameters
    ----------
    model : SequenceModel
    n_sampled_items : int
        0 for the exact softmax; else the items that stand for the catalogue. Then ``model`` must be an `LSTMModel`.
    """

    def __init__(self, model: SequenceModel, n_sampled_items: int) -> None:
        self._model = model
        self._table: ItemTable | None = None
        if n_sampled_items:
            if not isinstance(model, LSTMModel):
                raise InvalidArgumentError(
                    f"n_sampled_items needs an LSTMModel, got {type(model).__name__}; set it to 0 for the exact softmax"
                )
            self._table = ItemTable(model, min(n_sampled_items, model.n_items))

    def __call__(self, heads: Heads, memory: RecurrentState) -> Forecast:
        """Return the forecast of people with this memory."""
        return ExactForecast(heads) if self._table is None else SampledForecast(self._table.forecast(memory))
