"""The choice of the next item: a model's probabilities, bent by the knobs of `SamplingConfig`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rlrec.core.errors import InvalidArgumentError
from rlrec.gan.sampling_config import SamplingConfig


class ItemChoice:
    """Bends p(item | h) for a batch of sequences in the making, and remembers what each of them has.

    Parameters
    ----------
    config : SamplingConfig
    n_items : int
    n_rows : int
        Sequences in the making.
    device : torch.device

    Examples
    --------
    >>> choice = ItemChoice(SamplingConfig(repeat_factor=0.0), 3, 1, torch.device("cpu"))
    >>> log_probs = torch.tensor([[0.5, 0.3, 0.2]]).log()
    >>> choice.took(torch.tensor([0]))
    >>> choice.took(torch.tensor([1]))
    >>> [round(weight, 3) for weight in choice.weights(log_probs)[0].tolist()]
    [0.0, 0.3, 0.2]
    """

    def __init__(self, config: SamplingConfig, n_items: int, n_rows: int, device: torch.device) -> None:
        self.config = config
        self.last: Tensor | None = None  # (B,) None before the first behaviour
        self._seen = torch.zeros((n_rows, n_items if config.remembers else 0), dtype=torch.bool, device=device)
        self._forbidden = _forbidden(config, n_items).to(device)  # (I,), or (0,) where all items are allowed
        self._log_factors = log_factors(config, n_items).to(device)  # (I,), or () where all are 1

    def weights(self, log_probs: Tensor) -> Tensor:
        """Return non-negative weights of the items, (B, I), from log p(item | h), (B, I); they need not sum to 1."""
        config = self.config
        temperature = config.first_temperature if self.last is None else config.temperature
        weights = (log_probs / temperature + self._log_factors).exp()
        if config.remembers and self.last is not None:
            weights = self._repeats(weights, self.last.unsqueeze(1))
        if len(self._forbidden):
            weights = weights.masked_fill(self._forbidden, 0.0)
        weights = _head(weights, config) if config.cuts else weights
        return self._never_empty(weights, log_probs)

    def _repeats(self, weights: Tensor, last: Tensor) -> Tensor:
        again = weights.gather(1, last) * self.config.immediate_factor  # (B, 1)
        weights = torch.where(self._seen, weights * self.config.repeat_factor, weights)
        return weights.scatter(1, last, again)

    def _never_empty(self, weights: Tensor, log_probs: Tensor) -> Tensor:
        """Where the knobs leave a row nothing (a sequence has all items and none may repeat), lift the repeat rules."""
        empty = weights.sum(1, keepdim=True) <= 0
        if not bool(empty.any()):
            return weights
        allowed = (log_probs - log_probs.amax(1, keepdim=True)).exp()
        if len(self._forbidden):
            allowed = allowed.masked_fill(self._forbidden, 0.0)
        return torch.where(empty, allowed, weights)

    def took(self, item: Tensor) -> None:
        """Remember that the sequences took ``item`` (B,)."""
        self.last = item
        if self.config.remembers:
            self._seen.scatter_(1, item.unsqueeze(1), True)

    def keep(self, index: Tensor) -> None:
        """Keep the rows at ``index`` only: the others have ended."""
        self._seen = self._seen[index]
        self.last = None if self.last is None else self.last[index]


def bent_log_probs(log_probs: Tensor, batch_item: Tensor, mask: Tensor, config: SamplingConfig) -> Tensor:
    """Return log probabilities of sampled items under the knobs, with gradients, (N,); see `bent_item_log_probs`."""
    every = bent_item_log_probs(log_probs, batch_item, mask, config)
    return every.gather(1, batch_item[mask].unsqueeze(1)).squeeze(1)


def bent_item_log_probs(log_probs: Tensor, batch_item: Tensor, mask: Tensor, config: SamplingConfig) -> Tensor:
    """Return the log probabilities of all items before each sampled one under the knobs, with gradients, (N, I).

    Parameters
    ----------
    log_probs : Tensor, shape (N, I)
        log p(item | h) before each behaviour, row by row.
    batch_item : Tensor, shape (B, T)
        What was sampled.
    mask : Tensor, shape (B, T)
        True at behaviours.
    config : SamplingConfig
        ``top_k`` and ``top_p`` are left out of account: a sampled item lies inside the cut.
    """
    first = torch.zeros_like(mask)
    first[:, 0] = True
    temperature = torch.where(first[mask], config.first_temperature, config.temperature).unsqueeze(1)
    logits = log_probs / temperature + log_factors(config, log_probs.shape[1]).to(log_probs.device)
    if config.remembers:
        logits = logits + _log_factors(batch_item, mask, log_probs.shape[1], config)
    forbidden = _forbidden(config, log_probs.shape[1]).to(logits.device)
    if len(forbidden):
        logits = logits.masked_fill(forbidden, -torch.inf)
    return logits.log_softmax(1)


def _log_factors(batch_item: Tensor, mask: Tensor, n_items: int, config: SamplingConfig) -> Tensor:
    """Return the log of each item's repeat factor before each behaviour, (N, I); finite, so that gradients are."""
    floor = 1e-12
    before = torch.nn.functional.one_hot(batch_item, n_items).cumsum(1).roll(1, 1) > 0  # (B, T, I)
    before[:, 0] = False
    factors = torch.where(before, max(config.repeat_factor, floor), 1.0)
    last = batch_item[:, :-1].unsqueeze(2)
    factors[:, 1:].scatter_(2, last, max(config.immediate_factor, floor))
    return factors.log()[mask]


def log_factors(config: SamplingConfig, n_items: int) -> Tensor:
    """Return the log of each item's factor, (I,), or a 0 for all."""
    if not config.item_factors:
        return torch.zeros(())
    if len(config.item_factors) != n_items:
        raise InvalidArgumentError(
            f"item_factors must have one entry for each of the {n_items} items, got {len(config.item_factors)}; "
            "fit the sampling knobs again on this catalogue"
        )
    return torch.tensor(config.item_factors).clamp(min=1e-12).log()


def _forbidden(config: SamplingConfig, n_items: int) -> Tensor:
    if not config.allowed_items:
        return torch.zeros(0, dtype=torch.bool)
    if max(config.allowed_items) >= n_items:
        raise InvalidArgumentError(
            f"allowed_items must lie in 0..{n_items - 1}, got {max(config.allowed_items)}; "
            "pass item indices from catalog.index_of(ids)"
        )
    forbidden = torch.ones(n_items, dtype=torch.bool)
    forbidden[torch.from_numpy(np.asarray(config.allowed_items, np.int64))] = False
    return forbidden


def _head(weights: Tensor, config: SamplingConfig) -> Tensor:
    """Set the weights outside of the top k, and outside of the smallest set with share top_p, to 0."""
    ordered, order = weights.sort(dim=1, descending=True, stable=True)
    kept = torch.ones_like(ordered, dtype=torch.bool)
    if config.top_k:
        kept[:, config.top_k :] = False
    if config.top_p < 1.0:
        share = ordered.cumsum(1) / ordered.sum(1, keepdim=True).clamp(min=1e-38)
        kept[:, 1:] &= share[:, :-1] < config.top_p  # an item counts while those before it have less than top_p
    return torch.zeros_like(weights).scatter(1, order, torch.where(kept, ordered, 0.0))
