"""Counter-based numbers: uniform, independent of their neighbours, and a function of their key alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rlrec.core.random import CounterRng, spawn_seeds

N = 20_000
P_LOW = 1e-4  # chosen here: seeds are fixed, so these tests do not flicker, and a broken mixer gives p below 1e-50

words_64 = st.integers(0, 2**63 - 1)


def grid(along: str, seed: int = 1) -> np.ndarray:
    """Return N uniforms whose coordinates differ only in the one named."""
    index, zero = np.arange(N), np.zeros(N, np.int64)
    if along == "key":
        return CounterRng(seed).uniform(index, 5, lane=2)
    if along == "counter":
        return CounterRng(seed).uniform(zero, index, lane=2)
    if along == "lane":
        return np.array([CounterRng(seed).uniform(zero[:1], 5, lane=int(lane))[0] for lane in index[: N // 10]])
    if along == "seed":
        return np.array([CounterRng(int(s)).uniform(zero[:1], 5, lane=2)[0] for s in index[: N // 10]])
    return CounterRng(seed).uniform(zero[:1], 5, lane=2, n=N)[0]


AXES = ["key", "counter", "lane", "seed", "n"]
GOLDEN_WORDS = [52792386888135558, 3751620731010102742]


@pytest.mark.parametrize("along", AXES)
def test_uniform(along):
    assert stats.kstest(grid(along), "uniform").pvalue > P_LOW


@pytest.mark.parametrize("along", AXES)
def test_neighbours_are_independent(along):
    u = grid(along)
    cells = (u[:-1:2] * 8).astype(int) * 8 + (u[1::2] * 8).astype(int)  # disjoint pairs, in 8 x 8 cells
    assert stats.chisquare(np.bincount(cells, minlength=64)).pvalue > P_LOW
    assert abs(stats.pearsonr(u[:-1], u[1:]).statistic) < 5 / np.sqrt(len(u))


def test_the_tempting_unmixed_counter_fails_the_same_tests():
    golden = np.uint64(0x9E3779B97F4A7C15)
    u = (np.arange(N, dtype=np.uint64) * golden >> np.uint64(11)).astype(np.float64) * 2.0**-53  # a Weyl sequence
    cells = (u[:-1:2] * 8).astype(int) * 8 + (u[1::2] * 8).astype(int)
    assert stats.chisquare(np.bincount(cells, minlength=64)).pvalue < 1e-50


@pytest.mark.parametrize("bit", range(0, 64, 7))
def test_each_bit_is_a_fair_coin(bit):
    words = CounterRng(3).words(np.arange(N), 0, 0)
    ones = int(((words >> np.uint64(bit)) & np.uint64(1)).sum())
    assert stats.binomtest(ones, N).pvalue > P_LOW


def test_key_and_counter_do_not_stand_in_for_each_other():
    key, counter = (axis.ravel() for axis in np.meshgrid(np.arange(200), np.arange(200)))
    words = CounterRng(0).words(key, counter, 0)
    assert len(np.unique(words)) == words.size  # a sum of key and counter would leave 399 values


@given(
    seed=st.integers(-(2**70), 2**70),
    pairs=st.lists(st.tuples(words_64, words_64), min_size=1, max_size=8),
    lane=st.integers(0, 1000),
    n=st.none() | st.integers(1, 5),
    order=st.randoms(use_true_random=False),
)
def test_a_user_draws_the_same_in_any_batch(seed, pairs, lane, n, order):
    rng = CounterRng(seed)
    keys, counters = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    together = rng.uniform(keys, counters, lane=lane, n=n)
    shuffled = list(range(len(pairs)))
    order.shuffle(shuffled)
    assert np.array_equal(rng.uniform(keys[shuffled], counters[shuffled], lane=lane, n=n), together[shuffled])
    for row in range(len(pairs)):
        alone = rng.uniform(keys[row : row + 1], counters[row : row + 1], lane=lane, n=n)
        assert np.array_equal(alone[0], together[row])


@given(seed=words_64, key=words_64, counter=words_64)
def test_values_lie_in_the_half_open_unit_interval(seed, key, counter):
    u = CounterRng(seed).uniform(np.array([key]), np.array([counter]), lane=0, n=16)
    assert u.shape == (1, 16)
    assert ((u >= 0) & (u < 1)).all()


def test_asking_for_more_numbers_keeps_the_first():
    rng, keys = CounterRng(5), np.arange(10)
    assert np.array_equal(rng.uniform(keys, 0, lane=1, n=8)[:, :3], rng.uniform(keys, 0, lane=1, n=3))


def test_a_scalar_counter_is_the_same_for_all():
    rng, keys = CounterRng(5), np.arange(10)
    assert np.array_equal(rng.uniform(keys, 7, lane=1), rng.uniform(keys, np.full(10, 7), lane=1))


def test_numbers_do_not_move_between_releases():
    assert CounterRng(7).words(np.array([0, 1]), np.array([0, 5]), 3).tolist() == GOLDEN_WORDS


def test_children_differ_from_each_other_and_from_their_parent():
    parent = CounterRng(11)
    streams = [parent, parent.child(0), parent.child(1), parent.child(0).child(0)]
    assert len({stream.seed for stream in streams}) == 4
    assert parent.child(1) == CounterRng(11).child(1)
    u, v = (stream.uniform(np.arange(N), 0, lane=0) for stream in streams[:2])
    assert abs(stats.pearsonr(u, v).statistic) < 5 / np.sqrt(N)


def test_spawned_seeds_are_distinct_and_repeat():
    seeds = spawn_seeds(0, 1000)
    assert len(set(seeds)) == 1000
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert seeds == spawn_seeds(0, 1000)
    assert seeds[:10] == spawn_seeds(0, 10)
    assert not set(seeds) & set(spawn_seeds(1, 1000))


@given(seed=words_64, key=words_64, counter=st.integers(0, 2**40), lane=st.integers(0, 200))
def test_one_drawers_numbers_are_bit_equal_to_its_row(seed, key, counter, lane):
    rng = CounterRng(seed)
    row = rng.uniform(np.array([key]), np.array([counter]), lane=lane, n=6)[0]
    assert rng.uniform_one(key, counter, lane=lane, n=6) == row.tolist()
