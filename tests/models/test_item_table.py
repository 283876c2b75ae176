"""Scores without the catalogue: exact for the items asked, and a normaliser whose error is small and measured."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import chisquare

import rlrec.models.item_table
from rlrec.core.errors import InvalidArgumentError
from rlrec.data.log import InteractionLog
from rlrec.models.base import BehaviourSpace
from rlrec.models.config import LSTMConfig
from rlrec.models.item_table import ItemTable, support
from rlrec.models.lstm import LSTMModel
from rlrec.models.sampling import blocked_cdf, inverse_cdf

N_ITEMS = 3_000


@pytest.fixture(scope="module")
def model() -> LSTMModel:
    """A wide, untrained model with spread logits over a catalogue with Zipf's popularity."""
    rng = np.random.default_rng(0)
    item = np.concatenate([np.arange(N_ITEMS), np.minimum(rng.zipf(1.3, 20_000), N_ITEMS) - 1])
    frame = pd.DataFrame({"user_id": np.arange(len(item)) // 10, "item_id": item, "timestamp": np.arange(len(item))})
    log = InteractionLog.from_pandas(frame)
    network = LSTMModel.build_network(log, LSTMConfig(embedding_size=16, hidden_size=24), seed=0)
    with torch.no_grad():
        network.item_embedding.weight.mul_(20.0)
        network.item_bias.copy_(torch.from_numpy(np.log(log.item_counts + 1.0)))
    return LSTMModel(network, BehaviourSpace.of(log))


def states(model):
    histories = np.random.default_rng(1).integers(0, N_ITEMS, (64, 4)).tolist()
    return model.encode(model.histories([[], *histories]))


def test_with_every_item_it_is_the_softmax(model):
    state = states(model)
    items = torch.arange(65 * 3).view(65, 3)
    exact = model.heads(state).item_log_probs()
    table = ItemTable(model, N_ITEMS)
    torch.testing.assert_close(table.forecast(state).log_probs_of(items), exact.gather(1, items), rtol=1e-4, atol=1e-4)


def exact_log_z(model, state):
    return model.heads(state).item_logits().detach().logsumexp(1)


def test_a_sample_of_a_third_misses_the_normaliser_by_little(model):
    state = states(model)
    error = (ItemTable(model, 1_000).forecast(state).log_z.squeeze(1) - exact_log_z(model, state)).abs()
    assert error.mean() < 0.03
    naive = ItemTable(model, 1_000)
    naive._support[-1] = 0.0  # the tempting wrong version: the sample as it is
    assert (naive.forecast(state).log_z.squeeze(1) - exact_log_z(model, state)).abs().mean() > 0.15


def test_what_the_sample_misses_is_learned(model):
    rng = np.random.default_rng(2)
    learn, judge = (
        model.encode(model.histories([[], *rng.integers(0, N_ITEMS, (n, 4)).tolist()])) for n in (1_500, 300)
    )
    table = ItemTable(model, 300)
    error = table.correct(learn, exact_log_z(model, learn))
    left = (table.forecast(judge).log_z.squeeze(1) - exact_log_z(model, judge)).square().mean().sqrt().item()
    assert error.after < error.before / 4
    assert left == pytest.approx(error.after, rel=0.5), "the error that is told is the one that others see"
    assert error.n == 375


def test_the_exact_normaliser_is_summed_piece_by_piece(model, monkeypatch):
    state = states(model)
    monkeypatch.setattr(rlrec.models.item_table, "_SCORES", 65 * 700)
    torch.testing.assert_close(ItemTable(model, 10).exact_log_z(state), exact_log_z(model, state), rtol=1e-5, atol=1e-5)


def test_a_correction_that_does_not_help_is_left_out(model):
    state = states(model)
    table = ItemTable(model, 1_000)
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 5, 65)).float()
    uncorrected = table.forecast(state).log_z
    error = table.correct(state, uncorrected.squeeze(1) + noise)
    assert error.after == error.before
    torch.testing.assert_close(table.forecast(state).log_z, uncorrected)


def test_the_head_stands_for_itself_and_the_tail_for_the_rest():
    counts = np.arange(100)[::-1].copy()
    items, log_weights = support(counts, 40, seed=0)
    assert items[:20].tolist() == list(range(20))
    assert (log_weights[:20] == 0).all()
    assert np.exp(log_weights[20:]).sum() == pytest.approx(80, rel=0.25)
    everything, ones = support(counts, 100, seed=0)
    assert sorted(everything.tolist()) == list(range(100))
    assert (ones == 0).all()


def test_draws_follow_the_softmax_where_the_table_is_complete(model):
    n = 20_000
    state = model.encode(model.histories([[5, 6]])).select(torch.zeros(n, dtype=torch.int64))
    uniform = torch.from_numpy(np.random.default_rng(0).random(n))
    drawn = ItemTable(model, N_ITEMS).forecast(state, uniform).drawn.numpy()
    probs = (
        model.heads(state.select(torch.zeros(1, dtype=torch.int64))).item_log_probs().detach().double().exp()[0].numpy()
    )
    top = np.argsort(-probs)[:20]
    observed = np.array([(drawn == item).sum() for item in top])
    rest = n - observed.sum()
    expected = n * np.append(probs[top], 1 - probs[top].sum())
    assert chisquare(np.append(observed, rest), expected / expected.sum() * n).pvalue > 0.001


@pytest.mark.parametrize("n", [1, 8, 11, 24, 96, 101])
def test_blocks_draw_as_one_running_sum(n):
    rng = np.random.default_rng(n)
    weights = torch.from_numpy(rng.random((2_000, n)) * (rng.random((2_000, n)) < 0.6) + 1e-9)
    uniform = torch.from_numpy(rng.random(2_000))
    uniform[:2] = torch.tensor([0.0, 1 - 2**-53])
    total, index = blocked_cdf(weights, min(n, 8), uniform)
    torch.testing.assert_close(total.squeeze(1), weights.sum(1))
    assert torch.equal(index, inverse_cdf(weights, uniform))


@pytest.mark.parametrize("place", [5, 17])  # 17 in a last block that is cut short
def test_blocks_never_draw_a_weight_of_zero(place):
    weights = torch.zeros(3, 19)
    weights[:, place] = 1e-30
    uniform = torch.tensor([0.0, 0.5, 1 - 2**-53], dtype=torch.float64)
    assert blocked_cdf(weights, 8, uniform)[1].tolist() == [place] * 3


def test_too_few_items_get_a_sentence(model):
    with pytest.raises(InvalidArgumentError, match=r"n_sampled must lie in \[2, 3000\], got 1"):
        ItemTable(model, 1)
