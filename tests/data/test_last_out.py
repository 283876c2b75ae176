"""Leave-last-out: nested parts, one target a user."""

from __future__ import annotations

import pandas as pd
import pytest

from rlrec.core.errors import DataError
from rlrec.data.log import InteractionLog
from rlrec.data.splits import split_nested_last_out


def log(*lengths: int) -> InteractionLog:
    rows = [(user, t, float(t)) for user, n in enumerate(lengths) for t in range(n)]
    return InteractionLog.from_pandas(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]))


def test_the_last_two_behaviours_are_kept_out():
    train, valid, test = split_nested_last_out(log(4, 2, 3))
    assert [(int(u), int(i)) for u, i in zip(train.user, train.item, strict=True)] == [
        (0, 0), (0, 1), (1, 0), (1, 1), (2, 0)
    ]  # fmt: skip
    assert [len(part.item[part.user == 0]) for part in (train, valid, test)] == [2, 3, 4]
    assert set(valid.user.tolist()) == set(test.user.tolist()) == {0, 2}


def test_too_short_histories_are_refused():
    with pytest.raises(DataError, match="leave-last-out needs a user with at least 3 behaviours"):
        split_nested_last_out(log(2, 2))
