"""Bandit estimators: shared fixtures, identities, and the sentences of wrong inputs."""

import re

import numpy as np
import pytest

from rlrec.core.errors import DataError, InvalidArgumentError, MissingPropensityError
from rlrec.evaluation import ope
from rlrec.evaluation.cressie_read import cressie_read, empirical_likelihood
from rlrec.evaluation.difference import difference
from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.target import Target
from tests.evaluation.cases import load_case

BANDITS = {name: row for name, row in ope.ESTIMATORS.items() if row.family == "bandit"}
WITH_Q = [name for name, row in BANDITS.items() if row.needs_model]


def bandit(n=400, n_actions=4, seed=0, **columns):
    rng = np.random.default_rng(seed)
    behavior = rng.dirichlet(np.full(n_actions, 5.0), size=n)
    target = rng.dirichlet(np.full(n_actions, 5.0), size=n)
    action = (behavior.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    reward = (rng.random(n) < 0.2 + 0.15 * action).astype(float)
    log = LoggedBatch(action=action, reward=reward, behavior_prob=behavior[np.arange(n), action], **columns)
    return log, behavior, target


def run_case(inputs, key):
    log = LoggedBatch(**{name: inputs[name] for name in ("action", "reward", "behavior_prob")})
    name, _, value = key.partition("[")
    row = ope.ESTIMATORS[name]
    given = {row.parameter: float(value.rstrip("]"))} if value else {}
    if row.needs_model:
        given["q"] = np.array(inputs["q_hat"])
    return row.function(log, inputs["target_probs"], **given).value


@pytest.mark.parametrize("case", ["01_bandit_hand", "02_bandit_obp_synthetic"])
def test_agrees_with_the_bandit_cases(case):
    data = load_case(case)
    expected = {key: row["value"] for key, row in data["obp"].items()} | data.get("analytic", {})
    got = {key: run_case(data["inputs"], key) for key in expected}
    assert got == pytest.approx(expected, abs=data["tol"], rel=0)


def test_agrees_with_the_case_of_vw_estimators():
    data, inputs = load_case("10_vw_estimators"), load_case("02_bandit_obp_synthetic")["inputs"]
    log = LoggedBatch(**{name: inputs[name] for name in ("action", "reward", "behavior_prob")})
    weights = Target.of(log, inputs["target_probs"]).taken / log.require_behavior_prob()
    assert empirical_likelihood(weights, log.reward) == pytest.approx(data["vw"]["mle"], abs=data["tol"])
    assert cressie_read(weights, log.reward) == pytest.approx(data["vw"]["cressieread"], abs=data["tol"])


@pytest.mark.parametrize("name", ["ips", "snips", "clipped_ips", "sg_ips"])
def test_the_logger_itself_earns_the_mean_reward(name):
    log, behavior, _ = bandit()
    given = {"clipped_ips": {"clip": 2.0}, "sg_ips": {"mixing": 0.1}}.get(name, {})
    assert ope.ESTIMATORS[name].function(log, behavior, **given).value == pytest.approx(log.reward.mean(), abs=1e-12)


@pytest.mark.parametrize("name", WITH_Q)
def test_an_exact_model_is_exact(name):
    log, _, target = bandit()
    q = np.random.default_rng(1).random(target.shape)
    exact = LoggedBatch(
        action=log.action, reward=q[np.arange(log.n_rows), log.action], behavior_prob=log.require_behavior_prob()
    )
    parameter = ope.ESTIMATORS[name].parameter
    given = {parameter: 0.5} if parameter else {}
    value = ope.ESTIMATORS[name].function(exact, target, q=q, **given).value
    assert value == pytest.approx((target * q).sum(axis=1).mean(), abs=1e-12)


@pytest.mark.parametrize(("name", "moves"), [("snips", 3.0), ("sndr", 3.0), ("ips", None)])
def test_shifting_the_rewards_shifts_self_normalised_estimates(name, moves):
    log, _, target = bandit()
    given = {"q": np.random.default_rng(1).random(target.shape)} if name == "sndr" else {}
    shifted = LoggedBatch(action=log.action, reward=log.reward + 3.0, behavior_prob=log.require_behavior_prob())
    before = ope.ESTIMATORS[name].function(log, target, **given).value
    after = ope.ESTIMATORS[name].function(shifted, target, **given).value
    if moves is None:
        weights = Target.of(log, target).taken / log.require_behavior_prob()
        assert after - before == pytest.approx(3.0 * weights.mean(), abs=1e-12)
        assert abs(weights.mean() - 1) > 1e-3
    else:
        assert after - before == pytest.approx(moves, abs=1e-12)


def test_a_callable_and_a_matrix_are_the_same_policy():
    rng = np.random.default_rng(2)
    context, theta = rng.normal(size=(300, 3)), rng.normal(size=(3, 4))
    log, _, _ = bandit(300, context=context)

    def policy(x):
        scores = np.exp(x @ theta)
        return scores / scores.sum(axis=1, keepdims=True)

    for name in ("ips", "snips", "dr"):
        function = ope.ESTIMATORS[name].function
        assert function(log, policy).value == pytest.approx(function(log, policy(context)).value, abs=1e-12)


def test_clusters_widen_the_interval_of_repeated_rows():
    log, _, target = bandit(400)
    twice = np.repeat(np.arange(400), 2)
    columns = {"action": log.action[twice], "reward": log.reward[twice]}
    repeated = LoggedBatch(behavior_prob=log.require_behavior_prob()[twice], cluster=twice, **columns)
    alone, clustered = ope.ips(log, target), ope.ips(repeated, target[twice])
    assert clustered.n == 400
    assert clustered.high - clustered.low == pytest.approx(alone.high - alone.low, rel=1e-9)


def test_a_paired_difference_is_shorter_than_two_intervals():
    log, behavior, target = bandit(2000)
    near = 0.9 * target + 0.1 * behavior
    first, second = ope.ips(log, target), ope.ips(log, near)
    gap = difference(first, second)
    assert gap.value == pytest.approx(first.value - second.value, abs=1e-12)
    assert gap.high - gap.low < 0.5 * (first.high - first.low)


def test_ips_is_unbiased_and_its_interval_covers():
    # 400 logs of 500 rows; 4 standard errors of the mean, and 4 of a coverage of 0.95 (0.011 each).
    truth, values, covered = [], [], []
    rng = np.random.default_rng(3)
    behavior, target = np.array([0.5, 0.3, 0.2]), np.array([0.3, 0.3, 0.4])
    means = np.array([0.3, 0.5, 0.6])
    true = float(target @ means)
    for _ in range(400):
        action = rng.choice(3, size=500, p=behavior)
        reward = (rng.random(500) < means[action]).astype(float)
        log = LoggedBatch(action=action, reward=reward, behavior_prob=behavior[action])
        estimate = ope.ips(log, target[action])
        values.append(estimate.value)
        truth.append(true)
        covered.append(estimate.low <= true <= estimate.high)
    assert abs(np.mean(values) - true) < 4 * np.std(values) / 20
    assert abs(np.mean(covered) - 0.95) < 0.045


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda log, p: ope.ips(log, p[:-1]), InvalidArgumentError, "target"),
        (lambda log, p: ope.ips(log, p[:, 0] + 1.0), InvalidArgumentError, "must hold probabilities in [0, 1], got"),
        (lambda log, p: ope.dm(log, p[:, 0], q=p), DataError, "must give the probability of every action"),
        (lambda log, p: ope.dr(log, p, q=p[:, :2]), InvalidArgumentError, "q must have the target's shape"),
        (lambda log, p: ope.clipped_ips(log, p, clip=-1.0), InvalidArgumentError, "clip"),
        (lambda log, p: ope.sg_ips(log, p, mixing=2.0), InvalidArgumentError, "mixing"),
        (lambda log, p: ope.ips(log, lambda x: x), DataError, "context"),
    ],
)
def test_wrong_inputs_get_a_sentence(call, error, sentence):
    log, _, target = bandit(20)
    with pytest.raises(error, match=re.escape(sentence)):
        call(log, target)


def test_a_log_without_propensities_is_refused():
    log = LoggedBatch(action=[0, 1], reward=[1.0, 0.0])
    with pytest.raises(MissingPropensityError, match="behavior_prob must hold the probability of each logged action"):
        ope.ips(log, [0.5, 0.5])
