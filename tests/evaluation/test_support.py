"""The support gate opens and closes where it must."""

import numpy as np
import pytest

from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.ope import ips
from rlrec.evaluation.support import effective_sample_size, pareto_k


def log_of(n, behavior, seed=0):
    rng = np.random.default_rng(seed)
    action = rng.choice(len(behavior), size=n, p=behavior)
    reward = (rng.random(n) < 0.5).astype(float)
    return LoggedBatch(action=action, reward=reward, behavior_prob=np.asarray(behavior)[action])


def test_a_target_near_the_logger_is_reliable():
    got = ips(log_of(5000, [0.5, 0.5]), np.tile([0.6, 0.4], (5000, 1)))
    assert got.reliable
    assert got.support is not None
    assert got.support.robust_low is None


def test_few_effective_units_are_flagged_every_time():
    for seed in range(50):
        got = ips(log_of(500, [0.5, 0.5], seed), np.tile([0.6, 0.4], (500, 1)))
        assert not got.reliable
        assert any("below 1000" in note for note in got.notes)
        assert got.support is not None
        assert 0 <= got.support.robust_low < got.support.robust_high <= 1


def test_a_low_share_of_effective_units_is_flagged():
    got = ips(log_of(60_000, [0.98, 0.02]), np.tile([0.0, 1.0], (60_000, 1)))
    assert got.support is not None
    assert got.support.effective_sample_size > 1000
    assert not got.reliable
    assert any("below 5%" in note for note in got.notes)


def test_mass_off_the_support_is_found():
    log = log_of(5000, [0.5, 0.5])
    got = ips(log, np.tile([0.3, 0.3, 0.4], (5000, 1)))
    assert got.support is not None
    assert got.support.unsupported_mass == pytest.approx(0.4, abs=0.02)
    assert not got.reliable


def test_wrong_propensities_are_found():
    log = log_of(5000, [0.5, 0.5])
    wrong = log.with_behavior(np.full(5000, 0.25))
    got = ips(wrong, np.full(5000, 0.5))
    assert any("propensities are probably wrong" in note for note in got.notes)


def test_effective_sample_size_of_equal_and_of_single_weights():
    assert effective_sample_size(np.full(10, 3.0)) == pytest.approx(10)
    assert effective_sample_size(np.array([5.0, 0.0, 0.0])) == pytest.approx(1)
    assert effective_sample_size(np.zeros(3)) == 0


@pytest.mark.parametrize("k", [0.2, 0.5, 0.9])
def test_pareto_k_finds_the_tail(k):
    draws = np.random.default_rng(0).random(20_000) ** -k
    assert pareto_k(draws) == pytest.approx(k, abs=0.12)


def test_clipped_weights_have_no_tail():
    assert pareto_k(np.minimum(np.random.default_rng(0).random(1000) ** -1.0, 1.5)) is None
