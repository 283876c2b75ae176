"""Matrix factorisation by alternating least squares: items as vectors, a person as the vector that explains theirs.

Fitted by the package ``implicit`` (extra ``mf``); what is saved is item vectors, so a loaded model needs only NumPy.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, csr_matrix
from torch import Tensor

from rlrec.core.artifacts import Artifact
from rlrec.core.config import config_from_dict, config_to_dict
from rlrec.core.errors import DataError, MissingExtraError
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences
from rlrec.models.config import FactorizationConfig
from rlrec.models.recommender import Recommender
from rlrec.models.space import BehaviourSpace
from rlrec.models.sparse import history_matrix

_BLOCK = 1_024  # histories folded in at a time


class FactorizationModel(Recommender):
    r"""Implicit-feedback matrix factorisation; a history is folded in by one least-squares solve.

    .. math:: x_h = (Y^\top Y + \alpha \textstyle\sum_{i \in h} w_i\, y_i y_i^\top + \lambda I)^{-1}
              \textstyle\sum_{i \in h} (1 + \alpha w_i)\, y_i, \qquad s(j) = x_h \cdot y_j

    with :math:`w_i = \mathrm{decay}^{a(i)}`. A newcomer scores 0 everywhere.

    References
    ----------
    .. [1] Hu, Koren & Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008.
    """

    kind: ClassVar[str] = "models/factorization"

    def __init__(self, space: BehaviourSpace, vectors: NDArray[np.float32], config: FactorizationConfig) -> None:
        self.space = space
        self.vectors = vectors  # (I, D)
        self.config = config

    @classmethod
    def fit(
        cls, train: InteractionLog, *, config: FactorizationConfig | None = None, seed: int = 0
    ) -> FactorizationModel:
        """Factorise which sequence holds which item.

        Raises
        ------
        MissingExtraError
            If ``implicit`` is not installed.
        """
        config = FactorizationConfig() if config is None else config
        if train.n_events == 0:
            raise DataError("there are no rows to factorise; check the split and the log")
        try:
            from implicit.cpu.als import AlternatingLeastSquares
        except ImportError:
            raise MissingExtraError("implicit", "mf", "matrix factorisation") from None
        als = AlternatingLeastSquares(
            factors=config.n_factors,
            regularization=config.regularization,
            alpha=1.0 + config.alpha,  # implicit counts a pair not seen as 1 and one seen as alpha
            iterations=config.n_iterations,
            num_threads=1,
            random_state=seed,
        )
        als.fit(csr_matrix(history_matrix(train.sequences(), train.n_items).astype(np.float32)), show_progress=False)
        return cls(BehaviourSpace.of(train), np.asarray(als.item_factors, np.float32), config)

    def scores(self, sequences: Sequences) -> Tensor:
        """Return inner products with the folded-in person, (n, I)."""
        histories = history_matrix(sequences, self.n_items, decay=self.config.decay)
        parts = [self.fold_in(histories[begin : begin + _BLOCK]) for begin in range(0, len(sequences), _BLOCK)]
        people = np.concatenate([np.zeros((0, self.vectors.shape[1])), *parts])
        return torch.from_numpy(people @ self.vectors.T.astype(np.float64))

    def fold_in(self, histories: csr_array) -> NDArray[np.float64]:
        """Return the vector of each history (n, I), shape (n, D)."""
        config, vectors = self.config, self.vectors.astype(np.float64)
        size = vectors.shape[1]
        base = vectors.T @ vectors + config.regularization * np.eye(size)  # (D, D)
        outer = (vectors[:, :, None] * vectors[:, None, :]).reshape(-1, size * size)  # (I, D * D)
        weights = config.alpha * histories
        systems = base + (weights @ outer).reshape(-1, size, size)  # (n, D, D)
        wanted = (csr_array(histories.sign()) + weights) @ vectors  # (n, D)
        return np.linalg.solve(systems, wanted[:, :, None])[:, :, 0]

    def _export(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, NDArray[Any]]]:
        return config_to_dict(self.config), {}, {"vectors": self.vectors}

    @classmethod
    def _from_artifact(cls, artifact: Artifact) -> FactorizationModel:
        config = config_from_dict(FactorizationConfig, artifact.config, where="manifest")
        return cls(BehaviourSpace.from_artifact(artifact), artifact.arrays["vectors"], config)
