"""Linear features with a block of coefficients for each action, as the joint solves of `marginal` and `mrdr` need."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from rlrec.core.errors import InvalidArgumentError
from rlrec.evaluation.columns import FloatArray, IntArray

MAX_COEFFICIENTS = 5000
"""Most coefficients of a joint solve: 200 MB and about 10 s (chosen here)."""


def check_coefficients(n_actions: int, n_features: int) -> int:
    """Return the number of coefficients, actions times features, or say that a joint solve is too dear."""
    size = n_actions * n_features
    if size > MAX_COEFFICIENTS:
        raise InvalidArgumentError(
            f"context must have few features for a joint solve (actions times features at most {MAX_COEFFICIENTS}), "
            f"got {n_actions} times {n_features}; group the items, or use fqe"
        )
    return size


def spread(probs: FloatArray, features: FloatArray) -> FloatArray:
    """Return features averaged under a policy, one block for each action: (B, I) and (B, p) to (B, I * p).

    Examples
    --------
    >>> spread(np.array([[0.25, 0.75]]), np.array([[1.0, 2.0]])).tolist()
    [[0.25, 0.5, 0.75, 1.5]]
    """
    return (probs[:, :, None] * features[:, None, :]).reshape(len(probs), -1)


def action_rows(action: IntArray, features: FloatArray, n_actions: int) -> sparse.csr_array:
    """Return features in the block of the action that was taken: (N,) and (N, p) to sparse (N, I * p).

    Examples
    --------
    >>> action_rows(np.array([1]), np.array([[1.0, 2.0]]), 2).toarray().tolist()
    [[0.0, 0.0, 1.0, 2.0]]
    """
    n, p = features.shape
    columns = action[:, None] * p + np.arange(p)
    return sparse.csr_array(
        (features.ravel(), columns.ravel(), np.arange(0, n * p + 1, p)), shape=(n, n_actions * p), copy=True
    )
