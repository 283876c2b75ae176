import numpy as np
import pandas as pd
import pytest

from rlrec.core.errors import DataError
from rlrec.data.catalog import ItemCatalog
from rlrec.data.features import FeatureTable
from rlrec.data.vocabulary import Vocabulary

ITEMS = pd.DataFrame({"item_id": ["A1", "A2"], "title": ["Red shoe", "Blue hat"], "price": [28.0, 38.0]})


def test_items_are_described_by_their_title():
    assert ItemCatalog.from_pandas(ITEMS).describe(1) == "A2 (Blue hat)"


def test_items_without_features_are_described_by_their_id():
    assert ItemCatalog(Vocabulary([7, 8])).describe(0) == "7"


def test_round_trip_through_pandas():
    catalog = ItemCatalog.from_pandas(ITEMS)
    assert ItemCatalog.from_pandas(catalog.to_pandas()) == catalog


def test_price_is_found_by_name():
    np.testing.assert_array_equal(ItemCatalog.from_pandas(ITEMS).price, [28.0, 38.0])
    assert ItemCatalog(Vocabulary([1])).price is None


def test_equal_hash_means_equal_ids_and_features():
    catalog = ItemCatalog.from_pandas(ITEMS)
    assert catalog == ItemCatalog.from_pandas(ITEMS.copy())
    assert catalog != ItemCatalog.from_pandas(ITEMS.assign(price=[28.0, 39.0]))
    assert catalog != ItemCatalog.from_pandas(ITEMS.assign(item_id=["A1", "A3"]))


def test_features_must_fit():
    with pytest.raises(DataError, match="features have 1 rows for 2 items"):
        ItemCatalog(Vocabulary([1, 2]), FeatureTable({}, 1))
    with pytest.raises(DataError, match="an item table needs a column 'item_id', got title, price"):
        ItemCatalog.from_pandas(ITEMS.drop(columns="item_id"))
