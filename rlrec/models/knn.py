"""Collaborative filtering by neighbours: items that share people, people who share items.

Checked against brute force over pairs (``tests/models/test_knn.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack
from torch import Tensor

from rlrec.core.artifacts import Artifact
from rlrec.core.config import config_from_dict, config_to_dict
from rlrec.core.errors import DataError
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences
from rlrec.models.config import DEFAULT_DECAY, ItemKNNConfig, UserKNNConfig
from rlrec.models.recommender import Recommender, ScoreKind
from rlrec.models.selection import ValidationTargets, mean_ndcg
from rlrec.models.space import BehaviourSpace
from rlrec.models.sparse import best_entries, history_matrix, sparse_from_arrays, sparse_to_arrays

_DECAYS = (0.2, 0.35, 0.5, 0.7, 0.85, 1.0)  # tried on validation
_N_TARGETS = 2_000  # validation targets that choose among them: a user-kNN takes its time
_BLOCK = 1_024  # items or histories compared at a time


def similarity(shared: csr_array, here: NDArray[Any], there: NDArray[Any], kind: str, shrinkage: float) -> csr_array:
    r"""Turn counts of what two rows share into similarities in [0, 1].

    With c shared, a and b in each: cosine :math:`c / \sqrt{ab}`, Jaccard :math:`c / (a + b - c)`, conditional
    :math:`c / a`; each times :math:`c / (c + s)`, which takes chance meetings for little.

    Parameters
    ----------
    shared : csr_array, shape (m, n)
    here, there : ndarray, shapes (m,) and (n,)
        How much each row and each column has in all.
    kind : {"cosine", "jaccard", "conditional"}
    shrinkage : float
        s.

    Examples
    --------
    >>> shared = csr_array(np.array([[2.0]]))
    >>> similarity(shared, np.array([4.0]), np.array([4.0]), "jaccard", 0.0).toarray()
    array([[0.33333333]])
    """
    shared = csr_array(shared)
    row = np.repeat(np.arange(shared.shape[0]), np.diff(shared.indptr))
    a, b, c = here[row], there[shared.indices], shared.data
    if kind == "cosine":
        values = c / np.sqrt(a * b)
    elif kind == "jaccard":
        values = c / (a + b - c)
    else:
        values = c / a
    return csr_array((values * c / (c + shrinkage), shared.indices, shared.indptr), shape=shared.shape)


class ItemKNNModel(Recommender):
    r"""Items near what one did lately: :math:`s(j) = \sum_{i \in h} \lambda^{a(i)}\, \mathrm{sim}(i, j)`.

    Trust it on sets with many people per item; it knows no order beyond the decay :math:`\lambda` per behaviour, and
    says nothing (all scores 0) to a newcomer.

    References
    ----------
    .. [1] Deshpande & Karypis, "Item-based top-N recommendation algorithms", TOIS 2004.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"user_id": [1, 1, 2, 2, 3, 3], "item_id": ["a", "b", "a", "b", "c", "b"]})
    >>> ItemKNNModel.fit(InteractionLog.from_pandas(frame)).recommend([["a"]], k=1).tolist()
    [['b']]
    """

    kind: ClassVar[str] = "models/item_knn"
    score_kind: ClassVar[ScoreKind] = "weights"

    def __init__(self, space: BehaviourSpace, neighbours: csr_array, config: ItemKNNConfig) -> None:
        self.space = space
        self.neighbours = neighbours  # (I, I) similarity of each item to its nearest
        self.config = config
        self.decay = DEFAULT_DECAY if config.decay is None else config.decay

    @classmethod
    def fit(
        cls,
        train: InteractionLog,
        *,
        config: ItemKNNConfig | None = None,
        valid: InteractionLog | None = None,
        last_only: bool = False,
    ) -> ItemKNNModel:
        """Compare every pair of items that share a sequence.

        Parameters
        ----------
        valid : InteractionLog, optional
            Chooses ``decay`` where the config leaves it open, by NDCG@10 there.
        last_only : bool
            Only the last item of each validation sequence counts (leave-last-out).
        """
        config = ItemKNNConfig() if config is None else config
        people = _people(train).T.tocsr()  # (I, n)
        size = np.diff(people.indptr).astype(np.float64)
        blocks = []
        for begin in range(0, train.n_items, _BLOCK):
            block = people[begin : begin + _BLOCK]
            near = similarity(block @ people.T, size[begin : begin + _BLOCK], size, config.similarity, config.shrinkage)
            near.data[np.repeat(np.arange(begin, begin + block.shape[0]), np.diff(near.indptr)) == near.indices] = 0.0
            near.eliminate_zeros()
            blocks.append(best_entries(near, config.n_neighbours))
        space, neighbours = BehaviourSpace.of(train), csr_array(vstack(blocks))
        options = [cls(space, neighbours, replace(config, decay=decay)) for decay in _decays(config.decay, valid)]
        return _best(options, valid, last_only)

    def scores(self, sequences: Sequences) -> Tensor:
        """Return summed similarities, (n, I)."""
        histories = history_matrix(sequences, self.n_items, decay=self.decay)
        return torch.from_numpy((histories @ self.neighbours).toarray())

    def _export(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, NDArray[Any]]]:
        return config_to_dict(self.config), {}, sparse_to_arrays("neighbours", self.neighbours)

    @classmethod
    def _from_artifact(cls, artifact: Artifact) -> ItemKNNModel:
        space = BehaviourSpace.from_artifact(artifact)
        neighbours = sparse_from_arrays("neighbours", artifact.arrays, len(space.items))
        return cls(space, neighbours, config_from_dict(ItemKNNConfig, artifact.config, where="manifest"))


class UserKNNModel(Recommender):
    r"""What people with a like history did: :math:`s(j) = \sum_{v \in N(h)} \mathrm{sim}(h, v)\, [j \in v]`.

    N(h) are the training sequences (sessions, or users where there are none) nearest to the history; a person of the
    training log meets their own sequence there. The model keeps the training sequences.

    References
    ----------
    .. [1] Sarwar et al., "Analysis of recommendation algorithms for e-commerce", EC 2000.
    .. [2] Jannach & Ludewig, "When recurrent neural networks meet the neighborhood", RecSys 2017.
    """

    kind: ClassVar[str] = "models/user_knn"
    score_kind: ClassVar[ScoreKind] = "weights"

    def __init__(self, space: BehaviourSpace, people: csr_array, config: UserKNNConfig) -> None:
        self.space = space
        self.people = people  # (U, I) 1 where the sequence holds the item
        self.config = config
        self.decay = DEFAULT_DECAY if config.decay is None else config.decay
        self._size = np.diff(people.indptr).astype(np.float64)

    @classmethod
    def fit(
        cls,
        train: InteractionLog,
        *,
        config: UserKNNConfig | None = None,
        valid: InteractionLog | None = None,
        last_only: bool = False,
    ) -> UserKNNModel:
        """Keep the sequences of a log; ``valid`` and ``last_only`` as in `ItemKNNModel.fit`."""
        config = UserKNNConfig() if config is None else config
        space, people = BehaviourSpace.of(train), _people(train)
        options = [cls(space, people, replace(config, decay=decay)) for decay in _decays(config.decay, valid)]
        return _best(options, valid, last_only)

    def scores(self, sequences: Sequences) -> Tensor:
        """Return summed similarities of the neighbours that hold each item, (n, I)."""
        histories = history_matrix(sequences, self.n_items, decay=self.decay)
        parts = [np.zeros((0, self.n_items))]
        for begin in range(0, len(sequences), _BLOCK):
            block = histories[begin : begin + _BLOCK]
            size = np.asarray(block.sum(axis=1)).ravel()
            kind, shrinkage = self.config.similarity, self.config.shrinkage
            near = best_entries(
                similarity(block @ self.people.T, size, self._size, kind, shrinkage), self.config.n_neighbours
            )
            parts.append((near @ self.people).toarray())
        return torch.from_numpy(np.concatenate(parts))

    def _export(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, NDArray[Any]]]:
        return config_to_dict(self.config), {}, sparse_to_arrays("people", self.people)

    @classmethod
    def _from_artifact(cls, artifact: Artifact) -> UserKNNModel:
        space = BehaviourSpace.from_artifact(artifact)
        people = sparse_from_arrays("people", artifact.arrays, len(space.items))
        return cls(space, people, config_from_dict(UserKNNConfig, artifact.config, where="manifest"))


def _decays(wanted: float | None, valid: InteractionLog | None) -> tuple[float, ...]:
    """Return the decays to compare: the one asked for, those of the grid, or the default where nothing can choose."""
    if wanted is not None:
        return (wanted,)
    return (DEFAULT_DECAY,) if valid is None else _DECAYS


ModelT = TypeVar("ModelT", bound=Recommender)


def _best(options: Sequence[ModelT], valid: InteractionLog | None, last_only: bool) -> ModelT:
    """Return the option of highest validation NDCG@10."""
    if len(options) == 1 or valid is None:
        return options[0]
    targets = ValidationTargets.of(valid, last_only=last_only, max_targets=_N_TARGETS)
    k = min(10, options[0].n_items)
    return max(options, key=lambda model: mean_ndcg(model, targets, k=k))


def _people(train: InteractionLog) -> csr_array:
    """Return which sequence holds which item, (n, I)."""
    if train.n_events == 0:
        raise DataError("there are no rows to compare; check the split and the log")
    return history_matrix(train.sequences(), train.n_items)
