"""Training seeds against planted spreads."""

import numpy as np
import pytest

from rlrec.core.errors import InvalidArgumentError
from rlrec.evaluation.seeds import over_seeds


def planted(n_seeds=40, n=400, seed_sd=0.5, user_sd=2.0, noise=1.0, rng=None):
    rng = rng or np.random.default_rng(0)
    users, seeds = user_sd * rng.normal(size=n), seed_sd * rng.normal(size=(n_seeds, 1))
    return 3.0 + seeds + users + noise * rng.normal(size=(n_seeds, n))


def test_the_planted_spreads_are_found():
    found = over_seeds(planted(), rng=np.random.default_rng(1))
    assert found.seed_sd == pytest.approx(0.5, rel=0.3)
    assert found.rollout_error == pytest.approx(np.sqrt((4 + 1) / 400), rel=0.1)


def test_without_a_spread_of_seeds_none_is_found():
    # The seeds' means still differ, by the noise: its standard deviation is 1 / sqrt(400) = 0.05.
    found = over_seeds(planted(seed_sd=0.0), rng=np.random.default_rng(1))
    assert found.seed_sd < 0.03


def test_the_interval_covers_an_algorithm_s_worth():
    rng = np.random.default_rng(2)
    hits = []
    for _ in range(60):
        found = over_seeds(planted(n_seeds=10, n=100, user_sd=1.0, rng=rng), n_resamples=300, rng=rng)
        hits.append(found.iqm.low <= 3.0 <= found.iqm.high)
    assert np.mean(hits) > 0.8  # ten seeds tell little: a percentile bootstrap of ten covers some 90 %


def test_one_user_interval_of_one_seed_would_not():
    # The tempting wrong interval: over the users of a single seed.
    rng = np.random.default_rng(3)
    hits = []
    for _ in range(60):
        one = planted(n_seeds=2, n=5000, rng=rng)[0]
        hits.append(abs(one.mean() - 3.0) < 1.96 * one.std() / np.sqrt(5000))
    assert np.mean(hits) < 0.4


def test_a_failed_run_does_not_decide():
    scores = planted(n_seeds=8, seed_sd=0.1)
    failed = scores.copy()
    failed[0] = 0.0
    first, second = (over_seeds(x, rng=np.random.default_rng(0)).iqm.value for x in (scores, failed))
    assert abs(first - second) < 0.1 < scores.mean() - failed.mean()


def test_simulators_are_strata():
    home, away = planted(seed_sd=0.0), planted(seed_sd=0.0) - 2.0
    both = over_seeds({"home": home, "away": away}, rng=np.random.default_rng(0))
    assert both.iqm.value == pytest.approx((home.mean() + away.mean()) / 2, abs=0.1)
    assert both.iqm.high - both.iqm.low < 1.5  # drawn without strata, the shares of the two would move it by 0.6 more


@pytest.mark.parametrize("returns", [np.ones(3), np.ones((1, 5)), np.ones((5, 1)), np.full((3, 3), np.nan)])
def test_wrong_shapes_get_a_sentence(returns):
    with pytest.raises(InvalidArgumentError, match=r"must be finite and have shape \(S >= 2 seeds, n >= 2 users\)"):
        over_seeds(returns, rng=np.random.default_rng(0))
