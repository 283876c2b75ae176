"""Content-based recommendation: items like those of the history, by features, text, or vectors that you bring.

Needs no other people: an item that nobody touched yet is scored like any other. Checked against dense cosines
(``tests/models/test_content.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array, hstack
from torch import Tensor

from rlrec.core.artifacts import Artifact
from rlrec.core.config import config_from_dict, config_to_dict
from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.data.catalog import ItemCatalog
from rlrec.data.features import Categorical, FeatureTable, MultiCategorical, Text
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences
from rlrec.models.config import ContentConfig
from rlrec.models.recommender import Recommender
from rlrec.models.space import BehaviourSpace
from rlrec.models.sparse import history_matrix, row_normalised, sparse_from_arrays, sparse_to_arrays
from rlrec.models.text_vectors import embed_texts


class ContentModel(Recommender):
    r"""Items whose content is near the history's.

    .. math:: s(j) = \cos\Big(\sum_{i \in h} \lambda^{a(i)} v_i,\; v_j\Big)

    :math:`v_i` joins one block for each feature, each of length 1: one-hot or multi-hot labels times their inverse
    document frequency, standardised numbers, text (TF-IDF or sentence embeddings), and vectors.

    Examples
    --------
    >>> import pandas as pd
    >>> items = pd.DataFrame({"item_id": ["a", "b", "c", "d"], "colour": ["red", "blue", "red", "blue"]})
    >>> log = InteractionLog.from_pandas(pd.DataFrame({"user_id": [1, 1], "item_id": ["a", "b"]}), items=items)
    >>> ContentModel.fit(log).recommend([["a"]], k=1, exclude_seen=True).tolist()
    [['c']]
    """

    kind: ClassVar[str] = "models/content"

    def __init__(self, space: BehaviourSpace, vectors: csr_array, config: ContentConfig) -> None:
        self.space = space
        self.vectors = vectors  # (I, D) rows of length 1, or 0 where nothing is known
        self.config = config

    @classmethod
    def fit(
        cls,
        train: InteractionLog,
        *,
        config: ContentConfig | None = None,
        vectors: Mapping[str, ArrayLike] | None = None,
    ) -> ContentModel:
        """Describe the items of a log's catalogue.

        Parameters
        ----------
        vectors : mapping of name to array (I, d), optional
            Image, audio or sentence embeddings, rows in the catalogue's order.

        Raises
        ------
        DataError
            If the catalogue has no features and no vectors are given.
        InvalidArgumentError
            If an array has another number of rows.
        MissingExtraError
            If ``config.text`` is "embeddings" and the extra ``text`` is not installed.
        """
        config = ContentConfig() if config is None else config
        blocks = _feature_blocks(train.catalog.features, config)
        blocks += [_vector_block(name, array, train.catalog) for name, array in (vectors or {}).items()]
        if not blocks:
            raise DataError(
                "a content model needs item features and the catalogue has none; load the log with items=..., "
                "or pass vectors={'image': array of shape (n_items, d)}"
            )
        joined = csr_array(hstack([row_normalised(block) for block in blocks]))
        return cls(BehaviourSpace.of(train), row_normalised(joined), config)

    def scores(self, sequences: Sequences) -> Tensor:
        """Return cosines in [-1, 1], (n, I); 0 everywhere for a newcomer."""
        profile = history_matrix(sequences, self.n_items, decay=self.config.decay) @ self.vectors  # (n, D)
        return torch.from_numpy((row_normalised(profile) @ self.vectors.T).toarray())

    def _export(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, NDArray[Any]]]:
        arrays = sparse_to_arrays("vectors", self.vectors)
        return config_to_dict(self.config), {"n_columns": int(self.vectors.shape[1])}, arrays

    @classmethod
    def _from_artifact(cls, artifact: Artifact) -> ContentModel:
        vectors = sparse_from_arrays("vectors", artifact.arrays, artifact.content["n_columns"])
        config = config_from_dict(ContentConfig, artifact.config, where="manifest")
        return cls(BehaviourSpace.from_artifact(artifact), vectors, config)


def tells_apart(catalog: ItemCatalog) -> bool:
    """Return whether a catalogue has anything that a content model can read.

    Examples
    --------
    >>> import pandas as pd
    >>> tells_apart(ItemCatalog.from_pandas(pd.DataFrame({"item_id": ["a"], "title": [None]})))
    False
    """
    return any(
        any(text.strip() for text in column.words()) if isinstance(column, Text) else bool(column.dense()[0].any())
        for column in catalog.features.values()
    )


def _feature_blocks(features: FeatureTable, config: ContentConfig) -> list[csr_array]:
    """Return one block (I, d) for each feature that tells something."""
    blocks = []
    for column in features.values():
        if isinstance(column, Text):
            words = column.words()
            block = csr_array(embed_texts(words)) if config.text == "embeddings" else _tfidf(words)
        elif isinstance(column, Categorical | MultiCategorical):
            block = _by_rarity(csr_array(column.dense()[0].astype(np.float64)))
        else:
            block = csr_array(column.dense()[0].astype(np.float64))
        if block.nnz:
            blocks.append(block)
    return blocks


def _by_rarity(labels: csr_array) -> csr_array:
    """Weigh each label by the log of how rare it is, as TF-IDF does with words."""
    n = labels.shape[0]
    frequency = np.bincount(labels.indices, minlength=labels.shape[1])
    weight = np.log((1 + n) / (1 + frequency)) + 1
    return csr_array((labels.data * weight[labels.indices], labels.indices, labels.indptr), shape=labels.shape)


def _tfidf(texts: list[str]) -> csr_array:
    """Return TF-IDF rows; texts without a single word give no columns."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    try:
        return csr_array(TfidfVectorizer(sublinear_tf=True).fit_transform(texts))
    except ValueError:  # scikit-learn's word for an empty vocabulary
        return csr_array((len(texts), 1))


def _vector_block(name: str, array: ArrayLike, catalog: ItemCatalog) -> csr_array:
    block = np.asarray(array, np.float64)
    if block.ndim != 2 or len(block) != catalog.n_items:
        raise InvalidArgumentError(
            f"vectors[{name!r}] must have shape (n_items={catalog.n_items}, d), got {block.shape}; "
            "put its rows in the order of log.catalog.ids"
        )
    if not np.isfinite(block).all():
        raise InvalidArgumentError(f"vectors[{name!r}] must be finite; give an unknown item a row of zeros")
    return csr_array(block)
