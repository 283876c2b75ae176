"""Laws of the estimators on logs that hypothesis makes up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlrec.core.errors import DataError
from rlrec.evaluation import ope
from rlrec.evaluation.intervals import IntervalConfig
from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.return_distribution import ReturnDistribution
from rlrec.evaluation.target import Target

LAWS = settings(max_examples=60, deadline=None)


@st.composite
def logs(draw, max_steps=4):
    """A log of episodes with the probabilities of its logger and of a target."""
    n_episodes, n_actions = draw(st.integers(2, 12)), draw(st.integers(2, 4))
    lengths = draw(st.lists(st.integers(1, max_steps), min_size=n_episodes, max_size=n_episodes))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = sum(lengths)
    behavior, target = rng.dirichlet(np.full(n_actions, 2.0), (2, n)) * 0.9 + 0.1 / n_actions
    action = (behavior.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    log = LoggedBatch(
        action=action,
        reward=rng.normal(draw(st.sampled_from([0.0, 5.0])), 1.0, n),
        episode=np.repeat(np.arange(n_episodes), lengths),
        behavior_prob=behavior[np.arange(n), action],
        behavior_probs=behavior,
    )
    return log, behavior, target


def with_rewards(log, reward):
    return LoggedBatch(
        action=log.action,
        reward=reward,
        episode=log.episode,
        behavior_prob=log.behavior_prob,
        behavior_probs=log.behavior_probs,
    )


def model_for(log, target, seed=0):
    return np.random.default_rng(seed).normal(size=(log.n_rows, target.shape[1]))


@LAWS
@given(logs())
def test_the_logger_as_target_earns_the_mean(made):
    log, behavior, _ = made
    for name in ("ips", "snips"):
        assert ope.ESTIMATORS[name].function(log, behavior).value == pytest.approx(log.reward.mean(), abs=1e-9)
    returns = np.add.reduceat(log.reward, log.offsets[:-1])
    for estimator in (ope.tis, ope.pdis):
        for normalised in (False, True):
            got = estimator(log, behavior, self_normalised=normalised)
            assert got.value == pytest.approx(returns.mean(), abs=1e-9)
    assert ReturnDistribution.of(log, behavior).cvar(1.0).value == pytest.approx(returns.mean(), abs=1e-9)


@LAWS
@given(logs(max_steps=1), st.floats(-50, 50))
def test_self_normalised_estimates_move_with_the_rewards(made, shift):
    log, _, target = made
    q = model_for(log, target)
    moved = with_rewards(log, log.reward + shift)
    for estimate in (lambda x: ope.snips(x, target), lambda x: ope.sndr(x, target, q=q)):
        assert estimate(moved).value - estimate(log).value == pytest.approx(shift, abs=1e-8)
    both = [ope.dr(x, target, q=y).value for x, y in ((log, q), (moved, q + shift))]
    assert both[1] - both[0] == pytest.approx(shift, abs=1e-8)  # DR moves where its model moves too


@LAWS
@given(logs(max_steps=1))
def test_dr_with_an_exact_model_is_exact(made):
    log, _, target = made
    q = model_for(log, target)
    exact = with_rewards(log, q[np.arange(log.n_rows), log.action])
    truth = (target * q).sum(axis=1).mean()
    for name in ("dr", "sndr", "dm"):
        assert ope.ESTIMATORS[name].function(exact, target, q=q).value == pytest.approx(truth, abs=1e-9)
    assert ope.switch_dr(exact, target, q=q, tau=0.5).value == pytest.approx(truth, abs=1e-9)
    assert ope.dros(exact, target, q=q, shrinkage=0.5).value == pytest.approx(truth, abs=1e-9)


@LAWS
@given(logs(max_steps=1))
def test_at_horizon_1_sequences_are_bandits(made):
    log, _, target = made
    q = model_for(log, target)
    ips, dr = ope.ips(log, target).value, ope.dr(log, target, q=q).value
    assert ope.tis(log, target).value == pytest.approx(ips, abs=1e-9)
    assert ope.pdis(log, target).value == pytest.approx(ips, abs=1e-9)
    assert ope.sequential_dr(log, target, q=q).value == pytest.approx(dr, abs=1e-9)
    assert ope.wdr(log, target, q=q).value == pytest.approx(ope.sndr(log, target, q=q).value, abs=1e-9)


@LAWS
@given(logs())
def test_cascade_dr_without_a_model_is_rips(made):
    log, behavior, target = made
    rows = np.arange(log.n_rows)
    steps = [np.multiply.accumulate(part) for part in np.split(behavior[rows, log.action], log.offsets[1:-1])]
    given_above = [np.multiply.accumulate(part) for part in np.split(target[rows, log.action], log.offsets[1:-1])]
    cascade = LoggedBatch(
        action=log.action, reward=log.reward, episode=log.episode, behavior_prob=np.concatenate(steps)
    )
    zero = ope.cascade_dr(cascade, target, q=np.zeros_like(target))
    assert zero.value == pytest.approx(ope.rips(cascade, np.concatenate(given_above)).value, abs=1e-9)


@LAWS
@given(logs(), st.sampled_from(["normal", "t", "bootstrap", "percentile"]))
def test_every_interval_holds_its_estimate(made, method):
    log, _, target = made
    for estimator in (ope.ips, ope.snips, ope.pdis):
        got = estimator(log, target, interval=IntervalConfig(method=method, n_resamples=50))
        assert got.low <= got.value <= got.high
        again = got.with_interval(IntervalConfig(level=0.5))
        assert again.value == got.value
        assert again.high - again.low <= estimator(log, target).high - estimator(log, target).low + 1e-12


@LAWS
@given(logs())
def test_a_difference_with_itself_is_zero(made):
    log, _, target = made
    one = ope.pdis(log, target)
    gap = ope.difference(one, one)
    assert (gap.value, gap.low, gap.high) == pytest.approx((0, 0, 0), abs=1e-9)


@LAWS
@given(logs(), st.floats(-3, 12))
def test_a_cdf_is_a_probability_that_rises(made, threshold):
    log, _, target = made
    returns = ReturnDistribution.of(log, target)
    below, above = returns.cdf(threshold), returns.cdf(threshold + 1.0)
    assert 0 <= below.low <= below.value <= below.high <= 1
    assert below.value <= above.value + 1e-12
    assert returns.cvar(0.3).value <= returns.cvar(1.0).value + 1e-9


@LAWS
@given(logs(max_steps=1))
def test_a_target_read_once_is_the_same_target(made):
    log, _, target = made
    assert ope.ips(log, Target.of(log, target)).value == ope.ips(log, target).value


def test_weights_of_zero_are_refused_not_divided():
    log = LoggedBatch(action=[0, 1], reward=[1.0, 0.0], behavior_prob=[0.5, 0.5])
    with pytest.raises(DataError, match="the weights must not all be 0"):
        ope.snips(log, [0.0, 0.0])
