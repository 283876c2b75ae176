import json

import numpy as np
import pandas as pd
import pytest

from rlrec.data.check import check_log
from rlrec.data.check_page import check_page, write_check_page
from rlrec.data.load import load_log
from rlrec.data.log import InteractionLog
from rlrec.data.order import ascending_share, order_gain

DAY = 1_600_000_000


def walkers(n_users=300, n_rows=12, n_items=20, *, seed=0):
    """People who walk round a ring, now and then jumping: an order that tells a lot."""
    rng = np.random.default_rng(seed)
    start = rng.integers(n_items, size=(n_users, 1))
    steps = np.where(rng.random((n_users, n_rows)) < 0.8, 1, rng.integers(n_items, size=(n_users, n_rows)))
    items = (start + np.cumsum(steps, axis=1)) % n_items
    gaps = rng.exponential(90_000, size=(n_users, n_rows))
    return pd.DataFrame(
        {
            "user_id": np.repeat(np.arange(n_users), n_rows),
            "item_id": items.ravel(),
            "timestamp": (DAY + np.cumsum(gaps, axis=1)).ravel(),
        }
    )


def codes(frame, **kwargs):
    return [warning.code for warning in check_log(InteractionLog.from_pandas(frame), **kwargs).warnings]


def test_a_real_order_is_not_flagged():
    assert "false-order" not in codes(walkers())
    gain = order_gain(InteractionLog.from_pandas(walkers()))
    assert gain.told
    assert gain.gain > 1  # the ring is 80 % certain: log(20) - H is about 1.9 nats


@pytest.mark.parametrize("seed", range(5))
def test_a_shuffled_order_is_flagged(seed):
    frame = walkers(seed=seed).sort_values("user_id", kind="stable")
    rng = np.random.default_rng(seed)
    frame["timestamp"] = DAY + 1000.0 * rng.permutation(len(frame))
    assert "false-order" in codes(frame)


@pytest.mark.parametrize("ascending", [True, False])
def test_rows_sorted_by_item_inside_a_user_are_flagged_though_a_bigram_fits_them(ascending):
    frame = walkers().drop_duplicates(["user_id", "item_id"])
    frame = frame.sort_values(["user_id", "item_id"], ascending=[True, ascending], ignore_index=True)
    frame["timestamp"] = DAY + np.arange(len(frame)) * 1000.0
    log = InteractionLog.from_pandas(frame)
    assert order_gain(log).told  # the tempting check, alone, calls this order real
    warning = next(w for w in check_log(log).warnings if w.code == "false-order")
    way = "up" if ascending else "down"
    assert warning.sentence.startswith(
        f"100.0% of the steps inside a sequence go {way} by item id: the rows look sorted"
    )


def test_shared_sets_are_judged_as_their_cards_judge_them(shared_data):
    flagged = {
        name: "false-order" in [w.code for w in check_log(load_log(shared_data / "research" / name)).warnings]
        for name in ("coat-selected", "ml-100k", "yoochoose-100k", "amazon_beauty_s3rec", "kuairand27k_explicit")
    }
    assert flagged == {name: name == "coat-selected" for name in flagged}


def test_the_numbers_by_hand():
    frame = pd.DataFrame(
        {
            "user_id": ["a", "a", "a", "b"],
            "item_id": ["x", "x", "y", "x"],
            "timestamp": [DAY, DAY, DAY + 5, DAY + 9],
            "event": ["click", "buy", "click", "click"],
        }
    )
    check = check_log(InteractionLog.from_pandas(frame, items=pd.DataFrame({"item_id": ["x", "y", "z"]})))
    assert (check.n_events, check.n_users, check.n_items, check.n_items_in_catalog) == (4, 2, 2, 3)
    assert (check.begin, check.end, check.density) == (DAY, DAY + 9, 1.0)
    assert (check.repeat_share, check.tie_share, check.top_tenth_share) == (0.25, 0.5, 0.75)
    assert check.events == {"buy": 1, "click": 3}
    assert check.sequence_lengths["mean"] == 2
    assert check.lengths == (0, 1, 0, 1)


def test_what_a_colleague_would_say_of_other_logs():
    frame = walkers()
    assert codes(frame) == ["thinned"]
    giant = pd.DataFrame({"user_id": -1, "item_id": 3, "timestamp": DAY + np.arange(5000) * 60.0})
    assert "heavy-users" in codes(pd.concat([frame, giant]))
    assert "ties" in codes(frame.assign(timestamp=DAY + frame["user_id"]))
    assert "bursts" in codes(frame.assign(timestamp=DAY + frame.groupby("user_id").cumcount() // 2))
    assert "invented-clock" in codes(frame.assign(timestamp=DAY + frame.groupby("user_id").cumcount() * 5))
    assert "no-clock" in codes(frame.drop(columns="timestamp"))
    assert "users-are-sessions" in codes(frame.assign(session_id=frame["user_id"]))
    assert "one-value" in codes(frame.assign(value=1.0))
    assert "no-sequences" in codes(frame.drop_duplicates("user_id"))


def test_leaks_between_parts_are_found():
    frame = walkers().sort_values("timestamp", ignore_index=True)
    train, test = frame[:3000], frame[3000:]
    log = InteractionLog.from_pandas(train)
    assert not {"shared-rows", "future-in-train"} & set(codes(train, test=InteractionLog.from_pandas(test)))
    assert "shared-rows" in codes(frame, test=InteractionLog.from_pandas(test))
    assert "future-in-train" in codes(frame, test=InteractionLog.from_pandas(test))
    new = test.assign(item_id=test["item_id"] + 15)
    check = check_log(log, test=InteractionLog.from_pandas(new))
    assert check.test_only["items"] == 15
    assert check.test_only["rows"] == (new["item_id"] >= 20).sum()
    assert "test-only-items" in [warning.code for warning in check.warnings]


def test_test_only_items_of_the_dirty_pair(shared_data):
    train, test = (load_log(shared_data / "dirty" / f"22_{part}.csv") for part in ("train", "test"))
    only = check_log(train, test=test).test_only
    assert (only["items"], only["rows"], only["users"]) == (25, 120, 30 + 19)


def test_the_page_holds_the_numbers_and_escapes_names(tmp_path):
    log = InteractionLog.from_pandas(walkers(), name="<b>log</b>")
    check = check_log(log)
    write_check_page(check, tmp_path / "check.html")
    page = (tmp_path / "check.html").read_text()
    assert page == check_page(check)
    assert "3,600" in page
    assert "<b>log</b>" not in page
    assert page.count("<svg") == 2
    json.dumps(check.to_dict(), allow_nan=False)
    assert check.summary().startswith("<b>log</b>: 3,600 events, 300 users, 20 items")


def test_an_empty_log_has_a_check():
    log = InteractionLog.from_pandas(walkers())
    check = check_log(log.select(np.zeros(log.n_events, bool)))
    assert check.n_events == 0
    assert "No sequences" in check_page(check)
    json.dumps(check.to_dict(), allow_nan=False)


def test_ascending_share_by_hand():
    assert ascending_share(np.array([1, 2, 2, 1, 5]), np.array([0, 0, 0, 0, 1])) == 0.5
    assert np.isnan(ascending_share(np.array([1, 2]), np.array([0, 1])))
