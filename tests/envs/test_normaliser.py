"""The normaliser of a large catalogue: sampled, corrected, its error told, and what the error does to a click."""

import numpy as np
import pytest
import torch

import rlrec.envs.config
from rlrec.core.errors import InvalidArgumentError
from rlrec.core.random import CounterRng
from rlrec.envs.config import SimulatorConfig
from rlrec.envs.simulator import UserSimulator
from rlrec.models.base import BehaviourSpace
from rlrec.models.config import LSTMConfig
from rlrec.models.counting import MarkovModel
from rlrec.models.lstm import LSTMModel
from tests.models.test_item_table import N_ITEMS
from tests.models.test_item_table import model as wide_model
from tests.small import cycle_log, cycle_model

model = wide_model  # a fixture: an untrained model over 3,000 items, which is harder than a trained one


def test_small_catalogues_are_exact_and_large_ones_are_not(model, monkeypatch):
    assert UserSimulator(model).normaliser_error is None
    assert UserSimulator(cycle_model()).normaliser_error is None
    monkeypatch.setattr(rlrec.envs.config, "_EXACT_ITEMS", N_ITEMS - 1)
    error = UserSimulator(model).normaliser_error
    assert error is not None
    assert error.after < 0.001 < error.before
    assert UserSimulator(model, SimulatorConfig(n_sampled_items=0)).normaliser_error is None


def test_click_chances_are_off_by_no_more_than_the_error_says(model):
    exact, sampled = (UserSimulator(model, SimulatorConfig(n_sampled_items=n)) for n in (0, 1_000))
    keys, rng = np.arange(400), CounterRng(0)
    state, _ = exact.reset(keys, rng=rng)
    slates = np.random.default_rng(0).permuted(np.tile(np.arange(N_ITEMS), (400, 1)), axis=1)[:, :10]
    for _ in range(3):
        wanted, after = exact.respond(state, slates, rng=rng)
        got, _ = sampled.respond(state, slates, rng=rng)
        ratio = np.log(got.click_probs / wanted.click_probs)
        assert np.abs(ratio).max() < 0.05
        assert np.sqrt(np.square(ratio).mean()) < 2 * sampled.normaliser_error.after
        state = after


def test_models_without_item_vectors_stay_exact():
    markov = MarkovModel.fit(cycle_log())
    assert UserSimulator(markov).normaliser_error is None
    with pytest.raises(InvalidArgumentError, match="n_sampled_items needs an LSTMModel, got MarkovModel; set it to 0"):
        UserSimulator(markov, SimulatorConfig(n_sampled_items=3))


def test_items_kept_out_of_the_softmax_are_never_chosen():
    log = cycle_log()
    network = LSTMModel.build_network(log, LSTMConfig(embedding_size=4, hidden_size=8), seed=0)
    network.cold = torch.zeros(log.n_items, dtype=torch.bool)
    network.cold[2] = True
    simulator = UserSimulator(LSTMModel(network, BehaviourSpace.of(log)))
    state, _ = simulator.reset(np.arange(500), rng=CounterRng(0))
    responses, _ = simulator.respond(state, np.full((500, 1), 2), rng=CounterRng(0))
    assert responses.click_probs.max() == 0
    assert set(responses.item.tolist()) == {0, 1, 3, 4, 5}
