import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.data.catalog import ItemCatalog
from rlrec.data.log import InteractionLog
from rlrec.data.vocabulary import Vocabulary
from tests.data.logs import random_frame, random_log


def test_rows_are_sorted_by_user_time_and_original_row():
    frame = random_frame(500)
    frame["timestamp"] //= 10_000  # many ties
    frame["value"] = np.arange(500.0)
    log = InteractionLog.from_pandas(frame)
    expected = frame.sort_values(["user_id", "timestamp"], kind="stable", ignore_index=True)
    pd.testing.assert_frame_equal(log.to_pandas(), expected, check_dtype=False)


def test_round_trip_through_pandas_and_polars_loses_nothing():
    log = random_log()
    assert InteractionLog.from_pandas(log.to_pandas()) == log
    assert InteractionLog.from_polars(log.to_polars()) == log


@given(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.text(min_size=1)), min_size=1, max_size=20))
def test_ids_come_back_exactly(pairs):
    users, items = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    frame = pd.DataFrame({"user_id": np.array(users, np.int64), "item_id": pd.Series(items, dtype=object)})
    back = InteractionLog.from_pandas(frame).to_pandas().sort_values("timestamp", kind="stable")
    assert back["user_id"].tolist() == users
    assert back["item_id"].tolist() == items


def test_columns_are_read_only_and_typed():
    log = random_log()
    assert (log.user.dtype, log.timestamp.dtype, log.event.dtype) == (np.int32, np.float64, np.int16)
    with pytest.raises(ValueError, match="read-only"):
        log.item[0] = 3


def test_without_times_the_row_order_is_the_time():
    log = InteractionLog.from_pandas(pd.DataFrame({"user_id": [2, 1, 2], "item_id": [5, 6, 7]}))
    assert log.catalog.ids[log.item].tolist() == [6, 5, 7]
    assert log.event_names == ("click",)
    assert log.value is None


def test_datetimes_become_utc_seconds():
    times = pd.to_datetime(["2020-01-01T01:00:00+01:00", "2020-01-01T00:00:01+00:00"], utc=True)
    log = InteractionLog.from_pandas(pd.DataFrame({"user_id": [1, 1], "item_id": [1, 1], "timestamp": times}))
    assert log.timestamp.tolist() == [1577836800.0, 1577836801.0]


def test_item_table_brings_items_that_never_occur():
    frame = pd.DataFrame({"user_id": [1], "item_id": ["b"]})
    log = InteractionLog.from_pandas(frame, items=pd.DataFrame({"item_id": ["a", "b"], "price": [1.0, 2.0]}))
    assert log.n_items == 2
    assert log.item.tolist() == [1]
    assert log.item_counts.tolist() == [0, 1]


def test_selection_keeps_users_and_catalogue_and_numbers_sessions_anew():
    log = random_log(sessions=True)
    part = log.select(log.event == 0)
    assert part.n_users == log.n_users
    assert part.catalog is log.catalog
    assert (np.diff(part.session) >= 0).all()
    assert set(np.diff(part.session)) <= {0, 1}


def test_the_hash_covers_every_column():
    log = random_log()
    frame = log.to_pandas()
    changes = {
        "user_id": ("u0", "u1"),
        "item_id": (frame["item_id"][0] + 1, frame["item_id"][0] + 2),
        "timestamp": (frame["timestamp"][0] - 1, frame["timestamp"][0] - 2),
        "value": (frame["value"][0] + 1, frame["value"][0] + 2),
    }
    for name, candidates in changes.items():
        changed = frame.copy()
        changed.loc[0, name] = next(value for value in candidates if value != frame[name][0])
        assert InteractionLog.from_pandas(changed) != log, name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"user": [0, 1]}, r"column 'user' must have shape \(3,\), got \(2,\)|column 'item' must have shape"),
        ({"item": [0, 1, 9]}, r"item must lie in 0\.\.1, got 0\.\.9"),
        ({"timestamp": [0, 1, np.nan]}, "timestamp must be finite; clean the log with rlrec.load_log"),
    ],
)
def test_columns_that_contradict_are_refused(change, message):
    columns = {"user": [0, 1, 1], "item": [0, 1, 0], "timestamp": [1, 2, 3]} | change
    with pytest.raises(InvalidArgumentError, match=message):
        InteractionLog.from_columns(users=Vocabulary([1, 2]), catalog=ItemCatalog(Vocabulary([5, 6])), **columns)


def test_a_missing_column_is_named_with_the_remedy():
    with pytest.raises(DataError, match=r"a log needs a column 'item_id', got: user_id, sku; rename yours"):
        InteractionLog.from_pandas(pd.DataFrame({"user_id": [1], "sku": [2]}))


def test_user_features_belong_to_the_identity_of_a_log():
    frame = pd.DataFrame({"user_id": [1, 2], "item_id": [1, 1]})
    one = InteractionLog.from_pandas(frame, users=pd.DataFrame({"user_id": [1, 2], "country": ["a", "b"]}))
    two = InteractionLog.from_pandas(frame, users=pd.DataFrame({"user_id": [1, 2], "country": ["a", "c"]}))
    assert one != two


@pytest.mark.skipif(sys.platform == "win32", reason="limits are Unix's")
def test_a_full_disk_is_a_sentence(tmp_path):
    """A limit on the size of a file stands for it; in a process of its own, as the limit would stay."""
    code = (
        "import resource, sys; from tests.small import cycle_log; from rlrec.core.errors import DataError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))\n"
        "try:\n    cycle_log().to_parquet(sys.argv[1])\n"
        "except DataError as error:\n    sys.exit(0 if 'cannot be written' in str(error) else 3)\n"
    )
    path = tmp_path / "log.parquet"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code, str(path)], cwd=root, check=False).returncode == 0
    assert list(tmp_path.iterdir()) == []
