"""Collecting with a known logger: exact propensities, no neighbours, and estimates that meet the roll-out."""

import numpy as np
import pytest

from rlrec.agents.baselines import GreedyPolicy, PopularPolicy
from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.data.trajectories import Trajectories
from rlrec.envs.config import SimulatorConfig
from rlrec.envs.nearest import NearestItems
from rlrec.envs.vector import RecommendationVectorEnv
from rlrec.evaluation.collect import collect
from rlrec.evaluation.logged_trajectories import decisions, policy_probs, slate_probs, slates, target_slate_probs
from rlrec.evaluation.ope import difference, pdis, rips, sips, snips
from rlrec.evaluation.rollout import evaluate_policies
from rlrec.evaluation.slate_draws import Slots
from rlrec.models.counting import MarkovModel
from tests.agents.conftest import ring_log


@pytest.fixture(scope="module")
def people():
    return MarkovModel.fit(ring_log())


def world(people, num_envs=64, slate_size=1, horizon=3):
    return RecommendationVectorEnv(people, num_envs, slate_size=slate_size, config=SimulatorConfig(horizon=horizon))


def softened(people, slate_size=1):
    return GreedyPolicy(people, slate_size, temperature=2.0)


@pytest.mark.parametrize("num_envs", [3, 50])
def test_a_batch_of_any_size_collects_the_same(people, num_envs):
    policy = softened(people)
    one, many = (collect(world(people, n), policy, n_users=20, seed=3) for n in (1, num_envs))
    for name in ("offsets", "user", "slate", "reward", "clicked", "item", "gap", "terminated"):
        np.testing.assert_array_equal(getattr(one, name), getattr(many, name), err_msg=name)
    np.testing.assert_allclose(one.observation, many.observation, atol=1e-6)


def test_propensities_are_those_of_the_policy(people):
    policy = softened(people)
    episodes = collect(world(people), policy, n_users=50)
    log = decisions(episodes, policy)
    taken = log.behavior_probs[np.arange(log.n_rows), log.action]
    np.testing.assert_allclose(log.behavior_prob, taken, rtol=1e-6)
    assert log.n_units == 50
    assert episodes.lengths.max() <= 3
    np.testing.assert_array_equal(episodes.truncated, ~episodes.terminated)


def test_a_greedy_policy_collects_what_the_rollout_counts(people):
    class Greedy:
        """Has no probabilities."""

        observer = people

        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return GreedyPolicy(people).predict(observation, deterministic=True)

    env = world(people)
    episodes = collect(env, Greedy(), n_users=40, seed=5)
    counted = evaluate_policies({"greedy": GreedyPolicy(people)}, env, n_users=40, seed=5)["greedy"]
    np.testing.assert_array_equal(episodes.returns, counted.return_)
    assert episodes.behavior_log_probs is None


def test_estimates_meet_the_rollout(people):
    env, logger, target = world(people, 500), softened(people), GreedyPolicy(people, temperature=1.5)
    log = collect(env, logger, n_users=4000, seed=1)
    truth = collect(env, target, n_users=20_000, seed=2)
    rows = decisions(log)
    got = pdis(rows, policy_probs(target, log))
    assert got.low - 0.02 <= truth.returns.mean() <= got.high + 0.02
    wrong = log.returns.mean()  # to take the logger's own return for the target's is far off
    assert abs(wrong - truth.returns.mean()) > 2 * (got.high - got.low)


def test_slates_meet_the_rollout(people):
    env, logger, target = (
        world(people, 500, 2, horizon=1),
        softened(people, 2),
        GreedyPolicy(people, 2, temperature=1.5),
    )
    log = collect(env, logger, n_users=4000, seed=1)
    truth = collect(env, target, n_users=20_000, seed=2).returns.mean()
    given = target_slate_probs(target, log)
    whole = sips(slates(log, "slate"), slate_probs(given, "slate"))
    assert whole.low - 0.01 <= truth <= whole.high + 0.01
    # People here weigh the items of a slate against each other: looking from top to bottom is the wrong assumption.
    cascade = rips(slates(log, "cascade"), slate_probs(given, "cascade"))
    assert cascade.low - 0.01 > truth
    in_slots = collect(env, logger, n_users=50, draw=Slots())
    assert (in_slots.slate % 2 == [0, 1]).all()


def test_through_a_log_the_estimate_is_the_same(people):
    like = ring_log()
    policy, target = softened(people), PopularPolicy(people.space.item_counts)
    episodes = collect(world(people), policy, n_users=300)
    probs = policy_probs(target, episodes)
    direct, through = (snips(decisions(source), probs) for source in (episodes, episodes.to_log(like)))
    assert (through.value, through.low) == pytest.approx((direct.value, direct.low), rel=1e-9)
    assert difference(direct, through).value == pytest.approx(0.0, abs=1e-12)


def test_wrong_uses_get_a_sentence(people):
    with pytest.raises(InvalidArgumentError, match="n_users must be at least 1, got 0"):
        collect(world(people), softened(people), n_users=0)
    pairs = collect(world(people, 8, 2), softened(people, 2), n_users=8)
    with pytest.raises(InvalidArgumentError, match="trajectories must show one item a step, got slates of 2"):
        decisions(pairs)
    with pytest.raises(InvalidArgumentError, match="probability must be one of"):
        slates(pairs, "row")
    blind = collect(world(people), softened(people), n_users=8, keep_observations=False)
    with pytest.raises(DataError, match="trajectories must have observations to ask a policy, got None"):
        policy_probs(softened(people), blind)
    assert isinstance(blind, Trajectories)


def test_a_policy_that_answers_with_points_is_collected_by_what_was_shown(people):
    vectors = np.eye(people.n_items)
    config = SimulatorConfig(horizon=3)
    there = RecommendationVectorEnv(people, 16, slate_size=2, config=config, nearest=NearestItems(vectors))

    class Pointer:
        """Wants items 3 and 1, in this order."""

        observer = people

        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return np.repeat((vectors[3] + 0.5 * vectors[1])[None], len(observation), 0).astype(np.float32), state

    episodes = collect(there, Pointer(), n_users=30)
    assert (episodes.slate == [3, 1]).all()
    assert episodes.behavior_log_probs is None

    class Names(Pointer):
        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return np.tile([3, 1], (len(observation), 1)), state

    same = collect(world(people, 16, 2), Names(), n_users=30)
    np.testing.assert_array_equal(same.reward, episodes.reward)


def test_points_for_an_environment_of_items_and_items_for_one_of_points_are_refused(people):
    class Floats:
        observer = people

        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return np.full(len(observation), 1.7), state

    with pytest.raises(
        InvalidArgumentError,
        match=r"^policy must answer 8 observations with 1 item indices each to be collected from, got float64 of shape "
        r"\(8,\)$",
    ):
        collect(world(people, 8), Floats(), n_users=8)
    there = RecommendationVectorEnv(people, 8, nearest=NearestItems(np.eye(people.n_items)))
    with pytest.raises(
        InvalidArgumentError,
        match=r"^policy draws items, and this env takes points in item space; collect from one made without nearest=",
    ):
        collect(there, softened(people), n_users=8)
