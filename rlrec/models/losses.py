"""Losses of the sequence network: every position of every sequence is a training target."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from rlrec.data.sequences import PaddedBatch
from rlrec.models.base import BehaviourBatch
from rlrec.models.negatives import NegativeSampler
from rlrec.models.network import SequenceNetwork
from rlrec.models.softmax import catalogue_loss


class HeadSums(NamedTuple):
    """Summed losses in nats and how many targets each sum has."""

    item: Tensor
    """Items that follow at least one behaviour."""
    first: Tensor
    """Items that open a sequence."""
    event: Tensor
    gap: Tensor
    end: Tensor
    value: Tensor
    """Values, standardised; 0 without a value head."""
    n_item: int
    n_first: int
    n_end: int
    n_value: int


class Targets(NamedTuple):
    """Hidden vectors at real positions beside what came next there. N next items, M end flags."""

    next_hidden: Tensor
    """(N, H) what was known before each item."""
    item: Tensor
    """(N,)"""
    event: Tensor
    """(N,)"""
    gap: Tensor
    """(N,)"""
    is_first: Tensor
    """(N,) True where the item opens its sequence."""
    end_hidden: Tensor
    """(M, H) what was known after each behaviour whose sequel was seen."""
    end: Tensor
    """(M,) 1 where the sequence ended there."""
    value: Tensor
    """(N,) NaN where a row has none."""


def gather_targets(network: SequenceNetwork, batch: PaddedBatch, *, last_only: bool = False) -> Targets:
    """Scan a batch and line hidden vectors up with what followed; ``last_only`` keeps each row's last behaviour."""
    device = network.item_bias.device
    tokens = BehaviourBatch.from_padded(batch, device)
    state = network.initial_state(len(batch.length))
    output = network.dropout(network.scan(tokens, state))  # (B, T, H)
    start = network.dropout(state.tensors[0][:, -1:, :])  # (B, 1, H)
    before = torch.cat([start, output[:, :-1]], dim=1)  # (B, T, H): what is known before behaviour t

    last = np.arange(batch.item.shape[1])[None, :] == batch.length[:, None] - 1  # (B, T)
    wanted = batch.mask & last if last_only else batch.mask
    mask = torch.from_numpy(wanted).to(device)
    seen = torch.from_numpy(wanted & (~last | batch.ended[:, None])).to(device)
    is_first = torch.zeros_like(mask)
    is_first[:, 0] = True
    return Targets(
        next_hidden=before[mask],
        item=tokens.item[mask],
        event=tokens.event[mask],
        gap=tokens.gap[mask],
        is_first=is_first[mask],
        end_hidden=output[seen],
        end=torch.from_numpy(last).to(device)[seen].float(),
        value=torch.from_numpy(batch.value).to(device)[mask],
    )


def head_losses(network: SequenceNetwork, targets: Targets, sampler: NegativeSampler | None = None) -> HeadSums:
    """Return the summed negative log-likelihood of each head; ``sampler`` replaces the catalogue's softmax."""
    item, known = _item_losses(network, targets, sampler)
    gap = F.cross_entropy(network.gap_logits(targets.next_hidden), targets.gap, reduction="none")
    event_logits = network.event_logits(targets.next_hidden, targets.item.unsqueeze(-1)).squeeze(-2)
    end = F.binary_cross_entropy_with_logits(network.end_logit(targets.end_hidden), targets.end, reduction="sum")
    value, n_value = _value_loss(network, targets)
    n_first = int((targets.is_first & known).sum())
    first = item[targets.is_first].sum()
    return HeadSums(
        item=item.sum() - first,
        first=first,
        event=F.cross_entropy(event_logits, targets.event, reduction="sum"),
        gap=gap[~targets.is_first].sum(),
        end=end,
        value=value,
        n_item=int(known.sum()) - n_first,
        n_first=n_first,
        n_end=len(targets.end),
        n_value=n_value,
    )


def _item_losses(network: SequenceNetwork, targets: Targets, sampler: NegativeSampler | None) -> tuple[Tensor, Tensor]:
    """Return nats of each target, (N,), and which targets count: a cold item, with no training row, does not."""
    if sampler is not None:
        item = sampler.losses(network, targets.next_hidden, targets.item)
    elif network.training and network.config.precision == "bfloat16":
        query = network.to_item(targets.next_hidden)
        item = catalogue_loss(query, *network.output_layer(), targets.item, dtype=torch.bfloat16)
    else:
        item = F.cross_entropy(network.item_logits(targets.next_hidden), targets.item, reduction="none")
    if network.cold is None:
        return item, torch.ones_like(targets.is_first)
    known = ~network.cold[targets.item]
    return torch.where(known, item, 0.0), known


def _value_loss(network: SequenceNetwork, targets: Targets) -> tuple[Tensor, int]:
    """Return the Gaussian negative log-likelihood of the known values, standardised, and how many there are."""
    if not network.config.value_weight:
        return targets.next_hidden.new_zeros(()), 0
    known = torch.isfinite(targets.value)
    standard = (targets.value[known] - network.value_shift) / network.value_scale
    mean, log_sd = network.value_parameters(targets.next_hidden[known], targets.item[known])
    loss = log_sd + 0.5 * ((standard - mean) / log_sd.exp()).square() + 0.5 * math.log(2 * math.pi)
    return loss.sum(), int(known.sum())
