"""Fitted Q evaluation, marginal weights and MRDR on the two-state process, whose values are known in closed form."""

import re

import numpy as np
import pytest
from sklearn.tree import DecisionTreeRegressor

from rlrec.core.errors import DataError, InvalidArgumentError, MissingPropensityError
from rlrec.evaluation.fitted_q import fit_fqe
from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.mrdr import fit_mrdr
from rlrec.evaluation.ope import dr, fqe, marginal_is, mrdr, pdis, sequential_dm, sequential_dr
from rlrec.evaluation.target import Target
from tests.evaluation import mdp
from tests.evaluation.cases import load_case

CUT = np.ones(20_000, bool)


@pytest.fixture(scope="module")
def big():
    return mdp.draw(20_000)


@pytest.fixture(scope="module")
def small():
    return mdp.draw(400, seed=5)


def test_the_process_here_is_that_of_the_shared_case():
    analytic = load_case("07_sequential_2state_mdp")["analytic"]
    assert mdp.infinite_value() == pytest.approx(analytic["infinite_value_target"], abs=1e-9)
    assert mdp.finite_value() == pytest.approx(analytic["finite_T5_value_target"], abs=1e-9)


def test_fqe_reaches_the_closed_form_within_1_percent(big):
    endless = fqe(big.log, big.target, gamma=mdp.GAMMA, truncated=CUT)
    assert endless.value == pytest.approx(mdp.infinite_value(), rel=0.01)
    five = fqe(big.log, big.target, gamma=mdp.GAMMA, horizon=5)
    assert five.value == pytest.approx(mdp.finite_value(), rel=0.01)


def test_fqe_that_takes_a_cut_for_an_end_is_far_off(big):
    wrong = fqe(big.log, big.target, gamma=mdp.GAMMA)
    assert wrong.value < 0.5 * mdp.infinite_value()


def test_fqe_takes_a_regressor(big):
    target = Target.of(big.log, big.target)
    q = fit_fqe(
        big.log, target, gamma=mdp.GAMMA, horizon=5, model=lambda: DecisionTreeRegressor(max_depth=3), n_folds=2
    )
    got = sequential_dm(big.log, target, q=q, gamma=mdp.GAMMA)
    assert got.value == pytest.approx(mdp.finite_value(), rel=0.01)


def test_fqe_of_single_steps_is_the_mean_of_each_action():
    log = LoggedBatch(action=[0, 1] * 100, reward=[1.0, 3.0] * 100)
    assert fqe(log, np.tile([0.25, 0.75], (200, 1))).value == pytest.approx(2.5, abs=1e-4)


def test_its_model_makes_dr_narrower_than_pdis(small):
    with_model = sequential_dr(small.log, small.target, gamma=mdp.GAMMA)
    bare = pdis(small.log, small.target, gamma=mdp.GAMMA)
    assert with_model.high - with_model.low < 0.8 * (bare.high - bare.low)
    assert with_model.low <= mdp.finite_value() <= with_model.high


def test_marginal_weights_reach_the_closed_form(big):
    got = marginal_is(big.log, big.target, gamma=mdp.GAMMA, state=big.state, truncated=CUT)
    assert got.value == pytest.approx(mdp.infinite_value(), rel=0.02)
    assert got.low <= mdp.infinite_value() <= got.high


def test_tabular_marginal_weights_are_the_ratio_of_occupancies(big):
    gain = marginal_is(big.log, big.target, gamma=mdp.GAMMA, state=big.state, truncated=CUT)
    # One state and action at a time: the weighted rewards of an indicator are the target's discounted occupancy.
    step = np.einsum("sa,sat->st", mdp.TARGET, mdp.P)
    occupancy = np.linalg.solve(np.eye(2) - mdp.GAMMA * step.T, mdp.MU)[:, None] * mdp.TARGET
    for state in range(2):
        for action in range(2):
            here = (big.state == state) & (big.log.action == action)
            seen = LoggedBatch(action=big.log.action, reward=here.astype(float), episode=big.log.episode)
            got = marginal_is(seen, big.target, gamma=mdp.GAMMA, state=big.state, truncated=CUT)
            assert got.value == pytest.approx(occupancy[state, action], rel=0.05)
    assert gain.n == 20_000


def test_linear_marginal_weights_are_the_dual_of_fqe(small):
    truncated = np.ones(400, bool)
    by_context = LoggedBatch(
        action=small.log.action, reward=small.log.reward, episode=small.log.episode, context=small.log.context[:, :1]
    )
    linear = marginal_is(by_context, small.target, gamma=mdp.GAMMA, truncated=truncated)
    tabular = marginal_is(small.log, small.target, gamma=mdp.GAMMA, state=small.state, truncated=truncated)
    assert linear.value == pytest.approx(tabular.value, rel=1e-9)
    read = Target.of(small.log, small.target)
    q = fit_fqe(small.log, read, gamma=mdp.GAMMA, truncated=truncated, ridge=1e-9, n_folds=50)
    fitted = sequential_dm(small.log, read, q=q, gamma=mdp.GAMMA)
    assert fitted.value == pytest.approx(tabular.value, rel=5e-3)


def test_the_interval_of_marginal_weights_covers():
    # 120 logs; 0.95 with a standard error of 0.02, and 4 of those below.
    truth = mdp.infinite_value()
    hits = []
    for seed in range(120):
        drawn = mdp.draw(300, seed=seed)
        got = marginal_is(drawn.log, drawn.target, gamma=mdp.GAMMA, state=drawn.state, truncated=np.ones(300, bool))
        hits.append(got.low <= truth <= got.high)
    assert np.mean(hits) > 0.87


def test_marginal_weights_spare_the_long_horizon():
    long = mdp.draw(300, n_steps=40)
    got = marginal_is(long.log, long.target, gamma=mdp.GAMMA, state=long.state, truncated=np.ones(300, bool))
    weighted = pdis(long.log, long.target, gamma=mdp.GAMMA)
    assert got.high - got.low < 0.1 * (weighted.high - weighted.low)


def test_mrdr_is_unbiased_and_of_smaller_variance_than_a_least_squares_model():
    # The rewards are not linear in the context, so that no linear model fits; DR pays for it where the target goes.
    rng = np.random.default_rng(0)
    probs_of = {"least squares": [], "mrdr": []}
    for _ in range(150):
        x = rng.random((400, 1))
        behavior = np.hstack([0.1 + 0.8 * x, 0.9 - 0.8 * x])
        action = (rng.random(400) > behavior[:, 0]).astype(int)
        reward = np.where(action == 0, 8 * (x[:, 0] - 0.5) ** 3, np.cos(6 * x[:, 0]))
        rows = np.arange(400)
        log = LoggedBatch(
            action=action, reward=reward, behavior_prob=behavior[rows, action], behavior_probs=behavior, context=x
        )
        target = np.hstack([1 - behavior[:, :1], behavior[:, :1]])
        probs_of["least squares"].append(dr(log, target).value)
        probs_of["mrdr"].append(mrdr(log, target).value)
    grid = np.linspace(0, 1, 100_001)
    truth = np.trapezoid((0.9 - 0.8 * grid) * 8 * (grid - 0.5) ** 3 + (0.1 + 0.8 * grid) * np.cos(6 * grid), grid)
    mine, other = np.array(probs_of["mrdr"]), np.array(probs_of["least squares"])
    assert abs(mine.mean() - truth) < 4 * mine.std() / np.sqrt(150)
    assert mine.var() < 0.9 * other.var()


def test_mrdr_on_episodes_is_near_the_truth(big):
    got = mrdr(big.log, big.target, gamma=mdp.GAMMA)
    assert got.low <= mdp.finite_value() <= got.high
    bare = pdis(big.log, big.target, gamma=mdp.GAMMA)
    assert got.high - got.low < bare.high - bare.low


def test_mrdr_of_single_steps_fits_dr(small):
    rows = np.arange(0, 2000, 5)
    first = LoggedBatch(
        action=small.log.action[rows],
        reward=small.log.reward[rows],
        behavior_prob=small.log.behavior_prob[rows],
        behavior_probs=small.log.behavior_probs[rows],
        context=small.log.context[rows],
    )
    target = Target.of(first, small.target[rows])
    assert mrdr(first, target).value == pytest.approx(dr(first, target, q=fit_mrdr(first, target)).value, abs=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda m: fqe(m.log, m.target, gamma=0.0), InvalidArgumentError, "gamma must lie in (0, 1], got 0.0"),
        (lambda m: fqe(m.log, m.target, horizon=4), InvalidArgumentError, "horizon must be at least 5, got 4"),
        (
            lambda m: fqe(m.log, m.target, truncated=[True]),
            InvalidArgumentError,
            "truncated must be a bool array with one value for each of 400 episodes, got bool (1,)",
        ),
        (lambda m: fqe(m.log, m.target, truncated=np.ones(400)), InvalidArgumentError, "got float64 (400,)"),
        (
            lambda m: fqe(m.log, m.target, truncated=np.ones(400, bool)),
            DataError,
            "fitted Q evaluation must settle, got a change of",
        ),
        (lambda m: fqe(m.log, m.target[:, 0]), DataError, "must give the probability of every action"),
        (
            lambda m: marginal_is(m.log, m.target, state=m.state[:-1]),
            InvalidArgumentError,
            "state must be a non-negative integer array of shape (N=2000,), got int64 (1999,)",
        ),
        (lambda m: marginal_is(m.log, m.target, ridge=-1.0), InvalidArgumentError, "ridge must be at least 0"),
        (
            lambda m: marginal_is(m.log, m.target, truncated=np.ones(400, bool), state=m.state),
            DataError,
            "the log must determine the weights",
        ),
        (
            lambda m: marginal_is(m.log, m.target, state=np.arange(2000) % 1500 * 2),
            InvalidArgumentError,
            "joint solve",
        ),
        (
            lambda m: mrdr(LoggedBatch(action=[0], reward=[1.0], behavior_prob=[0.5]), [[0.5, 0.5]]),
            MissingPropensityError,
            "behavior_probs must hold the logger's probability of every action for MRDR, got None",
        ),
    ],
)
def test_wrong_inputs_get_a_sentence(small, call, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        call(small)
