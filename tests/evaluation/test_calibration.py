"""Calibration: hand arithmetic, a model judged on its own samples, and a verdict that follows from the numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlrec.core.errors import DataError
from rlrec.data.log import InteractionLog
from rlrec.evaluation.calibration import calibration_of, head_calibration
from rlrec.evaluation.trust import requirements, verdict
from rlrec.gan.sampling import generate_sequences
from rlrec.models.counting import MarkovModel
from rlrec.models.lstm import LSTMModel
from tests.small import cycle_log, cycle_model


def test_error_and_rates_by_hand():
    probs = np.array([0.1] * 10 + [0.8] * 10)
    happened = np.array([True] * 2 + [False] * 8 + [True] * 5 + [False] * 5)
    found = calibration_of(probs, happened, n_bins=2)
    assert found.rate == pytest.approx(0.35)
    assert found.predicted == pytest.approx(0.45)
    assert found.ece == pytest.approx(0.5 * 0.1 + 0.5 * 0.3)
    assert found.auc == pytest.approx((5 * 8 + 0.5 * (2 * 8 + 5 * 5)) / (7 * 13)), "pairs won, ties half"
    assert np.allclose(found.reliability, [(0.1, 0.2), (0.8, 0.5)])


def test_what_always_happens_has_no_auc_and_nothing_is_refused():
    assert calibration_of(np.full(3, 0.9), np.ones(3, np.bool_)).auc is None
    with pytest.raises(DataError, match="at least one prediction"):
        calibration_of(np.zeros(0), np.zeros(0, np.bool_))


@pytest.mark.parametrize("model", [cycle_model(), MarkovModel.fit(cycle_log())], ids=["lstm", "markov"])
def test_a_model_is_calibrated_on_its_own_samples_and_not_when_bent(model):
    sample = generate_sequences(model, 3_000, seed=0)
    found = head_calibration(model, sample)["end"]
    assert found.ece < 0.02
    assert found.predicted == pytest.approx(found.rate, rel=0.05)
    if isinstance(model, LSTMModel):
        shifted = replace(model.calibration, end_shift=model.calibration.end_shift + 1.0)
        bent = LSTMModel(model.network, model.space, shifted)
        assert head_calibration(bent, sample)["end"].ece > 0.1


def test_event_types_are_judged_given_the_item():
    frame = cycle_log(300).to_pandas()
    frame["event"] = np.where(frame["item_id"].isin(["i0", "i1", "i2"]), "view", "buy")
    log = InteractionLog.from_pandas(frame)
    found = head_calibration(MarkovModel.fit(log), log.sequences())
    assert set(found) == {"end", "view", "buy"}
    assert found["buy"].rate + found["view"].rate == pytest.approx(1.0)
    assert found["buy"].predicted == pytest.approx(found["buy"].rate, rel=0.05)


def table(**changes):
    distances = {
        name: {"simulated": 0.1, "train_vs_real": 0.1}
        for name in ("session_length_wasserstein", "item_jsd", "transition_jsd")
    }
    return {"session_length_mean": {"real": 7.0, "simulated": 7.1}, **distances, **changes}


def test_the_verdict_names_what_was_missed():
    head = {"end": calibration_of(np.full(10, 0.5), np.arange(10) < 5)}
    nll = {"model": 3.7, "markov": 3.9, "popularity": 5.0}
    assert verdict(requirements(table(), head, nll)).startswith("All 7 requirements are met. Trust it for ranking")
    off = requirements(table(session_length_mean={"real": 7.0, "simulated": 4.0}), head, nll)
    assert "1 of 7 requirements are missed (relative error of the mean session length)" in verdict(off)
    assert "MISSED relative error of the mean session length" in "\n".join(map(str, off))
    ceiling = table(item_jsd={"simulated": 0.1, "train_vs_real": 0.1, "real_vs_real": 0.05})
    lines = "\n".join(map(str, requirements(ceiling, head, nll)))
    assert "MISSED distance of item popularity against the ceiling: 2, at most 1.25 times the ceiling" in lines
    assert "(the training sessions': 2 times)" in lines
    nothing = requirements(table(), head, nll | {"model": 4.0})
    assert verdict(nothing).startswith("Do not trust it: the model knows no more than a Markov chain")
