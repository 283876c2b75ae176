"""SlateQ: the best slate against enumeration, the decomposition by hand, and what it gains in a known world."""

import itertools

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from rlrec.agents.config import DQNConfig
from rlrec.agents.sb3 import SB3VecEnv
from rlrec.agents.slate_q import SlateQNetwork, train_slate_q
from rlrec.core.errors import InvalidArgumentError
from rlrec.envs.vector import make_vec
from rlrec.testing.oracles import LeaveWorld, SlateLeaveWorld
from tests.small import N_ITEMS, cycle_log, cycle_model

TINY = DQNConfig(total_steps=400, learning_starts=64, batch_size=32, buffer_size=500, target_update_interval=64)


@pytest.mark.parametrize("kappa", [None, 0.3])
def test_the_ranked_slate_is_the_best_of_all_and_its_value_the_decomposition(kappa):
    torch.manual_seed(0)
    v = torch.rand(4, 7).softmax(-1) * 0.9
    network = SlateQNetwork(4, 7, 3, 16, lambda observation: observation @ v, outside=0.4, kappa=kappa)
    observation = torch.eye(4)
    with torch.no_grad():
        q = network.q(observation)
        slates = torch.tensor(list(itertools.combinations(range(7), 3)))
        for row in range(4):
            values = []
            for slate in slates:
                shown = v[row, slate]
                outside = 0.4 if kappa is None else kappa * (1 - shown.sum())
                values.append(((shown * q[row, slate]).sum() + outside * q[row, -1]) / (shown.sum() + outside))
            got = network.slate_values(observation[row].expand(len(slates), -1), slates)
            torch.testing.assert_close(got, torch.stack(values))
            torch.testing.assert_close(network.values(observation[row : row + 1])[0], max(values))


def test_it_trains_on_simulated_users_and_repeats():
    env = make_vec(cycle_model(), num_envs=8, slate_size=2)
    first, again = (train_slate_q(env, TINY, show_progress=False) for _ in range(2))
    observation = cycle_model().interests(cycle_log().sequences())
    slates, _ = first.predict(observation, deterministic=True)
    assert slates.shape == (len(observation), 2)
    assert (slates[:, 0] != slates[:, 1]).all()
    assert slates.max() < N_ITEMS
    assert np.array_equal(first.action_probs(observation), again.action_probs(observation))
    assert first.recommend([["i0", "i1"]], k=3).shape == (1, 3)


def test_what_it_cannot_learn_is_refused():
    with pytest.raises(InvalidArgumentError, match="for single items train DQN"):
        train_slate_q(LeaveWorld(4), TINY)
    with pytest.raises(InvalidArgumentError, match="attraction must be given"):
        train_slate_q(SlateLeaveWorld(4), TINY)


@pytest.mark.learning
def test_it_beats_independent_places_where_what_is_clicked_drives_people_away():
    world = SlateLeaveWorld(64)
    attraction = torch.from_numpy(world.attraction).float()
    config = DQNConfig(
        total_steps=100_000,
        gamma=1.0,
        learning_rate=2e-3,
        learning_starts=2_048,
        gradient_steps=2,
        batch_size=256,
        target_update_interval=2_048,
    )
    agent = train_slate_q(
        world, config, attraction=lambda o: o @ attraction, outside=world.outside, show_progress=False
    )
    slates, _ = agent.predict(world.observations(), deterministic=True)
    ours = world.value(slates) / world.optimum
    ppo = PPO("MlpPolicy", SB3VecEnv(SlateLeaveWorld(64)), n_steps=32, batch_size=512, gamma=1.0, seed=0, device="cpu")
    ppo.learn(100_000)
    theirs = world.value(ppo.predict(world.observations(), deterministic=True)[0]) / world.optimum
    assert ours > 0.95
    assert ours > theirs


def test_what_stands_twice_in_a_slate_draws_nobody_the_second_time():
    world = SlateLeaveWorld(4, slate_size=3)
    slates = np.array([[0, 1, 0], [2, 2, 2], [3, 4, 5], [1, 1, 0]])
    assert world.value(slates) == pytest.approx(_without_repeats(world, slates))


def _without_repeats(world: SlateLeaveWorld, slates: np.ndarray) -> float:
    """Return the value of slates in which an item may stand twice: its later places draw nobody."""
    totals = []
    for row, slate in enumerate(slates):
        items = np.unique(slate)
        v, leaves = world.attraction[row, items], 1 - world.stay_probs[row, items]
        totals.append(v.sum() / (world.outside * (1 - world.stay_outside) + (v * leaves).sum()))
    return float(np.mean(totals))
