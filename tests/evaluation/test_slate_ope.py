"""Slate estimators against obp and vw-estimators, and their identities."""

import numpy as np
import pytest

from rlrec.core.errors import InvalidArgumentError, MissingPropensityError
from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.slate_ope import cascade_dr, iips, pseudo_inverse, rips, sips
from tests.evaluation.cases import load_case

KINDS = {"sips": (sips, "slate"), "iips": (iips, "item_position"), "rips": (rips, "cascade")}


def slate_log(inputs, probability):
    return LoggedBatch(
        action=inputs["action"],
        reward=inputs["reward"],
        episode=inputs["slate_id"],
        position=inputs["position"],
        behavior_prob=inputs[f"behavior_{probability}_prob"],
    )


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("normalised", [False, True])
def test_agrees_with_obp(name, normalised):
    data = load_case("05_slate_independent")
    estimator, probability = KINDS[name]
    target = data["inputs"][f"target_{probability}_prob"]
    got = estimator(slate_log(data["inputs"], probability), target, self_normalised=normalised)
    expected = data["obp"][f"sn{name}" if normalised else name]
    assert got.value == pytest.approx(expected, abs=data["tol"])


@pytest.mark.parametrize(("q", "key"), [("q_hat", "cascade_dr"), (None, "cascade_dr_zero_q")])
def test_cascade_dr_agrees_with_obp(q, key):
    data = load_case("05_slate_independent")
    inputs = data["inputs"]
    steps = np.array(inputs["target_step_dist"]).reshape(-1, data["n_items"])
    values = np.zeros_like(steps) if q is None else np.array(inputs[q]).reshape(steps.shape)
    got = cascade_dr(slate_log(inputs, "cascade"), steps, q=values)
    assert got.value == pytest.approx(data["obp"][key], abs=data["tol"])


def test_pseudo_inverse_agrees_with_vw_estimators():
    data = load_case("10_vw_estimators")
    case = data["pseudo_inverse"]
    logging, reward = np.array(case["logging_slot_prob"]), np.array(case["reward"])
    n, width = logging.shape
    spread = np.zeros((n, width))
    spread[:, 0] = reward
    log = LoggedBatch(
        action=np.zeros(n * width, dtype=int),
        reward=spread.ravel(),
        episode=np.repeat(np.arange(n), width),
        behavior_prob=logging.ravel(),
    )
    got = pseudo_inverse(log, np.array(case["target_slot_prob"]).ravel())
    assert got.value == pytest.approx(case["value"], abs=data["tol"])


def random_slates(seed=0, n=200, width=3, n_items=4):
    rng = np.random.default_rng(seed)
    behavior, target = rng.dirichlet(np.full(n_items, 5.0), (2, n * width))
    action = (behavior.cumsum(axis=1) > rng.random((n * width, 1))).argmax(axis=1)
    rows = np.arange(n * width)
    cumulative = np.cumprod(behavior[rows, action].reshape(n, width), axis=1).ravel()
    log = LoggedBatch(
        action=action,
        reward=rng.random(n * width),
        episode=np.repeat(np.arange(n), width),
        behavior_prob=cumulative,
    )
    taken = np.cumprod(target[rows, action].reshape(n, width), axis=1).ravel()
    return log, target, taken


def test_cascade_dr_without_a_model_is_rips():
    log, target, taken = random_slates()
    zero = cascade_dr(log, target, q=np.zeros_like(target))
    assert zero.value == pytest.approx(rips(log, taken).value, abs=1e-12)
    model = cascade_dr(log, target, q=np.full_like(target, 0.5))
    assert abs(model.value - zero.value) > 1e-3


@pytest.mark.parametrize("estimator", [sips, iips, rips, pseudo_inverse])
def test_the_logger_itself_earns_the_mean_of_a_slate(estimator):
    log, _, _ = random_slates()
    got = estimator(log, log.require_behavior_prob())
    assert got.value == pytest.approx(log.reward.reshape(-1, 3).sum(axis=1).mean(), abs=1e-12)


def test_a_slate_of_one_is_a_bandit():
    log, _, taken = random_slates(width=1)
    values = {round(f(log, taken).value, 10) for f in (sips, iips, rips, pseudo_inverse)}
    assert len(values) == 1


def test_wrong_inputs_get_a_sentence():
    log, target, taken = random_slates()
    with pytest.raises(InvalidArgumentError, match=r"target_prob must have shape \(N=600,\), got \(600, 4\)"):
        sips(log, target)
    with pytest.raises(InvalidArgumentError, match=r"must hold probabilities in \[0, 1\]"):
        sips(log, taken - 1.0)
    bare = LoggedBatch(action=[0, 1], reward=[1.0, 0.0], episode=[0, 0])
    with pytest.raises(MissingPropensityError, match="behavior_prob"):
        rips(bare, [0.5, 0.25])
