"""Choosing on validation: the setting, the model, and a blend that is not judged by what it learned from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.evaluation.ranking import evaluate_ranking
from rlrec.models.config import ItemKNNConfig, NGramConfig, UserKNNConfig
from rlrec.models.counting import MarkovModel, PopularityModel
from rlrec.models.knn import _DECAYS, ItemKNNModel, UserKNNModel
from rlrec.models.ngram import _STRENGTHS, NGramModel
from rlrec.models.selection import ValidationTargets, blend_and_choose, choose_model, mean_nats, mean_ndcg
from tests.models.test_knn import random_log
from tests.models.test_laws import coin_log
from tests.small import cycle_log


@pytest.mark.parametrize("last_only", [False, True])
def test_both_measures_are_those_of_the_ranking(last_only):
    log = random_log()
    model, targets = MarkovModel.fit(log), ValidationTargets.of(log, last_only=last_only)
    whole = evaluate_ranking(model, log, k=3, targets="last" if last_only else "all")
    assert whole.nll is not None
    assert mean_ndcg(model, targets, k=3) == pytest.approx(whole.ndcg.mean())
    assert mean_nats(model, targets) == pytest.approx(whole.nll.mean(), rel=1e-6)


def test_ties_count_in_expectation():
    model, targets = PopularityModel.fit(cycle_log()), ValidationTargets.of(cycle_log())
    model.tables["popularity"] = torch.full_like(model.tables["popularity"], 1 / model.n_items)
    assert mean_ndcg(model, targets, k=1) == pytest.approx(1 / model.n_items)


def test_a_sample_of_targets_is_taken_where_there_are_more():
    few, whole = (ValidationTargets.of(cycle_log(), max_targets=n) for n in (10, 10**6))
    assert len(few.rows) == 10
    assert set(few.rows) < set(whole.rows)


def test_the_better_model_is_chosen_in_each_world():
    ordered = {"popularity": PopularityModel.fit(cycle_log()), "markov": MarkovModel.fit(cycle_log())}
    choice = choose_model(ordered, ValidationTargets.of(cycle_log(40, seed=1)), k=3)
    assert choice.name == "markov"
    assert choice.ndcg["markov"] > choice.ndcg["popularity"]
    assert choose_model({"a": ordered["markov"], "b": ordered["markov"]}, ValidationTargets.of(cycle_log())).name == "a"


def test_a_blend_is_chosen_on_what_it_did_not_learn_from(monkeypatch):
    from rlrec.models import selection

    learned, fit = [], selection.HybridModel.fit

    def spy(parts, valid, **options):
        learned.append(set(valid.start.tolist()))
        return fit(parts, valid, **options)

    monkeypatch.setattr(selection.HybridModel, "fit", spy)
    models = {"popularity": PopularityModel.fit(cycle_log()), "markov": MarkovModel.fit(cycle_log())}
    valid = cycle_log(40, seed=1)
    hybrid, choice = blend_and_choose(models, valid, k=3)
    assert set(choice.ndcg) == {"popularity", "markov", "hybrid"}
    assert set(hybrid.parts) == {"markov"}
    assert learned[0] < learned[1] == set(valid.sequences().start.tolist())
    assert choice.n_targets == sum(valid.sequences().lengths[1::2] - 1)


def test_a_single_validation_sequence_still_chooses():
    models = {"markov": MarkovModel.fit(cycle_log())}
    one = cycle_log(40, seed=1)
    one = one.select(one.user == 0)
    assert blend_and_choose(models, one, k=3)[1].n_targets == one.n_events - 1


def test_the_choice_is_never_below_the_best_part_by_more_than_chance():
    """Among models of which none is right alone, and where one is: what is taken does as well on later data."""
    rng = np.random.default_rng(0)
    for train, valid, test in (
        (cycle_log(), cycle_log(60, seed=1), cycle_log(60, seed=2)),
        tuple(coin_log(rng, n) for n in (150, 80, 300)),
    ):
        models = {
            "popularity": PopularityModel.fit(train),
            "markov": MarkovModel.fit(train),
            "item_knn": ItemKNNModel.fit(train, valid=valid),
        }
        hybrid, choice = blend_and_choose(models, valid, k=3)
        taken = {**models, "hybrid": hybrid}[choice.name]
        best = max((evaluate_ranking(model, test, k=3) for model in models.values()), key=lambda r: r.ndcg.mean())
        assert evaluate_ranking(taken, test, k=3).compared_with(best, "ndcg").high >= 0


def test_the_strength_is_that_of_highest_likelihood():
    train, valid = cycle_log(60), cycle_log(20, seed=1)
    targets = ValidationTargets.of(valid)
    nats = [mean_nats(NGramModel.fit(train, config=NGramConfig(strength=s)), targets) for s in _STRENGTHS]
    chosen = NGramModel.fit(train, valid=valid)
    assert chosen.config.strength == _STRENGTHS[int(np.argmin(nats))]
    assert NGramModel.fit(train, config=NGramConfig(strength=7.0), valid=valid).config.strength == 7.0
    coin = np.random.default_rng(0)  # where the last item tells nothing, the shorter context speaks
    shapeless = NGramModel.fit(coin_log(coin, 60), valid=coin_log(coin, 60))
    assert shapeless.config.strength == max(_STRENGTHS)
    assert chosen.config.strength < max(_STRENGTHS)


@pytest.mark.parametrize(("cls", "config"), [(ItemKNNModel, ItemKNNConfig()), (UserKNNModel, UserKNNConfig())])
def test_the_decay_is_that_of_highest_ndcg(cls, config):
    train, valid = cycle_log(60), cycle_log(20, seed=1)
    targets = ValidationTargets.of(valid)
    options = [cls.fit(train, config=replace(config, decay=decay)) for decay in _DECAYS]
    best = max(options, key=lambda model: mean_ndcg(model, targets, k=6))
    assert cls.fit(train, valid=valid).config.decay == best.config.decay
    assert cls.fit(train, config=replace(config, decay=0.3), valid=valid).config.decay == 0.3


def test_errors_are_sentences():
    alone = cycle_log().select(np.array([0]))
    with pytest.raises(DataError, match="the validation part has no sequence with two behaviours"):
        ValidationTargets.of(alone)
    with pytest.raises(InvalidArgumentError, match="models must hold at least one model, got none"):
        choose_model({}, ValidationTargets.of(cycle_log()))
    with pytest.raises(InvalidArgumentError, match="'models/item_knn' gives no probabilities; compare it by mean_ndcg"):
        mean_nats(ItemKNNModel.fit(cycle_log()), ValidationTargets.of(cycle_log()))
