"""Checks of a log's columns: each returns the column as the estimators want it, or raises a sentence."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlrec.core.errors import InvalidArgumentError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def check_probs(name: str, probs: ArrayLike, n_rows: int, min_actions: int) -> FloatArray:
    """Return a probability matrix (N, I) as float64, or raise a sentence; rows must sum to 1 within 1e-6."""
    matrix = np.asarray(probs, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != n_rows or matrix.shape[1] < min_actions:
        raise InvalidArgumentError(
            f"{name} must have shape (N={n_rows}, I>={min_actions}), got {matrix.shape}; give a row for "
            "each logged decision and a column for each action"
        )
    low = matrix.min()
    if not low >= 0:
        raise InvalidArgumentError(
            f"{name} must hold probabilities of at least 0, got {low!s}; normalise scores with a softmax first"
        )
    gap = np.abs(matrix @ np.ones(matrix.shape[1]) - 1.0)
    if not gap.max() <= 1e-6:
        row = int(np.argmax(np.where(np.isnan(gap), np.inf, gap)))
        raise InvalidArgumentError(
            f"{name} must have rows that sum to 1, got {matrix[row].sum():.6g} in row {row}; divide each row by its sum"
        )
    return matrix


def check_indices(name: str, values: ArrayLike, n: int | None = None) -> IntArray:
    """Return 0-based indices as int64, or raise a sentence."""
    array = np.asarray(values)
    if array.ndim != 1 or (n is not None and len(array) != n):
        wanted = "one axis" if n is None else f"shape (N={n},)"
        raise InvalidArgumentError(f"{name} must have {wanted}, got shape {array.shape}; pass one value for each row")
    if array.dtype.kind not in "iu" and len(array):
        raise InvalidArgumentError(
            f"{name} must be an integer array, got {array.dtype}; encode ids to 0-based indices first"
        )
    if len(array) and array.min() < 0:
        raise InvalidArgumentError(
            f"{name} must be at least 0, got {array.min()} at row {int(array.argmin())}; drop padding rows"
        )
    return array.astype(np.int64, copy=False)


def check_finite(name: str, values: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """Return finite float64 of this shape, or raise a sentence."""
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape:
        raise InvalidArgumentError(f"{name} must have shape {shape}, got {array.shape}; pass one value for each row")
    if not np.isfinite((array.min(), array.max())).all():  # NaN goes through both: no array of flags is made
        row = int(np.flatnonzero(~np.isfinite(array))[0])
        raise InvalidArgumentError(
            f"{name} must be finite, got {array.flat[row]!s} at row {row}; drop or impute such rows"
        )
    return array


def check_propensities(values: ArrayLike, n: int) -> FloatArray:
    """Return probabilities in (0, 1], shape (N,), or raise a sentence."""
    probs = check_finite("behavior_prob", values, (n,))
    if probs.min() <= 0 or probs.max() > 1:
        row = int(np.flatnonzero((probs <= 0) | (probs > 1))[0])
        raise InvalidArgumentError(
            f"behavior_prob must lie in (0, 1], got {probs[row]!s} at row {row}; a logged action was "
            "shown, so its probability is above 0"
        )
    return probs


def check_context(values: ArrayLike, n: int) -> FloatArray:
    """Return features as float64 (N, d), or raise a sentence."""
    context = np.asarray(values, dtype=np.float64)
    if context.ndim != 2 or len(context) != n:
        raise InvalidArgumentError(
            f"context must have shape (N={n}, d), got {context.shape}; pass one row of features for each decision"
        )
    return context


def code_ids(name: str, values: ArrayLike, n: int) -> IntArray:
    """Return ids as codes from 0 in the order of the sorted ids, shape (N,), or raise a sentence."""
    array = np.asarray(values)
    if array.shape != (n,):
        raise InvalidArgumentError(f"{name} must have shape (N={n},), got {array.shape}; pass one id for each row")
    return np.unique(array, return_inverse=True)[1].astype(np.int64, copy=False)
