"""The discriminator: a reader with embeddings of its own that judges every prefix of a sequence, its end included."""

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
    """Embedding → a causal reader → one logit a step, which says whether the sequence up to there is real.

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
        self.conv: CausalConvolutions | None = None
        if config.discriminator == "conv":
            self.conv = CausalConvolutions(size, hidden)
        else:
            self.gru = nn.GRU(size, hidden, batch_first=True)
        self.dropout = nn.Dropout(config.discriminator_dropout)
        self.head = nn.Linear(hidden if self.conv is None else self.conv.n_filters, 1)
        for table in (self.item_embedding, self.event_embedding, self.gap_embedding):
            nn.init.normal_(table.weight, std=0.3)

    def forward(self, batch: JudgedBatch, items: Tensor | None = None) -> Tensor:
        """Return the logit that each prefix is real, (B, T + 1).

        Parameters
        ----------
        items : Tensor, shape (B, T + 1, n_items + 1), optional
            Weights of the items of each token in the place of the items themselves: relaxed items.
        """
        item = self.item_embedding(batch.item) if items is None else items @ self.item_embedding.weight
        vector = self.dropout(item + self.event_embedding(batch.event) + self.gap_embedding(batch.gap))
        output = self.gru(vector)[0] if self.conv is None else self.conv(vector)  # (B, T + 1, H)
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

    def verdicts(self, batch: JudgedBatch) -> Tensor:
        """Return ``2 D - 1`` of each whole sequence: at its last token, (B,)."""
        last = batch.mask.sum(1) - 1
        return self.rewards(batch)[torch.arange(len(last), device=last.device), last]


class CausalConvolutions(nn.Module):
    """Filters of 2 to 5 behaviours, each with its maximum over the steps so far, (B, T, E) to (B, T, F).

    At the last step that is SeqGAN's discriminator of the whole sequence; at step t it is the same of the first t, so
    that every prefix has its own verdict.

    References
    ----------
    .. [1] Kim, "Convolutional neural networks for sentence classification", EMNLP 2014.
    .. [2] Yu et al., "SeqGAN", AAAI 2017.
    """

    WIDTHS = (2, 3, 4, 5)

    def __init__(self, size: int, n_filters: int) -> None:
        super().__init__()
        each = max(n_filters // len(self.WIDTHS), 1)
        self.n_filters = each * len(self.WIDTHS)
        self.filters = nn.ModuleList([nn.Conv1d(size, each, width) for width in self.WIDTHS])

    def forward(self, vectors: Tensor) -> Tensor:
        """Read (B, T, E); what comes later changes nothing before."""
        across = vectors.transpose(1, 2)  # (B, E, T)
        padded = (F.pad(across, (width - 1, 0)) for width in self.WIDTHS)
        seen = [torch.relu(conv(part)) for conv, part in zip(self.filters, padded, strict=True)]
        return torch.cat([part.cummax(2).values for part in seen], dim=1).transpose(1, 2)
