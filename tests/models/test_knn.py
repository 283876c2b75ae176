"""Neighbours against brute force over pairs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.data.log import InteractionLog
from rlrec.models.config import ItemKNNConfig, UserKNNConfig
from rlrec.models.knn import ItemKNNModel, UserKNNModel
from rlrec.models.sparse import best_entries, history_matrix, row_normalised

SHRINKAGE, DECAY = 2.0, 0.7


def random_log(n_users: int = 12, n_items: int = 7, seed: int = 0) -> InteractionLog:
    rng = np.random.default_rng(seed)
    rows = [(u, int(i), float(t)) for u in range(n_users) for t, i in enumerate(rng.integers(n_items, size=4))]
    items = pd.DataFrame({"item_id": np.arange(n_items)})
    return InteractionLog.from_pandas(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]), items=items)


def brute(kind: str, first: set[int], second: set[int]) -> float:
    shared = len(first & second)
    if shared == 0:
        return 0.0
    value = {
        "cosine": shared / (len(first) * len(second)) ** 0.5,
        "jaccard": shared / len(first | second),
        "conditional": shared / len(first),
    }[kind]
    return value * shared / (shared + SHRINKAGE)


@pytest.mark.parametrize("kind", ["cosine", "jaccard", "conditional"])
def test_item_knn_equals_brute_force(kind):
    log = random_log()
    holders = [set(log.user[log.item == i].tolist()) for i in range(log.n_items)]
    config = ItemKNNConfig(similarity=kind, shrinkage=SHRINKAGE, decay=DECAY)
    scores = ItemKNNModel.fit(log, config=config).scores(ItemKNNModel.fit(log).histories([[3, 1, 5]]))[0].numpy()
    expected = [
        sum(DECAY**age * brute(kind, holders[i], holders[j]) * (i != j) for age, i in enumerate([5, 1, 3]))
        for j in range(log.n_items)
    ]
    np.testing.assert_allclose(scores, expected, rtol=1e-12)


@pytest.mark.parametrize("kind", ["cosine", "jaccard"])
def test_user_knn_equals_brute_force(kind):
    log = random_log()
    config = UserKNNConfig(similarity=kind, shrinkage=SHRINKAGE, decay=1.0, n_neighbours=3)
    model = UserKNNModel.fit(log, config=config)
    people = [set(log.item[log.user == u].tolist()) for u in range(log.n_users)]
    near = np.array([brute(kind, {3, 1, 5}, person) for person in people])
    nearest = np.argsort(-near, kind="stable")[:3]
    expected = [sum(near[v] for v in nearest if j in people[v]) for j in range(log.n_items)]
    np.testing.assert_allclose(model.scores(model.histories([[3, 1, 5]]))[0].numpy(), expected, rtol=1e-12)


def test_only_the_nearest_are_kept():
    matrix = csr_array(np.array([[1.0, 3.0, 2.0, 3.0], [0.0, 0.0, 5.0, 0.0]]))
    assert best_entries(matrix, 2).toarray().tolist() == [[0, 3, 0, 3], [0, 0, 5, 0]]


def test_an_item_seen_twice_counts_once_from_its_latest_time():
    model = ItemKNNModel.fit(random_log())
    matrix = history_matrix(model.histories([[1, 2, 1]]), model.n_items, decay=0.5)
    assert matrix.toarray()[0, :3].tolist() == [0, 1.0, 0.5]


def test_rows_of_zeros_stay_when_normalised():
    rows = row_normalised(csr_array(np.array([[3.0, 4.0], [0.0, 0.0]]))).toarray()
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0]])


def test_wrong_settings_and_empty_logs_are_refused():
    with pytest.raises(
        InvalidArgumentError, match="similarity must be one of 'cosine', 'jaccard', 'conditional', got 'x'"
    ):
        ItemKNNConfig(similarity="x")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="there are no rows to compare"):
        ItemKNNModel.fit(random_log().select(np.zeros(0, np.int64)))
