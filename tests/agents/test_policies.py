"""Policies: laws, training and disk."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from rlrec.agents.baselines import GreedyPolicy, ItemKNNPolicy, PopularPolicy, RandomPolicy
from rlrec.agents.config import PPOConfig
from rlrec.agents.policies import AgentPolicy, build_network
from rlrec.agents.training import train_agent
from rlrec.core.errors import ArtifactError, InvalidArgumentError
from rlrec.core.progress import read_metrics
from rlrec.core.protocols import StochasticPolicy
from rlrec.envs.candidates import cooccurrence_cosines, cooccurrence_neighbors
from rlrec.envs.vector import RecommendationVectorEnv, make_vec
from rlrec.evaluation.rollout import evaluate_policies
from tests.small import cycle_log, cycle_model

TINY = PPOConfig(total_steps=256, n_steps=16, batch_size=64, n_epochs=2, rank=4, hidden_size=8)


def trained(model, slate_size=1, folder=None, seed=0):
    return train_agent(RecommendationVectorEnv(model, 8, slate_size=slate_size), TINY, seed=seed, folder=folder)


def policies(model, slate_size):
    counts = model.space.item_counts
    return [
        AgentPolicy(build_network(model, TINY), model, TINY, slate_size=slate_size),
        RandomPolicy(model.n_items, slate_size),
        PopularPolicy(counts, slate_size),
        GreedyPolicy(model, slate_size),
    ]


@pytest.mark.parametrize("slate_size", [1, 3])
def test_the_laws_of_a_policy(model, slate_size):
    interests = model.interests([[3, 4], [5], [1, 2, 3]])
    for policy in policies(model, slate_size):
        assert isinstance(policy, StochasticPolicy)
        probs = policy.action_probs(interests)
        assert probs.shape == (3, model.n_items)
        np.testing.assert_allclose(probs.sum(1), 1, atol=1e-9)
        for deterministic in (True, False):
            actions, state = policy.predict(interests, "state", deterministic=deterministic)
            assert state == "state"
            assert actions.dtype == np.int64
            assert actions.shape == ((3,) if slate_size == 1 else (3, slate_size))
            if slate_size > 1:
                assert all(len(set(slate)) == slate_size for slate in actions.tolist())
        if not isinstance(policy, RandomPolicy):
            first, again = (policy.predict(interests, deterministic=True)[0] for _ in range(2))
            np.testing.assert_array_equal(first, again)


def test_draws_follow_the_probabilities(model):
    policy = GreedyPolicy(model, seed=1)
    interests = np.repeat(model.interests([[3, 4]]), 20_000, axis=0)
    drawn, _ = policy.predict(interests)
    frequency = np.bincount(drawn, minlength=model.n_items) / len(drawn)
    np.testing.assert_allclose(frequency, policy.action_probs(interests[:1])[0], atol=0.015)


def test_greedy_shows_what_the_model_recommends(model):
    histories = [[3, 4], [7]]
    slates, _ = GreedyPolicy(model, 3).predict(model.interests(histories), deterministic=True)
    np.testing.assert_array_equal(model.space.items.ids[slates], model.recommend(histories, k=3))


def test_training_is_deterministic_and_leaves_the_global_generators_alone(model):
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    expected = np.random.RandomState(1).rand(), torch.rand(1, generator=torch.Generator().manual_seed(1))
    first, second = trained(model), trained(model)
    assert (np.random.rand(), torch.rand(1)) == expected  # noqa: NPY002
    for mine, theirs in zip(first.network.parameters(), second.network.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)
    assert any(
        not torch.equal(a, b)
        for a, b in zip(first.network.parameters(), trained(model, seed=1).network.parameters(), strict=True)
    )


def test_training_writes_metrics(model, tmp_path):
    trained(model, folder=tmp_path)
    records = list(read_metrics(tmp_path / "metrics.jsonl"))
    assert records[-1]["step"] == 256
    assert {"agents/ppo/return", "agents/ppo/value_loss", "agents/ppo/alpha"} <= set(records[-1])


def test_training_moves_only_the_agent(model):
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    agent = trained(model)
    assert agent.network.item_bonus.abs().sum() > 0
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_slates_train_and_have_exact_probabilities(model):
    agent = trained(model, slate_size=2)
    interests = np.repeat(model.interests([[3, 4]]), model.n_items * (model.n_items - 1), axis=0)
    slates = np.array([(i, j) for i in range(model.n_items) for j in range(model.n_items) if i != j])
    assert abs(np.exp(agent.slate_log_probs(interests, slates)).sum() - 1) < 1e-9


@pytest.mark.parametrize("key", ["parts", "slate_size"])
def test_a_manifest_that_lacks_a_key_says_so(model, tmp_path, key):
    AgentPolicy(build_network(model, TINY), model, TINY).save(tmp_path)
    path = tmp_path / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["content"][key]
    path.write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=rf"the manifest in .* lacks {key}; train the agent again"):
        AgentPolicy.load(tmp_path)


def test_an_agent_loads_equal_in_a_fresh_process(model, tmp_path):
    agent = trained(model, slate_size=2)
    agent.save(tmp_path / "agent")
    interests = model.interests([[3, 4], [5]])
    np.save(tmp_path / "interests.npy", interests)
    script = (
        "import sys, numpy as np\n"
        "from rlrec.agents.policies import AgentPolicy\n"
        f"agent = AgentPolicy.load({str(tmp_path / 'agent')!r})\n"
        f"interests = np.load({str(tmp_path / 'interests.npy')!r})\n"
        f"np.savez({str(tmp_path / 'out.npz')!r}, probs=agent.action_probs(interests), "
        "actions=agent.predict(interests)[0], ids=agent.recommend([[3, 4], []], k=4))\n"
        "assert 'stable_baselines3' not in sys.modules, 'acting must not need SB3'\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    loaded = np.load(tmp_path / "out.npz")
    np.testing.assert_array_equal(loaded["probs"], agent.action_probs(interests))
    np.testing.assert_array_equal(loaded["ids"], agent.recommend([[3, 4], []], k=4))
    fresh = AgentPolicy.load(tmp_path / "agent")
    np.testing.assert_array_equal(loaded["actions"], fresh.predict(interests)[0])


def test_recommend_can_leave_out_what_was_seen(model):
    agent = AgentPolicy(build_network(model, TINY), model, TINY)
    ids = agent.recommend([[3, 4, 5], []], k=9, exclude_seen=True)
    assert ids.shape == (2, 9)
    assert not set(ids[0].tolist()) & {3, 4, 5}
    assert all(len(set(row)) == 9 for row in ids.tolist())


def test_wrong_observations_and_k_get_a_sentence(model):
    agent = AgentPolicy(build_network(model, TINY), model, TINY)
    with pytest.raises(InvalidArgumentError, match="interest vectors"):
        agent.predict(np.zeros((2, 3)))
    with pytest.raises(InvalidArgumentError, match="k must lie"):
        agent.recommend([[3]], k=0)


def test_item_knn_shows_what_shares_sessions_with_the_last_items():
    log = cycle_log()
    cosines = cooccurrence_cosines(log)
    near = cooccurrence_neighbors(log, 1)[:, 0]
    assert (cosines.argmax(axis=1) == near).all()
    policy = ItemKNNPolicy(cosines, log.item_counts)
    history = np.array([[3, 0], [1, 0], [0, 0]])  # items 2 and 0, and a newcomer
    actions, _ = policy.predict({"history": history}, deterministic=True)
    assert actions.tolist() == [near[2], near[0], int(log.item_counts.argmax())]
    with pytest.raises(InvalidArgumentError, match="item-kNN acts on histories"):
        policy.predict(np.zeros((2, 3)))
    env = make_vec(cycle_model(), num_envs=20, observation=("interest", "history"))
    policies = {"knn": policy, "greedy": GreedyPolicy(cycle_model()), "random": RandomPolicy(log.n_items)}
    results = evaluate_policies(policies, env, n_users=40, show_progress=False)
    assert results.estimate("greedy").value > results.estimate("random").value
