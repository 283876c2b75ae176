"""Sequential estimators on the two-state MDP of the shared case, and their identities."""

import numpy as np
import pytest

from rlrec.core.errors import InvalidArgumentError
from rlrec.evaluation import ope
from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.sequential_ope import magic, pdis, sequential_dm, sequential_dr, tis, wdr
from tests.evaluation.cases import load_case


def episodes(n=300, horizon=4, n_actions=3, seed=0):
    rng = np.random.default_rng(seed)
    behavior, target = rng.dirichlet(np.full(n_actions, 8.0), (2, n * horizon))
    action = (behavior.cumsum(axis=1) > rng.random((n * horizon, 1))).argmax(axis=1)
    log = LoggedBatch(
        action=action,
        reward=rng.random(n * horizon) + action,
        episode=np.repeat(np.arange(n), horizon),
        behavior_prob=behavior[np.arange(n * horizon), action],
    )
    return log, behavior, target


@pytest.mark.parametrize("model", ["q_exact", "q_noisy", "q_zero"])
def test_agrees_with_scope_rl(model):
    data = load_case("07_sequential_2state_mdp")
    inputs, mdp = data["inputs"], data["mdp"]
    state, action = np.array(inputs["state"]), np.array(inputs["action"])
    n, horizon = state.shape
    behavior, target = np.array(mdp["behavior"]), np.array(mdp["target"])
    exact = np.array(data["analytic"]["finite_Q_target"])  # (T, S, A)
    q = {
        "q_exact": lambda: exact[np.arange(horizon)[None], state],
        "q_noisy": lambda: np.array(inputs["q_noisy"]),
        "q_zero": lambda: np.zeros((n, horizon, 2)),
    }[model]().reshape(n * horizon, 2)
    log = LoggedBatch(
        action=action.ravel(),
        reward=np.array(inputs["reward"]).ravel(),
        episode=np.repeat(np.arange(n), horizon),
        behavior_prob=behavior[state, action].ravel(),
    )
    probs, gamma = target[state.ravel()], mdp["gamma"]
    got = {
        "dm": sequential_dm(log, probs, q=q, gamma=gamma).value,
        "tis": tis(log, probs, gamma=gamma).value,
        "pdis": pdis(log, probs, gamma=gamma).value,
        "dr": sequential_dr(log, probs, q=q, gamma=gamma).value,
        "sntis": tis(log, probs, gamma=gamma, self_normalised=True).value,
        "snpdis": pdis(log, probs, gamma=gamma, self_normalised=True).value,
        "sndr_wdr": wdr(log, probs, q=q, gamma=gamma).value,
    }
    assert got == pytest.approx(data["scope_rl"][model], abs=data["tol"], rel=0)


def test_pdis_is_tis_is_ips_at_horizon_1():
    log, _, target = episodes(horizon=1)
    assert pdis(log, target).value == pytest.approx(tis(log, target).value, abs=1e-12)
    assert pdis(log, target).value == pytest.approx(ope.ips(log, target).value, abs=1e-12)


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("estimator", [tis, pdis])
def test_the_logger_itself_earns_the_mean_return(estimator, normalised):
    log, behavior, _ = episodes()
    returns = log.reward.reshape(300, 4) @ 0.9 ** np.arange(4)
    got = estimator(log, behavior, gamma=0.9, self_normalised=normalised)
    assert got.value == pytest.approx(returns.mean(), abs=1e-12)


def test_dr_without_a_model_is_pdis_and_wdr_its_normalised_form():
    log, _, target = episodes()
    zero = np.zeros_like(target)
    assert sequential_dr(log, target, q=zero).value == pytest.approx(pdis(log, target).value, abs=1e-12)
    expected = pdis(log, target, self_normalised=True).value
    assert wdr(log, target, q=zero).value == pytest.approx(expected, abs=1e-12)


def test_magic_lies_between_the_returns_that_it_blends():
    log, _, target = episodes()
    q = np.full_like(target, 2.0)
    ends = [sequential_dm(log, target, q=q).value, wdr(log, target, q=q).value]
    got = magic(log, target, q=q).value
    assert min(ends) - 0.5 <= got <= max(ends) + 0.5
    assert abs(got - ends[1]) < abs(ends[0] - ends[1])


def test_magic_says_how_far_it_leans_on_the_model():
    log, _, target = episodes()
    mean = float(log.reward.mean())
    steps_left = np.tile([4.0, 3.0, 2.0, 1.0], 300)
    leaning = magic(log, target, q=np.repeat(mean * steps_left[:, None], 3, axis=1))
    assert [note for note in leaning.notes if "of the blend leans on the model" in note]
    far = magic(log, target, q=np.full_like(target, 1e6))  # so wrong that no share of it pays
    assert not [note for note in far.notes if "leans on the model" in note]


def test_episodes_of_different_lengths_are_not_padded_into_the_value():
    log = LoggedBatch(action=[0, 1, 0], reward=[1, 1, 2], episode=[0, 0, 1], behavior_prob=[0.5, 0.5, 0.5])
    assert pdis(log, [0.25, 1.0, 0.75]).value == pytest.approx((0.5 + 1.0 + 3.0) / 2)


@pytest.mark.parametrize("gamma", [0.0, -0.5, 1.5])
def test_a_wrong_discount_gets_a_sentence(gamma):
    log, _, target = episodes(n=10)
    with pytest.raises(InvalidArgumentError, match=r"gamma must lie in \(0, 1\], got"):
        pdis(log, target, gamma=gamma)
