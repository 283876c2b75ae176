"""The knobs of sampling: each does what it says, by hand arithmetic, and their fit finds a known truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.data.sequences import Sequences
from rlrec.evaluation.fidelity import repeat_rate
from rlrec.gan.choosing import ItemChoice
from rlrec.gan.knobs import Habits, expected_counts, fit_sampling
from rlrec.gan.sampling import generate_sequences
from rlrec.gan.sampling_config import SamplingConfig
from rlrec.models.counting import PopularityModel
from tests.small import N_ITEMS, cycle_log, cycle_model

LOG_PROBS = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()


def shares(knobs: SamplingConfig, history: tuple[int, ...] = ()) -> list[float]:
    choice = ItemChoice(knobs, 4, 1, torch.device("cpu"))
    for item in history:
        choice.took(torch.tensor([item]))
    weights = choice.weights(LOG_PROBS)[0]
    return (weights / weights.sum()).tolist()


@pytest.mark.parametrize(
    ("knobs", "history", "expected"),
    [
        (SamplingConfig(), (), [0.4, 0.3, 0.2, 0.1]),
        (SamplingConfig(first_temperature=0.5), (), [16 / 30, 9 / 30, 4 / 30, 1 / 30]),
        (SamplingConfig(first_temperature=0.5), (3,), [0.4, 0.3, 0.2, 0.1]),
        (SamplingConfig(temperature=0.5), (3,), [16 / 30, 9 / 30, 4 / 30, 1 / 30]),
        (SamplingConfig(repeat_factor=0.0), (0, 1), [0.0, 3 / 6, 2 / 6, 1 / 6]),
        (SamplingConfig(repeat_factor=0.0, immediate_factor=0.0), (0, 1), [0.0, 0.0, 2 / 3, 1 / 3]),
        (SamplingConfig(repeat_factor=0.5, immediate_factor=2.0), (0, 1), [0.2 / 1.1, 0.6 / 1.1, 0.2 / 1.1, 0.1 / 1.1]),
        (SamplingConfig(item_factors=(1.0, 2.0, 0.0, 1.0)), (), [0.4 / 1.1, 0.6 / 1.1, 0.0, 0.1 / 1.1]),
        (SamplingConfig(top_k=2), (), [4 / 7, 3 / 7, 0.0, 0.0]),
        (SamplingConfig(top_p=0.75), (), [4 / 9, 3 / 9, 2 / 9, 0.0]),
        (SamplingConfig(top_p=0.69), (), [4 / 7, 3 / 7, 0.0, 0.0]),
        (SamplingConfig(allowed_items=(1, 3)), (), [0.0, 0.75, 0.0, 0.25]),
        (SamplingConfig(allowed_items=(1,), repeat_factor=0.0, immediate_factor=0.0), (1,), [0.0, 1.0, 0.0, 0.0]),
    ],
)
def test_each_knob_by_hand(knobs, history, expected):
    assert shares(knobs, history) == pytest.approx(expected, abs=1e-6)


def test_rows_that_stay_keep_their_memory():
    choice = ItemChoice(SamplingConfig(repeat_factor=0.0, immediate_factor=0.0), 4, 3, torch.device("cpu"))
    choice.took(torch.tensor([0, 1, 2]))
    choice.keep(torch.tensor([0, 2]))
    weights = choice.weights(LOG_PROBS.expand(2, 4))
    assert (weights == 0).nonzero().tolist() == [[0, 0], [1, 2]]


def test_nobody_repeats_where_repeats_are_forbidden_and_lengths_come_from_the_histogram():
    knobs = SamplingConfig(repeat_factor=0.0, immediate_factor=0.0, length_probs=(0.0, 0.0, 0.25, 0.0, 0.75))
    sample = generate_sequences(PopularityModel.fit(cycle_log()), 400, seed=0, sampling=knobs)
    assert repeat_rate(sample) == 0
    assert set(sample.lengths) == {3, 5}
    assert (sample.lengths == 5).mean() == pytest.approx(0.75, abs=0.08)
    assert sample.ended.all()


def test_a_sequence_under_knobs_does_not_depend_on_how_many_are_drawn():
    knobs = SamplingConfig(repeat_factor=0.3, top_p=0.9, length_probs=(0.2, 0.2, 0.6))
    few, many = (generate_sequences(cycle_model(), n, seed=4, sampling=knobs) for n in (5, 40))
    assert np.array_equal(few.item, many.select(np.arange(5)).item)


def test_the_fit_finds_the_knobs_that_made_the_validation_set():
    model = PopularityModel.fit(cycle_log())
    truth = SamplingConfig(repeat_factor=0.3, immediate_factor=0.1, length_probs=(0.0, 0.0, 0.0, 1.0))
    valid = generate_sequences(model, 2_000, seed=9, sampling=truth)
    found = fit_sampling(model, valid, valid, seed=1)
    habits = [Habits.of(s, valid) for s in (valid, generate_sequences(model, 2_000, seed=2, sampling=found))]
    assert found.repeat_factor == pytest.approx(0.3, abs=0.06)
    assert found.immediate_factor == pytest.approx(0.1, abs=0.03)
    assert habits[0].repeats == pytest.approx(habits[1].repeats, abs=0.02)


def test_drifted_tastes_are_followed_and_noise_is_not():
    model = PopularityModel.fit(cycle_log())
    drifted = SamplingConfig(item_factors=(3.0, 1.0, 1.0, 1.0, 1.0, 0.3))
    train = cycle_log().sequences()
    moved = generate_sequences(model, 600, seed=9, sampling=drifted)
    factors = np.array(fit_sampling(model, train, moved, seed=1).item_factors)
    counts = train.item_counts(N_ITEMS)
    assert np.abs(expected_counts(train, moved, N_ITEMS, seed=0) / counts - 1).max() > 0.3
    assert factors[0] / factors[2] == pytest.approx(3.0, rel=0.25)
    assert factors[5] / factors[2] == pytest.approx(0.3, rel=0.25)
    same = generate_sequences(model, 30, seed=9)
    assert np.array_equal(expected_counts(train, same, N_ITEMS, seed=0), counts)


def test_a_cycle_without_immediate_repeats_gets_the_factor_nought():
    found = fit_sampling(cycle_model(), cycle_log().sequences(), cycle_log(60, seed=1).sequences(), seed=0)
    assert found.immediate_factor == 0.0
    assert 0.5 <= found.temperature <= 1.5


def test_fixed_lengths_are_drawn_from_the_histogram():
    windows = Sequences.from_items(np.tile(np.arange(5), 200), np.arange(0, 1_001, 5))
    found = fit_sampling(PopularityModel.fit(cycle_log()), windows, windows, seed=0)
    assert found.length_probs == (0.0, 0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"temperature": 0.0}, "temperature must be above 0, got 0.0"),
        ({"repeat_factor": -1.0}, "repeat_factor must be at least 0.0, got -1.0"),
        ({"top_p": 0.0}, "top_p must lie in"),
        ({"allowed_items": (-1,)}, "allowed_items must be indices from 0, got -1"),
        ({"length_probs": (0.0,)}, "length_probs must be non-negative and have a positive entry"),
    ],
)
def test_knobs_that_leave_nothing_are_refused(settings, sentence):
    with pytest.raises(InvalidArgumentError, match=sentence.replace("(", r"\(")):
        SamplingConfig(**settings)


def test_an_unknown_item_and_an_empty_validation_set_are_refused():
    with pytest.raises(InvalidArgumentError, match=r"allowed_items must lie in 0\.\.5, got 9; pass item indices"):
        generate_sequences(cycle_model(), 2, seed=0, sampling=replace(SamplingConfig(), allowed_items=(9,)))
    train = cycle_log().sequences()
    with pytest.raises(DataError, match="needs training and validation sequences"):
        fit_sampling(cycle_model(), train, train.select(np.zeros(0, np.int64)))
    assert N_ITEMS == 6
