import numpy as np
import pandas as pd
import pytest

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.data.load import load_log
from rlrec.data.log import InteractionLog
from rlrec.data.privacy import drop_columns, k_anonymity, pseudonymise
from rlrec.data.store import save_log
from tests.data.logs import random_frame

KEY = b"sixteen bytes or more"
USERS = pd.DataFrame(
    {"user_id": [f"u{i}" for i in range(12)], "age": [30] * 10 + [40, 50], "city": list("aabbaabbaabb")}
)


@pytest.fixture
def log():
    items = pd.DataFrame({"item_id": range(100, 109), "title": [f"title {i}" for i in range(9)], "price": range(9)})
    return InteractionLog.from_pandas(random_frame(), users=USERS, items=items)


@pytest.mark.parametrize("ids", ["users", "items", "both"])
def test_only_the_names_change(log, ids):
    hidden = pseudonymise(log, KEY, ids=ids)
    assert hidden.n_events == log.n_events
    for group in ("user_id", "item_id"):
        same = (ids == "users" and group == "item_id") or (ids == "items" and group == "user_id")
        assert (set(hidden.to_pandas()[group]) == set(log.to_pandas()[group])) == same
    key = ["timestamp", "value", "event"]
    old, new = (frame.to_pandas().sort_values(key, ignore_index=True) for frame in (log, hidden))
    pd.testing.assert_frame_equal(old[key], new[key])
    assert len(set(zip(old["user_id"], new["user_id"], strict=True))) == old["user_id"].nunique()
    ages = {
        (value, log.user_features["age"].values[log.user[log.value == value][0]]) for value in log.value[:50].tolist()
    }
    for value, age in ages:
        assert hidden.user_features["age"].values[hidden.user[hidden.value == value][0]] == age


def test_the_same_key_gives_the_same_names_and_another_key_others(log):
    one, again, other = (pseudonymise(log, key) for key in (KEY, KEY, KEY + b"x"))
    assert one == again
    assert not set(one.users.ids) & set(other.users.ids)
    assert all(len(name) == 16 for name in one.users.ids)


def test_numbers_and_their_spelling_have_different_pseudonyms():
    number, text = (
        pseudonymise(InteractionLog.from_pandas(pd.DataFrame({"user_id": [value], "item_id": [1]})), KEY)
        for value in (7, "7")
    )
    assert number.users.ids[0] != text.users.ids[0]


def test_no_raw_id_is_in_the_saved_log(log, tmp_path):
    secret = random_frame().assign(user_id=lambda frame: "secret-" + frame["user_id"])
    dirty = pd.concat(
        [secret, secret.iloc[:1].assign(user_id="secret-twin-é"), secret.iloc[:1].assign(user_id="secret-twin-é")]
    )
    save_log(pseudonymise(load_log(dirty), KEY), tmp_path / "log")
    files = [path for path in (tmp_path / "log").rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert b"secret" not in path.read_bytes(), path


def test_columns_are_dropped(log):
    part = drop_columns(log, ["value", "users.age", "items.*"])
    assert part.value is None
    assert list(part.user_features) == ["city"]
    assert list(part.catalog.features) == []
    with pytest.raises(
        InvalidArgumentError, match=r"there is no column 'users\.height' to drop; features are: age, city"
    ):
        drop_columns(log, ["users.height"])
    with pytest.raises(InvalidArgumentError, match="there is no column 'user' to drop"):
        drop_columns(log, ["user"])


def test_k_anonymity_by_hand(log):
    found = k_anonymity(log, ["age"], k=5)
    assert (found.k, found.n_groups, found.n_below, found.n_people) == (1, 3, 2, 12)
    both = k_anonymity(log, k=5)
    assert both.n_groups == 4
    assert k_anonymity(log, ["city"], k=5).k == 6
    with pytest.raises(InvalidArgumentError, match="there is no user feature 'x'; there are: age, city"):
        k_anonymity(log, ["x"])
    with pytest.raises(DataError, match="has no user features, so nobody can be told by them"):
        k_anonymity(InteractionLog.from_pandas(random_frame()))


@pytest.mark.parametrize("kind", ["Numeric", "Categorical", "MultiCategorical", "Text", "Vectors"])
def test_every_kind_of_feature_can_be_compared(kind):
    columns = {
        "Numeric": [1.0, 1.0, np.nan, np.nan],
        "Categorical": ["a", "a", None, None],
        "MultiCategorical": [["a"], ["a"], [], []],
        "Text": [f"{'long text' * 3}{i // 2}" for i in range(4)],
        "Vectors": [[0.5, 1.0], [0.5, 1.0], [2.0, 2.0], [2.0, 2.0]],
    }
    frame = pd.DataFrame({"user_id": range(4), "item_id": 1})
    users = pd.DataFrame({"user_id": range(4), "x": pd.Series(columns[kind])})
    found = k_anonymity(InteractionLog.from_pandas(frame, users=users))
    assert (found.k, found.n_groups) == (2, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"key": b"short"}, "key must have at least 16 bytes, got 5"),
        ({"length": 8}, "length must lie in 16..64, got 8"),
        ({"ids": "people"}, "ids must be 'users', 'items' or 'both', got 'people'"),
    ],
)
def test_wrong_arguments_are_named(log, arguments, message):
    with pytest.raises(InvalidArgumentError) as caught:
        pseudonymise(log, **({"key": KEY} | arguments))
    assert message in str(caught.value)
