"""The discriminator: the end is a token, padding counts for nothing, and it learns what is to be learned."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rlrec.data.sequences import Sequences
from rlrec.gan.config import GANConfig
from rlrec.gan.discriminator import Discriminator, JudgedBatch
from rlrec.gan.sampling import generate_sequences
from rlrec.models.counting import PopularityModel
from tests.small import N_ITEMS, cycle_log


def judge(**settings) -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(N_ITEMS, 1, GANConfig(**settings)).eval()


def test_the_end_is_one_more_token_where_it_was_seen():
    sequences = Sequences.from_items(np.array([1, 2, 3, 4]), np.array([0, 1, 4]))
    padded = sequences.pad(np.arange(2))._replace(ended=np.array([True, False]))
    batch = JudgedBatch.from_padded(padded, N_ITEMS)
    assert batch.item[0].tolist() == [1, N_ITEMS, 0, 0]
    assert batch.mask.tolist() == [[True, True, False, False], [True, True, True, False]]


def test_padding_changes_no_logit_and_gets_no_reward():
    sequences = cycle_log().sequences()
    short, long = int(sequences.lengths.argmin()), int(sequences.lengths.argmax())
    alone = JudgedBatch.from_padded(sequences.pad(np.array([short])), N_ITEMS)
    beside = JudgedBatch.from_padded(sequences.pad(np.array([short, long])), N_ITEMS)
    model = judge()
    n = int(alone.mask.sum())
    assert torch.allclose(model(alone)[0, :n], model(beside)[0, :n], atol=1e-6)
    rewards = model.rewards(beside)
    assert (rewards[~beside.mask] == 0).all()
    assert (rewards.abs() < 1).all()


@pytest.mark.parametrize("real", [True, False])
def test_the_loss_of_a_judge_who_knows_nothing_is_log_two(real):
    model = judge()
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.zero_()
    batch = JudgedBatch.from_padded(cycle_log().sequences().pad(np.arange(8)), N_ITEMS)
    assert float(model.loss(batch, real=real).detach()) == pytest.approx(np.log(2))


def test_it_learns_to_tell_a_cycle_from_its_items_shuffled():
    real = cycle_log().sequences()
    fake = generate_sequences(PopularityModel.fit(cycle_log()), len(real), seed=0)
    model = judge().train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    batches = [JudgedBatch.from_padded(s.pad(np.arange(40)), N_ITEMS) for s in (real, fake)]
    for _ in range(60):
        loss = model.loss(batches[0], real=True) + model.loss(batches[1], real=False)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    held = [JudgedBatch.from_padded(s.pad(np.arange(40, 80)), N_ITEMS) for s in (real, fake)]
    rewards = [float(model.rewards(batch)[batch.mask].mean()) for batch in held]
    assert rewards[0] > rewards[1] + 0.5
