"""Optimizers of the sequence network; the item table of a large catalogue is updated row by row."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import nn

from rlrec.models.config import LSTMConfig
from rlrec.models.network import SequenceNetwork

_RISE = 0.3  # of the training, and
_START = 1 / 25  # of the step size: the defaults of torch's OneCycleLR


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


def step_share(schedule: str, done: float) -> float:
    """Return which share of ``learning_rate`` a step takes when ``done`` of the training, in [0, 1], lies behind it.

    A function of the place alone, so that a training taken up after a kill needs no state for it.

    Examples
    --------
    >>> [round(step_share("one_cycle", done), 2) for done in (0.0, 0.15, 0.3, 0.65, 1.0)]
    [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    if schedule == "constant":
        return 1.0
    if done < _RISE:
        return 1.0 - (1.0 - _START) * (1.0 + math.cos(math.pi * done / _RISE)) / 2
    return (1.0 + math.cos(math.pi * (done - _RISE) / (1.0 - _RISE))) / 2


def set_step_size(optimizers: Sequence[torch.optim.Optimizer], config: LSTMConfig, epochs: float) -> None:
    """Give every optimizer the step size of the config's schedule when so many ``epochs`` lie behind."""
    share = step_share(config.schedule, epochs / config.n_epochs)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * share


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
