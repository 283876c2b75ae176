"""The gate of the sampling knobs: it keeps what helps and refuses what hurts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlrec.gan.knob_gate import gated
from rlrec.gan.sampling import generate_sequences
from rlrec.gan.sampling_config import SamplingConfig
from rlrec.models.counting import MarkovModel, PopularityModel
from tests.small import N_ITEMS, cycle_log

GOOD = SamplingConfig()
BAD = replace(GOOD, temperature=1.5, item_factors=(20.0,) + (1.0,) * (N_ITEMS - 1))


@pytest.mark.parametrize(("tuned", "plain", "kept"), [(GOOD, BAD, GOOD), (BAD, GOOD, GOOD)])
def test_the_knobs_that_people_cannot_be_told_by_stay(tuned, plain, kept):
    model = PopularityModel.fit(cycle_log(200))
    train = generate_sequences(model, 300, seed=1)  # people who do as the model does
    valid = generate_sequences(model, 200, seed=2)
    assert gated(model, tuned, plain, train, valid, seed=0, max_length=50) == kept


def test_where_nobody_can_say_the_knobs_stay():
    model, few = MarkovModel.fit(cycle_log()), cycle_log().sequences().select(np.arange(10))
    assert gated(model, BAD, GOOD, few, few, seed=0, max_length=50) == BAD
