"""What a list of recommendations is like, beyond whether the target stands in it: popularity, variety, calibration.

Shapes: N lists of k items, I items, F features, C categories. Checked by hand (``tests/evaluation/test_lists.py``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from rlrec.data.catalog import ItemCatalog
from rlrec.data.features import Categorical, MultiCategorical

Floats = NDArray[np.float64]
_SMOOTHING = 0.01  # share of the history's mix in the list's, so that the divergence is finite (Steck 2018)


def diversity(lists: NDArray[np.int64], vectors: Floats) -> Floats:
    r"""Return the mean distance :math:`1 - \cos` between two items of each list, (N,), in [0, 2].

    Parameters
    ----------
    lists : ndarray, shape (N, k)
    vectors : ndarray, shape (I, F)
        Rows of any length; an item whose row is zero is at distance 1 from every other.

    References
    ----------
    .. [1] Ziegler et al., "Improving recommendation lists through topic diversification", WWW 2005.
    """
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(length > 0, length, 1.0)
    n, k = lists.shape
    if k < 2:
        return np.zeros(n)
    total = np.zeros((n, vectors.shape[1]))
    for place in range(k):
        total += unit[lists[:, place]]
    own = (length[lists, 0] > 0).sum(axis=1)  # the pairs of an item with itself
    distance: Floats = 1 - ((total**2).sum(axis=1) - own) / (k * (k - 1))
    return distance


def miscalibration(lists: NDArray[np.int64], history: csr_array, categories: Floats) -> Floats:
    r"""Return how far each list's mix of categories is from the history's, (N,) nats: :math:`KL(p_h \| \tilde q)`.

    :math:`\tilde q = 0.99\, q + 0.01\, p_h`. 0 where the history or the list has no category.

    Parameters
    ----------
    lists : ndarray, shape (N, k)
    history : csr_array, shape (N, I)
        Weights of the items of each history.
    categories : ndarray, shape (I, C)
        Shares that sum to 1 in each row, or zeros.

    References
    ----------
    .. [1] Steck, "Calibrated recommendations", RecSys 2018.
    """
    wanted = _shares(np.asarray(history @ categories))
    total = np.zeros_like(wanted)
    for place in range(lists.shape[1]):
        total += categories[lists[:, place]]
    given = _shares(total)
    smooth = (1 - _SMOOTHING) * given + _SMOOTHING * wanted
    known = (wanted.sum(axis=1) > 0) & (given.sum(axis=1) > 0)
    ratio = np.divide(wanted, smooth, out=np.ones_like(wanted), where=(wanted > 0) & (smooth > 0))
    return np.where(known, (wanted * np.log(ratio)).sum(axis=1), 0.0)


def gini(shown: NDArray[np.int64]) -> float:
    """Return the Gini index of how often items are shown: 0 where all are shown alike, near 1 where one takes all.

    Examples
    --------
    >>> gini(np.array([5, 5, 5])), round(gini(np.array([0, 0, 9])), 3)
    (0.0, 0.667)
    """
    counts = np.sort(shown).astype(np.float64)
    if counts.sum() == 0:
        return 0.0
    n = len(counts)
    return float((2 * np.arange(1, n + 1) - n - 1) @ counts / (n * counts.sum()))


def most_popular(item_counts: NDArray[np.int64], k: int) -> NDArray[np.bool_]:
    """Return which items are among the ``k`` most popular, (I,); ties go to the lower index."""
    top = np.zeros(len(item_counts), np.bool_)
    top[np.argsort(-item_counts, kind="stable")[:k]] = True
    return top


def category_shares(catalog: ItemCatalog) -> Floats | None:
    """Return each item's labels as shares, (I, C), over all categorical features; None if there are none."""
    columns = [f for f in catalog.features.values() if isinstance(f, Categorical | MultiCategorical)]
    blocks = [block for block in (column.dense()[0] for column in columns) if block.shape[1]]
    return _shares(np.concatenate(blocks, axis=1).astype(np.float64)) if blocks else None


def _shares(weights: Floats) -> Floats:
    total = weights.sum(axis=1, keepdims=True)
    return weights / np.where(total > 0, total, 1.0)
