"""Sampled sequences: the chain's own law, independence of the batch, a log that loads, and what the detector says."""

from __future__ import annotations

import numpy as np
import pytest

from rlrec.evaluation.detectors import c2st_auc
from rlrec.evaluation.fidelity import item_jsd, jensen_shannon, repeat_rate, transition_jsd
from rlrec.gan.sampling import generate_sequences
from rlrec.gan.synthetic_log import sequences_to_log
from rlrec.models.counting import MarkovModel, PopularityModel
from tests.small import N_ITEMS, cycle_log, cycle_model


def successors_follow_the_cycle(sequences) -> float:
    owner = np.repeat(np.arange(len(sequences)), sequences.lengths)
    inside = np.diff(owner) == 0
    return float(((sequences.item[1:] - sequences.item[:-1]) % N_ITEMS == 1)[inside].mean())


@pytest.mark.parametrize("model", [cycle_model(), MarkovModel.fit(cycle_log())], ids=["lstm", "markov"])
def test_a_cycle_is_reproduced(model):
    assert successors_follow_the_cycle(generate_sequences(model, 200, seed=0)) > 0.95


def test_popularity_does_not_reproduce_it():
    sample = generate_sequences(PopularityModel.fit(cycle_log()), 200, seed=0)
    assert successors_follow_the_cycle(sample) < 0.5


def test_a_sequence_does_not_depend_on_how_many_are_drawn():
    few, many = (generate_sequences(cycle_model(), n, seed=4) for n in (5, 40))
    assert np.array_equal(few.item, many.select(np.arange(5)).item)


def test_a_sample_becomes_a_log():
    sample = generate_sequences(cycle_model(), 30, seed=0)
    log = sequences_to_log(sample, cycle_log())
    assert log.catalog == cycle_log().catalog
    assert np.array_equal(log.sequences().item, sample.item)
    assert np.array_equal(log.sequences().lengths, sample.lengths)


def test_distances_are_zero_for_equals_and_one_for_strangers():
    sequences = cycle_log().sequences()
    assert item_jsd(sequences, sequences) == pytest.approx(0.0)
    assert transition_jsd(sequences, sequences) == pytest.approx(0.0)
    assert jensen_shannon(np.zeros(5, np.int64), np.ones(7, np.int64)) == pytest.approx(1.0)


def test_repeats_are_counted_by_hand():
    sequences = cycle_log().sequences()
    expected = sum(max(int(n) - N_ITEMS, 0) for n in sequences.lengths) / sequences.n_events
    assert repeat_rate(sequences) == pytest.approx(expected)


def test_the_detector_tells_shuffled_from_real_but_not_real_from_real():
    real, other = cycle_log(300, 1).sequences(), cycle_log(300, 2).sequences()
    shuffled = generate_sequences(PopularityModel.fit(cycle_log()), 300, seed=0)
    past = cycle_log().sequences()
    assert abs(c2st_auc(real, other, seed=0, reference=past) - 0.5) < 0.1
    assert c2st_auc(real, shuffled, seed=0, reference=past) > 0.8
