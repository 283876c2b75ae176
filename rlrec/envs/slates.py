"""What a slate must be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rlrec.core.errors import InvalidSlateError


def check_slates(slates: NDArray[np.integer], n_users: int, n_items: int) -> NDArray[np.int64]:
    """Return slates as int64 (B, K), or say what is wrong with them."""
    slates = np.asarray(slates)
    remedy = "pass item indices from catalog.index_of(ids)"
    if slates.dtype.kind not in "iu" or slates.ndim != 2 or len(slates) != n_users or slates.shape[1] == 0:
        raise InvalidSlateError(
            f"slates must be an integer array of shape ({n_users}, slate_size), "
            f"got {slates.dtype} {slates.shape}; {remedy}"
        )
    if slates.size and (slates.min() < 0 or slates.max() >= n_items):
        bad = slates[(slates < 0) | (slates >= n_items)][0]
        raise InvalidSlateError(f"slates must hold item indices in 0..{n_items - 1}, got {bad}; {remedy}")
    if slates.shape[1] > 1:
        ordered = np.sort(slates, axis=1)
        twice = (np.diff(ordered, axis=1) == 0).any(axis=1)
        if twice.any():
            row = int(np.argmax(twice))
            raise InvalidSlateError(f"a slate must not show an item twice, row {row} is {slates[row].tolist()}")
    return slates.astype(np.int64)
