"""The generator's policy gradient: credit for every decision that it took while it sampled a sequence.

A sequence of T behaviours is T choices of an item (with its event and gap) and T decisions whether to go on. The
discriminator rewards each token, the end being one more; a decision is answerable for the tokens from its own onwards.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlrec.data.sequences import PaddedBatch
from rlrec.gan.choosing import bent_log_probs
from rlrec.gan.event_order import allowed_events
from rlrec.gan.sampling_config import SamplingConfig
from rlrec.models.losses import Targets, gather_targets
from rlrec.models.lstm import LSTMHeads, LSTMModel


class Decisions(NamedTuple):
    """What a generator decided in a batch, and how probable that was to it, with gradients."""

    choice: Tensor
    """(N,) log p(item, event, gap) of each behaviour, row by row."""
    going_on: Tensor
    """(M,) log p(end or not) after each behaviour whose sequel was seen, row by row."""


def decision_log_probs(model: LSTMModel, batch: PaddedBatch, sampling: SamplingConfig) -> Decisions:
    """Return the log probabilities of a sampled batch under the heads and knobs that sampled it (no dropout)."""
    targets = gather_targets(model.network, batch)
    heads = LSTMHeads(model, targets.next_hidden, targets.is_first)
    item = targets.item.unsqueeze(-1)  # (N, 1)
    items, mask = (torch.from_numpy(column).to(model.device) for column in (batch.item, batch.mask))
    choice = bent_log_probs(heads.item_log_probs(), items, mask, sampling)
    if model.n_events > 1:
        choice = choice + _event_log_probs(heads.event_probs(item).squeeze(-2), targets.event, batch, sampling)
    gap = heads.gap_probs().gather(-1, targets.gap.unsqueeze(-1)).squeeze(-1).log()
    choice = choice + torch.where(targets.is_first, 0.0, gap)
    return Decisions(choice, _end_log_probs(model, targets))


def _event_log_probs(probs: Tensor, event: Tensor, batch: PaddedBatch, sampling: SamplingConfig) -> Tensor:
    """Return log p(event) of each behaviour, (N,), among the events that their order allows."""
    if sampling.event_order:
        item, past, mask = (
            torch.from_numpy(column).to(probs.device) for column in (batch.item, batch.event, batch.mask)
        )
        allowed = allowed_events(item, past, sampling.event_order, probs.shape[-1])
        probs = torch.where(allowed[mask], probs, 0.0)
        probs = probs / probs.sum(-1, keepdim=True)
    return probs.gather(-1, event.unsqueeze(-1)).squeeze(-1).log()


def _end_log_probs(model: LSTMModel, targets: Targets) -> Tensor:
    ends = LSTMHeads(model, targets.end_hidden, torch.zeros_like(targets.end, dtype=torch.bool)).end_probs()
    return torch.where(targets.end > 0, ends, 1 - ends).clamp(min=1e-12).log()


def discounted_returns(rewards: Tensor, gamma: float) -> Tensor:
    r"""Return :math:`R_t = \sum_{s \ge t} \gamma^{s-t} r_s` along the last axis, same shape."""
    returns = torch.empty_like(rewards)
    after = torch.zeros_like(rewards[..., 0])
    for t in range(rewards.shape[-1] - 1, -1, -1):
        after = rewards[..., t] + gamma * after
        returns[..., t] = after
    return returns


def policy_loss(
    model: LSTMModel, batch: PaddedBatch, rewards: Tensor, gamma: float, sampling: SamplingConfig | None = None
) -> Tensor:
    """Return the REINFORCE loss of a sampled batch, a scalar with gradients.

    Parameters
    ----------
    batch : PaddedBatch
        Sequences sampled from ``model``, (B, T).
    rewards : Tensor, shape (B, T + 1)
        Centred reward of each token, the end included; 0 at padding.
    gamma : float
        Discount.
    sampling : SamplingConfig, optional
        The knobs that the batch was sampled with. Where they draw lengths beforehand, ends earn no credit.
    """
    sampling = SamplingConfig() if sampling is None else sampling
    returns = discounted_returns(rewards, gamma)
    n_steps = batch.item.shape[1]
    last = np.arange(n_steps)[None, :] == batch.length[:, None] - 1  # (B, T)
    seen = torch.from_numpy(batch.mask & (~last | batch.ended[:, None]))
    credit = torch.cat([returns[:, :n_steps][torch.from_numpy(batch.mask)], returns[:, 1:][seen]])  # (N + M,)
    decisions = decision_log_probs(model, batch, sampling)
    if sampling.length_probs:
        credit, decisions = credit[: len(decisions.choice)], decisions._replace(going_on=decisions.going_on[:0])
    log_probs = torch.cat(decisions)
    advantage = (credit / credit.std().clamp(min=1e-6)).to(log_probs.device)
    return -(advantage * log_probs).mean()
