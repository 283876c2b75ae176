"""Intervals hold the truth as often as they say, on logs of 500 decisions."""

import pytest

from rlrec.evaluation.ope import dr, ips, sndr, snips
from rlrec.testing.bandit_world import BanditWorld, study_coverage

ESTIMATORS = {"ips": ips, "snips": snips, "dr": dr, "sndr": sndr}


def check(found, margin):
    for name, row in found.items():
        assert 0.93 - margin <= row.coverage <= 0.97 + margin, (name, row)
        assert row.width_over_ideal <= 1.15 + 2 * margin, (name, row)
        assert row.flagged == 1.0, (name, row)  # 500 decisions are below the gate of 1,000
        if name in ("ips", "dr"):
            assert abs(row.z) < 3, (name, row)


@pytest.mark.parametrize("base", [0.0, 3.0])
def test_a_small_study_covers(base):
    # 250 logs tell a coverage to 1.4 points: the margin is two of those.
    check(study_coverage(BanditWorld(base=base), ESTIMATORS, n_logs=250), margin=0.028)


@pytest.mark.learning
@pytest.mark.parametrize("base", [0.0, 3.0])
@pytest.mark.parametrize("away", [0.4, 1.2])
def test_the_full_study_covers(base, away):
    found = study_coverage(BanditWorld(base=base, away=away), ESTIMATORS, n_logs=2000)
    check(found, margin=0.0)
    assert found["ips"].effective_share >= 0.35
