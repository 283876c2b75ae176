"""What can be recommended: item ids, their features, and words to describe them."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rlrec.core.errors import DataError
from rlrec.data.features import FeatureTable, Numeric, Text
from rlrec.data.vocabulary import Vocabulary

_TITLE_NAMES = ("title", "name", "description", "item_name", "product_name")
_PRICE_NAMES = ("price", "median_price", "unit_price")


class ItemCatalog:
    """Items 0..n_items-1 with their ids and features.

    Parameters
    ----------
    vocabulary : Vocabulary
        Item ids.
    features : FeatureTable, optional
        One row for each item.

    Examples
    --------
    >>> frame = pd.DataFrame({"item_id": ["A1", "A2"], "colour_name": ["red", "blue"], "price": [28, 38]})
    >>> catalog = ItemCatalog.from_pandas(frame)
    >>> catalog.describe(1)
    'A2 (blue, 38)'
    """

    def __init__(self, vocabulary: Vocabulary, features: FeatureTable | None = None) -> None:
        self.vocabulary = vocabulary
        self.features = FeatureTable({}, len(vocabulary)) if features is None else features
        if self.features.n_rows != len(vocabulary):
            raise DataError(f"features have {self.features.n_rows} rows for {len(vocabulary)} items")

    @classmethod
    def from_pandas(cls, frame: pd.DataFrame) -> ItemCatalog:
        """Build from a table with a column ``item_id``; every other column becomes a feature."""
        if "item_id" not in frame.columns:
            raise DataError(f"an item table needs a column 'item_id', got {', '.join(map(str, frame.columns))}")
        return cls(Vocabulary(frame["item_id"].to_numpy()), FeatureTable.from_pandas(frame.drop(columns="item_id")))

    def to_pandas(self) -> pd.DataFrame:
        """Return ``item_id`` and the features as a table."""
        frame = self.features.to_pandas()
        frame.insert(0, "item_id", pd.Series(self.ids, index=frame.index))
        return frame

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.vocabulary)

    @property
    def ids(self) -> NDArray[Any]:
        """External ids by index, shape (n_items,)."""
        return self.vocabulary.ids

    def index_of(self, ids: Iterable[Hashable] | NDArray[Any]) -> NDArray[np.int64]:
        """Return the indices of external ids; unknown ids raise `UnknownIdError`."""
        return self.vocabulary.index_of(ids)

    @property
    def price(self) -> NDArray[np.float64] | None:
        """Price of each item, shape (n_items,), or None if no feature is called a price."""
        for name in _PRICE_NAMES:
            column = self.features.get(name)
            if isinstance(column, Numeric):
                return column.values
        return None

    def describe(self, item: int) -> str:
        """Return an item in words: its id and, in brackets, its title or its readable features."""
        return self._words[item]

    @cached_property
    def _words(self) -> list[str]:
        title = next(
            (n for n in _TITLE_NAMES if n in self.features and not isinstance(self.features[n], Numeric)), None
        )
        if title is not None:
            columns = [self.features[title].words()]
        else:
            columns = [self.features[name].words() for name in self._telling_features]
        rows = zip(*columns, strict=True) if columns else [()] * self.n_items
        words = [", ".join(word for word in row if word) for row in rows]
        return [f"{id_} ({word})" if word else str(id_) for id_, word in zip(self.ids.tolist(), words, strict=True)]

    @property
    def _telling_features(self) -> list[str]:
        """Features worth reading: ``*_name`` columns and the price if there are any, else the first three."""
        names = [name for name in self.features if name.endswith("_name")]
        names += [name for name in _PRICE_NAMES if name in self.features]
        texts = [name for name, column in self.features.items() if isinstance(column, Text)]
        return names or texts or list(self.features)[:3]

    @cached_property
    def sha256(self) -> str:
        """Hash of ids and features: artifacts carry it, and refuse another catalogue."""
        return hashlib.sha256((self.vocabulary.sha256 + self.features.sha256).encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ItemCatalog) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __len__(self) -> int:
        return self.n_items

    def __repr__(self) -> str:
        return f"ItemCatalog({self.n_items} items; features: {', '.join(self.features) or 'none'})"
