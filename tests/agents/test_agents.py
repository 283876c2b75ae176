"""Agents start as the user model, learn, come back from disk, and meet SB3's rules at the boundary."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from rlrec.agents.baselines import GreedyPolicy, PopularPolicy, RandomPolicy
from rlrec.agents.config import A2CConfig, DQNConfig, PPOConfig
from rlrec.agents.policies import AgentPolicy, build_network
from rlrec.agents.sb3 import SB3VecEnv
from rlrec.agents.slates import slate_log_probs
from rlrec.agents.training import network_for, train_agent
from rlrec.core.errors import InvalidArgumentError
from rlrec.core.protocols import StochasticPolicy
from rlrec.envs.candidates import Retriever, cooccurrence_neighbors
from rlrec.envs.vector import make_vec
from rlrec.evaluation.rollout import evaluate_policies
from tests.small import N_ITEMS, cycle_log, cycle_model

TINY = PPOConfig(total_steps=512, n_steps=16, batch_size=64, n_epochs=1)


@pytest.fixture(scope="module")
def agent() -> AgentPolicy:
    return train_agent(make_vec(cycle_model(), num_envs=16), TINY, seed=0, show_progress=False)


def interests() -> np.ndarray:
    return cycle_model().interests(cycle_log().sequences())


def test_probabilities_sum_to_one_and_deterministic_repeats(agent):
    assert isinstance(agent, StochasticPolicy)
    assert np.allclose(agent.action_probs(interests()).sum(1), 1.0)
    first, _ = agent.predict(interests(), deterministic=True)
    second, _ = agent.predict(interests(), deterministic=True)
    assert np.array_equal(first, second)
    assert np.array_equal(first, agent.action_probs(interests()).argmax(1))


def test_saved_and_loaded_it_is_the_same(agent, tmp_path):
    agent.save(tmp_path / "ppo")
    again = AgentPolicy.load(tmp_path / "ppo")
    assert np.array_equal(again.action_probs(interests()), agent.action_probs(interests()))
    assert again.recommend([["i0", "i1"]], k=2).shape == (1, 2)


def test_the_same_seed_trains_the_same_agent(agent):
    again = train_agent(make_vec(cycle_model(), num_envs=16), TINY, seed=0, show_progress=False)
    assert np.array_equal(again.action_probs(interests()), agent.action_probs(interests()))


def test_plackett_luce_sums_to_one_over_all_slates():
    logits = torch.randn(1, 4, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    slates = torch.tensor(list(itertools.permutations(range(4), 2)))
    log_probs = slate_log_probs(logits.expand(len(slates), -1), slates)
    assert log_probs.exp().sum().item() == pytest.approx(1.0)
    probs = logits[0].softmax(0)
    assert log_probs[0].exp().item() == pytest.approx((probs[0] * probs[1] / (1 - probs[0])).item())


def test_sb3_sees_the_observation_of_the_user_who_left():
    env, twin = SB3VecEnv(make_vec(cycle_model(), num_envs=4)), make_vec(cycle_model(), num_envs=4)
    env.reset()
    twin.reset()
    for action in np.random.default_rng(0).integers(0, N_ITEMS, (60, 4)):
        observation, rewards, dones, infos = env.step(action)
        expected, same_rewards, terminated, truncated, details = twin.step(action)
        assert np.array_equal(observation, expected)
        assert np.allclose(rewards, same_rewards)
        assert np.array_equal(dones, terminated | truncated)
        for row in np.flatnonzero(dones):
            assert np.array_equal(infos[row]["terminal_observation"], details["final_obs"][row])
            assert infos[row]["TimeLimit.truncated"] == bool(truncated[row])
        if dones.any():
            return
    pytest.fail("nobody left in 60 steps")


def test_rollouts_pair_the_same_users():
    policies = {
        "random": RandomPolicy(N_ITEMS),
        "popular": PopularPolicy(cycle_model().space.item_counts),
        "greedy": GreedyPolicy(cycle_model()),
    }
    env = make_vec(cycle_model(), num_envs=64)
    results = evaluate_policies(policies, env, n_users=100, seed=3, show_progress=False)
    assert results.estimate("greedy").value > results.estimate("random").value
    itself = results.paired("greedy", "greedy")
    assert (itself.value, itself.low, itself.high) == (0.0, 0.0, 0.0)
    difference = results.paired("greedy", "random")
    expected = results.estimate("greedy").value - results.estimate("random").value
    assert difference.value == pytest.approx(expected)
    assert difference.n == 100
    assert results.estimate("popular", "coverage").value == pytest.approx(1 / N_ITEMS)
    again = evaluate_policies({"greedy": policies["greedy"]}, make_vec(cycle_model(), num_envs=7), n_users=100, seed=3)
    assert again.estimate("greedy").value == pytest.approx(results.estimate("greedy").value)


def test_an_interrupted_save_leaves_the_old_agent(agent, tmp_path, monkeypatch):
    """Also where the new one has another observer: a new observer under old weights would act, and wrongly."""
    folder = tmp_path / "ppo"
    agent.save(folder)
    expected = agent.action_probs(interests())
    other = AgentPolicy(agent.network, cycle_model(seed=1), agent.config)

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    before = sorted(path.name for path in folder.rglob("*"))
    with monkeypatch.context() as patch:
        patch.setattr("rlrec.agents.policies.save_artifact", interrupted)
        with pytest.raises(KeyboardInterrupt):
            other.save(folder)
    assert sorted(path.name for path in folder.rglob("*")) == before
    again = AgentPolicy.load(folder)
    assert np.array_equal(again.action_probs(interests()), expected)
    assert np.array_equal(again.observer.interests([["i0"]]), agent.observer.interests([["i0"]]))
    other.save(folder)
    assert len(list(folder.glob("observer*"))) == 1
    assert np.array_equal(AgentPolicy.load(folder).observer.interests([["i0"]]), other.observer.interests([["i0"]]))


@pytest.mark.parametrize(
    "config", [A2CConfig(total_steps=512, n_steps=8), DQNConfig(total_steps=512, learning_starts=64, batch_size=32)]
)
def test_other_algorithms_start_as_the_user_model_train_and_come_back_from_disk(config, tmp_path):
    start = AgentPolicy(build_network(cycle_model(), config), cycle_model(), config)
    greedy, _ = GreedyPolicy(cycle_model()).predict(interests(), deterministic=True)
    assert np.array_equal(start.predict(interests(), deterministic=True)[0], greedy)
    agent = train_agent(make_vec(cycle_model(), num_envs=16), config, seed=0, show_progress=False)
    assert np.allclose(agent.action_probs(interests()).sum(1), 1.0)
    assert not np.array_equal(agent.action_probs(interests()), start.action_probs(interests()))
    agent.save(tmp_path / "agent")
    assert np.array_equal(
        AgentPolicy.load(tmp_path / "agent").action_probs(interests()), agent.action_probs(interests())
    )


@pytest.mark.parametrize("part", ["mask", "mask_bits"])
def test_masked_items_are_never_shown_in_training_or_after(part):
    blocked = np.zeros(N_ITEMS, bool)
    blocked[[1, 3]] = True
    env = make_vec(cycle_model(), num_envs=16, blocked=blocked, hide_seen=True, observation=("interest", part))
    agent = train_agent(env, TINY, seed=0, show_progress=False)  # the environment refuses masked items
    observation, _ = env.reset(seed=9)
    for deterministic in (True, False):
        env.step(agent.predict(observation, deterministic=deterministic)[0])
        observation, _ = env.reset(seed=9)
    assert (agent.action_probs(observation)[~env.action_masks()] == 0).all()


def test_candidates_are_ranked_and_the_ranking_starts_as_the_user_models():
    neighbors = cooccurrence_neighbors(cycle_log(), 2)
    retriever = Retriever(neighbors, cycle_log().item_counts, n_candidates=4, n_recent=1, n_explored=1)
    env = make_vec(cycle_model(), num_envs=16, retriever=retriever, slate_size=2)
    agent = train_agent(env, TINY, seed=0, show_progress=False)
    observation, _ = env.reset(seed=4)
    actions, _ = agent.predict(observation, deterministic=True)
    assert actions.shape == (16, 2)
    fresh = network_for(env, replace(TINY, alpha_init=2.0))
    logits = fresh.logits({name: torch.from_numpy(column) for name, column in observation.items()})
    expected = 2.0 * 10 * observation["candidate_features"][..., 0]
    np.testing.assert_allclose(logits.detach().numpy(), expected, atol=1e-4)
    with pytest.raises(InvalidArgumentError, match="DQN does not rank candidates"):
        train_agent(make_vec(cycle_model(), num_envs=16, retriever=retriever), DQNConfig(), show_progress=False)
