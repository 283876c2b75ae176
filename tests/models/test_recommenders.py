"""Laws that every model of the registry keeps, recurrent or not."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from rlrec.core.errors import ArtifactError, InvalidArgumentError, UnknownIdError
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import gap_bucket
from rlrec.evaluation.ranking import evaluate_ranking
from rlrec.models.config import LSTMConfig
from rlrec.models.content import ContentModel
from rlrec.models.counting import MarkovModel, PopularityModel
from rlrec.models.factorization import FactorizationModel
from rlrec.models.hybrid import HybridModel
from rlrec.models.knn import ItemKNNModel, UserKNNModel
from rlrec.models.lstm import LSTMModel
from rlrec.models.newcomers import NewcomerModel
from rlrec.models.ngram import NGramModel
from rlrec.models.prefixes import prefixes
from rlrec.models.recommender import Recommender, best_of
from rlrec.models.registry import MODELS, load_model, model_class
from tests.models.test_laws import coin_log
from tests.small import cycle_log

N_ITEMS = 8


@cache
def log() -> InteractionLog:
    """Random sessions of items with a colour and of users with a country."""
    rng = np.random.default_rng(0)
    rows = [(f"u{u}", f"i{i}", u * 100.0 + t) for u in range(30) for t, i in enumerate(rng.integers(N_ITEMS, size=5))]
    ids = [f"i{i}" for i in range(N_ITEMS)]
    items = pd.DataFrame({"item_id": ids, "colour": np.resize(["red", "blue", "green"], N_ITEMS)})
    users = pd.DataFrame({"user_id": [f"u{u}" for u in range(30)], "country": np.resize(["PL", "CZ"], 30)})
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    return InteractionLog.from_pandas(frame, items=items, users=users)


def lstm() -> LSTMModel:
    config = LSTMConfig(embedding_size=4, hidden_size=5, n_epochs=1)
    return LSTMModel.fit(log(), valid=log(), config=config, show_progress=False)


def factorization() -> FactorizationModel:
    pytest.importorskip("implicit")
    return FactorizationModel.fit(log())


MAKERS: dict[str, Callable[[], Recommender]] = {
    "models/content": lambda: ContentModel.fit(log()),
    "models/factorization": factorization,
    "models/hybrid": lambda: HybridModel.fit({"lstm": lstm(), "knn": ItemKNNModel.fit(log())}, log()),
    "models/item_knn": lambda: ItemKNNModel.fit(log()),
    "models/lstm": lstm,
    "models/markov": lambda: MarkovModel.fit(log()),
    "models/newcomers": lambda: NewcomerModel.fit(log(), MarkovModel.fit(log())),
    "models/ngram": lambda: NGramModel.fit(log()),
    "models/popularity": lambda: PopularityModel.fit(log()),
    "models/user_knn": lambda: UserKNNModel.fit(log()),
}


def test_every_kind_of_the_registry_is_tested():
    assert sorted(MAKERS) == sorted(MODELS)


@pytest.fixture(params=sorted(MAKERS), scope="module")
def model(request: pytest.FixtureRequest) -> Recommender:
    return MAKERS[request.param]()


def test_neighbours_in_a_batch_change_nothing(model):
    sequences = log().sequences()
    together = model.scores(sequences)
    assert together.shape == (len(sequences), N_ITEMS)
    for row in (0, 7, 29):
        alone = model.scores(sequences.select(np.array([row])))[0]
        torch.testing.assert_close(alone, together[row], rtol=1e-4, atol=1e-5)


def test_reading_once_equals_reading_every_cut_history(model):
    sequences, rows = log().sequences(), np.array([0, 3, 4, 5, 77, 149])
    torch.testing.assert_close(
        model.scores_at(sequences, rows), model.scores(prefixes(sequences, rows).histories), rtol=1e-4, atol=1e-5
    )


def test_a_newcomer_is_served(model):
    scores = model.scores(model.histories([[]]))
    assert bool(torch.isfinite(scores).all())
    assert model.recommend([[]], k=3).shape == (1, 3)


def test_probabilities_sum_to_one(model):
    if model.score_kind != "log_probs":
        pytest.skip("its scores are no probabilities")
    torch.testing.assert_close(model.scores(log().sequences()).double().exp().sum(1).float(), torch.ones(30))


def test_the_disk_gives_back_the_same_scores(model, tmp_path):
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert type(again) is type(model) is model_class(model.kind)
    sequences = log().sequences()
    torch.testing.assert_close(again.scores(sequences), model.scores(sequences), rtol=1e-5, atol=1e-6)


def test_a_shorter_list_is_the_start_of_a_longer_one(model):
    histories = [["i0", "i3"], ["i5"]]
    assert model.recommend(histories, k=2).tolist() == model.recommend(histories, k=5)[:, :2].tolist()
    unseen = model.recommend(histories, k=N_ITEMS - 2, exclude_seen=True)
    assert not set(unseen[0]) & {"i0", "i3"}


def test_wrong_ids_and_lengths_are_named(model):
    with pytest.raises(UnknownIdError, match="'i99'"):
        model.recommend([["i99"]])
    with pytest.raises(InvalidArgumentError, match=r"k must lie in 1\.\.8 \(the catalogue\), got 9"):
        model.recommend([["i1"]], k=9)


def fitted(kind: str, train: InteractionLog, valid: InteractionLog) -> Recommender:
    """Return a model of a kind, fitted on another log than the one above."""
    if kind == "models/lstm":
        config = LSTMConfig(
            embedding_size=8, hidden_size=16, n_epochs=8, batch_tokens=64, dropout=0.0, input_dropout=0.0
        )
        return LSTMModel.fit(train, valid=valid, config=config, show_progress=False)
    if kind == "models/hybrid":
        return HybridModel.fit({"markov": MarkovModel.fit(train), "knn": ItemKNNModel.fit(train)}, valid)
    if kind == "models/newcomers":
        return NewcomerModel.fit(train, MarkovModel.fit(train), valid=valid)
    if kind == "models/factorization":
        pytest.importorskip("implicit")
    cls: Any = model_class(kind)
    fitted_model: Recommender = cls.fit(train)
    return fitted_model


ORDERLESS = {"models/content", "models/factorization", "models/item_knn", "models/popularity", "models/user_knn"}


def with_country(source: InteractionLog) -> InteractionLog:
    """Return a log whose users and items have a feature that tells nothing of what they do."""
    frame = source.to_pandas()
    users = pd.DataFrame({"user_id": frame["user_id"].unique()})
    users["country"] = np.resize(["PL", "CZ"], len(users))
    items = pd.DataFrame({"item_id": sorted(source.catalog.vocabulary.ids)})
    items["colour"] = np.resize(["red", "blue", "green"], len(items))
    return InteractionLog.from_pandas(frame, items=items, users=users)


@pytest.mark.parametrize("kind", sorted(set(MODELS) - ORDERLESS))
def test_a_cycle_is_learned_exactly(kind):
    """The others know sets of items and no order: after i, what came before it is as near as what comes after."""
    model = fitted(kind, with_country(cycle_log()), with_country(cycle_log(40, seed=1)))
    result = evaluate_ranking(model, with_country(cycle_log(60, seed=2)), k=1)
    assert result.hit.mean() == 1.0


@pytest.mark.parametrize("kind", sorted(set(MODELS) - {"models/popularity"}))
def test_a_log_without_order_gives_no_gain_over_popularity(kind):
    rng = np.random.default_rng(3)
    train, valid, test = (with_country(coin_log(rng, n)) for n in (120, 40, 200))
    model, popular = fitted(kind, train, valid), PopularityModel.fit(train)
    gain = evaluate_ranking(model, test, k=1).compared_with(evaluate_ranking(popular, test, k=1), "hit_at_1")
    assert gain.low <= 0


def test_ties_go_to_the_lower_index():
    scores = torch.tensor([[1.0, 2.0, 2.0, 2.0], [0.0, 0.0, 0.0, 0.0]])
    items, values = best_of(scores, 2)
    assert items.tolist() == [[1, 2], [0, 1]]
    assert values.tolist() == [[2, 2], [0, 0]]


@pytest.mark.parametrize("n_items", [7, 703, 4_161])  # the largest is looked through in blocks, with some left over
def test_the_best_are_those_of_a_stable_sort_whatever_ties(n_items):
    generator = torch.Generator().manual_seed(1)
    scores = torch.randint(0, 4 * n_items, (40, n_items), generator=generator).float()
    scores[:10] = scores[:10] % 5  # ties everywhere
    scores[10:20, : n_items // 2] = -torch.inf
    values, order = scores.sort(dim=1, descending=True, stable=True)
    for k in (1, 5, min(10, n_items)):
        items, best = best_of(scores, k)
        assert torch.equal(items, order[:, :k])
        assert torch.equal(best, values[:, :k])


def test_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="'models/x' is no kind of model; the kinds are models/content"):
        model_class("models/x")


def test_raw_ids_are_taken_for_the_usual_event_and_gap():
    frame = pd.DataFrame(
        {
            "user_id": [1, 1, 1, 2, 2],
            "item_id": ["a", "b", "a", "b", "a"],
            "timestamp": [0, 100, 200, 0, 4],
            "event": ["view", "cart", "view", "view", "view"],
        }
    )
    model = PopularityModel.fit(InteractionLog.from_pandas(frame))
    histories = model.histories([["a", "b"], [], ["b"]])
    assert model.space.event_names[histories.event[0]] == "view"
    assert histories.gap.tolist() == [0, gap_bucket(np.array([100.0])).item(), 0]
