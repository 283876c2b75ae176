import numpy as np
import pandas as pd
import pytest

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.data.cleaning_policy import CleaningPolicy
from rlrec.data.features import Categorical, FeatureTable, MultiCategorical, Numeric, Text, Vectors
from rlrec.data.ingest import ingest_log
from rlrec.data.load import load_log

FRAME = pd.DataFrame(
    {
        "colour": ["red", "blue", None, "red"],
        "price": [3.0, np.nan, 4.0, 5.0],
        "tags": [["a", "b"], [], ["b"], ["c"]],
        "codes": [[1, 2], [2], [], [3]],
        "embedding": [[0.0, 1.0], [1.0, 0.0], [0.5, 0.5], [0.0, 0.0]],
        "new": [True, False, True, True],
    }
)


def test_kinds_are_guessed_from_the_values():
    table = FeatureTable.from_pandas(FRAME)
    kinds = {name: type(column) for name, column in table.items()}
    assert kinds == {
        "colour": Categorical,
        "price": Numeric,
        "tags": MultiCategorical,
        "codes": MultiCategorical,
        "embedding": Vectors,
        "new": Categorical,
    }


def test_many_distinct_labels_are_text():
    table = FeatureTable.from_pandas(pd.DataFrame({"title": [f"film {i}" for i in range(100)]}))
    assert isinstance(table["title"], Text)
    assert table.dense[0].shape == (100, 0)


def test_dense_by_hand():
    block, names = FeatureTable.from_pandas(FRAME[["colour", "price"]]).dense
    assert names == ["colour=red", "colour=blue", "price=(value)", "price=(missing)"]
    filled = np.array([3.0, 4.0, 4.0, 5.0])  # the median takes the place of the missing price
    np.testing.assert_allclose(block[:, :2], [[1, 0], [0, 1], [0, 0], [1, 0]])
    np.testing.assert_allclose(block[:, 2], (filled - 4.0) / filled.std(), rtol=1e-6)
    np.testing.assert_allclose(block[:, 3], [0, 1, 0, 0])


def test_rare_labels_share_a_column():
    values = [f"common{i}" for i in range(100) for _ in range(3)] + [f"rare{i}" for i in range(5)]
    block, names = FeatureTable.from_pandas(pd.DataFrame({"f": values})).dense
    assert block.shape == (305, 101)
    assert names[-1] == "f=(other)"
    assert block[:, -1].sum() == 5
    np.testing.assert_array_equal(block.sum(axis=1), 1)


def test_take_follows_rows_and_minus_one_is_missing():
    taken = FeatureTable.from_pandas(FRAME).take(np.array([3, -1, 0]))
    assert taken["colour"].words() == ["red", "", "red"]
    assert taken["tags"].words() == ["c", "", "a|b"]
    assert np.isnan(taken["price"].values[1])
    np.testing.assert_array_equal(taken["embedding"].values, [[0, 0], [0, 0], [0, 1]])


def test_take_from_an_empty_table_gives_missing_rows():
    empty = FeatureTable.from_pandas(FRAME).take(np.zeros(0, np.int64))
    taken = empty.take(np.array([-1, -1]))
    assert taken["colour"].words() == ["", ""]
    assert taken["tags"].words() == ["", ""]
    assert taken.dense[0].shape[0] == 2


def test_the_hash_follows_values():
    table = FeatureTable.from_pandas(FRAME)
    assert table.sha256 == FeatureTable.from_pandas(FRAME.copy()).sha256
    for name, row, value in [("colour", 0, "green"), ("price", 0, 3.0000001), ("tags", 1, ["a"])]:
        changed = FRAME.copy()
        changed[name] = changed[name].astype(object)
        changed.at[row, name] = value
        changed[name] = changed[name].infer_objects()
        assert FeatureTable.from_pandas(changed).sha256 != table.sha256, name


def test_vectors_of_different_lengths_are_refused():
    with pytest.raises(DataError, match="feature 'v' holds vectors of different lengths or missing ones"):
        FeatureTable.from_pandas(pd.DataFrame({"v": [[0.5, 1.0], [0.5]]}))


def test_columns_must_have_one_length():
    with pytest.raises(InvalidArgumentError, match="feature 'a' has 2 rows, expected 3"):
        FeatureTable({"a": Numeric(np.zeros(2))}, 3)


@pytest.mark.parametrize(("how", "price"), [("mean", 3.0), ("median", 2.0)])
def test_missing_features_are_filled_on_request(tmp_path, how, price):
    (tmp_path / "interactions.csv").write_text("user_id,item_id\nu,1\nu,5\n")
    (tmp_path / "items.csv").write_text("item_id,colour,price\n1,red,1\n2,red,2\n3,,6\n4,blue,\n")
    kept = load_log(tmp_path).catalog.features
    assert kept["colour"].words() == ["red", "red", "", "blue", ""]
    policy = CleaningPolicy(missing_feature=how)
    log = load_log(tmp_path, policy=policy)
    assert log.catalog.features["price"].values.tolist() == [1, 2, 6, price, price]
    assert log.catalog.features["colour"].words() == ["red", "red", "(missing)", "blue", "(missing)"]
    assert ingest_log(tmp_path, tmp_path / "log", policy=policy) == log
