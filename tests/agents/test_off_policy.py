"""Learning from a log alone: the correction by hand, returns, sentences, and what it gains in a known world."""

import numpy as np
import pytest
import torch

from rlrec.agents.actor_critic import PlainActorCritic
from rlrec.agents.baselines import GreedyPolicy
from rlrec.agents.logged_steps import LoggedSteps
from rlrec.agents.off_policy import clone_behavior, off_policy_loss, top_k_weight, train_off_policy
from rlrec.agents.offline_config import OfflineConfig
from rlrec.core.errors import InvalidArgumentError, MissingPropensityError
from rlrec.envs.vector import make_vec
from rlrec.evaluation.collect import collect
from rlrec.testing.oracles import LeaveWorld
from tests.agents.logs import logged
from tests.small import N_ITEMS, cycle_log, cycle_model


def test_the_correction_is_the_papers_by_hand():
    probs = torch.tensor([0.5, 0.1, 0.9])
    torch.testing.assert_close(top_k_weight(probs, 1), torch.ones(3))
    torch.testing.assert_close(top_k_weight(probs, 2), torch.tensor([2 * 0.5, 2 * 0.9, 2 * 0.1]))
    torch.testing.assert_close(top_k_weight(probs, 4), torch.tensor([4 * 0.5**3, 4 * 0.9**3, 4 * 0.1**3]))


def test_it_is_the_slope_of_being_among_k_draws():
    probs = torch.tensor([0.2, 0.6], dtype=torch.double, requires_grad=True)
    among = 1 - (1 - probs) ** 3
    among.sum().backward()
    torch.testing.assert_close(probs.grad, top_k_weight(probs.detach(), 3))


def test_the_gradient_is_the_papers_by_hand():
    logits = torch.tensor([[0.3, -0.2, 0.1]], dtype=torch.double, requires_grad=True)
    log_prob = logits.log_softmax(-1)[:, 1]
    off_policy_loss(log_prob, torch.tensor([2.0]), torch.tensor([0.01]), k=3, clip=5.0).backward()
    pi = logits.detach().softmax(-1)[0]
    slope = torch.tensor([0.0, 1.0, 0.0]) - pi  # of log pi(1)
    torch.testing.assert_close(logits.grad[0], -5.0 * 3 * (1 - pi[1]) ** 2 * 2.0 * slope)


def test_returns_stop_at_the_end_of_an_episode():
    steps = LoggedSteps(
        observation=np.zeros((5, 2), np.float32),
        action=np.zeros(5, int),
        reward=np.array([1.0, 0, 2, 4, 8]),
        start=np.array([True, False, False, True, False]),
    )
    assert steps.returns(0.5).tolist() == [1.5, 1.0, 2.0, 8.0, 8.0]


@pytest.mark.learning
def test_reinforce_beats_cloning_in_the_true_world():
    world = LeaveWorld(200, n_items=10)
    behavior = np.full((4, 10), 0.05)
    behavior[np.arange(4), world.click_probs.argmax(axis=1)] += 0.5  # the log's policy chases clicks
    steps = logged(world, lambda observation: behavior[observation.argmax(axis=1)], 150)
    config = OfflineConfig(n_epochs=8, learning_rate=1e-2, gamma=1.0)
    values = {}
    for name, train in (("bc", clone_behavior), ("reinforce", train_off_policy)):
        torch.manual_seed(0)
        agent = train(None, steps, config, network=PlainActorCritic(4, 10, 32), show_progress=False)
        values[name] = world.value(agent.action_probs(world.observations()))
    assert values["bc"] == pytest.approx(world.value(behavior), rel=0.05)
    assert values["reinforce"] > 1.5 * values["bc"]


def test_a_policy_starts_as_its_observer_and_comes_back_from_disk(tmp_path):
    model = cycle_model()
    observation = model.interests(cycle_log().sequences())
    steps = LoggedSteps(
        observation=observation,
        action=np.arange(len(observation)) % N_ITEMS,
        reward=np.ones(len(observation)),
        start=np.ones(len(observation), bool),
        behavior_probs=np.full(len(observation), 1 / N_ITEMS),
    )
    config = OfflineConfig(n_epochs=2, rank=4, hidden_size=8)
    first = train_off_policy(model, steps, config, show_progress=False)
    again = train_off_policy(model, steps, config, show_progress=False)
    assert np.array_equal(first.action_probs(observation), again.action_probs(observation))
    first.save(tmp_path / "agent")
    loaded = type(first).load(tmp_path / "agent")
    assert np.array_equal(loaded.action_probs(observation), first.action_probs(observation))


def test_wrong_logs_get_a_sentence():
    columns = {"observation": np.zeros((2, 2), np.float32), "action": np.zeros(2, int), "reward": np.zeros(2)}
    with pytest.raises(InvalidArgumentError, match=r"start\[0\] is not True"):
        LoggedSteps(**columns, start=np.array([False, True]))
    with pytest.raises(InvalidArgumentError, match="reward must have one row for each of the 2 actions, got 3"):
        LoggedSteps(**(columns | {"reward": np.zeros(3)}), start=np.ones(2, bool))
    with pytest.raises(MissingPropensityError, match="use clone_behavior, which does without"):
        train_off_policy(cycle_model(), LoggedSteps(**columns, start=np.ones(2, bool)))


def test_collected_episodes_are_logged_steps():
    env = make_vec(cycle_model(), num_envs=8)
    episodes = collect(env, GreedyPolicy(cycle_model(), temperature=2.0), n_users=20, seed=3)
    steps = LoggedSteps.from_trajectories(episodes)
    assert np.flatnonzero(steps.start).tolist() == episodes.offsets[:-1].tolist()
    np.testing.assert_allclose(steps.returns(1.0)[episodes.offsets[:-1]], episodes.returns)
    assert ((steps.behavior_probs > 0) & (steps.behavior_probs <= 1)).all()
    slates = collect(make_vec(cycle_model(), num_envs=8, slate_size=2), GreedyPolicy(cycle_model(), 2), n_users=4)
    with pytest.raises(InvalidArgumentError, match="needs single items, got slates of 2"):
        LoggedSteps.from_trajectories(slates)
    blind = collect(env, GreedyPolicy(cycle_model()), n_users=4, keep_observations=False)
    with pytest.raises(InvalidArgumentError, match="collect them with keep_observations=True"):
        LoggedSteps.from_trajectories(blind)
