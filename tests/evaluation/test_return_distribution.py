"""The distribution of the return, against sums by hand."""

import numpy as np
import pytest

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.ope import ReturnDistribution, tis
from tests.evaluation import mdp

LOG = LoggedBatch(action=[0, 1, 0, 1], reward=[1.0, 2.0, 3.0, 4.0], behavior_prob=[0.5] * 4)
TARGET = [0.25, 0.75, 0.25, 0.75]  # weights 1/2, 3/2, 1/2, 3/2 of 4


def test_cdf_quantile_and_tail_by_hand():
    returns = ReturnDistribution.of(LOG, TARGET)
    assert [returns.cdf(x).value for x in (0.5, 1.0, 2.5, 3.0, 9.0)] == pytest.approx([0, 1 / 8, 4 / 8, 5 / 8, 1])
    assert [returns.quantile(p) for p in (0.01, 0.125, 0.13, 0.5, 0.6, 1.0)] == [1, 1, 2, 2, 3, 4]
    # The worst 40 %: all of return 1 (1/8) and 0.275 of the return 2.
    assert returns.cvar(0.4).value == pytest.approx((0.125 * 1 + 0.275 * 2) / 0.4)


def test_the_worst_of_all_episodes_is_the_mean():
    drawn = mdp.draw(500)
    returns = ReturnDistribution.of(drawn.log, drawn.target, gamma=0.9)
    mean = tis(drawn.log, drawn.target, gamma=0.9, self_normalised=True)
    assert returns.cvar(1.0).value == pytest.approx(mean.value, abs=1e-12)


def test_the_first_step_is_not_discounted():
    log = LoggedBatch(action=[0, 0], reward=[1.0, 1.0], episode=[0, 0], behavior_prob=[1.0, 1.0])
    assert ReturnDistribution.of(log, [1.0, 1.0], gamma=0.5).quantile(1.0) == 1.5


def test_the_curve_rises_to_1_and_agrees_with_the_points():
    drawn = mdp.draw(200, n_steps=2)
    returns = ReturnDistribution.of(drawn.log, drawn.target)
    x, share = returns.curve()
    assert (np.diff(x) > 0).all()
    assert (np.diff(share) >= 0).all()
    assert share[-1] == pytest.approx(1)
    assert [returns.cdf(v).value for v in x] == pytest.approx(share.tolist())


def test_intervals_cover_the_target_s_own_returns():
    truth = mdp.draw(100_000, n_steps=3, seed=99)
    on_policy = ReturnDistribution.of(truth.log, truth.target)
    threshold = 3.0
    # The truth by the same estimator on 100,000 episodes: its error is 3 % of the intervals' width.
    at, tail = on_policy.cdf(threshold).value, on_policy.cvar(0.25).value
    hits = []
    for seed in range(150):
        drawn = mdp.draw(400, n_steps=3, seed=seed)
        returns = ReturnDistribution.of(drawn.log, drawn.target)
        cdf, cvar = returns.cdf(threshold), returns.cvar(0.25)
        assert 0 <= cdf.low <= cdf.high <= 1
        hits.append((cdf.low <= at <= cdf.high, cvar.low <= tail <= cvar.high))
    assert (np.mean(hits, axis=0) > 0.95 - 4 * np.sqrt(0.05 * 0.95 / 150)).all()


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5])
def test_a_wrong_share_gets_a_sentence(share):
    with pytest.raises(InvalidArgumentError, match="share must"):
        ReturnDistribution.of(LOG, TARGET).cvar(share)


def test_weights_of_zero_get_a_sentence():
    with pytest.raises(DataError, match="the weights must not all be 0, got no episode the target could produce"):
        ReturnDistribution.of(LOG, [0.0] * 4)
