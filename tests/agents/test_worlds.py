"""Agents in worlds whose optimum is known on paper: what they reach, sampled and greedy."""

import numpy as np
import pytest

from rlrec.agents.config import A2CConfig, DQNConfig, PPOConfig
from rlrec.agents.policies import AgentPolicy
from rlrec.agents.training import train_agent
from rlrec.core.errors import InvalidArgumentError, NotReadyError
from rlrec.testing.oracles import BoredomWorld, LeaveWorld, SlateLeaveWorld

SHORT = {
    "ppo": PPOConfig(total_steps=256, n_steps=8),
    "a2c": A2CConfig(total_steps=256),
    "dqn": DQNConfig(total_steps=256),
}
BOREDOM = {
    "ppo": PPOConfig(total_steps=100_000, batch_size=512, learning_rate=3e-3, vf_coef=0.5),
    "a2c": A2CConfig(total_steps=100_000, n_steps=16, learning_rate=3e-3, vf_coef=0.5),
    "dqn": DQNConfig(total_steps=50_000, learning_starts=2_048),
}
# In Leave the value of a person does not change, so one-step advantages carry all there is to know, with least noise.
LEAVE = {
    "ppo": PPOConfig(
        total_steps=200_000,
        n_steps=16,
        batch_size=2_048,
        learning_rate=1e-2,
        gamma=1.0,
        gae_lambda=0.0,
        vf_coef=0.5,
        ent_coef=0.1,
    ),
    "a2c": A2CConfig(
        total_steps=200_000, n_steps=16, learning_rate=1e-2, gamma=1.0, gae_lambda=0.0, vf_coef=0.5, ent_coef=0.1
    ),
}


def best(probs: np.ndarray) -> np.ndarray:
    return np.eye(probs.shape[1])[probs.argmax(axis=1)]


def in_leave(world: LeaveWorld, agent: AgentPolicy) -> tuple[float, float]:
    """Return the fractions of the optimum: of the best action, and of sampled ones."""
    probs = agent.action_probs(world.observations())
    return world.value(best(probs)) / world.optimum, world.value(probs) / world.optimum


@pytest.mark.learning
@pytest.mark.parametrize("name", BOREDOM)
def test_they_learn_to_wait_for_the_favourite_to_be_fresh(name):
    world = BoredomWorld(16 if name == "dqn" else 64)
    agent = train_agent(world, BOREDOM[name], seed=0, show_progress=False)
    assert world.value(agent.action_probs) / world.optimum > 0.95
    assert world.value(lambda observation: best(agent.action_probs(observation))) / world.optimum > 0.95


@pytest.mark.learning
@pytest.mark.parametrize("name", LEAVE)
def test_they_learn_not_to_drive_people_away(name):
    world = LeaveWorld(128 if name == "ppo" else 64, n_items=10)
    greedy, sampled = in_leave(world, train_agent(world, LEAVE[name], seed=0, show_progress=False))
    assert greedy > 0.95
    assert sampled > (0.95 if name == "ppo" else 0.9)
    assert world.greedy / world.optimum < 0.35


@pytest.mark.learning
def test_where_nobody_leaves_they_equal_greedy():
    world = LeaveWorld(64, n_items=10, leaving=False, horizon=10)
    config = PPOConfig(
        total_steps=100_000, n_steps=16, batch_size=512, learning_rate=1e-2, gamma=0.5, gae_lambda=0.0, ent_coef=0.05
    )
    greedy, _ = in_leave(world, train_agent(world, config, seed=0, show_progress=False))
    assert greedy > 0.99


@pytest.mark.parametrize("name", SHORT)
def test_any_world_of_flat_observations_can_be_trained_on_and_a_seed_repeats(name):
    world = LeaveWorld(8)
    first, again = (train_agent(world, SHORT[name], seed=1, show_progress=False) for _ in range(2))
    observations = world.observations()
    assert np.array_equal(first.action_probs(observations), again.action_probs(observations))
    assert np.allclose(first.action_probs(observations).sum(axis=1), 1)
    with pytest.raises(NotReadyError, match="only an agent that starts as its observer can be saved"):
        first.save("nowhere")
    with pytest.raises(NotReadyError, match="recommends from histories; this one's network is a Plain"):
        first.recommend([["i0"]])


def test_dqn_refuses_slates():
    with pytest.raises(InvalidArgumentError, match="DQN shows one item at a time"):
        train_agent(SlateLeaveWorld(4), SHORT["dqn"], show_progress=False)
