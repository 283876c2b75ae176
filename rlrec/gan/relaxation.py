r"""Relaxed items: the discriminator's gradient reaches the generator without a reward.

Given the past that was sampled, each item is relaxed by Gumbel noise that agrees with it having been drawn,

.. math:: y = \mathrm{softmax}((\log p(. | h) + g) / \tau), \quad g \sim \mathrm{Gumbel} \mid \arg\max = s_t,

and passed on straight through: one-hot forwards, y backwards. Unlike RelGAN the past itself stays as it was sampled: no
gradient passes from one step to the next, and events, gaps and ends are not relaxed.

References
----------
.. [1] Jang, Gu & Poole, "Categorical reparameterization with Gumbel-softmax", ICLR 2017.
.. [2] Nie, Narodytska & Patel, "RelGAN: Relational generative adversarial networks for text generation", ICLR 2019.
.. [3] Tucker et al., "REBAR", NeurIPS 2017 (noise that agrees with a draw).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from rlrec.data.sequences import PaddedBatch
from rlrec.gan.choosing import bent_item_log_probs
from rlrec.gan.discriminator import Discriminator, JudgedBatch
from rlrec.gan.sampling_config import SamplingConfig
from rlrec.models.losses import gather_targets
from rlrec.models.lstm import LSTMHeads, LSTMModel


def relaxed_loss(
    judge: Discriminator, model: LSTMModel, batch: PaddedBatch, sampling: SamplingConfig, temperature: float
) -> Tensor:
    """Return the mean of -log D over the tokens of a sampled batch, with gradients into ``model`` through its items."""
    device = model.device
    targets = gather_targets(model.network, batch)
    heads = LSTMHeads(model, targets.next_hidden, targets.is_first)
    items, mask = (torch.from_numpy(column).to(device) for column in (batch.item, batch.mask))
    log_probs = bent_item_log_probs(heads.item_log_probs(), items, mask, sampling)  # (N, I)
    soft = relaxed(log_probs, targets.item, temperature)
    judged = JudgedBatch.from_padded(batch, judge.n_items).to(device)
    tokens = F.one_hot(judged.item, judge.n_items + 1).to(soft.dtype)  # (B, T + 1, I + 1)
    place = torch.cat([mask, torch.zeros_like(mask[:, :1])], dim=1)
    tokens[place] = F.pad(soft, (0, 1))
    judge.eval()
    return F.softplus(-judge(judged, tokens)[judged.mask]).mean()


def relaxed(log_probs: Tensor, drawn: Tensor, temperature: float) -> Tensor:
    """Return straight-through relaxed draws, (N, I): one-hot at ``drawn`` (N,), with the gradient of the softmax."""
    perturbed = log_probs + agreeing_noise(log_probs.detach(), drawn)
    soft = (perturbed / temperature).softmax(-1)
    hard = F.one_hot(drawn, log_probs.shape[-1]).to(soft.dtype)
    return hard + soft - soft.detach()


def agreeing_noise(log_probs: Tensor, drawn: Tensor) -> Tensor:
    """Return Gumbel noise (N, I) under which ``drawn`` (N,) has the largest of ``log_probs + noise``.

    The largest is Gumbel, whatever item it is; the others are Gumbel cut off there. An item of probability 0 gets none.
    """
    waits = -torch.rand_like(log_probs).clamp(min=1e-20, max=1 - 1e-7).log()  # exponential
    own = drawn.unsqueeze(-1)
    first = waits.gather(-1, own)
    later = waits / log_probs.exp().clamp(min=1e-30) + first
    perturbed = (-later.log()).scatter(-1, own, -first.log())
    return torch.where(log_probs.isfinite(), perturbed - log_probs, 0.0)
