"""Training with differential privacy for whole people: DP-SGD, one person's gradient at a time.

Checked against plain SGD (no noise, no clip), against the sensitivity that it promises, and epsilon against Opacus
(``tests/models/test_privacy.py``). Abadi et al., "Deep learning with differential privacy", CCS 2016; for people and
not rows, McMahan et al., "Learning differentially private recurrent language models", ICLR 2018.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rlrec.core.errors import CollapseError, DataError, InvalidArgumentError
from rlrec.core.progress import MetricsWriter, progress
from rlrec.data.sequences import Sequences
from rlrec.models.config import LSTMConfig
from rlrec.models.gradients import flat_gradients, set_gradients
from rlrec.models.losses import gather_targets, head_losses
from rlrec.models.network import SequenceNetwork
from rlrec.models.optimizers import make_optimizers, set_step_size
from rlrec.models.parallel import n_processes
from rlrec.models.privacy import PrivacySpent, epsilon_of
from rlrec.models.threads import torch_seed, torch_threads
from rlrec.models.training import TrainingRecord, cut_long, item_nll, weighted_loss


def check_private(config: LSTMConfig) -> None:
    """Refuse settings under which something but the noised gradients would see the training log.

    Raises
    ------
    InvalidArgumentError
        For a value head (standardised by the log's values), a sampled softmax (drawn by the log's popularity) or
        several processes.
    """
    reasons = {
        "value_weight must be 0: the value head is scaled by the log's values": config.value_weight > 0,
        "n_negatives must be 0 or None: a sampled softmax draws by the log's popularity": bool(config.n_negatives),
        "start it without torchrun: a step is one process' work": n_processes() > 1,
    }
    for reason, applies in reasons.items():
        if applies:
            raise InvalidArgumentError(f"private training (privacy.users={config.privacy.users}): {reason}")


def train_privately(
    network: SequenceNetwork,
    train: Sequences,
    valid: Sequences | None,
    *,
    seed: int,
    metrics: MetricsWriter,
    show_progress: bool | None = None,
    last_only: bool = False,
) -> tuple[TrainingRecord, PrivacySpent]:
    """Train in place for all epochs and return what was spent.

    The sum of the sampled people's clipped gradients, with Gaussian noise of standard deviation ``noise x clip``, over
    the expected number of people, goes to the optimizer of the config. Nothing stops early, nothing is calibrated, and
    no training loss is written. ``valid`` is only watched: its loss goes into the record and the metrics.

    Raises
    ------
    DataError
        If there is nothing to learn from, or fewer people than a step expects.
    InvalidArgumentError
        For settings that `check_private` refuses.
    CollapseError
        If a gradient is not finite.
    """
    config, privacy = network.config, network.config.privacy
    check_private(config)
    pieces = cut_long(train, config.max_length)
    people = by_user(pieces)
    if len(people) < privacy.users:
        raise DataError(f"privacy.users={privacy.users} people are expected in a step and the log has {len(people)}")
    rate, n_steps = privacy.users / len(people), max(round(len(people) / privacy.users), 1)
    epsilon_of(privacy, rate, 1)  # is the accountant there?
    (optimizer,) = make_optimizers(network, config)
    rng = np.random.default_rng(secrets.randbits(128) if privacy.secret else seed)
    noise = torch.Generator().manual_seed(int(rng.integers(2**63)))
    history = []
    with torch_threads(1), torch_seed(seed):
        epochs = range(1, config.n_epochs + 1)
        for epoch in progress(epochs, description="fit models/lstm privately", unit="epoch", show=show_progress):
            network.train()
            for step in range(n_steps):
                set_step_size([optimizer], config, epoch - 1 + step / n_steps)
                sampled = np.flatnonzero(rng.random(len(people)) < rate)
                total = clipped_sum(network, pieces, (people[index] for index in sampled), privacy.clip)
                total += privacy.noise * privacy.clip * torch.randn(len(total), generator=noise).to(total)
                set_gradients(list(network.parameters()), total / privacy.users)
                optimizer.step()
            values = {}
            if valid is not None and len(valid):
                history.append(item_nll(network, valid, last_only=last_only))
                values["models/lstm/valid_nll"] = history[-1]
            epsilon = epsilon_of(privacy, rate, epoch * n_steps)
            metrics.write(epoch, values | ({} if epsilon is None else {"models/lstm/epsilon": epsilon}))
    network.eval()
    steps = config.n_epochs * n_steps
    spent = PrivacySpent(
        epsilon=epsilon_of(privacy, rate, steps),
        delta=privacy.delta,
        noise=privacy.noise,
        clip=privacy.clip,
        sample_rate=rate,
        steps=steps,
        is_secret=privacy.secret,
    )
    return TrainingRecord(tuple(history), config.n_epochs if history else 0, config.n_epochs), spent


def by_user(sequences: Sequences) -> list[NDArray[np.int64]]:
    """Return the indices of each person's sequences, people in the order of their numbers."""
    order = np.argsort(sequences.user, kind="stable")
    begins = np.flatnonzero(np.diff(sequences.user[order])) + 1
    return np.split(order, begins) if len(order) else []


def clipped_sum(
    network: SequenceNetwork, sequences: Sequences, people: Iterable[NDArray[np.int64]], clip: float
) -> Tensor:
    """Return the sum over people of their gradients, each scaled to a norm of at most ``clip``, (P,)."""
    weights = list(network.parameters())
    total = torch.zeros_like(nn.utils.parameters_to_vector(weights), requires_grad=False)
    for index in people:
        network.zero_grad(set_to_none=True)
        targets = gather_targets(network, sequences.pad(index))
        weighted_loss(head_losses(network, targets), network.config).backward()  # type: ignore[no-untyped-call]
        gradient = flat_gradients(weights)
        norm = float(gradient.norm())
        if not np.isfinite(norm):
            raise CollapseError("a person's gradient is not finite; lower learning_rate or raise privacy.users")
        total += gradient * min(1.0, clip / max(norm, 1e-12))
    return total
