"""Agents that answer with vectors: they start near the user model, and the critic picks among what is near."""

import numpy as np
import pytest
import torch

from rlrec.agents.baselines import GreedyPolicy
from rlrec.agents.continuous_config import SACConfig, TD3Config
from rlrec.agents.policies import AgentPolicy, build_network
from rlrec.agents.proto_networks import ProtoNetwork
from rlrec.agents.training import train_agent
from rlrec.core.errors import InvalidArgumentError
from rlrec.envs.nearest import NearestItems
from rlrec.envs.vector import make_vec
from tests.small import N_ITEMS, cycle_log, cycle_model


def interests() -> np.ndarray:
    return cycle_model().interests(cycle_log().sequences())


def test_an_untrained_actor_that_takes_the_nearest_is_close_to_greedy():
    config = TD3Config(n_nearest=1)
    agent = AgentPolicy(build_network(cycle_model(), config), cycle_model(), config)
    ours, _ = agent.predict(interests(), deterministic=True)
    greedy, _ = GreedyPolicy(cycle_model()).predict(interests(), deterministic=True)
    assert (ours == greedy).mean() > 0.9


def test_the_critic_picks_among_the_nearest_and_never_another():
    torch.manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(9, 4), dim=1)
    for k in (1, 3, 9):
        network = ProtoNetwork(None, vectors, 5, hidden_size=8, n_nearest=k, temperature=0.1)
        people = torch.randn(20, 5)
        with torch.no_grad():
            near = network.actor(people).tanh() @ vectors.T  # (20, 9)
            pairs = torch.cat([people.repeat_interleave(9, 0), vectors.repeat(20, 1)], dim=1)
            q = network.critic(pairs).view(20, 9)
            among = torch.full_like(q, -torch.inf).scatter(1, near.topk(k, 1).indices, 0.0)
            assert torch.equal(network.logits(people).argmax(1), (q + among).argmax(1))


def test_slates_are_what_is_nearest_and_masks_are_obeyed_in_training():
    nearest = NearestItems.of(cycle_model())
    env = make_vec(cycle_model(), num_envs=8, slate_size=2, nearest=nearest, hide_seen=True)
    config = SACConfig(total_steps=256, learning_starts=64, batch_size=32)
    agent = train_agent(env, config, show_progress=False)
    shown, _ = agent.predict(interests(), deterministic=True)
    with torch.no_grad():
        points = agent.network.actor(torch.from_numpy(interests())).tanh().numpy()
    assert np.array_equal(shown, nearest(points, 2))


def test_an_item_space_of_ones_own_comes_back_from_disk(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(N_ITEMS, 3))
    env = make_vec(cycle_model(), num_envs=8, nearest=NearestItems(vectors))
    agent = train_agent(env, TD3Config(total_steps=64, learning_starts=8, batch_size=8), show_progress=False)
    agent.save(tmp_path / "td3")
    loaded = AgentPolicy.load(tmp_path / "td3")
    assert np.array_equal(loaded.action_probs(interests()), agent.action_probs(interests()))
    assert loaded.recommend([["i0"]], k=3).shape == (1, 3)


def test_wrong_environments_get_a_sentence():
    with pytest.raises(InvalidArgumentError, match="TD3 answers interest vectors with vectors in item space; make the"):
        train_agent(make_vec(cycle_model(), num_envs=4), TD3Config(), show_progress=False)
    with pytest.raises(InvalidArgumentError, match="actions must be items or slates of items, got the space Box"):
        train_agent(make_vec(cycle_model(), num_envs=4, nearest=NearestItems.of(cycle_model())), show_progress=False)
