"""Checks let the edge through, stop what lies past it, and say so in a sentence."""

from __future__ import annotations

import math

import pytest

from rlrec.core.checks import check_at_least, check_between, check_choice, check_positive
from rlrec.core.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: check_positive("gamma", 0), "gamma must be above 0, got 0"),
        (lambda: check_positive("gamma", math.nan), "gamma must be above 0, got nan"),
        (lambda: check_positive("gamma", math.inf), "gamma must be above 0, got inf"),
        (lambda: check_at_least("k", 0, 1), "k must be at least 1, got 0"),
        (lambda: check_at_least("k", math.nan, 1), "k must be at least 1, got nan"),
        (lambda: check_between("rho", 1.5, 0, 1), "rho must lie in [0, 1], got 1.5"),
        (lambda: check_between("rho", math.nan, 0, 1), "rho must lie in [0, 1], got nan"),
        (lambda: check_choice("unit", "day", ("row", "session")), "unit must be one of 'row', 'session', got 'day'"),
    ],
)
def test_refusals_are_whole_sentences(call, sentence):
    with pytest.raises(InvalidArgumentError) as caught:
        call()
    assert str(caught.value) == sentence


def test_edges_are_allowed():
    check_positive("x", 1e-300)
    check_at_least("x", 1, 1)
    check_between("x", 0, 0, 1)
    check_between("x", 1, 0, 1)
    check_choice("x", "a", ("a",))
