"""Rollouts, relaxed items, convolutions: each formula by hand or by enumeration, and a generator that learns by it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from rlrec.core.errors import InvalidArgumentError
from rlrec.data.sequences import Sequences
from rlrec.gan.adversary import Adversary
from rlrec.gan.arms import Arm
from rlrec.gan.checkpoint import Progress
from rlrec.gan.config import GANConfig
from rlrec.gan.discriminator import CausalConvolutions, Discriminator, JudgedBatch
from rlrec.gan.relaxation import agreeing_noise, relaxed, relaxed_loss
from rlrec.gan.rollouts import prefixes, rollout_rewards
from rlrec.gan.sampling import generate_sequences
from rlrec.gan.sampling_config import SamplingConfig
from rlrec.models.config import LSTMConfig
from rlrec.models.lstm import LSTMModel
from tests.small import N_ITEMS, cycle_log, cycle_model

PLAIN = SamplingConfig()


class LikesZero(Discriminator):
    """Knows nothing but the share of item 0: its reward at the last token is that share."""

    def verdicts(self, batch: JudgedBatch) -> torch.Tensor:
        real = batch.mask & (batch.item < self.n_items)
        return (real & (batch.item == 0)).sum(1) / real.sum(1).clamp(min=1)


def judge(cls=Discriminator, **settings) -> Discriminator:
    torch.manual_seed(0)
    return cls(N_ITEMS, 1, GANConfig(**settings)).eval()


# ---- rollouts -----------------------------------------------------------------------------------------------------


def test_every_prefix_is_there_once():
    batch = Sequences.from_items(np.array([4, 5, 1, 2, 3]), np.array([0, 2, 5])).pad(np.arange(2))
    found = prefixes(batch)
    parts = [part.tolist() for part in np.split(found.item, found.offsets[1:-1])]
    assert parts == [[4], [4, 5], [1], [1, 2], [1, 2, 3]]


def test_a_prefix_is_worth_the_mean_verdict_of_its_continuations():
    model, knobs = cycle_model(), SamplingConfig(length_probs=(0.0, 0.0, 0.0, 1.0))
    sample = generate_sequences(model, 3, seed=1, sampling=knobs)
    padded = sample.pad(np.arange(3))
    found = rollout_rewards(judge(LikesZero), model, padded, knobs, n_rollouts=40, max_length=9, seed=5)
    starts = prefixes(padded)
    for row in range(3):
        for t in range(4):
            start = starts.select(np.array([4 * row + t]))
            rolled = generate_sequences(model, 400, seed=77, sampling=knobs, starts=start)
            expected = (rolled.item.reshape(400, 4) == 0).mean()
            assert float(found[row, t]) == pytest.approx(expected, abs=0.05)
        assert float(found[row, 4]) == pytest.approx((padded.item[row] == 0).mean()), "the end: as it stands"


def test_padding_and_unseen_ends_get_no_rollout_reward():
    sample = generate_sequences(cycle_model(), 8, seed=1, max_length=5)
    padded = sample.pad(np.arange(8))
    found = rollout_rewards(judge(), cycle_model(), padded, PLAIN, n_rollouts=1, max_length=5, seed=0)
    mask = JudgedBatch.from_padded(padded, N_ITEMS).mask
    assert not padded.ended.all()
    assert (found[~mask] == 0).all()
    assert (found[mask].abs() > 0).all()


# ---- relaxed items ------------------------------------------------------------------------------------------------


def test_noise_agrees_with_the_draw_and_is_gumbel():
    torch.manual_seed(0)
    log_probs = torch.tensor([0.6, 0.3, 0.1]).log().expand(20_000, 3)
    drawn = torch.multinomial(log_probs[0].exp(), 20_000, replacement=True)
    noise = agreeing_noise(log_probs, drawn)
    assert ((log_probs + noise).argmax(1) == drawn).all()
    # over the draws the noise is free Gumbel again: mean 0.5772, variance pi^2 / 6, independent between items
    assert noise.mean(0).numpy() == pytest.approx(0.5772 * np.ones(3), abs=0.04)
    assert noise.var(0).numpy() == pytest.approx(np.pi**2 / 6 * np.ones(3), rel=0.06)
    assert abs(np.corrcoef(noise.T.numpy()) - np.eye(3)).max() < 0.03


def test_relaxed_draws_are_one_hot_forwards_and_softmax_backwards():
    logits = torch.tensor([[0.2, -0.3, 0.1]], requires_grad=True)
    torch.manual_seed(1)
    out = relaxed(logits.log_softmax(1), torch.tensor([2]), 0.5)
    assert out.detach().numpy() == pytest.approx(np.array([[0.0, 0.0, 1.0]]), abs=1e-6)
    (out * torch.tensor([[1.0, 2.0, 4.0]])).sum().backward()
    torch.manual_seed(1)
    again = torch.tensor([[0.2, -0.3, 0.1]], requires_grad=True)
    log_probs = again.log_softmax(1)
    soft = ((log_probs + agreeing_noise(log_probs.detach(), torch.tensor([2]))) / 0.5).softmax(1)
    (soft * torch.tensor([[1.0, 2.0, 4.0]])).sum().backward()
    assert torch.allclose(logits.grad, again.grad, atol=1e-6)
    assert logits.grad.abs().sum() > 0


def test_an_item_of_no_probability_breaks_nothing():
    log_probs = torch.tensor([[0.0, -torch.inf]])
    assert torch.isfinite(agreeing_noise(log_probs, torch.tensor([0]))).all()


def test_the_relaxed_loss_is_that_of_the_items_themselves():
    model, padded = cycle_model(), generate_sequences(cycle_model(), 12, seed=1).pad(np.arange(12))
    mine = judge()
    judged = JudgedBatch.from_padded(padded, N_ITEMS)
    by_hand = F.softplus(-mine(judged)[judged.mask]).mean()
    loss = relaxed_loss(mine, model, padded, PLAIN, 0.5)
    assert float(loss.detach()) == pytest.approx(float(by_hand.detach()), abs=1e-5)


# ---- convolutions -------------------------------------------------------------------------------------------------


def test_a_filter_by_hand():
    torch.manual_seed(0)
    reader = CausalConvolutions(2, 4).eval()
    vectors = torch.randn(1, 6, 2)
    with torch.no_grad():
        out = reader(vectors)
    for index, width in enumerate(reader.WIDTHS):
        weight, bias = (part.detach().numpy() for part in (reader.filters[index].weight[0], reader.filters[index].bias))
        padded = np.concatenate([np.zeros((width - 1, 2)), vectors[0].numpy()])
        best = -np.inf
        for t in range(6):
            best = max(best, max(float((padded[t : t + width].T * weight).sum() + bias[0]), 0.0))
            assert float(out[0, t, index]) == pytest.approx(best, abs=1e-5)


def test_a_prefix_is_judged_without_what_comes_later():
    sequences = cycle_log().sequences()
    long = int(sequences.lengths.argmax())
    model = judge(discriminator="conv")
    whole = JudgedBatch.from_padded(sequences.pad(np.array([long])), N_ITEMS)
    cut = JudgedBatch(*(column[:, :3] for column in whole))
    assert torch.allclose(model(whole)[:, :3], model(cut), atol=1e-6)


# ---- each of them teaches -----------------------------------------------------------------------------------------


def judge_of_zeros(**settings) -> Discriminator:
    """A discriminator that learned to take sequences of item 0 for real, and random ones not."""
    model, rng = judge(**settings).train(), np.random.default_rng(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(25):
        items = (np.zeros(256, np.int64), rng.integers(0, N_ITEMS, 256))
        sets = [Sequences.from_items(item, np.arange(0, 257, 4)).pad(np.arange(64)) for item in items]
        batches = [JudgedBatch.from_padded(part, N_ITEMS) for part in sets]
        loss = model.loss(batches[0], real=True) + model.loss(batches[1], real=False)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


@pytest.mark.parametrize("settings", [{"reward": "rollout"}, {"reward": "gumbel"}, {"discriminator": "conv"}], ids=str)
def test_a_generator_learns_what_the_discriminator_wants(settings):
    plain = LSTMConfig(embedding_size=8, hidden_size=16, dropout=0.0, input_dropout=0.0)
    untrained = LSTMModel(LSTMModel.build_network(cycle_log(), plain, 0), cycle_model().space)
    arm = Arm.start(untrained, 1e-2)
    knobs = SamplingConfig(length_probs=(0.0, 0.0, 0.0, 1.0))
    adversary = Adversary(judge_of_zeros(**settings), GANConfig(**settings), knobs, Progress())
    shares = []
    for round_ in range(31):
        sample = generate_sequences(arm.model, 64, seed=round_, sampling=knobs)
        shares.append((sample.item == 0).mean())
        arm.step(adversary.loss(arm.model, sample.pad(np.arange(64)), seed=round_), 5.0)
    assert shares[0] < 0.3 < 0.9 < shares[-1]


def test_unknown_rewards_are_refused():
    with pytest.raises(InvalidArgumentError, match="reward must be one of"):
        GANConfig(reward="magic")
