"""Candidates are different items, do not depend on the neighbours, and actions are places among them."""

import numpy as np
import pytest

from rlrec.core.errors import InvalidArgumentError, InvalidSlateError
from rlrec.core.random import CounterRng
from rlrec.envs.candidates import Retriever, cooccurrence_neighbors
from rlrec.envs.vector import RecommendationVectorEnv, make_vec
from tests.small import N_ITEMS, cycle_log, cycle_model


def retriever(**kwargs) -> Retriever:
    neighbors = cooccurrence_neighbors(cycle_log(), 2)
    return Retriever(
        neighbors, cycle_log().item_counts, **({"n_candidates": 4, "n_recent": 1, "n_explored": 1} | kwargs)
    )


def ask(found, recent, keys=None):
    keys = np.arange(len(recent)) if keys is None else keys
    return found(np.asarray(recent), keys, np.zeros(len(recent), np.int64), CounterRng(0))


def test_neighbors_are_the_items_that_share_most_sequences():
    log = cycle_log()
    sequences = log.sequences()
    sets = [set(sequences.item[a:b].tolist()) for a, b in zip(sequences.offsets, sequences.offsets[1:], strict=False)]
    together = np.array([[sum(i in s and j in s for s in sets) for j in range(N_ITEMS)] for i in range(N_ITEMS)])
    cosine = together / np.sqrt(np.outer(together.diagonal(), together.diagonal()))
    np.fill_diagonal(cosine, -1)
    got = cooccurrence_neighbors(log, 3)
    for item in range(N_ITEMS):
        np.testing.assert_allclose(cosine[item, got[item]], np.sort(cosine[item])[::-1][:3], rtol=1e-6)


def test_candidates_differ_and_begin_with_the_neighbours_of_the_last_item():
    found = retriever()
    got = ask(found, np.repeat([[0, 1], [3, 2], [-1, -1]], 50, axis=0))
    assert got.shape == (150, 4)
    assert all(len(set(row)) == 4 for row in got.tolist())
    near = cooccurrence_neighbors(cycle_log(), 2)
    assert (got[:50, :2] == near[0]).all()
    assert (got[50:100, :2] == near[3]).all()
    assert set(got[:50].ravel().tolist()) == set(range(N_ITEMS))  # exploration reaches everything


def test_a_users_candidates_depend_on_nobody_else():
    found = retriever()
    recent = np.array([[0], [3], [5], [-1]])
    many = ask(found, recent)
    assert np.array_equal(many[2:3], ask(found, recent[2:3], np.array([2])))


def test_all_items_can_be_candidates():
    got = ask(retriever(n_candidates=N_ITEMS, n_explored=0), [[0], [4]])
    assert np.array_equal(np.sort(got, axis=1), np.tile(np.arange(N_ITEMS), (2, 1)))


def test_actions_are_places_among_the_candidates():
    plain = make_vec(cycle_model(), num_envs=8)
    staged = make_vec(cycle_model(), num_envs=8, retriever=retriever(), observation=("candidates",))
    plain.reset(seed=3)
    candidates, _ = staged.reset(seed=3)
    for step in range(20):
        places = np.full(8, step % 4)
        items = candidates[np.arange(8), places]
        expected, got = plain.step(items), staged.step(places)
        candidates = got[0]
        for mine, theirs in zip(expected[1:4], got[1:4], strict=True):
            assert np.array_equal(mine, theirs)
        assert np.array_equal(expected[4]["clicked_item"], got[4]["clicked_item"])


def test_features_are_the_observers_log_probabilities():
    model = cycle_model()
    env = RecommendationVectorEnv(
        model, 4, retriever=retriever(), observation=("interest", "candidates", "candidate_features")
    )
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    state, _ = env.simulator.reset(np.arange(4), rng=CounterRng(0))
    log_probs = model.heads(state.memory).item_log_probs().detach().numpy()
    expected = np.take_along_axis(log_probs, observation["candidates"], axis=1).clip(-100) / 10
    np.testing.assert_allclose(observation["candidate_features"][..., 0], expected, atol=1e-4)


def test_wrong_arguments_get_a_sentence():
    with pytest.raises(InvalidArgumentError, match=r"n_candidates must lie in 1\.\.6 \(the catalogue\), got 9"):
        retriever(n_candidates=9)
    with pytest.raises(InvalidArgumentError, match=r"neighbors must be an integer array of shape \(6, n_neighbors\)"):
        Retriever(np.zeros((5, 2), int), cycle_log().item_counts)
    with pytest.raises(InvalidArgumentError, match="there is no retriever"):
        make_vec(cycle_model(), num_envs=2, observation=("candidates",))
    env = make_vec(cycle_model(), num_envs=2, retriever=retriever())
    env.reset(seed=0)
    with pytest.raises(InvalidSlateError, match=r"actions must be places of candidates in 0\.\.3, got 4"):
        env.step(np.array([0, 4]))
    with pytest.raises(InvalidSlateError, match="pass places of candidates"):
        env.step(np.zeros(2))
