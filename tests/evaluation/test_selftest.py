"""The selftest: scores by hand, and a small run in which the unbiased are unbiased and the wrong assumption shows."""

import numpy as np
import pytest

from rlrec.agents.baselines import GreedyPolicy, PopularPolicy, RandomPolicy
from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.core.estimate import Estimate
from rlrec.envs.config import SimulatorConfig
from rlrec.envs.vector import make_vec
from rlrec.evaluation.mixture import MixturePolicy
from rlrec.evaluation.selftest import _Tally, selftest
from rlrec.evaluation.selftest_config import SelfTestConfig
from rlrec.evaluation.selftest_tracks import TRACKS
from rlrec.models.counting import MarkovModel
from tests.agents.conftest import ring_log

SMALL = SelfTestConfig(n_logs=6, n_users=400, n_truth_users=4000)


@pytest.fixture(scope="module")
def people():
    return MarkovModel.fit(ring_log())


def run(people, track, **changed):
    expect, chance = GreedyPolicy(people), RandomPolicy(people.n_items)
    logger = MixturePolicy([expect, chance], [0.3, 0.7])
    targets = {
        "expected": MixturePolicy([logger, expect], [0.6, 0.4]),
        "popular": MixturePolicy([logger, PopularPolicy(people.space.item_counts)], [0.6, 0.4]),
        "chance": MixturePolicy([logger, chance], [0.5, 0.5]),
    }
    config = SimulatorConfig(horizon=1 if TRACKS[track].one_step else 20, impatience=0.0)
    env = make_vec(people, num_envs=400, slate_size=2 if track == "slate" else 1, config=config)
    return selftest(track, env, logger, targets, config=SMALL, **changed)


@pytest.mark.parametrize("track", ["bandit", "slate", "sequential"])
def test_unbiased_estimators_are_unbiased_here(people, track):
    found = run(people, track)
    assert set(found.scores) == set(TRACKS[track].estimators)
    assert found.truths["expected"] > found.logger_return > found.truths["chance"]
    unbiased = {"bandit": ["ips", "dr", "sndr"], "slate": ["sips"], "sequential": ["tis", "pdis", "sequential_dr"]}
    for name in unbiased[track]:
        assert found.scores[name].z < 4, name  # the largest of three: 1 in 5,000
        assert found.scores[name].coverage > 0.6, name
    for name, score in found.scores.items():
        assert score.failed == 0, name
        assert np.isfinite([score.rmse, score.bias, score.seconds]).all(), name
    assert found.to_dict()["scores"].keys() == found.scores.keys()


def test_the_reward_model_ranks_the_targets(people):
    assert run(people, "bandit").scores["dr"].rank_correlation > 0.8


def estimate(value):
    return Estimate(value=value, low=value - 1, high=value + 1, n=10, effective_sample_size=10, reliable=value > 2)


def test_scores_by_hand():
    said = np.array([[1.0, 2.0, 3.5], [2.0, 1.0, 6.0]])  # two logs, three targets with truths 1, 2 and 3
    tally = _Tally(2, 3)
    for index in range(2):
        for column in range(3):
            tally.add(index, column, lambda case, index=index, column=column: estimate(said[index, column]), None)
    score = tally.score([np.full(5, truth) for truth in (1.0, 2.0, 3.0)])
    error = said - [1.0, 2.0, 3.0]
    assert score.bias == pytest.approx(np.abs(error.mean(axis=0)).mean())
    assert score.rmse == pytest.approx(np.sqrt((error**2).mean()))
    assert score.coverage == 5 / 6
    assert score.reliable == 2 / 6
    assert score.reliable_coverage == 1 / 2
    assert score.rank_correlation == pytest.approx((1 + 0.5) / 2)
    assert score.failed == 0


def test_a_refusal_is_counted():
    def refuse(case):
        raise DataError("no")

    tally = _Tally(2, 1)
    tally.add(0, 0, refuse, None)
    tally.add(1, 0, lambda case: estimate(1.0), None)
    assert tally.score([np.ones(3)]).failed == 0.5


def test_wrong_uses_get_a_sentence(people):
    env = make_vec(people, num_envs=10)
    logger = GreedyPolicy(people)
    with pytest.raises(InvalidArgumentError, match="env must have a horizon of 1 for the bandit track, got 50"):
        selftest("bandit", env, logger, {"same": logger}, config=SMALL)
    with pytest.raises(InvalidArgumentError, match="targets must name at least one policy, got none"):
        selftest("sequential", env, logger, {}, config=SMALL)
    with pytest.raises(InvalidArgumentError, match="n_logs must be at least 2, got 1"):
        SelfTestConfig(n_logs=1)
    with pytest.raises(InvalidArgumentError, match="shares must be 1 numbers of at least 0 that sum to 1"):
        MixturePolicy([logger], [0.5])


def test_a_mixture_draws_as_its_probabilities_say(people):
    mixed = MixturePolicy([GreedyPolicy(people), RandomPolicy(people.n_items)], [0.5, 0.5])
    seen = np.tile(people.interests(people.histories([[0]])), (20_000, 1))
    drawn, _ = mixed.predict(seen)
    np.testing.assert_allclose(np.bincount(drawn, minlength=12) / 20_000, mixed.action_probs(seen[:1])[0], atol=0.02)
    best, _ = mixed.predict(seen[:1], deterministic=True)
    assert best[0] == mixed.action_probs(seen[:1])[0].argmax()
