"""The worlds do what their formulas say: simulation against the optimum, and every law of a vector environment."""

import copy
import itertools

import numpy as np
import pytest

from rlrec.core.errors import InvalidArgumentError, NotReadyError
from rlrec.testing.oracles import BoredomWorld, LeaveWorld, SlateLeaveWorld
from rlrec.testing.vector_env import check_vector_env


def simulate(world, choose, n_steps, gamma=1.0):
    """Return the mean return of first episodes."""
    observation, _ = world.reset(seed=3)
    alive, total = np.ones(world.num_envs, bool), np.zeros(world.num_envs)
    for t in range(n_steps):
        observation, rewards, terminated, truncated, _ = world.step(choose(observation))
        total += alive * gamma**t * rewards
        alive &= ~(terminated | truncated)
    return total.mean(), total.std() / np.sqrt(world.num_envs)


@pytest.mark.parametrize("n_items", [10, 1000])
def test_in_leave_the_best_item_is_worth_the_optimum_and_greedy_a_third(n_items):
    world = LeaveWorld(20_000, n_items=n_items)
    assert 0.25 < world.greedy / world.optimum < 0.4
    best = world.item_values.argmax(axis=1)
    mean, error = simulate(world, lambda o: best[o.argmax(axis=1)], 500)
    assert abs(mean - world.optimum) < 4 * error
    assert world.value(np.eye(n_items)[best]) == pytest.approx(world.optimum)
    uniform = np.full((4, n_items), 1 / n_items)
    rng = np.random.default_rng(0)
    mean, error = simulate(world, lambda o: rng.integers(0, n_items, len(o)), 500)
    assert abs(mean - world.value(uniform)) < 4 * error


def test_boredom_has_the_published_optimum():
    world = BoredomWorld(1)
    assert world.optimum == pytest.approx(55.226, abs=5e-4)
    assert world.greedy / world.optimum == pytest.approx(0.723, abs=5e-4)


def test_boredom_simulated_is_the_formula():
    world = BoredomWorld(1, horizon=5_000)
    for m in (1, 3):
        world.reset(seed=0)
        value = sum(0.99**t * world.step(np.array([int(t % (m + 1) == m)]))[1][0] for t in range(2_000))
        assert value == pytest.approx(world.cycle_value(m), rel=1e-6)
    alternating = lambda observation: np.eye(2)[(observation[:, 0] < 0.9).astype(int)]  # noqa: E731
    assert world.value(alternating) == pytest.approx(world.optimum, rel=1e-6)
    greedy = lambda observation: np.eye(2)[(observation[:, 0] < 0.1).astype(int)]  # noqa: E731
    assert world.value(greedy) == pytest.approx(world.greedy, rel=1e-6)


@pytest.mark.parametrize(
    "world",
    [
        LeaveWorld(3),
        SlateLeaveWorld(3),
        BoredomWorld(3, n_items=4, horizon=20),
        LeaveWorld(2, leaving=False, horizon=9),
    ],
)
def test_the_laws_of_vector_environments(world):
    check_vector_env(world, n_steps=60, stochastic=not isinstance(world, BoredomWorld))


def test_wrong_use_gets_a_sentence():
    world = LeaveWorld(3)
    with pytest.raises(NotReadyError, match="step came before reset"):
        world.step(np.zeros(3, int))
    world.reset(seed=0)
    with pytest.raises(InvalidArgumentError, match=r"actions must be 3 item indices in 0\.\.9, got int64 \(2,\)"):
        world.step(np.zeros(2, int))
    with pytest.raises(InvalidArgumentError, match="n_items must be at least 2"):
        LeaveWorld(3, n_items=1)


def test_the_best_slates_are_those_of_enumeration_and_earn_the_optimum():
    world = SlateLeaveWorld(20_000, n_items=7, slate_size=3, n_types=2)
    every = np.array(list(itertools.combinations(range(7), 3)))
    for t in range(2):
        values = [world.value(np.stack([slate, slate])) for slate in every]
        own = [SlateLeaveWorld.value(_only(world, t), slate[None]) for slate in every]
        assert max(own) == pytest.approx(world._best(t)[0])
        assert len(values) == 35
    mean, error = simulate(world, lambda o: world.best_slates[o.argmax(axis=1)], 500)
    assert abs(mean - world.optimum) < 4 * error
    assert world.greedy < 0.7 * world.optimum


def _only(world, t):
    """Return the world of one type."""
    one = copy.copy(world)
    one.attraction, one.stay_probs = world.attraction[t : t + 1], world.stay_probs[t : t + 1]
    return one
