"""Laws that every sequence model keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch

from rlrec.core.errors import ArtifactError, InvalidArgumentError, UnknownIdError
from rlrec.data.log import InteractionLog
from rlrec.evaluation.ranking import evaluate_ranking
from rlrec.models.base import BehaviourBatch, SequenceModel
from rlrec.models.config import LSTMConfig
from rlrec.models.counting import MarkovModel, PopularityModel
from rlrec.models.lstm import LSTMModel
from rlrec.models.ngram import NGramModel
from tests.small import N_ITEMS, cycle_log, cycle_model


def variant(**settings: object) -> Callable[[], LSTMModel]:
    """Return a maker of a cycle model with other settings, fitted once."""

    @cache
    def make() -> LSTMModel:
        small = {"embedding_size": 8, "hidden_size": 16, "dropout": 0.0, "input_dropout": 0.0, "batch_tokens": 64}
        config = LSTMConfig(**(small | {"n_epochs": 8} | settings))  # type: ignore[arg-type]
        return LSTMModel.fit(cycle_log(), valid=cycle_log(40, seed=1), config=config, show_progress=False)

    return make


MAKERS = {
    "gru": variant(cell="gru"),
    "lstm": cycle_model,
    "lstm_norm_2": variant(n_layers=2, layer_norm=True),
    "lstm_sampled": variant(n_negatives=4),
    "rnn": variant(cell="rnn", learning_rate=0.02),
    "markov": lambda: MarkovModel.fit(cycle_log()),
    "ngram": lambda: NGramModel.fit(cycle_log()),
    "popularity": lambda: PopularityModel.fit(cycle_log()),
}


@pytest.fixture(params=sorted(MAKERS))
def model(request: pytest.FixtureRequest) -> SequenceModel:
    return MAKERS[request.param]()


def batch(n: int = 9) -> BehaviourBatch:
    return BehaviourBatch.from_padded(cycle_log().sequences().pad(np.arange(n)))


def test_stepping_equals_scanning(model):
    tokens = batch()
    heads, final = model.forward(tokens)
    state = model.initial_state(len(tokens.length))
    for t in range(int(tokens.length.min())):
        stepped, state = model.step(tokens.at(t), state)
        for ask in ("item_log_probs", "end_probs", "gap_probs"):
            torch.testing.assert_close(getattr(stepped, ask)(), getattr(heads, ask)()[:, t], rtol=1e-4, atol=1e-5)
    shortest = tokens.length == tokens.length.min()
    for mine, scanned in zip(state.tensors, final.tensors, strict=True):
        torch.testing.assert_close(mine[shortest], scanned[shortest], rtol=1e-4, atol=1e-5)


def test_padding_and_neighbours_change_nothing(model):
    sequences = cycle_log().sequences()
    together = model.heads(model.encode(sequences.select(np.arange(9)))).item_log_probs()
    for row in range(9):
        alone = model.heads(model.encode(sequences.select(np.array([row])))).item_log_probs()
        torch.testing.assert_close(alone[0], together[row], rtol=1e-4, atol=1e-5)


def test_probabilities_sum_to_one(model):
    heads = model.heads(model.encode(cycle_log().sequences()))
    assert torch.allclose(heads.item_log_probs().exp().sum(-1), torch.ones(1), atol=1e-5)
    assert torch.allclose(heads.gap_probs().sum(-1), torch.ones(1), atol=1e-5)
    items = torch.arange(N_ITEMS).expand(len(cycle_log().sequences()), -1)
    assert torch.allclose(heads.event_probs(items).sum(-1), torch.ones(1), atol=1e-5)
    end = heads.end_probs()
    assert bool(((end >= 0) & (end <= 1)).all())


def test_a_partial_reset_equals_a_fresh_start(model):
    state = model.encode(cycle_log().sequences().select(np.arange(4)))
    mask = torch.tensor([True, False, True, False])
    mixed = model.heads(state.where(mask, model.initial_state(4))).item_log_probs()
    fresh = model.heads(model.initial_state(4)).item_log_probs()
    kept = model.heads(state).item_log_probs()
    torch.testing.assert_close(mixed[mask], fresh[mask])
    torch.testing.assert_close(mixed[~mask], kept[~mask])


def test_save_and_load_give_the_same_probabilities(model, tmp_path):
    model.save(tmp_path / "m")
    again = type(model).load(tmp_path / "m")
    sequences = cycle_log().sequences()
    before, after = (m.heads(m.encode(sequences)) for m in (model, again))
    assert torch.equal(before.item_log_probs(), after.item_log_probs())
    assert torch.equal(before.end_probs(), after.end_probs())


def test_loading_another_kind_says_so(tmp_path):
    MarkovModel.fit(cycle_log()).save(tmp_path)
    with pytest.raises(ArtifactError, match=r"holds a 'models/markov', expected a 'models/lstm'"):
        LSTMModel.load(tmp_path)


@pytest.mark.parametrize("name", sorted(set(MAKERS) - {"popularity"}))
def test_the_cycle_is_learned(name):
    model = MAKERS[name]()
    assert model.recommend([["i0", "i1"], ["i4"]], k=1).tolist() == [["i2"], ["i5"]]


@pytest.mark.parametrize("name", sorted(set(MAKERS) - {"popularity"}))
def test_shuffled_sequences_teach_nothing_beyond_popularity(name):
    """Each session's items are drawn alike, whatever came before: no model may claim to see an order there."""
    rng = np.random.default_rng(0)
    train, valid, test = (coin_log(rng, n) for n in (120, 40, 200))
    maker = {"markov": MarkovModel, "ngram": NGramModel}.get(name, LSTMModel)
    extra = {}
    if maker is LSTMModel:
        extra = {"valid": valid, "config": replace(MAKERS[name]().config, n_epochs=3), "show_progress": False}
    model, popular = maker.fit(train, **extra), PopularityModel.fit(train)
    gain = evaluate_ranking(model, test, k=1).compared_with(evaluate_ranking(popular, test, k=1), "hit_at_1")
    assert gain.low <= 0


def coin_log(rng: np.random.Generator, n_sessions: int) -> InteractionLog:
    items = rng.choice(N_ITEMS, size=(n_sessions, 6), p=np.arange(N_ITEMS, 0, -1) / 21)
    rows = [(s, f"i{item}", float(t)) for s, row in enumerate(items) for t, item in enumerate(row)]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    catalog = pd.DataFrame({"item_id": [f"i{i}" for i in range(N_ITEMS)]})
    return InteractionLog.from_pandas(frame, items=catalog)


def test_recommend_leaves_out_seen_items_when_asked():
    shown = cycle_model().recommend([["i0", "i1", "i2"]], k=3, exclude_seen=True)[0]
    assert not set(shown) & {"i0", "i1", "i2"}


def test_bad_arguments_are_named():
    with pytest.raises(InvalidArgumentError, match=r"k must lie in 1\.\.6 \(the catalogue\), got 7"):
        cycle_model().recommend([["i0"]], k=7)
    with pytest.raises(UnknownIdError, match="'i9'"):
        cycle_model().recommend([["i9"]])


def test_markov_equals_the_formula_by_hand():
    model = MarkovModel.fit(cycle_log())
    sequences = cycle_log().sequences()
    follows = sequences.item[1:][np.diff(np.repeat(np.arange(len(sequences)), sequences.lengths)) == 0]
    n_0 = int((follows == 1).sum())  # in the cycle only 0 leads to 1
    popularity = model.tables["popularity"][1].item()
    expected = (n_0 - 0.75) / n_0 + 0.75 / n_0 * popularity
    assert model.item_probs(torch.tensor([0]))[0, 1].item() == pytest.approx(expected, rel=1e-12)


def test_the_same_seed_gives_the_same_weights():
    config = cycle_model().config
    first, second = (
        LSTMModel.fit(cycle_log(30), config=config, seed=3, show_progress=False).network.state_dict() for _ in range(2)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
