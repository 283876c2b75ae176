"""How people come in: openings given that they stay, prefixes of given sequences, and nothing."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from rlrec.core.errors import DataError
from rlrec.core.random import CounterRng
from rlrec.envs.arrivals import Cold, OwnOpening, Prefixes, opening_weights
from rlrec.envs.simulator import UserSimulator
from rlrec.envs.vector import RecommendationVectorEnv
from rlrec.models.base import BehaviourStep
from tests.small import N_ITEMS, cycle_log, cycle_model


def test_openings_are_those_of_people_who_stay():
    model = cycle_model()
    start = model.heads(model.initial_state(1)).item_log_probs().detach().double().exp()[0].numpy()
    items = torch.arange(N_ITEMS)
    zeros = torch.zeros_like(items)
    after, _ = model.step(BehaviourStep(items, zeros, zeros), model.initial_state(N_ITEMS))
    expected = start * (1 - after.end_probs().detach().double().numpy())
    np.testing.assert_allclose(opening_weights(model).numpy(), expected, rtol=1e-6)
    n = 50_000
    history = OwnOpening().open(model, np.arange(n), CounterRng(0))
    observed = np.bincount(history.item[:, 0].numpy(), minlength=N_ITEMS)
    assert chisquare(observed, n * expected / expected.sum()).pvalue > 0.001
    assert (history.length == 1).all()


def test_everybody_sees_a_slate():
    env = RecommendationVectorEnv(cycle_model(), 64)
    _, infos = env.reset(seed=0)
    assert np.array_equal(infos["user"], np.arange(64))
    _, _, terminated, _, _ = env.step(np.zeros(64, int))
    assert terminated.any()  # people may leave at their first slate, not before it


def test_prefixes_are_beginnings_of_the_sequences():
    sequences = cycle_log().sequences()
    keys = np.arange(200)
    history = Prefixes(sequences, max_length=4).open(cycle_model(), keys, CounterRng(0))
    beginnings = {tuple(sequences.item[o : o + n].tolist()) for o in sequences.offsets[:-1] for n in range(1, 5)}
    lengths = history.length.tolist()
    rows = [tuple(row[:length].tolist()) for row, length in zip(history.item, lengths, strict=True)]
    assert set(rows) <= beginnings
    assert set(lengths) == {1, 2, 3, 4}
    again = Prefixes(sequences, max_length=4).open(cycle_model(), keys[7:8], CounterRng(0))
    assert tuple(again.item[0, : again.length[0]].tolist()) == rows[7]


def test_people_with_a_past_have_its_memory_and_its_window():
    model = cycle_model()
    simulator = UserSimulator(model, arrivals=Prefixes(cycle_log().sequences(), min_length=2, max_length=5))
    env = RecommendationVectorEnv(simulator, 8, observation=("interest", "history"), window=3)
    observation, _ = env.reset(seed=1)
    state, history = simulator.reset(np.arange(8), rng=CounterRng(1))
    np.testing.assert_allclose(observation["interest"], model.interest(state.memory).detach().numpy(), atol=1e-5)
    for row, length in enumerate(history.length.tolist()):
        past = history.item[row, :length].tolist()[::-1][:3]
        assert observation["history"][row].tolist() == [item + 1 for item in past] + [0] * (3 - len(past))


def test_the_cold_have_the_models_start():
    model = cycle_model()
    state, history = UserSimulator(model, arrivals=Cold()).reset(np.arange(3), rng=CounterRng(0))
    assert history.length.tolist() == [0, 0, 0]
    torch.testing.assert_close(state.memory.tensors[0], model.initial_state(3).tensors[0])
    env = RecommendationVectorEnv(UserSimulator(model, arrivals=Cold()), 4, observation=("history",))
    assert not env.reset(seed=0)[0].any()


def test_sequences_that_cannot_be_used_get_a_sentence():
    with pytest.raises(DataError, match="no sequence goes on after 50 behaviours; lower min_length"):
        Prefixes(cycle_log().sequences(), min_length=50, max_length=60)
