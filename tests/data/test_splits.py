from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.data.filters import compact, filter_k_core, filter_lengths
from rlrec.data.load import load_log
from rlrec.data.log import InteractionLog
from rlrec.data.splits import (
    rolling_windows,
    split_by_sequence,
    split_by_time,
    split_by_user,
    split_leave_last_out,
    split_to_fit,
)


@st.composite
def logs(draw):
    """Logs of 3 to 80 rows with ties; each row has its number as value, so that rows can be told apart."""
    n = draw(st.integers(3, 80))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    frame = pd.DataFrame(
        {
            "user_id": rng.integers(draw(st.integers(1, 12)), size=n),
            "item_id": rng.integers(draw(st.integers(1, 8)), size=n),
            "timestamp": rng.integers(draw(st.integers(1, 60)), size=n),
            "value": np.arange(n, dtype=float),
        }
    )
    if draw(st.booleans()):
        frame["session_id"] = frame["user_id"] * 1000 + frame["timestamp"] // 7
    return InteractionLog.from_pandas(frame)


def rows(log):
    return set(log.value.tolist())


def tried(split, *args, **kwargs):
    """The result, or None where the log cannot be split, which is said."""
    try:
        return split(*args, **kwargs)
    except DataError:
        return None


def check_parts(log, parts, *, dropped=0):
    """No row is in two parts; none is lost but those that the split says it drops."""
    sets = [rows(part) for part in parts]
    assert sum(map(len, sets)) == len(set().union(*sets))
    assert set().union(*sets) <= rows(log)
    assert len(set().union(*sets)) >= log.n_events - dropped
    assert all(part.catalog is log.catalog for part in parts)
    assert all(part.n_events > 0 for part in parts)


@given(logs())
def test_time_leaks_nothing(log):
    parts = tried(split_by_time, log)
    if parts is None:
        return
    train, valid, test = parts
    check_parts(log, parts, dropped=log.n_events)
    assert train.timestamp.max() < valid.timestamp.min()
    assert valid.timestamp.max() < test.timestamp.min()
    if log.session is None:
        check_parts(log, parts)


@given(logs(), st.integers(0, 99))
def test_a_user_or_a_sequence_is_never_shared(log, seed):
    parts = tried(split_by_user, log, seed=seed)
    if parts is not None and all(part.n_events for part in parts):
        check_parts(log, parts)
        users = [set(part.user.tolist()) for part in parts]
        assert sum(map(len, users)) == len(set().union(*users))
    parts = tried(split_by_sequence, log, seed=seed)
    if parts is not None:
        check_parts(log, parts)
        sizes = [len(part.sequences()) for part in parts]
        assert sum(sizes) == len(log.sequences())


@given(logs(), st.integers(1, 3), st.integers(1, 3))
def test_leave_last_out_keeps_each_users_own_future_out(log, n_valid, n_test):
    parts = tried(split_leave_last_out, log, n_valid=n_valid, n_test=n_test)
    if parts is None:
        assert np.bincount(log.user).max() <= n_valid + n_test
        return
    check_parts(log, parts)
    train, valid, test = (part.to_pandas().groupby("user_id") for part in parts)
    counts = np.bincount(log.user, minlength=log.n_users)
    for user, group in test:
        assert len(group) == n_test
        assert len(valid.get_group(user)) == n_valid
        assert train.get_group(user)["timestamp"].max() <= valid.get_group(user)["timestamp"].min()
        assert valid.get_group(user)["timestamp"].max() <= group["timestamp"].min()
    assert test.ngroups == (counts > n_valid + n_test).sum()


@given(logs(), st.integers(1, 4), st.sampled_from([None, 1, 2]))
def test_no_window_is_trained_on_its_own_time_or_later(log, n_windows, n_train):
    windows = tried(rolling_windows, log, n_windows=n_windows, test=0.15, n_train=n_train)
    if windows is None:
        return
    assert len(windows) == n_windows
    for window in windows:
        if window.train.n_events:
            assert window.train.timestamp.max() < window.begin
        assert window.test.timestamp.min() >= window.begin
        assert window.test.timestamp.max() < window.end
    tests = [rows(window.test) for window in windows]
    assert sum(map(len, tests)) == len(set().union(*tests))
    if n_train is None:
        assert all(rows(a.train) <= rows(b.train) for a, b in pairwise(windows))


@given(logs())
def test_a_log_to_fit_is_split_by_time_where_that_leaves_steps_in_each_part(log):
    by_time = tried(split_by_time, log)
    found = tried(split_to_fit, log)
    if found is None:
        return
    check_parts(log, found[:3], dropped=log.n_events)
    assert all((part.sequences().lengths > 1).any() for part in found[:3])
    good = by_time is not None and all((part.sequences().lengths > 1).any() for part in by_time)
    assert good == (found.note == "")
    if good:
        assert [rows(part) for part in found[:3]] == [rows(part) for part in by_time]


def test_the_tiny_fixture_can_be_fitted_on(shared_data):
    found = split_to_fit(load_log(shared_data / "builtin" / "otto_fixture"))
    assert found.note.startswith("the log was split by sequence and not by time (a part of it would have no two behav")


def test_rolling_windows_by_hand():
    frame = pd.DataFrame({"user_id": 1, "item_id": range(10), "timestamp": range(10)})
    log = InteractionLog.from_pandas(frame)
    grown = rolling_windows(log, n_windows=2, test=0.2)
    assert [(w.train.item.tolist(), w.test.item.tolist()) for w in grown] == [
        ([0, 1, 2, 3, 4, 5], [6, 7]),
        ([0, 1, 2, 3, 4, 5, 6, 7], [8, 9]),
    ]
    slid = rolling_windows(log, n_windows=2, test=0.2, n_train=1)
    assert [w.train.item.tolist() for w in slid] == [[4, 5], [6, 7]]


@given(logs(), st.integers(1, 5), st.integers(1, 5))
@settings(max_examples=60)
def test_a_core_is_the_largest_part_that_is_dense_enough(log, user_rows, item_rows):
    found = tried(filter_k_core, log, user_rows=user_rows, item_rows=item_rows)
    frame = log.to_pandas()
    while len(frame):  # the same by pandas, one row after another
        users, items = (frame.groupby(key)["value"].transform("size") for key in ("user_id", "item_id"))
        if ((users >= user_rows) & (items >= item_rows)).all():
            break
        frame = frame[(users >= user_rows) & (items >= item_rows)]
    assert rows(found.log) == set(frame["value"]) if found else not len(frame)
    if found:
        assert found.n_rows == log.n_events - len(frame)
        assert found.n_users == len(np.unique(log.user)) - frame["user_id"].nunique()
        again = filter_k_core(found.log, user_rows=user_rows, item_rows=item_rows)
        assert (again.n_rows, again.n_users, again.n_items) == (0, 0, 0)


@given(logs(), st.integers(1, 4), st.sampled_from([None, 4, 6]))
def test_lengths_are_filtered_and_cut_at_the_end(log, least, most):
    part, n_rows, _, _ = filter_lengths(log, least=least, most=most)
    assert part.n_events == log.n_events - n_rows
    if part.n_events:
        lengths = part.sequences().lengths
        assert lengths.min() >= least
        assert most is None or lengths.max() <= most


@given(logs())
def test_compact_drops_ids_without_rows_and_nothing_else(log):
    part = log.select(log.item > 0)
    if not part.n_events:
        return
    small = compact(part)
    pd.testing.assert_frame_equal(small.to_pandas(), part.to_pandas())
    assert (small.item_counts > 0).all()
    assert (np.bincount(small.user) > 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda log: split_leave_last_out(log, n_test=0), "n_valid and n_test must be at least 1, got 1 and 0"),
        (lambda log: rolling_windows(log, n_windows=5, test=0.3), "must be at least 1 and n_windows * test in (0, 1)"),
        (lambda log: filter_k_core(log, user_rows=0), "user_rows and item_rows must be at least 1, got 0 and 5"),
        (lambda log: filter_lengths(log, least=3, most=2), "least must be at least 1 and most at least that, got 3 an"),
        (lambda log: split_by_time(log, valid=0.6, test=0.6), "valid and test must be in (0, 1) and sum to less than"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    log = InteractionLog.from_pandas(pd.DataFrame({"user_id": [1, 2, 3], "item_id": [1, 2, 3]}))
    with pytest.raises(InvalidArgumentError) as caught:
        call(log)
    assert message in str(caught.value)


def test_a_core_that_is_empty_is_said():
    log = InteractionLog.from_pandas(pd.DataFrame({"user_id": [1, 2, 3], "item_id": [1, 2, 3]}))
    with pytest.raises(DataError, match="no row is left: no part of 'log' has 5 rows for each user and 5 for each"):
        filter_k_core(log)
