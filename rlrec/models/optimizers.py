"""Optimizers of the sequence network; the item table of a large catalogue is updated row by row."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from rlrec.models.config import LSTMConfig
from rlrec.models.network import SequenceNetwork


def make_optimizers(network: SequenceNetwork, config: LSTMConfig) -> list[torch.optim.Optimizer]:
    """Return the optimizer that the config names, and a second one for the item table if its gradient is sparse.

    The sparse one has no weight decay: decay would touch every row at every step.
    """
    if not network.item_embedding.sparse:
        return [_dense(network.parameters(), config)]
    table = network.item_embedding.weight
    rest = [parameter for parameter in network.parameters() if parameter is not table]
    sparse: torch.optim.Optimizer
    if config.optimizer == "adagrad":
        sparse = torch.optim.Adagrad([table], lr=config.learning_rate, foreach=False)
    else:
        sparse = torch.optim.SparseAdam([table], lr=config.learning_rate)
    return [_dense(rest, config), sparse]


def _dense(weights: Iterable[nn.Parameter], config: LSTMConfig) -> torch.optim.Optimizer:
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimizer == "adagrad":
        return torch.optim.Adagrad(weights, lr=rate, weight_decay=decay, foreach=True)
    if config.optimizer == "adam":
        return torch.optim.Adam(weights, lr=rate, weight_decay=decay, foreach=True)
    return torch.optim.AdamW(weights, lr=rate, weight_decay=decay, foreach=True)


def clip_gradients(network: SequenceNetwork, max_norm: float) -> None:
    """Scale all gradients so that their joint norm is at most ``max_norm``; one of them may be sparse."""
    if not network.item_embedding.sparse:
        nn.utils.clip_grad_norm_(network.parameters(), max_norm)
        return
    table = network.item_embedding.weight
    if table.grad is not None:
        table.grad = table.grad.coalesce()  # a row that came twice counts as one
    found = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    gradients = [gradient._values() if gradient.is_sparse else gradient for gradient in found]
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    scale = (max_norm / (norm + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(scale)
