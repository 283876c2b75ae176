"""Trajectories: checked columns, and a log and back."""

import numpy as np
import pandas as pd
import pytest

from rlrec.core.errors import DataError, InvalidArgumentError, MissingPropensityError
from rlrec.data.log import InteractionLog
from rlrec.data.trajectories import IMPRESSION, Trajectories

LIKE = InteractionLog.from_pandas(
    pd.DataFrame({"user_id": [1, 2], "item_id": [10, 11], "timestamp": [0, 1], "event": ["buy", "view"]}),
    items=pd.DataFrame({"item_id": [10, 11, 12, 13]}),
)


def episodes(**changed):
    columns = {
        "offsets": np.array([0, 2, 5]),
        "user": np.array([3, 8]),
        "slate": np.array([[0, 1], [2, 3], [1, 0], [3, 2], [0, 3]]),
        "reward": np.array([2.0, 0.0, 0.0, 1.0, 0.0]),
        "clicked": np.array([0, -1, -1, 1, -1]),
        "terminated": np.array([True, False]),
        "behavior_log_probs": np.log([[0.5, 0.5], [0.25, 0.5], [0.5, 0.5], [0.25, 1.0], [0.5, 0.125]]),
        "item": np.array([0, 1, -1, 2, 3]),
        "event": np.array([0, 1, 0, 1, 1]),
        "gap": np.array([3, 0, 0, 2, 0]),
    }
    return Trajectories(**(columns | changed))


def test_a_log_and_back_keeps_slates_rewards_and_propensities():
    before = episodes()
    after = Trajectories.from_log(before.to_log(LIKE))
    for name in ("offsets", "user", "slate", "reward", "clicked"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name), err_msg=name)
    np.testing.assert_allclose(after.behavior_log_probs, before.behavior_log_probs, rtol=1e-12)


def test_the_log_has_a_row_for_each_item_shown_and_each_found_alone():
    log = episodes().to_log(LIKE)
    assert log.event_names == ("buy", "view", IMPRESSION)
    assert log.exposed.sum() == 10
    alone = log.select(~log.exposed)
    assert alone.item.tolist() == [1, 3]
    assert alone.position.tolist() == [-1, -1]
    assert np.isnan(alone.propensity).all()
    taken = log.select(log.exposed & (log.event != 2))
    assert taken.item.tolist() == [0, 2]
    assert taken.value.tolist() == [2.0, 1.0]
    assert taken.session.tolist() == [0, 1]


def test_a_log_without_propensities_comes_back_without():
    log = episodes().to_log(LIKE).to_pandas().drop(columns="propensity")
    with pytest.raises(MissingPropensityError, match="behavior_log_probs must hold the log-probability of what"):
        Trajectories.from_log(InteractionLog.from_pandas(log)).require_log_probs()


def test_returns_and_lengths_by_hand():
    assert episodes().returns.tolist() == [2.0, 1.0]
    assert episodes().lengths.tolist() == [2, 3]
    assert episodes().truncated.tolist() == [False, True]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"offsets": np.array([0, 2, 4])}, r"offsets must rise from 0 to the number of steps \(5\), got \[0, 2, 4\]"),
        ({"offsets": np.array([0, 2, 2, 5])}, "an episode has at least one step"),
        ({"slate": np.zeros(5, int)}, r"slate must have shape \(N=5, K\), got \(5,\); use \(N, 1\) for items"),
        ({"user": np.zeros(3, int)}, r"user must have shape \(2,\), got \(3,\)"),
        ({"clicked": np.zeros(4, int)}, r"clicked must have shape \(5,\), got \(4,\)"),
        ({"observation": np.zeros((4, 2), np.float32)}, r"observation must have shape \(5, 2\), got \(4, 2\)"),
        ({"behavior_log_probs": np.full((5, 2), 0.5)}, "behavior_log_probs must be at most 0, got one above"),
    ],
)
def test_wrong_columns_get_a_sentence(changed, sentence):
    with pytest.raises(InvalidArgumentError, match=sentence):
        episodes(**changed)


def test_a_log_of_reactions_has_no_slates():
    with pytest.raises(DataError, match="a log needs exposed and position to hold slates"):
        Trajectories.from_log(LIKE)


def test_slates_of_several_sizes_are_refused():
    frame = episodes().to_log(LIKE).to_pandas()
    with pytest.raises(DataError, match="slates of one size, got several"):
        Trajectories.from_log(InteractionLog.from_pandas(frame.drop(index=frame.index[0])))
