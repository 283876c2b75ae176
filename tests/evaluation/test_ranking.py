"""Rankings of every model, against a loop that scores one history at a time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.data.log import InteractionLog
from rlrec.evaluation.ranking import RankingResult, evaluate_ranking
from rlrec.models.counting import MarkovModel, PopularityModel
from rlrec.models.knn import ItemKNNModel
from rlrec.models.recommender import Recommender

K = 2


def log(seed: int = 0) -> InteractionLog:
    rng = np.random.default_rng(seed)
    rows = [
        (u, f"i{i}", float(t)) for u in range(8) for t, i in enumerate(rng.integers(5, size=int(rng.integers(1, 6))))
    ]
    items = pd.DataFrame({"item_id": [f"i{i}" for i in range(5)], "colour": ["red", "red", "blue", "blue", "blue"]})
    return InteractionLog.from_pandas(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]), items=items)


def by_hand(model: Recommender, *, exclude_seen: bool, last: bool) -> list[float]:
    """Expected hit@K of each target in user order."""
    hits = []
    for user in range(8):
        items = log().item[log().user == user].tolist()
        for t in range(1, len(items)):
            if last and t != len(items) - 1:
                continue
            scores = model.scores(model.histories([[f"i{i}" for i in items[:t]]]))[0].clone()
            if exclude_seen:
                scores[torch.tensor(items[:t])] = -torch.inf
            above, tied = int((scores > scores[items[t]]).sum()), int((scores == scores[items[t]]).sum())
            hits.append(min(max(K - above, 0), tied) / tied)
    return hits


MODELS = {"markov": MarkovModel, "popularity": PopularityModel, "item_knn": ItemKNNModel}


@pytest.mark.parametrize("name", sorted(MODELS))
@pytest.mark.parametrize("exclude_seen", [False, True])
@pytest.mark.parametrize("targets", ["all", "last"])
def test_it_equals_a_loop(name, exclude_seen, targets):
    model = MODELS[name].fit(log())
    result = evaluate_ranking(model, log(), k=K, exclude_seen=exclude_seen, targets=targets)
    expected = by_hand(model, exclude_seen=exclude_seen, last=targets == "last")
    np.testing.assert_allclose(result.hit, expected, atol=1e-6)
    assert (result.nll is None) == (name == "item_knn")


def result() -> RankingResult:
    return evaluate_ranking(PopularityModel.fit(log()), log(), k=K)


def test_users_and_pairs():
    popular, markov = result(), evaluate_ranking(MarkovModel.fit(log()), log(), k=K)
    users, means = popular.per_user("hit")
    assert means[0] == pytest.approx(popular.hit[popular.user == users[0]].mean())
    difference = markov.compared_with(popular, "ndcg")
    assert difference.value == pytest.approx(markov.ndcg.mean() - popular.ndcg.mean())
    assert difference.low < difference.value < difference.high


def test_popular_lists_are_not_serendipitous():
    popular = result()
    assert popular.serendipity.sum() == 0
    assert popular.popularity_bias >= 1
    assert set(popular.beyond_accuracy()) == {
        f"{name}@{K}"
        for name in ("precision", "map", "serendipity", "diversity", "miscalibration", "popularity_bias", "gini")
    }


def test_errors_are_sentences():
    model = PopularityModel.fit(log())
    with pytest.raises(InvalidArgumentError, match=r"k must lie in 1\.\.5 \(the catalogue\), got 9"):
        evaluate_ranking(model, log(), k=9)
    with pytest.raises(DataError, match="no sequence with two behaviours"):
        evaluate_ranking(model, log().select(np.array([0])), k=K)
    with pytest.raises(InvalidArgumentError, match="metric must have one value a target here, got 'shown'"):
        result().estimate("shown")
    with pytest.raises(InvalidArgumentError, match="the two results have different targets"):
        result().compared_with(evaluate_ranking(model, log(), k=K, targets="last"), "hit")
