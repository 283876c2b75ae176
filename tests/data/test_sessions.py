import numpy as np
import pandas as pd
import pytest

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.data.log import InteractionLog
from rlrec.data.sessions import sessionise
from tests.data.logs import random_log


@pytest.mark.parametrize("gap", [100.0, 1800.0, 1e9])
def test_a_session_ends_exactly_where_the_gap_is_exceeded(gap):
    log = sessionise(random_log(), gap=gap)
    inside = np.diff(log.session) == 0
    seconds, same_user = np.diff(log.timestamp), np.diff(log.user) == 0
    np.testing.assert_array_equal(inside, same_user & (seconds <= gap))
    assert log.session[0] == 0
    assert set(np.diff(log.session).tolist()) <= {0, 1}


def test_what_cannot_be_cut_is_said():
    with pytest.raises(InvalidArgumentError, match="gap must be a number of seconds above 0, got 0"):
        sessionise(random_log(), gap=0)
    log = InteractionLog.from_pandas(pd.DataFrame({"user_id": [1], "item_id": [1]}))
    with pytest.raises(DataError, match="'log' has no clock times, so no gap can end a session"):
        sessionise(log)
