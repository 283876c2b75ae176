"""The adapter, walked across the boundary of an episode beside a twin of the environment."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.env_checker import check_env

from rlrec.agents.sb3 import SB3VecEnv
from rlrec.core.errors import InvalidArgumentError, InvalidTypeError, NotReadyError
from rlrec.envs.config import SimulatorConfig
from rlrec.envs.single import RecommendationEnv
from rlrec.envs.vector import RecommendationVectorEnv


def test_rows_cross_the_boundary_with_their_last_observation_and_return(model):
    config = SimulatorConfig(horizon=3)
    twin = RecommendationVectorEnv(model, 6, config=config)
    adapter = SB3VecEnv(RecommendationVectorEnv(model, 6, config=config))
    adapter.seed(5)
    np.testing.assert_array_equal(adapter.reset(), twin.reset(seed=5)[0])
    returns, lengths, ended, cut = np.zeros(6), np.zeros(6, int), 0, 0
    for step in range(12):
        actions = np.arange(6) + step % 3
        observations, rewards, dones, infos = adapter.step(actions)
        expected, expected_rewards, terminated, truncated, raw = twin.step(actions)
        np.testing.assert_array_equal(observations, expected)
        np.testing.assert_array_equal(rewards, expected_rewards)
        np.testing.assert_array_equal(dones, terminated | truncated)
        returns, lengths = returns + rewards, lengths + 1
        for row in range(6):
            if not dones[row]:
                assert infos[row] == {}
                continue
            np.testing.assert_array_equal(infos[row]["terminal_observation"], raw["final_obs"][row])
            assert infos[row]["TimeLimit.truncated"] == bool(truncated[row])
            assert (infos[row]["episode"]["r"], infos[row]["episode"]["l"]) == (returns[row], lengths[row])
            returns[row] = lengths[row] = 0
            ended, cut = ended + terminated[row], cut + truncated[row]
    assert ended > 0
    assert cut > 0


def test_another_autoreset_mode_is_refused_with_a_remedy():
    env = SyncVectorEnv([lambda: gym.make("CartPole-v1")], autoreset_mode=AutoresetMode.NEXT_STEP)
    with pytest.raises(InvalidArgumentError, match="same step"):
        SB3VecEnv(env)
    env.close()


def test_what_is_no_vector_environment_is_refused(model):
    with pytest.raises(InvalidTypeError, match="VectorEnv"):
        SB3VecEnv(RecommendationEnv(model))


def test_a_seed_is_used_once_and_the_next_reset_goes_on_to_others(env):
    adapter = SB3VecEnv(env)
    adapter.seed(3)
    first = adapter.reset()
    assert not np.array_equal(adapter.reset(), first)
    adapter.seed(3)
    np.testing.assert_array_equal(adapter.reset(), first)


def test_rows_share_one_environment(env):
    adapter = SB3VecEnv(env)
    assert adapter.get_attr("n_items") == [env.n_items] * 8
    assert adapter.get_attr("n_items", [0, 3]) == [env.n_items] * 2
    assert adapter.env_is_wrapped(gym.Wrapper) == [False] * 8
    with pytest.raises(InvalidArgumentError, match="some rows"):
        adapter.set_attr("marker", 1, indices=[0])
    with pytest.raises(NotReadyError):
        adapter.step_wait()


def test_sb3_accepts_the_single_environment(model):
    """One item at a time: the checker draws slates at random, and random slates repeat items, which we refuse."""
    check_env(RecommendationEnv(model))
