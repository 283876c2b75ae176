"""SQN, SNQN and CQL: their losses by hand, and what they gain over cloning in a known world."""

import numpy as np
import pytest
import torch
from scipy import stats

from rlrec.agents.actor_critic import PlainActorCritic
from rlrec.agents.logged_networks import PlainTwoHeadNetwork
from rlrec.agents.logged_q import conservative_penalty, negative_loss, td_targets, train_logged_q
from rlrec.agents.logged_steps import LoggedSteps
from rlrec.agents.off_policy import clone_behavior
from rlrec.agents.offline_config import CQLConfig, OfflineConfig, SQNConfig
from rlrec.agents.policies import AgentPolicy, build_network
from rlrec.agents.q_networks import PlainQNetwork
from rlrec.core.errors import InvalidArgumentError, InvalidTypeError
from rlrec.testing.oracles import LeaveWorld
from tests.agents.logs import logged
from tests.small import cycle_log, cycle_model


def test_the_target_is_double_q_by_hand():
    online = torch.tensor([[1.0, 3.0], [5.0, 2.0]])
    target = torch.tensor([[10.0, 20.0], [30.0, 40.0]])
    found = td_targets(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 1.0]), online, target, 0.5)
    assert found.tolist() == [1 + 0.5 * 20, 2.0]  # the first row's best by the network, priced by its copy


def test_the_penalty_by_hand():
    q = torch.tensor([[0.0, np.log(3.0)], [1.0, 1.0]])
    expected = ((np.log(4) - np.log(3)) + np.log(2)) / 2
    assert float(conservative_penalty(q, torch.tensor([1, 0]))) == pytest.approx(expected)


def test_negatives_earn_nothing_and_change_nothing_by_hand():
    q = torch.tensor([[1.0, 4.0, 2.0]], requires_grad=True)
    slow = torch.tensor([[0.0, 6.0, 0.0]])
    loss = negative_loss(q, slow, torch.tensor([[0, 2]]), 0.5)  # both should be worth 0.5 * 6
    assert loss.item() == pytest.approx(((1 - 3) ** 2 + (2 - 3) ** 2) / 2)
    loss.backward()
    assert q.grad.tolist() == [[-2.0, 0.0, -1.0]]


def test_what_follows_a_step_ends_with_its_episode():
    steps = LoggedSteps(np.zeros((4, 1), np.float32), np.zeros(4, int), np.zeros(4), np.array([1, 0, 1, 0], bool))
    after, terminal = steps.transitions()
    assert after.tolist() == [1, 1, 3, 3]
    assert terminal.tolist() == [False, True, False, True]


def test_it_starts_as_the_observers_forecast():
    interests = cycle_model().interests(cycle_log().sequences())
    network = build_network(cycle_model(), SQNConfig(rank=4, hidden_size=8))
    agent = AgentPolicy(network, cycle_model(), SQNConfig())
    expected = cycle_model().scores(cycle_log().sequences()).softmax(-1).numpy()
    np.testing.assert_allclose(agent.action_probs(interests), expected, atol=1e-6)


def test_wrong_use_gets_a_sentence():
    steps = LoggedSteps(np.zeros((1, 4), np.float32), np.zeros(1, int), np.zeros(1), np.ones(1, bool))
    with pytest.raises(InvalidArgumentError, match="give an observer, or a network to train"):
        train_logged_q(None, steps)
    plain = PlainQNetwork(4, 3, temperature=1.0, hidden_size=4)
    with pytest.raises(InvalidTypeError, match="SQN trains a TwoHeadNetwork, got a PlainQNetwork"):
        train_logged_q(None, steps, SQNConfig(), network=plain)
    with pytest.raises(InvalidArgumentError, match="target_rate"):
        SQNConfig(target_rate=0.0)


@pytest.mark.learning
@pytest.mark.parametrize(
    "config",
    [
        SQNConfig(n_epochs=20, learning_rate=1e-2, gamma=0.99, temperature=0.05, target_rate=0.1),
        CQLConfig(n_epochs=20, learning_rate=1e-2, gamma=0.99, temperature=0.05, target_rate=0.1, cql_alpha=0.01),
    ],
    ids=["sqn", "cql"],
)
def test_from_a_log_alone_they_beat_cloning_in_the_true_world(config):
    """Eight logs and training seeds; a 95 % interval of the difference in exact returns."""
    world = LeaveWorld(200, n_items=10)
    behavior = np.full((4, 10), 0.05)
    behavior[np.arange(4), world.click_probs.argmax(axis=1)] += 0.5  # the log's policy chases clicks
    gains, cloned = [], []
    for seed in range(8):
        steps = logged(world, lambda observation: behavior[observation.argmax(axis=1)], 150, seed=seed)
        torch.manual_seed(seed)
        sizes = {"temperature": config.temperature, "hidden_size": 32}
        network = (PlainTwoHeadNetwork if isinstance(config, SQNConfig) else PlainQNetwork)(4, 10, **sizes)
        agent = train_logged_q(None, steps, config, network=network, seed=seed, show_progress=False)
        clone = clone_behavior(
            None, steps, OfflineConfig(learning_rate=1e-2), network=PlainActorCritic(4, 10, 32), show_progress=False
        )
        values = [world.value(policy.action_probs(world.observations())) for policy in (agent, clone)]
        gains.append(values[0] - values[1])
        cloned.append(values[1])
    assert np.mean(cloned) == pytest.approx(world.value(behavior), rel=0.1)
    low, _ = stats.t.interval(0.95, len(gains) - 1, np.mean(gains), stats.sem(gains))
    assert low > 0.5 * np.mean(cloned)  # well over half more
