"""Terms of rewards by hand, and their weighted sum in the environment."""

import numpy as np
import pytest

from rlrec.core.errors import InvalidArgumentError
from rlrec.envs.rewards import Diversity, Doubt, EventReward, ItemValue, Novelty, Retention, RewardSum, Step
from rlrec.envs.simulator import Responses
from rlrec.envs.vector import make_vec
from tests.small import N_ITEMS, cycle_model


def step() -> Step:
    responses = Responses(
        position=np.array([1, -1]),
        item=np.array([2, 3]),
        event=np.array([1, 0]),
        gap=np.zeros(2, int),
        left=np.array([False, True]),
        click_probs=np.zeros((2, 2)),
        leave_probs=np.zeros(2),
        streak=np.array([0, 1]),
        disagreement=np.array([0.25, 0.5]),
    )
    return Step(np.array([[0, 2], [1, 3]]), responses)


def test_terms_by_hand():
    assert EventReward((1.0, 5.0))(step()).tolist() == [5.0, 0.0]
    prices = np.array([1.0, 2.0, 30.0, 4.0])
    assert ItemValue(prices)(step()).tolist() == [30.0, 0.0]
    assert ItemValue(prices, events=(0,))(step()).tolist() == [0.0, 0.0]
    assert Retention()(step()).tolist() == [1.0, 0.0]
    assert Doubt()(step()).tolist() == [0.25, 0.5]


def test_diversity_is_one_minus_the_mean_cosine():
    vectors = np.array([[1.0, 0], [0, 2], [1, 1], [3, 3]])
    got = Diversity(vectors)(step())
    np.testing.assert_allclose(got, [1 - np.sqrt(0.5), 1 - np.sqrt(0.5)])
    assert Diversity(vectors)(Step(np.array([[2], [3]]), step().responses)).tolist() == [0, 0]


def test_novelty_is_one_for_the_rarest_and_less_for_others():
    novelty = Novelty(np.array([9, 3, 0, 1]))
    surprise = -np.log2(np.array([10, 4, 1, 2]) / 17)
    np.testing.assert_allclose(
        novelty(step()), [surprise[[0, 2]].mean() / surprise[2], surprise[[1, 3]].mean() / surprise[2]]
    )


def test_the_environment_gives_the_weighted_sum_and_the_terms_apart():
    terms = {"clicks": (1.0, EventReward((1.0,))), "novelty": (0.5, Novelty(cycle_model().space.item_counts))}
    env = make_vec(cycle_model(), num_envs=16, slate_size=2, rewards=terms)
    env.reset(seed=0)
    slates = np.tile([0, 1], (16, 1))
    _, rewards, _, _, infos = env.step(slates)
    assert env.reward_names == ("clicks", "novelty")
    assert infos["reward_terms"].shape == (16, 2)
    np.testing.assert_allclose(rewards, infos["reward_terms"] @ [1.0, 0.5])
    assert np.array_equal(infos["reward_terms"][:, 0], infos["clicked_item"] >= 0)
    assert env.view(4).reward_names == env.reward_names
    assert env.n_items == N_ITEMS


def test_wrong_terms_get_a_sentence():
    with pytest.raises(InvalidArgumentError, match="at least one term"):
        RewardSum({})
    with pytest.raises(InvalidArgumentError, match="must be finite, got \\[nan\\]"):
        RewardSum({"clicks": (float("nan"), Retention())})
