"""External ids and their indices: a bijection onto 0..n-1, with no special tokens inside."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rlrec.core.errors import DataError, UnknownIdError
from rlrec.data.hashing import text_bytes


class Vocabulary:
    """The ids of users or items, in the order of their indices.

    Parameters
    ----------
    ids : iterable of hashable
        Distinct ids. Integers stay integers and strings stay strings: ``7`` and ``"7"`` are two ids.

    Raises
    ------
    DataError
        If an id is missing (``None``, NaN) or stands twice.

    Examples
    --------
    >>> vocabulary = Vocabulary(["A13", "A16", "B4"])
    >>> vocabulary.index_of(["B4", "A13"])
    array([2, 0])
    >>> len(vocabulary), "A99" in vocabulary
    (3, False)
    """

    def __init__(self, ids: Iterable[Hashable] | NDArray[Any]) -> None:
        array = _as_id_array(ids)
        array.flags.writeable = False
        self.ids = array
        self._n = len(array)
        if self._index.hasnans:
            raise DataError("ids must not be missing (None or NaN); clean the log first")
        if not self._index.is_unique:
            twice = self._index[self._index.duplicated()][0]
            raise DataError(f"ids must be distinct, {twice!r} stands twice")

    _n: int
    _load: Callable[[], NDArray[Any]]

    @classmethod
    def from_storage(cls, load: Callable[[], NDArray[Any]], n: int, sha256: str) -> Vocabulary:
        """Build from ids that a `Vocabulary` once checked and hashed; they are read when they are first asked for."""
        vocabulary = cls.__new__(cls)
        vocabulary._n = n
        vocabulary._load = load
        vocabulary.__dict__["sha256"] = sha256
        return vocabulary

    @classmethod
    def from_distinct(cls, ids: NDArray[Any]) -> Vocabulary:
        """Build from ids that are known to be distinct and not missing: int64, or object with int and str."""
        vocabulary = cls.__new__(cls)
        ids.flags.writeable = False
        vocabulary.ids = ids
        vocabulary._n = len(ids)
        return vocabulary

    @cached_property
    def ids(self) -> NDArray[Any]:
        """All ids by index, shape (n,), int64 or object; read-only."""
        array: NDArray[Any] = self._load()
        array.flags.writeable = False
        return array

    @cached_property
    def _index(self) -> pd.Index[Any]:
        index: pd.Index[Any] = pd.Index(self.ids)
        return index

    def index_of(self, ids: Iterable[Hashable] | NDArray[Any]) -> NDArray[np.int64]:
        """Return the index of each id, shape (len(ids),).

        Raises
        ------
        UnknownIdError
            Naming the first id that is not here.
        """
        wanted = _as_id_array(ids)
        index = self._lookup(wanted)
        if (index < 0).any():
            unknown = wanted[int(np.argmax(index < 0))]
            raise UnknownIdError(
                f"id {unknown!r} ({type(unknown).__name__}) is not among the {len(self)} known ids, "
                f"such as {self.ids[0]!r} ({type(self.ids[0]).__name__}); use find() to get -1 for unknown ids"
                if len(self)
                else f"id {unknown!r} is unknown: the vocabulary is empty"
            )
        return index

    def find(self, ids: Iterable[Hashable] | NDArray[Any]) -> NDArray[np.int64]:
        """Return the index of each id, -1 where it is unknown."""
        return self._lookup(_as_id_array(ids))

    def _lookup(self, wanted: NDArray[Any]) -> NDArray[np.int64]:
        if wanted.dtype.kind != self.ids.dtype.kind and len(wanted):  # integers never equal strings
            wanted = wanted.astype(object)
        return np.asarray(self._index.get_indexer(pd.Index(wanted)), dtype=np.int64)

    @cached_property
    def is_text(self) -> bool:
        """True if every id is a string."""
        return self.ids.dtype.kind == "O" and set(map(type, self.ids.tolist())) <= {str}

    @cached_property
    def sha256(self) -> str:
        """Hash of the ids in order; two vocabularies are equal exactly when their hashes are."""
        digest = hashlib.sha256()
        if self.ids.dtype.kind == "i":
            digest.update(b"int64")
            digest.update(self.ids.astype("<i8").tobytes())
        elif self.is_text:
            digest.update(b"str")
            digest.update(text_bytes(self.ids.tolist()))
        else:
            for value in self.ids:
                text = f"{type(value).__name__}:{value}".encode("utf-8", "surrogatepass")
                digest.update(len(text).to_bytes(8, "little") + text)
        return digest.hexdigest()

    def __len__(self) -> int:
        return self._n

    def __contains__(self, item: Hashable) -> bool:
        return bool(self.find([item])[0] >= 0)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and len(self) == len(other) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __repr__(self) -> str:
        shown = ", ".join(repr(value) for value in self.ids[:3].tolist())
        return f"Vocabulary({len(self)} ids: {shown}{', ...' if len(self) > 3 else ''})"


def _as_id_array(ids: Iterable[Hashable] | NDArray[Any]) -> NDArray[Any]:
    """Return int64 for integer ids, object for everything else; NumPy must not stringify a mixture."""
    if isinstance(ids, np.ndarray):
        if ids.dtype.kind == "i" or (ids.dtype.kind == "u" and (ids.size == 0 or ids.max() < 2**63)):
            return ids.astype(np.int64)
        values = ids.tolist()
    elif isinstance(ids, str | bytes):
        raise DataError(f"ids must be a sequence of ids, got the single string {ids!r}; put it in a list")
    else:
        values = list(ids)
    values = [value.item() if isinstance(value, np.generic) else value for value in values]
    if values and all(type(value) is int and -(2**63) <= value < 2**63 for value in values):
        return np.array(values, dtype=np.int64)
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
