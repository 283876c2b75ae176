"""An estimate has an interval, a unit count, and a mark where it is not to be trusted."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest

from rlrec.core.errors import InvalidArgumentError
from rlrec.core.estimate import Estimate


def estimate(**changes) -> Estimate:
    return Estimate(**{"value": 1.0, "low": 0.5, "high": 1.5, "n": 10, "effective_sample_size": 8.0} | changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"value": math.nan}, "an estimate must be finite, got nan [0.5, 1.5]"),
        ({"high": math.inf}, "an estimate must be finite, got 1.0 [0.5, inf]"),
        ({"low": 2.0}, "low must not exceed high, got [2.0, 1.5]"),
    ],
)
def test_an_improper_interval_is_refused(changes, sentence):
    with pytest.raises(InvalidArgumentError) as caught:
        estimate(**changes)
    assert str(caught.value) == sentence


def test_a_value_without_an_interval_cannot_be_made():
    with pytest.raises(TypeError, match="low"):
        Estimate(value=1.0, n=1, effective_sample_size=1.0)


def test_an_interval_may_be_a_point_and_may_miss_the_value():
    assert estimate(low=1.0, high=1.0).low == 1.0
    assert estimate(value=3.0).value == 3.0  # a percentile bootstrap's interval can


def test_it_prints_its_interval_and_its_mark():
    assert str(estimate(value=1.23456)) == "1.235 [0.5, 1.5]"
    assert str(estimate(reliable=False)) == "1 [0.5, 1.5] (unreliable)"


def test_the_summary_holds_plain_values():
    values = estimate(reliable=False).to_dict()
    assert json.loads(json.dumps(values)) == values
    assert values == {
        "value": 1.0, "low": 0.5, "high": 1.5, "n": 10, "effective_sample_size": 8.0, "reliable": False,
        "level": 0.95, "notes": [],
    }  # fmt: skip


def test_it_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        estimate().value = 2.0
