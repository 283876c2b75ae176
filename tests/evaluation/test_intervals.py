"""Intervals against closed forms."""

import numpy as np
import pytest

from rlrec.core.errors import InvalidArgumentError
from rlrec.evaluation.cressie_read import clopper_pearson_interval, cressie_read_interval
from rlrec.evaluation.intervals import (
    IntervalConfig,
    bernstein_interval,
    bootstrap_interval,
    hoeffding_interval,
    logit_interval,
    normal_interval,
    percentile_interval,
    t_interval,
)
from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.ope import ips
from rlrec.evaluation.target import Target
from rlrec.evaluation.terms import RatioTerms
from tests.evaluation.cases import load_case


def test_agrees_with_the_closed_forms():
    data = load_case("09_ci")
    x, right = np.array(data["x"]), data["correct"]
    mean, influence = float(x.mean()), x - x.mean()
    assert t_interval(mean, influence) == pytest.approx(right["t_two_sided"], abs=data["tol"])
    assert normal_interval(mean, influence) == pytest.approx(right["normal"], abs=data["tol"])
    bounds = {
        "hoeffding_range_b": hoeffding_interval,
        "maurer_pontil_bernstein_two_sided": bernstein_interval,
    }
    for name, interval in bounds.items():
        low, high = interval(x, (0.0, right[name]["b"]))
        assert (high - low) / 2 == pytest.approx(right[name]["half"], abs=data["tol"])


def test_agrees_with_vw_estimators():
    data, inputs = load_case("10_vw_estimators"), load_case("02_bandit_obp_synthetic")["inputs"]
    log = LoggedBatch(**{name: inputs[name] for name in ("action", "reward", "behavior_prob")})
    weights = Target.of(log, inputs["target_probs"]).taken / log.require_behavior_prob()
    terms = weights * log.reward
    assert cressie_read_interval(weights, terms) == pytest.approx(data["vw"]["ci_cressieread"], abs=data["tol"])
    got = clopper_pearson_interval(weights, log.reward)
    assert got == pytest.approx(data["vw"]["ci_clopper_pearson"], abs=data["tol"])
    got = normal_interval(float(terms.mean()), terms - terms.mean())
    assert got == pytest.approx(data["vw"]["ci_gaussian"], abs=data["tol"])


def test_bootstraps_agree_with_student_on_many_units():
    x = np.random.default_rng(0).normal(1.0, 1.0, 5000)
    student = t_interval(float(x.mean()), x - x.mean())
    for method in (bootstrap_interval, percentile_interval):
        got = method(RatioTerms(x, np.ones(5000)), n_resamples=1000, rng=np.random.default_rng(1))
        assert got == pytest.approx(student, abs=0.15 * (student[1] - student[0]))


def test_logit_stays_in_the_range():
    x = np.repeat([0.0, 1.0], [1, 30])
    assert t_interval(float(x.mean()), x - x.mean())[1] > 1
    low, high = logit_interval(float(x.mean()), x - x.mean(), (0.0, 1.0))
    assert 0 < low < x.mean() < high < 1


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"method": "normals"}, "method"),
        ({"level": 1.0}, "level must lie between 0 and 1, got 1.0"),
        ({"n_resamples": 1}, "n_resamples"),
        ({"reward_range": (1.0, 0.0)}, "reward_range must be"),
        ({"term_range": (1.0, 1.0)}, "term_range must be"),
    ],
)
def test_wrong_configs_get_a_sentence(fields, sentence):
    with pytest.raises(InvalidArgumentError, match=sentence):
        IntervalConfig(**fields)


def test_finite_sample_bounds_need_the_true_range():
    log = LoggedBatch(action=[0, 1], reward=[1.0, 0.0], behavior_prob=[0.5, 0.5])
    with pytest.raises(InvalidArgumentError, match="term_range must be the true bounds"):
        ips(log, [0.5, 0.5], interval=IntervalConfig(method="hoeffding"))
    with pytest.raises(InvalidArgumentError, match="largest term"):
        hoeffding_interval(np.array([0.0, 2.0]), (0.0, 1.0))
