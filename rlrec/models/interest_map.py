"""People and items on a plane: the two directions along which people's interest differs most (PCA by torch).

Checked against the eigenvectors of the covariance (``tests/models/test_interest_map.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rlrec.core.checks import check_at_least
from rlrec.core.errors import DataError
from rlrec.data.log import InteractionLog
from rlrec.models.base import SequenceModel
from rlrec.models.interests import latest_sequences


@dataclass(frozen=True)
class InterestMap:
    """Places on the plane; distances along both axes are those of interest vectors."""

    users: NDArray[np.float64]
    """(U, 2) where people stand after their last sequence."""
    items: NDArray[np.float64]
    """(K, 2) where someone stands who touched this item and nothing else, most popular items first."""
    names: tuple[str, ...]
    """The items in words."""
    shares: tuple[float, float]
    """Share of the variance of people's interest that each axis holds."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, places to four digits."""
        return {
            "users": np.round(self.users, 4).tolist(),
            "items": np.round(self.items, 4).tolist(),
            "names": list(self.names),
            "shares": list(self.shares),
        }


def interest_map(
    model: SequenceModel, log: InteractionLog, *, n_users: int = 600, n_items: int = 30, seed: int = 0
) -> InterestMap:
    """Place a sample of a log's people, and its most popular items, by the model's interest vectors.

    Parameters
    ----------
    n_users : int
        People drawn; all where there are fewer.
    n_items : int
        Most popular items shown.

    Raises
    ------
    DataError
        If the log has fewer than three people: they span no plane.

    Examples
    --------
    >>> import pandas as pd
    >>> from rlrec.models.counting import MarkovModel
    >>> rows = pd.DataFrame({"user_id": [1, 2, 3, 3], "item_id": ["a", "b", "c", "a"]})
    >>> log = InteractionLog.from_pandas(rows)
    >>> interest_map(MarkovModel.fit(log), log).names[0]
    'a'
    """
    check_at_least("n_users", n_users, 3)
    check_at_least("n_items", n_items, 1)
    model.space.check_log(log)
    people = latest_sequences(log)
    if len(people) < 3:
        raise DataError(f"a map of interest needs at least 3 people with behaviours, the log has {len(people)}")
    drawn = np.random.default_rng(seed).permutation(len(people))[:n_users]
    interest = torch.from_numpy(model.interests(people.select(np.sort(drawn)))).double()  # (U, D)
    centre, axes, shares = _principal(interest)
    counts = log.item_counts
    popular = np.argsort(-counts, kind="stable")[: min(n_items, int((counts > 0).sum()))]
    alone = torch.from_numpy(model.interests([[id_] for id_ in log.catalog.ids[popular].tolist()])).double()
    return InterestMap(
        users=((interest - centre) @ axes).numpy(),
        items=((alone - centre) @ axes).numpy(),
        names=tuple(log.catalog.describe(int(item)) for item in popular),
        shares=shares,
    )


def _principal(vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, tuple[float, float]]:
    """Return the mean (D,), the first two principal directions (D, 2) and their shares of the variance.

    A direction's largest entry is positive, so that the same people give the same picture.
    """
    centre = vectors.mean(0)
    _, lengths, rows = torch.linalg.svd(vectors - centre, full_matrices=False)
    axes = torch.zeros(vectors.shape[1], 2, dtype=vectors.dtype)
    axes[:, : min(2, len(rows))] = rows[:2].T
    largest = axes.gather(0, axes.abs().argmax(0, keepdim=True))  # (1, 2)
    variance = torch.cat([lengths.square(), lengths.new_zeros(2)])
    first, second = (variance[:2] / variance.sum().clamp(min=1e-12)).tolist()
    return centre, axes * torch.where(largest < 0, -1.0, 1.0), (first, second)
