"""Rollouts: every user once, the same people for all, arithmetic by hand."""

from dataclasses import replace

import numpy as np
import pytest

from rlrec.agents.baselines import GreedyPolicy, PopularPolicy, RandomPolicy
from rlrec.core.errors import InvalidArgumentError
from rlrec.envs.config import SimulatorConfig
from rlrec.envs.vector import RecommendationVectorEnv
from rlrec.evaluation.means import Z_95, mean_estimate, ratio_estimate
from rlrec.evaluation.rollout import PolicyRollout, RolloutResults, evaluate_policies, popularity_percentile
from rlrec.models.counting import MarkovModel
from tests.agents.conftest import model, ring_log  # noqa: F401


def rollout(returns, shown=((0, 0),)):
    n = len(returns)
    return PolicyRollout(
        return_=np.array(returns, float),
        clicks=np.zeros(n, int),
        session_length=np.ones(n, int),
        truncated=np.zeros(n, bool),
        shown=np.array(shown),
        popularity_sum=np.ones(n),
        n_shown=np.full(n, 2),
        n_items=4,
    )


def test_a_paired_difference_by_hand():
    results = RolloutResults({"a": rollout([3, 5, 1, 4]), "b": rollout([1, 4, 1, 1])})
    difference = results.paired("a", "b")  # 2, 1, 0, 3: mean 1.5, variance 5/3
    assert difference.value == 1.5
    half = Z_95 * np.sqrt(5 / 3 / 4)
    assert (difference.low, difference.high) == pytest.approx((1.5 - half, 1.5 + half))
    with pytest.raises(InvalidArgumentError, match="there is no policy"):
        results.paired("a", "c")
    with pytest.raises(InvalidArgumentError, match="metric"):
        results.paired("a", "b", "coverage")


def test_coverage_counts_distinct_items_and_its_interval_holds_it():
    estimate = rollout([1, 2, 3], shown=((0, 0), (0, 1), (1, 1), (2, 3))).estimate("coverage")
    assert estimate.value == 3 / 4
    assert 0 <= estimate.low < 3 / 4 <= estimate.high <= 1


def test_ratio_of_sums_by_hand():
    estimate = ratio_estimate(np.array([1.0, 4.0]), np.array([2, 4]))
    residuals = np.array([1 - 2 * 5 / 6, 4 - 4 * 5 / 6])
    error = np.sqrt((residuals**2).sum() * 2) / 6
    assert (estimate.value, estimate.high) == pytest.approx((5 / 6, 5 / 6 + Z_95 * error))


def test_percentiles_are_mid_ranks():
    np.testing.assert_allclose(popularity_percentile(np.array([5, 1, 5, 9])), [0.5, 0.125, 0.5, 0.875])


def one_by_one(model, policy, key):  # noqa: F811
    env = RecommendationVectorEnv(model, 1, config=SimulatorConfig(horizon=6))
    observation, _ = env.reset(seed=4, options={"users": np.array([key])})
    total, length, over = 0.0, 0, False
    while not over:
        actions, _ = policy.predict(observation, deterministic=True)
        observation, rewards, terminated, truncated, _ = env.step(actions)
        total, length, over = total + rewards[0], length + 1, bool(terminated[0] or truncated[0])
    return total, length


@pytest.mark.parametrize("num_envs", [3, 7, 64])
def test_each_user_counts_once_and_does_the_same_as_alone(model, num_envs):  # noqa: F811
    env = RecommendationVectorEnv(model, num_envs, config=SimulatorConfig(horizon=6))
    greedy = GreedyPolicy(model)
    got = evaluate_policies({"greedy": greedy}, env, n_users=20, seed=4)["greedy"]
    alone = [one_by_one(model, greedy, key) for key in range(20)]
    np.testing.assert_array_equal(got.return_, [total for total, _ in alone])
    np.testing.assert_array_equal(got.session_length, [length for _, length in alone])
    np.testing.assert_array_equal(got.clicks, got.return_)
    assert got.n_shown.sum() == got.session_length.sum()


def test_a_policy_sees_its_own_observer_and_meets_the_same_people(model):  # noqa: F811
    markov = MarkovModel.fit(ring_log())
    env = RecommendationVectorEnv(markov, 16, slate_size=2, observer=model)  # people who walk the ring
    counts = model.space.item_counts
    policies = {
        "random": RandomPolicy(model.n_items, 2),
        "popular": PopularPolicy(counts, 2),
        "lstm": GreedyPolicy(model, 2),
        "again": GreedyPolicy(model, 2),
        "markov": GreedyPolicy(markov, 2),
    }
    results = evaluate_policies(policies, env, n_users=100, seed=2)
    same = results.paired("again", "lstm")
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert results.estimate("popular", "coverage").value == 2 / model.n_items
    assert results.estimate("popular", "popularity_bias").value > 0.8
    assert results.estimate("random", "popularity_bias").value == pytest.approx(0.5, abs=0.05)
    assert results.paired("markov", "random").low > 0
    assert set(results.to_dict()) == set(policies)
    assert len(results.table().splitlines()) == 6


def test_too_few_users_or_no_policies_get_a_sentence(model):  # noqa: F811
    env = RecommendationVectorEnv(model, 2)
    with pytest.raises(InvalidArgumentError, match="n_users"):
        evaluate_policies({"random": RandomPolicy(model.n_items)}, env, n_users=1)
    with pytest.raises(InvalidArgumentError, match="policies"):
        evaluate_policies({}, env)
    with pytest.raises(InvalidArgumentError, match="2 values"):
        mean_estimate(np.ones(1))


def test_variety_and_novelty_by_hand():
    made = replace(rollout([1, 2], shown=((0, 0), (0, 1), (1, 3))), item_share=np.array([0.5, 0.25, 0.125, 0.125]))
    assert made.estimate("variety").value == 3 / 4  # two items shown to each; the second user saw one twice
    assert made.estimate("novelty").value == pytest.approx((1 + 2 + 3) / 3)
    with pytest.raises(InvalidArgumentError, match="item_share must be given for novelty, got None"):
        rollout([1, 2]).estimate("novelty")


def test_the_gap_between_groups_by_hand():
    made = rollout([3, 5, 1, 4])
    groups = np.array(["new", "new", "old", "old"])
    assert {label: e.value for label, e in made.by_group(groups).items()} == {"new": 4.0, "old": 2.5}
    gap = made.group_gap(groups)
    half = Z_95 * np.sqrt(2 / 2 + 4.5 / 2)  # each group's variance over its two users
    assert (gap.value, gap.high) == pytest.approx((1.5, 1.5 + half))
    with pytest.raises(InvalidArgumentError, match="groups must give each of 4 users one of two or more labels"):
        made.group_gap(np.zeros(4))
    with pytest.raises(InvalidArgumentError, match="metric must be one of return_, clicks, session_length"):
        made.group_gap(groups, "coverage")
