"""Augmentation: the arms, the gate, and what a disturbance may and may not do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences
from rlrec.gan.augmentation import AugmentationConfig, compare_arms
from rlrec.gan.disturbances import _cropped, _masked, _swapped, disturbed
from rlrec.gan.joining import joined, repeated
from rlrec.gan.sampling import generate_sequences
from rlrec.models.config import LSTMConfig
from rlrec.models.counting import MarkovModel, PopularityModel
from tests.small import N_ITEMS, cycle_log

MODEL = LSTMConfig(embedding_size=8, hidden_size=16, dropout=0.0, input_dropout=0.0, n_epochs=6, batch_tokens=32)
SMALL = AugmentationConfig(shares=(2.0,), model=MODEL)


def lists(sequences: Sequences) -> list[list[int]]:
    return [part.tolist() for part in np.split(sequences.item, sequences.offsets[1:-1])]


def test_each_disturbance_by_its_law():
    real = cycle_log().sequences()
    rng = np.random.default_rng(0)
    for before, after in zip(lists(real), lists(_swapped(real, rng)), strict=True):
        assert sorted(before) == sorted(after)
        assert sum(x != y for x, y in zip(before, after, strict=True)) == 2
    for before, after in zip(lists(real), lists(_cropped(real, rng)), strict=True):
        assert any(before[i : i + len(after)] == after for i in range(len(before)))
        assert len(after) == round(0.6 * len(before))
    masked = _masked(real, N_ITEMS, rng)
    assert np.array_equal(masked.lengths, real.lengths)
    assert 0.1 < (masked.item != real.item).mean() < 0.25


def test_a_disturbed_set_has_as_many_sequences_and_known_items():
    real = cycle_log().sequences()
    noisy = disturbed(real, N_ITEMS, seed=0)
    assert len(noisy) == len(real)
    assert noisy.item.max() < N_ITEMS
    assert lists(joined(real, noisy)) == lists(real) + lists(noisy)


def test_the_gate_takes_what_helps_and_leaves_what_does_not():
    few, valid, test = cycle_log(6, 3), cycle_log(60, 1), cycle_log(60, 2)
    good = generate_sequences(MarkovModel.fit(cycle_log(400, 9)), 60, seed=0)
    bad = generate_sequences(PopularityModel.fit(cycle_log()), 60, seed=0)
    config = replace(SMALL, shares=(10.0,))
    helped = compare_arms(few, valid, test, {"good": good, "bad": bad}, config=config)
    assert helped.chosen == "good"
    assert helped.gain > 0
    assert set(helped.test_ndcg) == {"nothing", "more_epochs", "disturbed", "synthetic"}
    refused = compare_arms(few, valid, test, {"good": good}, config=replace(config, min_gain=10.0))
    assert (refused.chosen, refused.share, refused.gain) == ("nothing", 0.0, 0.0)


def test_more_epochs_are_as_many_updates_as_the_synthetic_arm_takes(monkeypatch):
    import rlrec.gan.augmentation as augmentation

    added, fit = {}, augmentation._fit

    def watched(train, sequences, *rest):
        added[len(added)] = sequences
        return fit(train, sequences, *rest)

    monkeypatch.setattr(augmentation, "_fit", watched)
    few = cycle_log(6, 3)
    good = generate_sequences(MarkovModel.fit(cycle_log()), 12, seed=0)
    config = replace(SMALL, model=replace(MODEL, n_epochs=1))
    result = compare_arms(few, cycle_log(20, 1), cycle_log(20, 2), {"good": good}, config=config)
    copies, noisy, drawn = added.values()
    assert lists(copies) == 2 * lists(few.sequences()), "the same rows again, not another patience"
    assert len(copies) == len(noisy) == len(drawn)
    assert set(result.gates) == {"more_epochs", "disturbed", "synthetic"}
    assert {"copies x 2", "disturbed x 2", "good x 2", "nothing x 0"} == set(result.valid_ndcg)


def two_kinds(n_rare: int, n_common: int, seed: int) -> InteractionLog:
    """People who count up 0 1 2, and a few who count down 5 4 3."""
    rng = np.random.default_rng(seed)
    starts = [*rng.integers(0, 3, n_common), *rng.integers(0, 3, n_rare)]
    rows = [
        (user, (start + t) % 3 if user < n_common else 5 - (start + t) % 3, t)
        for user, start in enumerate(starts)
        for t in range(6)
    ]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    frame["item_id"] = "i" + frame.item_id.astype(str)
    items = pd.DataFrame({"item_id": [f"i{i}" for i in range(N_ITEMS)]})
    return InteractionLog.from_pandas(frame, items=items)


def test_a_segment_is_what_is_added_and_what_the_gate_looks_at(monkeypatch):
    import rlrec.gan.augmentation as augmentation

    added = []
    fit = augmentation._fit
    monkeypatch.setattr(
        augmentation, "_fit", lambda train, more, *rest: (added.append(more), fit(train, more, *rest))[1]
    )
    rare = np.arange(N_ITEMS) >= 3
    train, valid, test = two_kinds(2, 60, 0), two_kinds(20, 60, 1), two_kinds(20, 60, 2)
    drawn = two_kinds(62, 0, 3).sequences()
    config = replace(SMALL, shares=(1.0,))
    result = compare_arms(train, valid, test, {"planted": drawn}, config=config, seed=1, segment=rare)
    assert all((sequences.item >= 3).all() for sequences in added[::2]), "copies and drawn ones of the segment alone"
    assert result.chosen == "planted"
    assert result.test_ndcg["synthetic"].n == 20, "users of the segment"
    assert result.test_ndcg_all["synthetic"].n == 80
    assert result.gain > 0.05
    with pytest.raises(DataError, match=r"none of the 60 sequences of a part of .* belongs to the segment"):
        compare_arms(two_kinds(0, 60, 0), valid, test, {"planted": drawn}, config=config, segment=rare)


def test_a_set_repeated_by_hand():
    real = cycle_log(3).sequences()
    assert lists(repeated(real, 5)) == (2 * lists(real))[:5]


def test_too_few_sequences_and_empty_shares_are_refused():
    real = cycle_log()
    with pytest.raises(InvalidArgumentError, match=r"generator 'lstm' must give 240 sequences .*, got 5; sample more"):
        compare_arms(real, real, real, {"lstm": real.sequences().select(np.arange(5))}, config=SMALL)
    with pytest.raises(InvalidArgumentError, match="shares must be above 0"):
        AugmentationConfig(shares=(0.0,))
