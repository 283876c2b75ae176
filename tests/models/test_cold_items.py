"""Items without a training row: their features speak, and their probability is what new items have."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.data.log import InteractionLog
from rlrec.models.cold_items import good_turing
from rlrec.models.config import LSTMConfig
from rlrec.models.counting import PopularityModel
from rlrec.models.lstm import LSTMHeads, LSTMModel

SMALL = LSTMConfig(embedding_size=8, hidden_size=16, dropout=0.0, input_dropout=0.0, batch_tokens=64, id_dropout=0.3)


def coloured_log(n_users: int = 80, seed: int = 0) -> InteractionLog:
    """Everyone sticks to a colour; items 0..11, colour is item % 3; the values are 1 for red and 5 for the others."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(n_users):
        colour = user % 3
        rows += [
            (user, 3 * int(i) + colour, float(t), 1.0 + 4 * (colour > 0)) for t, i in enumerate(rng.integers(4, size=6))
        ]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "value"])
    items = pd.DataFrame({"item_id": np.arange(12), "colour": np.resize(["red", "green", "blue"], 12)})
    return InteractionLog.from_pandas(frame, items=items)


def fit(log: InteractionLog, config: LSTMConfig = SMALL, **more: object) -> LSTMModel:
    return LSTMModel.fit(log, config=config, show_progress=False, **more)  # type: ignore[arg-type]


def without(log: InteractionLog, *items: int) -> InteractionLog:
    return log.select(~np.isin(log.item, items))


def test_features_rank_items_that_nobody_touched():
    model = fit(without(coloured_log(), 9, 10, 11))
    cold = model.scores(model.histories([[0, 3], [1, 4], [2, 5]]))[:, 9:]  # red, green, blue
    assert cold.argmax(1).tolist() == [0, 1, 2]


def test_their_share_is_good_and_turings_without_validation():
    log = without(coloured_log(), 9, 10, 11)
    model = fit(log)
    probs = model.scores(log.sequences()).exp()[:, 9:].sum(1)
    assert 0.2 * good_turing(log.item_counts) < float(probs.mean()) < 5 * good_turing(log.item_counts)


def test_their_share_is_the_validations_where_it_has_them():
    log, valid = without(coloured_log(), 9, 10, 11), coloured_log(seed=1)
    model = fit(log, valid=valid)
    probs = model.scores(valid.sequences()).exp()[:, 9:].sum(1)
    assert float(probs.mean()) == pytest.approx(0.25, abs=0.06)


def test_they_survive_the_disk(tmp_path):
    model = fit(without(coloured_log(), 9))
    model.save(tmp_path / "m")
    again = LSTMModel.load(tmp_path / "m")
    assert torch.equal(again.scores(again.histories([[0]])), model.scores(model.histories([[0]])))


def test_a_value_head_learns_what_is_paid():
    model = fit(coloured_log(), LSTMConfig(embedding_size=8, hidden_size=16, batch_tokens=64, value_weight=1.0))
    heads = model.heads(model.encode(model.histories([[0, 3], [1, 4]])))
    assert isinstance(heads, LSTMHeads)
    mean, sd = heads.value_distribution(torch.tensor([[6], [7]]))
    assert mean.flatten().tolist() == pytest.approx([1.0, 5.0], abs=0.5)
    assert bool((sd > 0).all())


def test_a_value_head_needs_values():
    with pytest.raises(DataError, match="value_weight is above 0 and the log has no values"):
        fit(
            InteractionLog.from_pandas(pd.DataFrame({"user_id": [1, 1], "item_id": [1, 2]})),
            LSTMConfig(value_weight=1.0),
        )
    heads = fit(without(coloured_log(9), 9)).heads(fit(coloured_log(9)).initial_state(1))
    assert isinstance(heads, LSTMHeads)
    with pytest.raises(InvalidArgumentError, match="the model has no value head"):
        heads.value_distribution(torch.tensor([[0]]))


def test_places_are_kept_for_items_that_nobody_touched():
    log = without(coloured_log(20), 9, 10, 11)
    model = PopularityModel.fit(log)
    plain = model.recommend([[0]], k=3)
    kept = model.recommend([[0]], k=3, n_new=2)
    assert not set(plain[0]) & {9, 10, 11}
    assert kept.tolist() == [[plain[0, 0], 9, 10]]  # all new ones score alike: the lower index
    assert model.recommend([[0]], k=3, n_new=3).tolist() == [[9, 10, 11]]
    assert model.recommend([[9]], k=3, n_new=3, exclude_seen=True)[0, :2].tolist() == [10, 11]


def test_more_places_than_there_are_is_a_sentence():
    model = PopularityModel.fit(without(coloured_log(20), 9, 10, 11))
    with pytest.raises(InvalidArgumentError, match=r"n_new must lie in 0\.\.3 \(the places of a list\), got 4"):
        model.recommend([[0]], k=3, n_new=4)
    sentence = "n_new=1 places are kept for items without a training row, .* at least k=4, and the catalogue has 3"
    with pytest.raises(InvalidArgumentError, match=sentence):
        model.recommend([[0]], k=4, n_new=1)
