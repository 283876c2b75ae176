"""Items near a vector: how an action that is a point in item space becomes a slate. Exact, by one matrix product.

Checked against a full sort in NumPy (``tests/envs/test_nearest.py``).

References
----------
.. [1] Dulac-Arnold et al., "Deep reinforcement learning in large discrete action spaces", arXiv 1512.07679, 2015.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.core.checks import check_choice
from rlrec.core.errors import InvalidArgumentError
from rlrec.models.base import SequenceModel
from rlrec.models.lstm import LSTMModel

_SCORES = 1 << 23  # scores held at a time (32 MB): rows are taken in pieces, so that a million items fit


class NearestItems:
    """Finds the k items nearest to each query vector.

    Parameters
    ----------
    vectors : float array, shape (I, E)
        One vector for each item.
    metric : {"cosine", "inner"}
        By angle, or by inner product, where items with long vectors come first.
    device : str or torch.device
        Where the products are made.

    Raises
    ------
    InvalidArgumentError
        If the vectors are no finite matrix.

    Examples
    --------
    >>> nearest = NearestItems(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    >>> nearest(np.array([[2.0, 0.1]]), 2).tolist()
    [[0, 2]]
    """

    def __init__(
        self,
        vectors: NDArray[np.floating],
        *,
        metric: Literal["cosine", "inner"] = "cosine",
        device: str | torch.device = "cpu",
    ) -> None:
        check_choice("metric", metric, ("cosine", "inner"))
        if vectors.ndim != 2 or vectors.dtype.kind != "f" or not np.isfinite(vectors).all():
            raise InvalidArgumentError(
                f"vectors must be a finite float array of shape (n_items, size), got {vectors.dtype} {vectors.shape}"
            )
        table = torch.from_numpy(np.ascontiguousarray(vectors, np.float32)).to(device)
        self.metric = metric
        self._table = torch.nn.functional.normalize(table, dim=1) if metric == "cosine" else table  # (I, E)

    @classmethod
    def of(cls, model: SequenceModel, *, metric: Literal["cosine", "inner"] = "cosine") -> NearestItems:
        """Return the space of an LSTM's item vectors, features included.

        Raises
        ------
        InvalidArgumentError
            If the model has no item vectors.
        """
        if not isinstance(model, LSTMModel):
            raise InvalidArgumentError(
                f"model must be an LSTMModel to have item vectors, got {type(model).__name__}; "
                "use NearestItems(vectors) with vectors of your own"
            )
        return cls(model.network.item_vectors().detach().cpu().numpy(), metric=metric, device=model.device)

    @property
    def n_items(self) -> int:
        """Number of items, I."""
        return len(self._table)

    @property
    def vectors(self) -> Tensor:
        """The vectors as they are searched: of length 1 for the cosine, (I, E)."""
        return self._table

    @property
    def size(self) -> int:
        """Length of a vector, E."""
        return int(self._table.shape[1])

    @torch.no_grad()
    def __call__(
        self,
        queries: NDArray[np.floating],
        k: int,
        *,
        among: NDArray[np.int64] | None = None,
        allowed: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.int64]:
        """Return the ``k`` nearest items of each query, nearest first, no item twice: (B, k).

        Parameters
        ----------
        queries : float array, shape (B, E)
        k : int
            At most the items (or candidates) that are allowed.
        among : int array, shape (B, C), optional
            Candidates of each query; by default the whole catalogue.
        allowed : bool array, shape (B, I) or (B, C), optional
            What may be found; at least ``k`` in each row.
        """
        points = torch.from_numpy(np.ascontiguousarray(queries, np.float32)).to(self._table.device)
        per_row = self.n_items if among is None else among.shape[1] * self.size
        size = max(_SCORES // per_row, 1)
        found = [self._nearest(points, k, among, allowed, slice(at, at + size)) for at in range(0, len(points), size)]
        return torch.cat(found).cpu().numpy()

    def _nearest(
        self, points: Tensor, k: int, among: NDArray[np.int64] | None, allowed: NDArray[np.bool_] | None, rows: slice
    ) -> Tensor:
        device = points.device
        candidates = None if among is None else torch.from_numpy(among[rows]).to(device)  # (b, C)
        if candidates is None:
            scores = points[rows] @ self._table.T  # (b, I)
        else:
            scores = torch.bmm(self._table[candidates], points[rows].unsqueeze(-1)).squeeze(-1)  # (b, C)
        if allowed is not None:
            scores.masked_fill_(~torch.from_numpy(allowed[rows]).to(device), -torch.inf)
        place = scores.topk(k, dim=1).indices
        return place if candidates is None else candidates.gather(1, place)
