"""The hybrid beside a part that knows the answer and one that knows nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.evaluation.ranking import evaluate_ranking
from rlrec.models.counting import MarkovModel, PopularityModel
from rlrec.models.hybrid import HybridModel
from rlrec.models.knn import ItemKNNModel
from rlrec.models.registry import load_model
from tests.models.test_knn import random_log
from tests.small import cycle_log


def hybrid() -> HybridModel:
    parts = {"markov": MarkovModel.fit(cycle_log()), "item_knn": ItemKNNModel.fit(cycle_log())}
    return HybridModel.fit(parts, cycle_log(40, seed=1))


def test_the_part_that_knows_gets_the_vote():
    model, test = hybrid(), cycle_log(30, seed=2)
    assert model.weights["markov"] > 0.5
    alone = evaluate_ranking(model.parts["markov"], test, k=3)
    both = evaluate_ranking(model, test, k=3)
    assert both.nll is not None
    assert alone.nll is not None
    assert both.nll.mean() <= alone.nll.mean() + 1e-3
    assert model.recommend([["i0", "i1"]], k=1).tolist() == [["i2"]]


def test_it_learns_that_nobody_comes_back():
    log = random_log(n_users=30, n_items=7)
    first = np.unique(log.user * 7 + log.item, return_index=True)[1]  # everyone takes an item once
    once = log.select(np.sort(first))
    model = HybridModel.fit({"popularity_model": PopularityModel.fit(once)}, once)
    assert model.weights["seen"] < -2


def test_scores_are_log_probabilities_and_survive_the_disk(tmp_path):
    model = hybrid()
    scores = model.scores(model.histories([["i0"], []]))
    torch.testing.assert_close(scores.exp().sum(1), torch.ones(2))
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert isinstance(again, HybridModel)
    torch.testing.assert_close(again.scores(again.histories([["i0"], []])), scores)


def test_errors_are_sentences():
    with pytest.raises(InvalidArgumentError, match="parts must hold at least one fitted model, got none"):
        HybridModel.fit({}, cycle_log())
    with pytest.raises(InvalidArgumentError, match="a part may not be called 'seen'"):
        HybridModel.fit({"seen": MarkovModel.fit(cycle_log())}, cycle_log())
    mixed = {"a": MarkovModel.fit(cycle_log()), "b": MarkovModel.fit(random_log())}
    with pytest.raises(InvalidArgumentError, match="the parts a, b know different items; fit them on one log"):
        HybridModel.fit(mixed, cycle_log())
    with pytest.raises(DataError, match="no weights to learn"):
        HybridModel.fit({"a": MarkovModel.fit(cycle_log())}, cycle_log().select(np.array([0])))
