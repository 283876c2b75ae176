"""Training of the sequence network by maximum likelihood: many small updates, early stopping, best weights kept."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rlrec.core.errors import CollapseError, DataError
from rlrec.core.progress import MetricsWriter, progress
from rlrec.data.sequences import Sequences
from rlrec.models.config import LSTMConfig
from rlrec.models.losses import HeadSums, Targets, gather_targets, head_losses
from rlrec.models.network import SequenceNetwork
from rlrec.models.threads import torch_seed, torch_threads

_EVALUATION_TOKENS = 8_192


@dataclass(frozen=True)
class TrainingRecord:
    """How a training went: validation loss by epoch and the epoch whose weights were kept."""

    valid_nll: tuple[float, ...]
    """Nats per next item after each epoch."""
    best_epoch: int
    """From 1; 0 if no validation sequences were given."""
    n_epochs: int
    """Epochs run."""


def make_optimizer(network: nn.Module, config: LSTMConfig) -> torch.optim.Optimizer:
    """Return the optimizer that the config names."""
    rate, decay, weights = config.learning_rate, config.weight_decay, network.parameters()
    if config.optimizer == "adagrad":
        return torch.optim.Adagrad(weights, lr=rate, weight_decay=decay, foreach=True)
    if config.optimizer == "adam":
        return torch.optim.Adam(weights, lr=rate, weight_decay=decay, foreach=True)
    return torch.optim.AdamW(weights, lr=rate, weight_decay=decay, foreach=True)


def weighted_loss(sums: HeadSums, config: LSTMConfig) -> Tensor:
    """Return the training loss: mean nats of each head, weighted."""
    n_next = max(sums.n_item + sums.n_first, 1)
    loss = (sums.item + sums.first + config.event_weight * sums.event) / n_next
    loss = loss + config.gap_weight * sums.gap / max(sums.n_item, 1)
    return loss + config.end_weight * sums.end / max(sums.n_end, 1)


def train_network(
    network: SequenceNetwork,
    train: Sequences,
    valid: Sequences | None,
    *,
    seed: int,
    metrics: MetricsWriter,
    show_progress: bool | None = None,
    name: str = "models/lstm",
    last_only: bool = False,
) -> TrainingRecord:
    """Train in place; on return the network is in ``eval`` mode and holds the weights of the best epoch.

    Parameters
    ----------
    valid : Sequences, optional
        Early stopping watches their nats per next item; without them all ``n_epochs`` are run.
    seed : int
        Orders the batches and seeds dropout.
    last_only : bool
        Watch only the last item of each validation sequence: the earlier ones are in the training part.

    Raises
    ------
    DataError
        If there is nothing to learn from.
    CollapseError
        If the loss stops being finite.
    """
    if len(train) == 0:
        raise DataError("there are no training sequences; check the split and the log")
    config = network.config
    pieces = cut_long(train, config.max_length)
    rng = np.random.default_rng(seed)
    optimizer = make_optimizer(network, config)
    history: list[float] = []
    best, best_epoch, best_weights = math.inf, 0, None
    with torch_threads(1), torch_seed(seed):
        bar = progress(range(1, config.n_epochs + 1), description=f"fit {name}", unit="epoch", show=show_progress)
        for epoch in bar:
            train_loss = _train_epoch(network, pieces, optimizer, rng)
            if valid is None or len(valid) == 0:
                metrics.write(epoch, {f"{name}/train_loss": train_loss})
                continue
            nll = item_nll(network, valid, last_only=last_only)
            history.append(nll)
            metrics.write(epoch, {f"{name}/train_loss": train_loss, f"{name}/valid_nll": nll})
            bar.set_postfix_str(f"valid {nll:.4f} nats")
            if nll < best - 1e-4:
                best, best_epoch, best_weights = nll, epoch, copy.deepcopy(network.state_dict())
            if epoch - best_epoch >= config.patience:
                break
        n_run = epoch
        bar.close()
    if best_weights is not None:
        network.load_state_dict(best_weights)
    network.eval()
    return TrainingRecord(tuple(history), best_epoch, n_run)


def _train_epoch(
    network: SequenceNetwork, train: Sequences, optimizer: torch.optim.Optimizer, rng: np.random.Generator
) -> float:
    """Run one pass; return the mean training loss."""
    config = network.config
    network.train()
    total, n = 0.0, 0
    for index in train.batches(n_tokens=config.batch_tokens, rng=rng):
        optimizer.zero_grad(set_to_none=True)
        loss = weighted_loss(head_losses(network, gather_targets(network, train.pad(index))), config)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), config.clip_norm)
        optimizer.step()
        total, n = total + float(loss.detach()), n + 1
    if not math.isfinite(total):
        raise CollapseError("the training loss is no longer finite; lower learning_rate or clip_norm")
    return total / max(n, 1)


@torch.no_grad()
def iterate_targets(network: SequenceNetwork, sequences: Sequences, *, last_only: bool = False) -> Iterator[Targets]:
    """Yield the targets of all sequences in ``eval`` mode, in large batches."""
    network.eval()
    for index in sequences.batches(n_tokens=_EVALUATION_TOKENS):
        yield gather_targets(network, sequences.pad(index), last_only=last_only)


@torch.no_grad()
def item_nll(network: SequenceNetwork, sequences: Sequences, *, last_only: bool = False) -> float:
    """Return nats per next item (items that follow at least one behaviour), uncalibrated."""
    parts = [head_losses(network, targets) for targets in iterate_targets(network, sequences, last_only=last_only)]
    return sum(float(p.item) for p in parts) / max(sum(p.n_item for p in parts), 1)


def all_targets(network: SequenceNetwork, sequences: Sequences, *, last_only: bool = False) -> Targets:
    """Return the targets of all sequences in one piece."""
    batches = iterate_targets(network, sequences, last_only=last_only)
    return Targets(*(torch.cat(parts) for parts in zip(*batches, strict=True)))


def cut_long(sequences: Sequences, max_length: int) -> Sequences:
    """Cut sequences longer than ``max_length`` into pieces; only the last piece may have a seen end."""
    lengths = sequences.lengths
    n_pieces = np.maximum(-(-lengths // max_length), 1)
    if (n_pieces == 1).all():
        return sequences
    owner = np.repeat(np.arange(len(sequences)), n_pieces)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)
    starts = sequences.offsets[owner] + within * max_length
    is_last = within == n_pieces[owner] - 1
    return Sequences(
        offsets=np.append(starts, sequences.offsets[-1]),
        item=sequences.item,
        event=sequences.event,
        gap=sequences.gap,
        value=sequences.value,
        start=sequences.start[owner],
        user=sequences.user[owner],
        ended=sequences.ended[owner] & is_last,
    )
