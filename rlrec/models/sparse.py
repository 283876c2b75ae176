"""Sparse matrices of histories: who did what, the best entries of each row, and how they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from rlrec.data.sequences import Sequences


def history_matrix(sequences: Sequences, n_items: int, *, decay: float = 1.0) -> csr_array:
    """Return one row a sequence with the weight of each of its items, shape (n, I).

    Parameters
    ----------
    decay : float
        An item last seen ``a`` behaviours before the end weighs ``decay ** a``; 1 forgets the order.

    Examples
    --------
    >>> from rlrec.data.sequences import Sequences
    >>> history_matrix(Sequences.from_items(np.array([0, 2, 1]), np.array([0, 2, 3])), 3, decay=0.5).toarray()
    array([[0.5, 0. , 1. ],
           [0. , 1. , 0. ]])
    """
    lengths = sequences.lengths
    owner = np.repeat(np.arange(len(sequences)), lengths)
    age = np.repeat(sequences.offsets[1:], lengths) - 1 - np.arange(sequences.n_events)
    key = owner * n_items + sequences.item
    latest = np.lexsort((age, key))  # an item that came twice counts once, from its latest time
    kept = latest[np.concatenate([[True], np.diff(key[latest]) != 0])] if len(latest) else latest
    shape = (len(sequences), n_items)
    weights = np.power(decay, np.minimum(age[kept], 1_000.0))
    return csr_array((weights, (owner[kept], sequences.item[kept].astype(np.int64))), shape=shape)


def best_entries(matrix: csr_array, n: int) -> csr_array:
    """Return the matrix with the ``n`` largest entries of each row; ties go to the lower column."""
    matrix = csr_array(matrix)
    matrix.sort_indices()
    lengths = np.diff(matrix.indptr)
    if lengths.max(initial=0) <= n:
        return matrix
    row = np.repeat(np.arange(matrix.shape[0]), lengths)
    order = np.lexsort((matrix.indices, -matrix.data, row))
    rank = np.arange(len(order)) - np.repeat(matrix.indptr[:-1].astype(np.int64), lengths)
    kept = np.sort(order[rank < n])
    return csr_array((matrix.data[kept], (row[kept], matrix.indices[kept])), shape=matrix.shape)


def row_normalised(matrix: csr_array) -> csr_array:
    """Return the matrix with rows of Euclidean length 1; rows of zeros stay."""
    matrix = csr_array(matrix)
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    scale = 1 / np.where(length > 0, length, 1.0)
    return csr_array(
        (matrix.data * np.repeat(scale, np.diff(matrix.indptr)), matrix.indices, matrix.indptr), matrix.shape
    )


def sparse_to_arrays(name: str, matrix: csr_array) -> dict[str, NDArray[Any]]:
    """Return the three arrays of a matrix under ``name.data`` and so on; the shape is the caller's to know."""
    return {
        f"{name}.data": matrix.data.astype(np.float32),
        f"{name}.indices": matrix.indices.astype(np.int32),
        f"{name}.indptr": matrix.indptr.astype(np.int64),
    }


def sparse_from_arrays(name: str, arrays: Mapping[str, NDArray[Any]], n_columns: int) -> csr_array:
    """Read back what `sparse_to_arrays` gave."""
    data, indices, indptr = (arrays[f"{name}.{part}"] for part in ("data", "indices", "indptr"))
    return csr_array((data, indices, indptr), shape=(len(indptr) - 1, n_columns))
