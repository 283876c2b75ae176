"""The discriminator: a GRU with embeddings of its own that judges every prefix of a sequence, its end included."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rlrec.data.sequences import N_GAPS, PaddedBatch
from rlrec.gan.config import GANConfig


class JudgedBatch(NamedTuple):
    """Sequences with their end as one more token, all (B, T + 1)."""

    item: Tensor
    """Item, or ``n_items`` for the end."""
    event: Tensor
    gap: Tensor
    mask: Tensor
    """True at behaviours and at ends that were seen."""

    @classmethod
    def from_padded(cls, batch: PaddedBatch, n_items: int) -> JudgedBatch:
        """Append the end token to each row that has one."""
        widen = ((0, 0), (0, 1))
        item, event, gap = (np.pad(column, widen) for column in (batch.item, batch.event, batch.gap))
        item[np.arange(len(batch.length)), batch.length] = n_items
        n_tokens = batch.length + batch.ended  # (B,)
        mask = np.arange(item.shape[1])[None, :] < n_tokens[:, None]
        return cls(*(torch.from_numpy(column) for column in (item, event, gap, mask)))

    def to(self, device: torch.device) -> JudgedBatch:
        """Return the batch on ``device``."""
        return JudgedBatch(*(column.to(device) for column in self))


class Discriminator(nn.Module):
    """Embedding → GRU → one logit a step, which says whether the sequence up to there is real.

    It shares nothing with the generator. A logit a step gives the generator a dense reward, where one logit a sequence
    would leave it guessing which step gave it away (ScratchGAN).

    References
    ----------
    .. [1] de Masson d'Autume et al., "Training language GANs from scratch", NeurIPS 2019.
    """

    def __init__(self, n_items: int, n_events: int, config: GANConfig) -> None:
        super().__init__()
        size, hidden = config.discriminator_embedding_size, config.discriminator_hidden_size
        self.n_items = n_items
        self.item_embedding = nn.Embedding(n_items + 1, size)
        self.event_embedding = nn.Embedding(n_events, size)
        self.gap_embedding = nn.Embedding(N_GAPS, size)
        self.gru = nn.GRU(size, hidden, batch_first=True)
        self.dropout = nn.Dropout(config.discriminator_dropout)
        self.head = nn.Linear(hidden, 1)
        for table in (self.item_embedding, self.event_embedding, self.gap_embedding):
            nn.init.normal_(table.weight, std=0.3)

    def forward(self, batch: JudgedBatch) -> Tensor:
        """Return the logit that each prefix is real, (B, T + 1)."""
        vector = self.item_embedding(batch.item) + self.event_embedding(batch.event) + self.gap_embedding(batch.gap)
        output, _ = self.gru(self.dropout(vector))  # (B, T + 1, H)
        logit: Tensor = self.head(self.dropout(output)).squeeze(-1)
        return logit

    def loss(self, batch: JudgedBatch, *, real: bool) -> Tensor:
        """Return the mean cross-entropy over the tokens of a batch that is all real or all sampled."""
        logit = self(batch)[batch.mask]
        return F.binary_cross_entropy_with_logits(logit, torch.full_like(logit, float(real)))

    @torch.no_grad()
    def rewards(self, batch: JudgedBatch) -> Tensor:
        """Return ``2 D - 1`` in (-1, 1) at each token, 0 at padding, (B, T + 1)."""
        self.eval()
        return torch.where(batch.mask, 2 * torch.sigmoid(self(batch)) - 1, 0.0)
