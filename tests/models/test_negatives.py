"""The sampled softmax against the full one, and a model trained with it."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from rlrec.models.config import LSTMConfig
from rlrec.models.negatives import NegativeSampler
from rlrec.models.network import SequenceNetwork
from rlrec.models.optimizers import clip_gradients

N_ITEMS = 40


def network() -> SequenceNetwork:
    torch.manual_seed(0)
    made = SequenceNetwork(N_ITEMS, 1, torch.zeros(N_ITEMS, 0), LSTMConfig(embedding_size=6, hidden_size=5))
    torch.nn.init.normal_(made.item_embedding.weight)
    torch.nn.init.normal_(made.item_bias)
    return made.eval()


COUNTS = np.arange(1, N_ITEMS + 1)


def test_many_negatives_give_the_full_softmax():
    torch.manual_seed(1)
    made, hidden, target = network(), torch.randn(8, 5), torch.randint(N_ITEMS, (8,))
    full = F.cross_entropy(made.item_logits(hidden), target, reduction="none")
    sampled = NegativeSampler(COUNTS, 200_000).losses(made, hidden, target)
    torch.testing.assert_close(sampled, full, rtol=0.05, atol=0.02)
    # The tempting wrong way leaves the correction out and is far off.
    wrong = NegativeSampler(COUNTS, 200_000)
    wrong._log_expected = torch.zeros(N_ITEMS)
    assert (wrong.losses(made, hidden, target) - full).abs().min() > 1


def test_draws_follow_popularity_to_the_power_three_quarters():
    torch.manual_seed(0)
    draws = NegativeSampler(np.array([0, 1, 16]), 100_000).draw()
    share = np.bincount(draws.numpy(), minlength=3) / 100_000
    np.testing.assert_allclose(share, [0, 1 / 9, 8 / 9], atol=0.01)


def test_sparse_gradients_are_clipped_like_dense_ones():
    grads = []
    for sparse in (False, True):
        made = network()
        made.item_embedding.sparse = sparse
        torch.manual_seed(2)
        loss = NegativeSampler(COUNTS, 30).losses(made, torch.ones(4, 5), torch.tensor([1, 2, 2, 3])).sum()
        loss.backward()
        clip_gradients(made, 0.5)
        assert made.item_embedding.weight.grad is not None
        assert made.item_embedding.weight.grad.is_sparse == sparse
        grads.append(made.item_embedding.weight.grad.to_dense())
    torch.testing.assert_close(*grads)
