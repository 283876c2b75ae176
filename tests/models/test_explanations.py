"""Explanations against scoring each shortened history alone."""

from __future__ import annotations

import numpy as np
import pytest

from rlrec.core.errors import InvalidArgumentError, UnknownIdError
from rlrec.models.explanations import explain, nearest_items
from rlrec.models.knn import ItemKNNModel
from tests.small import cycle_log, cycle_model


@pytest.mark.parametrize("make", [cycle_model, lambda: ItemKNNModel.fit(cycle_log())])
def test_a_contribution_is_the_score_with_minus_the_score_without(make):
    model, history = make(), ["i3", "i0", "i1"]
    found = explain(model, history, ["i2", "i4"])
    for column, explanation in enumerate(found):
        item = [2, 4][column]
        full = model.scores(model.histories([history]))[0, item].item()
        for t in range(3):
            less = model.scores(model.histories([history[:t] + history[t + 1 :]]))[0, item].item()
            assert explanation.contributions[t] == pytest.approx(full - less, abs=1e-4)


def test_the_last_behaviour_carries_the_cycle():
    best = explain(cycle_model(), ["i4", "i0", "i1"], ["i2"])[0]
    assert best.strongest(1)[0][0] == "i1"
    assert best.score == pytest.approx(0, abs=0.1)  # log probability near certainty


def test_only_the_latest_are_left_out():
    found = explain(cycle_model(), ["i0", "i1", "i2"], ["i3"], last=2)[0]
    assert found.history_ids == ("i1", "i2")
    assert found.contributions.shape == (2,)


def test_nearest_items_leave_the_item_itself_out():
    near = nearest_items(cycle_model(), ["i0", "i3"], k=5)
    assert near.shape == (2, 5)
    assert "i0" not in near[0]
    vectors = cycle_model().network.item_vectors().detach().numpy()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert near[0, 0] == f"i{1 + int(np.argmax(unit[1:] @ unit[0]))}"


def test_errors_are_sentences():
    with pytest.raises(
        InvalidArgumentError, match="history must hold at least one behaviour, got 1 sequences of 0 in all"
    ):
        explain(cycle_model(), [], ["i0"])
    with pytest.raises(UnknownIdError, match="'i9'"):
        explain(cycle_model(), ["i0"], ["i9"])
    with pytest.raises(InvalidArgumentError, match=r"k must lie in 1\.\.5 \(the other items\), got 6"):
        nearest_items(cycle_model(), ["i0"], k=6)
