"""Features of items or users: typed columns, missing values kept as missing until a model asks for numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.data.hashing import array_bytes, text_bytes

_MISSING = "(missing)"
_MAX_ONE_HOT = 100
"""Labels beyond this many rarest ones share a column (chosen here: wider one-hots cost more than they tell)."""


@dataclass(frozen=True, eq=False)
class Categorical:
    """One label for each row: ``codes`` (n,) into ``labels``, -1 where missing."""

    codes: NDArray[np.int32]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)

    def words(self) -> list[str]:
        """Return the label of each row, ``""`` where missing."""
        lookup = np.array([*self.labels, ""], dtype=object)
        return [str(word) for word in lookup[self.codes]]

    def dense(self) -> tuple[NDArray[np.float32], list[str]]:
        """Return a one-hot block (n, c): the most frequent labels, then one column for the rest, if any."""
        counts = np.bincount(self.codes[self.codes >= 0], minlength=len(self.labels))
        order = np.argsort(-counts, kind="stable")
        kept = order[:_MAX_ONE_HOT]
        width = len(kept) + (len(order) > len(kept))
        column = np.full(len(self.labels) + 1, len(kept), dtype=np.int64)
        column[kept] = np.arange(len(kept))
        block = np.zeros((len(self), width), np.float32)
        known = self.codes >= 0
        block[np.flatnonzero(known), column[self.codes[known]]] = 1.0
        names = [self.labels[i] for i in kept] + (["(other)"] if len(order) > len(kept) else [])
        return block, names


@dataclass(frozen=True, eq=False)
class MultiCategorical:
    """Any number of labels for each row, ragged: row i has ``codes[offsets[i]:offsets[i + 1]]``."""

    offsets: NDArray[np.int64]
    codes: NDArray[np.int32]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def words(self) -> list[str]:
        """Return the labels of each row joined by ``|``."""
        lookup = np.array(self.labels, dtype=object)
        return ["|".join(lookup[part]) for part in np.split(self.codes, self.offsets[1:-1])] if len(self) else []

    def dense(self) -> tuple[NDArray[np.float32], list[str]]:
        """Return a multi-hot block (n, len(labels))."""
        block = np.zeros((len(self), len(self.labels)), np.float32)
        rows = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        block[rows, self.codes] = 1.0
        return block, list(self.labels)


@dataclass(frozen=True, eq=False)
class Numeric:
    """One number for each row, NaN where missing."""

    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.values)

    def words(self) -> list[str]:
        """Return the numbers as text, ``""`` where missing."""
        return ["" if np.isnan(value) else f"{value:g}" for value in self.values]

    def dense(self) -> tuple[NDArray[np.float32], list[str]]:
        """Return a standardised block (n, 1 or 2): missing filled by the median, with a column that says so."""
        missing = ~np.isfinite(self.values)
        if missing.all():
            return np.zeros((len(self), 0), np.float32), []
        filled = np.where(missing, np.median(self.values[~missing]), self.values)
        scale = filled.std()
        standard = (filled - filled.mean()) / (scale if scale > 0 else 1.0)
        columns = [standard] + ([missing.astype(float)] if missing.any() else [])
        names = ["(value)"] + (["(missing)"] if missing.any() else [])
        return np.stack(columns, axis=1).astype(np.float32), names


@dataclass(frozen=True, eq=False)
class Text:
    """Free text for each row, ``""`` where missing; models that read text vectorise it themselves."""

    values: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.values)

    def words(self) -> list[str]:
        """Return the text of each row."""
        return [str(value) for value in self.values]

    def dense(self) -> tuple[NDArray[np.float32], list[str]]:
        """Return an empty block (n, 0)."""
        return np.zeros((len(self), 0), np.float32), []


@dataclass(frozen=True, eq=False)
class Vectors:
    """A vector for each row (image or audio embeddings), ``values`` (n, d)."""

    values: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.values)

    def words(self) -> list[str]:
        """Return a short description of each row."""
        return [f"vector of {self.values.shape[1]}"] * len(self)

    def dense(self) -> tuple[NDArray[np.float32], list[str]]:
        """Return the vectors standardised by column."""
        scale = self.values.std(axis=0)
        block = (self.values - self.values.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
        return block.astype(np.float32), [f"({i})" for i in range(self.values.shape[1])]


Feature = Categorical | MultiCategorical | Numeric | Text | Vectors


class FeatureTable(Mapping[str, Feature]):
    """Named feature columns of one length.

    Examples
    --------
    >>> table = FeatureTable.from_pandas(pd.DataFrame({"colour": ["red", "blue", None], "price": [3.0, 5.0, 4.0]}))
    >>> list(table), table.n_rows, table.dense[0].shape
    (['colour', 'price'], 3, (3, 3))
    """

    def __init__(self, columns: Mapping[str, Feature], n_rows: int) -> None:
        for name, column in columns.items():
            if len(column) != n_rows:
                raise InvalidArgumentError(f"feature {name!r} has {len(column)} rows, expected {n_rows}")
        self._columns = dict(columns)
        self.n_rows = n_rows

    @classmethod
    def from_pandas(cls, frame: pd.DataFrame) -> FeatureTable:
        """Guess kinds from dtypes: numbers are numeric, few distinct labels categorical, many distinct ones text."""
        return cls({str(name): _guess(str(name), frame[name]) for name in frame.columns}, len(frame))

    def to_pandas(self) -> pd.DataFrame:
        """Return the features as readable columns (labels, numbers, text)."""
        columns: dict[str, Any] = {}
        for name, column in self.items():
            if isinstance(column, Numeric):
                columns[name] = column.values
            elif isinstance(column, Vectors):
                columns[name] = list(column.values)
            else:
                columns[name] = pd.Series(column.words(), dtype=object)
        return pd.DataFrame(columns, index=pd.RangeIndex(self.n_rows))

    @cached_property
    def dense(self) -> tuple[NDArray[np.float32], list[str]]:
        """All features as numbers: a matrix (n, F) and its F column names ``feature=label``."""
        blocks, names = [np.zeros((self.n_rows, 0), np.float32)], list[str]()
        for name, column in self.items():
            block, labels = column.dense()
            blocks.append(block)
            names += [f"{name}={label}" for label in labels]
        return np.concatenate(blocks, axis=1), names

    def fill(self, how: Literal["mean", "median"]) -> FeatureTable:
        """Return the table with missing numbers filled and missing labels made a category of its own, ``"(missing)"``.

        Text, vectors and lists of labels stay: an empty one says what it is.

        Examples
        --------
        >>> table = FeatureTable.from_pandas(pd.DataFrame({"colour": ["red", None], "price": [3.0, np.nan]}))
        >>> table.fill("mean").to_pandas().to_dict("list")
        {'colour': ['red', '(missing)'], 'price': [3.0, 3.0]}
        """
        return FeatureTable({name: _filled(column, how) for name, column in self.items()}, self.n_rows)

    def take(self, rows: NDArray[np.integer]) -> FeatureTable:
        """Return the table of these rows, in this order; -1 gives a row with everything missing."""
        return FeatureTable({name: _take(column, rows) for name, column in self.items()}, len(rows))

    @cached_property
    def sha256(self) -> str:
        """Hash of names, kinds and values."""
        digest = hashlib.sha256()
        for name, column in self.items():
            digest.update(f"{name}:{type(column).__name__}\n".encode())
            if isinstance(column, Vectors | Numeric):
                digest.update(array_bytes(column.values))
            elif isinstance(column, MultiCategorical):
                labels = np.array(column.labels, dtype=object)[column.codes]
                digest.update(array_bytes(column.offsets) + text_bytes(labels.tolist()))
            else:
                digest.update(text_bytes(column.words()))
        return digest.hexdigest()

    def __getitem__(self, name: str) -> Feature:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        kinds = ", ".join(f"{name}: {type(column).__name__}" for name, column in self.items())
        return f"FeatureTable({self.n_rows} rows; {kinds})"


def categorical(values: pd.Series) -> Categorical:
    """Encode a column as categories, labels sorted, missing as -1."""
    codes, labels = pd.factorize(values.astype(object).map(_label, na_action="ignore"), sort=True)
    return Categorical(codes.astype(np.int32), tuple(str(label) for label in labels))


def _label(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _guess(name: str, values: pd.Series) -> Feature:
    first = next((value for value in values if not _is_empty(value)), None)
    if _holds_labels(first):
        return _multi(values)
    if isinstance(first, np.ndarray | list | tuple):
        try:
            return Vectors(np.stack([np.asarray(value, dtype=np.float32) for value in values]))
        except (TypeError, ValueError) as error:
            raise DataError(f"feature {name!r} holds vectors of different lengths or missing ones: {error}") from error
    if pd.api.types.is_bool_dtype(values):
        return categorical(values)
    if pd.api.types.is_numeric_dtype(values):
        return Numeric(values.to_numpy(np.float64, na_value=np.nan))
    n_distinct = values.nunique()
    if n_distinct <= max(20, len(values) // 2):
        return categorical(values)
    return Text(np.array(["" if pd.isna(value) else str(value) for value in values], dtype=object))


def _is_empty(value: Any) -> bool:
    return value is None or (hasattr(value, "__len__") and len(value) == 0)


def _holds_labels(value: Any) -> bool:
    """Return whether a list is one of labels (text or whole numbers) and not a vector of floats."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "iuOU"
    return isinstance(value, list | tuple) and len(value) > 0 and isinstance(value[0], str | int)


def _multi(values: pd.Series) -> MultiCategorical:
    lists = [[str(label) for label in value] if value is not None else [] for value in values]
    offsets = np.concatenate([[0], np.cumsum([len(value) for value in lists])]).astype(np.int64)
    codes, labels = pd.factorize(np.array([x for value in lists for x in value], dtype=object), sort=True)
    return MultiCategorical(offsets, codes.astype(np.int32), tuple(str(label) for label in labels))


def _filled(column: Feature, how: Literal["mean", "median"]) -> Feature:
    if isinstance(column, Categorical) and (column.codes < 0).any():
        codes = np.where(column.codes < 0, len(column.labels), column.codes).astype(np.int32)
        return Categorical(codes, (*column.labels, _MISSING))
    if isinstance(column, Numeric):
        known = column.values[np.isfinite(column.values)]
        if len(known):
            fill = known.mean() if how == "mean" else np.median(known)
            return Numeric(np.where(np.isfinite(column.values), column.values, fill))
    return column


def _take(column: Feature, rows: NDArray[np.integer]) -> Feature:
    missing = rows < 0
    if len(column) == 0:
        if not missing.all():
            raise InvalidArgumentError("rows must all be -1: the table is empty")
        return _all_missing(column, len(rows))
    if isinstance(column, Categorical):
        return Categorical(np.where(missing, -1, column.codes[rows]).astype(np.int32), column.labels)
    if isinstance(column, Numeric):
        return Numeric(np.where(missing, np.nan, column.values[rows]))
    if isinstance(column, Text):
        return Text(np.where(missing, "", column.values[rows]).astype(object))
    if isinstance(column, Vectors):
        return Vectors(np.where(missing[:, None], 0, column.values[rows]).astype(np.float32))
    lengths = np.where(missing, 0, np.diff(column.offsets)[rows])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    return MultiCategorical(offsets, column.codes[np.repeat(column.offsets[rows], lengths) + within], column.labels)


def _all_missing(column: Feature, n: int) -> Feature:
    if isinstance(column, Categorical):
        return Categorical(np.full(n, -1, np.int32), column.labels)
    if isinstance(column, Numeric):
        return Numeric(np.full(n, np.nan))
    if isinstance(column, Text):
        return Text(np.full(n, "", dtype=object))
    if isinstance(column, Vectors):
        return Vectors(np.zeros((n, column.values.shape[1]), np.float32))
    return MultiCategorical(np.zeros(n + 1, np.int64), column.codes, column.labels)
