"""Vectors become the items nearest to them: exactly, without repeats, around what is masked."""

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_sb3

import rlrec.envs.nearest
from rlrec.core.errors import CatalogMismatchError, InvalidArgumentError, InvalidSlateError
from rlrec.envs.candidates import Retriever, cooccurrence_neighbors
from rlrec.envs.nearest import NearestItems
from rlrec.envs.single import RecommendationEnv
from rlrec.envs.vector import make_vec
from rlrec.models.counting import MarkovModel
from rlrec.testing.vector_env import check_vector_env
from tests.small import N_ITEMS, cycle_log, cycle_model


@pytest.mark.parametrize("metric", ["cosine", "inner"])
def test_it_is_a_full_sort_by_the_metric(metric, monkeypatch):
    rng = np.random.default_rng(0)
    vectors, queries = rng.normal(size=(50, 4)) * rng.uniform(0.1, 3, (50, 1)), rng.normal(size=(9, 4))
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if metric == "cosine" else vectors
    expected = np.argsort(-(queries @ units.T), axis=1)[:, :7]
    assert np.array_equal(NearestItems(vectors, metric=metric)(queries, 7), expected)
    monkeypatch.setattr(rlrec.envs.nearest, "_SCORES", 100)  # two rows at a time give the same
    assert np.array_equal(NearestItems(vectors, metric=metric)(queries, 7), expected)


def test_candidates_and_masks_bound_the_search():
    rng = np.random.default_rng(1)
    vectors, queries = rng.normal(size=(30, 3)), rng.normal(size=(5, 3))
    nearest = NearestItems(vectors, metric="inner")
    among = np.stack([rng.permutation(30)[:8] for _ in range(5)])
    order = np.argsort(-np.take_along_axis(queries @ vectors.T, among, axis=1), axis=1)
    ranked = np.take_along_axis(among, order, axis=1)
    assert np.array_equal(nearest(queries, 3, among=among), ranked[:, :3])
    allowed = np.ones((5, 8), bool)
    allowed[np.arange(5), order[:, 0]] = False
    assert np.array_equal(nearest(queries, 3, among=among, allowed=allowed), ranked[:, 1:4])


def test_people_answer_as_if_the_items_had_been_named():
    model = cycle_model()
    nearest = NearestItems.of(model)
    named, pointed = (
        make_vec(model, num_envs=8, slate_size=2),
        make_vec(model, num_envs=8, slate_size=2, nearest=nearest),
    )
    assert pointed.single_action_space == spaces.Box(-1, 1, (8,), np.float32)
    named.reset(seed=3)
    pointed.reset(seed=3)
    rng = np.random.default_rng(0)
    for _ in range(15):
        points = rng.uniform(-1, 1, (8, 8)).astype(np.float32)
        slates = nearest(points, 2)
        expected, got = named.step(slates), pointed.step(points)
        assert np.array_equal(got[4]["shown"], slates)
        for mine, theirs in zip(expected[:4], got[:4], strict=True):
            assert np.array_equal(mine, theirs)


def test_an_items_own_vector_shows_it_and_masked_ones_are_passed_over():
    vectors = np.eye(N_ITEMS)
    blocked = np.zeros(N_ITEMS, bool)
    blocked[2] = True
    points = np.eye(N_ITEMS)[[0, 2, 5]].astype(np.float32) + 0.1 * np.arange(N_ITEMS, dtype=np.float32) / N_ITEMS
    env = make_vec(cycle_model(), num_envs=3, nearest=NearestItems(vectors, metric="inner"), blocked=blocked)
    env.reset(seed=0)
    assert env.step(points)[4]["shown"].ravel().tolist() == [0, 5, 5]
    retriever = Retriever(cooccurrence_neighbors(cycle_log(), 2), cycle_log().item_counts, n_candidates=3)
    staged = make_vec(
        cycle_model(), num_envs=3, nearest=NearestItems(vectors), retriever=retriever, observation=("candidates",)
    )
    candidates, _ = staged.reset(seed=0)
    for row, shown in enumerate(staged.step(points)[4]["shown"].ravel()):
        assert shown in candidates[row]


def test_the_checkers_pass():
    nearest = NearestItems.of(cycle_model())
    check_env(RecommendationEnv(cycle_model(), nearest=nearest, slate_size=2), skip_render_check=True)
    check_env_sb3(RecommendationEnv(cycle_model(), nearest=nearest))
    check_vector_env(make_vec(cycle_model(), num_envs=4, nearest=nearest, slate_size=2), n_steps=60)


BAD_POINTS = [
    (np.zeros((4, 7), np.float32), r"actions must be a float array of shape \(4, 8\).* got float32 \(4, 7\)"),
    (np.zeros((4, 8), int), r"got int64 \(4, 8\); pass one vector for each user"),
    (np.full((4, 8), np.nan, np.float32), "actions must be finite, row 0 is not; the policy that made them has div"),
    (np.array([[0.0] * 8] * 3 + [[np.inf] * 8]), "row 3 is not"),
]


@pytest.mark.parametrize(("points", "sentence"), BAD_POINTS)
def test_bad_vectors_get_a_sentence(points, sentence):
    env = make_vec(cycle_model(), num_envs=4, nearest=NearestItems.of(cycle_model()))
    env.reset(seed=0)
    with pytest.raises(InvalidSlateError, match=sentence):
        env.step(points)


def test_wrong_tables_get_a_sentence():
    with pytest.raises(InvalidArgumentError, match=r"vectors must be a finite float array .*, got int64 \(3, 2\)"):
        NearestItems(np.zeros((3, 2), int))
    with pytest.raises(InvalidArgumentError, match="must be an LSTMModel to have item vectors, got MarkovModel"):
        NearestItems.of(MarkovModel.fit(cycle_log()))
    with pytest.raises(CatalogMismatchError, match="one vector for each of the 6 items, got 3"):
        make_vec(cycle_model(), num_envs=2, nearest=NearestItems(np.ones((3, 2))))
