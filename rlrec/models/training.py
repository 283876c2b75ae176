"""Training of the sequence network by maximum likelihood: many small updates, early stopping, best weights kept."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.core.errors import CollapseError, DataError
from rlrec.core.progress import MetricsWriter, progress
from rlrec.data.sequences import Sequences
from rlrec.models import parallel
from rlrec.models.checkpoint import Progress, TrainingCheckpoint
from rlrec.models.config import LSTMConfig
from rlrec.models.losses import HeadSums, Targets, gather_targets, head_losses
from rlrec.models.negatives import NegativeSampler
from rlrec.models.network import SequenceNetwork
from rlrec.models.optimizers import clip_gradients, make_optimizers, set_step_size
from rlrec.models.threads import torch_seed, torch_threads

_LOGGER = logging.getLogger(__name__)
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


def weighted_loss(sums: HeadSums, config: LSTMConfig) -> Tensor:
    """Return the training loss: mean nats of each head, weighted."""
    n_next = max(sums.n_item + sums.n_first, 1)
    loss = (sums.item + sums.first + config.event_weight * sums.event) / n_next
    loss = loss + config.gap_weight * sums.gap / max(sums.n_item, 1)
    loss = loss + config.value_weight * sums.value / max(sums.n_value, 1)
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
    sampler: NegativeSampler | None = None,
    checkpoint: TrainingCheckpoint | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
) -> TrainingRecord:
    """Train in place; on return the network is in ``eval`` mode and holds the weights of the best epoch.

    In a torch.distributed group each process takes its part of every batch, and the first one writes the files.

    Parameters
    ----------
    valid : Sequences, optional
        Early stopping watches their nats per next item; without them all ``n_epochs`` are run.
    seed : int
        Orders the batches and seeds dropout.
    last_only : bool
        Watch only the last item of each validation sequence: the earlier ones are in the training part.
    sampler : NegativeSampler, optional
        Replaces the softmax over the catalogue in training; validation is over the whole catalogue.
    checkpoint : TrainingCheckpoint, optional
        Written after every epoch, taken up if it belongs to this training, removed at the end.
    on_epoch : callable, optional
        Gets the epoch, from 1, and its validation loss; what it raises ends the training.

    Raises
    ------
    DataError
        If there is nothing to learn from.
    CollapseError
        If the loss stops being finite.
    InvalidArgumentError
        If a sampled softmax is to be trained by several processes.
    """
    if len(train) == 0:
        raise DataError("there are no training sequences; check the split and the log")
    parallel.check_together(sampled=sampler is not None)
    is_first = parallel.rank() == 0
    config = network.config
    pieces = cut_long(train, config.max_length)
    network.item_embedding.sparse = sampler is not None
    optimizers = make_optimizers(network, config)
    state = Progress(np.random.default_rng(seed))
    watched = valid is not None and len(valid) > 0
    # torch wants the checks of sparse gradients switched on or off by name; they cost time and ours come from torch.
    unchecked = torch.sparse.check_sparse_tensor_invariants(enable=False)  # type: ignore[no-untyped-call]
    with torch_threads(1), torch_seed(seed), unchecked:
        if checkpoint is not None and checkpoint.restore(network, optimizers, state):
            _LOGGER.info("%s: continues after epoch %d", name, state.epoch)
            metrics.rewind(state.epoch, f"{name}/")
        parallel.wait()  # until all have read it: the first one will write it anew, or take it away
        epochs = range(state.epoch + 1, config.n_epochs + 1)
        bar = progress(epochs, description=f"fit {name}", unit="epoch", show=show_progress if is_first else False)
        for epoch in bar:
            if watched and epoch - 1 - state.best_epoch >= config.patience:
                break
            parallel.seed_epoch(seed, epoch)
            values = {f"{name}/train_loss": _train_epoch(network, pieces, optimizers, state.rng, sampler, epoch)}
            if valid is not None and watched:
                nll = parallel.of_first(item_nll(network, valid, last_only=last_only))
                state.history.append(nll)
                values[f"{name}/valid_nll"] = nll
                bar.set_postfix_str(f"valid {nll:.4f} nats")
                if nll < state.best - 1e-4:
                    state.best, state.best_epoch = nll, epoch
                    state.best_weights = copy.deepcopy(network.state_dict())
            state.epoch = epoch
            metrics.write(epoch, values)
            if checkpoint is not None and is_first:
                checkpoint.save(network, optimizers, state)
            if on_epoch is not None and state.history:
                on_epoch(epoch, state.history[-1])
        bar.close()
    if state.best_weights is not None:
        network.load_state_dict(state.best_weights)
    if checkpoint is not None and is_first:
        checkpoint.remove()
    network.item_embedding.sparse = False
    network.eval()
    return TrainingRecord(tuple(state.history), state.best_epoch, state.epoch)


def _train_epoch(
    network: SequenceNetwork,
    train: Sequences,
    optimizers: Sequence[torch.optim.Optimizer],
    rng: np.random.Generator,
    sampler: NegativeSampler | None,
    epoch: int,
) -> float:
    """Run pass number ``epoch``; return the mean training loss."""
    config = network.config
    network.train()
    total, n = 0.0, 0
    batches = [*train.batches(n_tokens=config.batch_tokens, rng=rng)]
    for number, index in enumerate(batches):
        set_step_size(optimizers, config, epoch - 1 + number / len(batches))
        network.zero_grad(set_to_none=True)
        mine, weight = parallel.own_part(index)
        sums = head_losses(network, gather_targets(network, train.pad(mine)), sampler)
        loss = weighted_loss(parallel.over_all(sums, weight, network.item_bias.device), config)
        loss.backward()  # type: ignore[no-untyped-call]
        whole = parallel.add_up(network, loss)
        clip_gradients(network, config.clip_norm)
        for optimizer in optimizers:
            optimizer.step()
        total, n = total + float(whole), n + 1
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


@torch.no_grad()
def set_value_scale(network: SequenceNetwork, values: NDArray[np.float64] | None) -> None:
    """Give the value head the mean and standard deviation of the training values.

    Raises
    ------
    DataError
        If a value head was asked for and the log has no values.
    """
    if not network.config.value_weight:
        return
    known = np.zeros(0) if values is None else values[np.isfinite(values)]
    if not len(known):
        raise DataError(
            "value_weight is above 0 and the log has no values; set it to 0, or load the log with a value column"
        )
    network.value_shift.fill_(float(known.mean()))
    network.value_scale.fill_(float(known.std()) or 1.0)
