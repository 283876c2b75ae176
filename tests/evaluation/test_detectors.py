"""Detectors of three families: a chain cannot be told from itself, what they see they tell, and users stay together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.data.sequences import Sequences
from rlrec.evaluation.detectors import FAMILIES, _folds, detect
from rlrec.evaluation.sequence_features import sequence_features
from tests.small import N_ITEMS, cycle_log


def shuffled(sequences: Sequences) -> Sequences:
    """The same items in another order inside each sequence."""
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(len(sequences)), sequences.lengths)
    return replace(sequences, item=sequences.item[np.lexsort((rng.random(sequences.n_events), owner))])


@pytest.mark.parametrize("family", FAMILIES)
def test_real_from_real_is_a_coin_toss(family):
    real, other = cycle_log(400, 1).sequences(), cycle_log(400, 2).sequences()
    found = detect(real, other, family=family, reference=cycle_log().sequences()).estimate
    assert found.low - 0.03 < 0.5 < found.high + 0.03


@pytest.mark.parametrize("family", FAMILIES)
def test_order_is_seen_with_the_transitions_of_a_third_set_or_by_reading(family):
    real = cycle_log(400, 1).sequences()
    found = detect(real, shuffled(cycle_log(400, 2).sequences()), family=family, reference=cycle_log().sequences())
    assert found.auc > 0.9


def test_features_without_a_third_set_cannot_see_order_where_the_gru_can():
    real, fake = cycle_log(400, 1).sequences(), shuffled(cycle_log(400, 2).sequences())
    assert detect(real, fake, family="gbdt").auc < 0.6 < 0.9 < detect(real, fake, family="gru").auc


def test_the_numbers_of_a_sequence_do_not_know_its_set():
    """One rare item in a set once moved all of the set's numbers by a hair, and trees split hairs."""
    rng = np.random.default_rng(0)
    plain = Sequences.from_items(rng.integers(0, 50, 4_000), np.arange(0, 4_001, 5))
    reference = Sequences.from_items(rng.integers(0, 50, 4_000), np.arange(0, 4_001, 5))
    item = plain.item.copy()
    item[-1] = 400
    with_rare = replace(plain, item=item)
    rows = [sequence_features(s, top_items=np.arange(5), reference=reference) for s in (plain, with_rare)]
    assert np.array_equal(rows[0][:-1], rows[1][:-1])
    other = Sequences.from_items(rng.integers(0, 50, 4_000), np.arange(0, 4_001, 5))
    other.item[-1] = 400
    assert abs(detect(plain, other, reference=reference).auc - 0.5) < 0.05


def test_a_users_sequences_share_a_fold_and_folds_are_of_like_size():
    user = np.repeat(np.arange(40), 5)
    fold = _folds(user, 5, np.random.default_rng(0))
    assert all(len(set(fold[user == u])) == 1 for u in range(40))
    assert np.bincount(fold).tolist() == [40] * 5


def test_users_who_are_known_again_do_not_count():
    """Each user has one item: a detector that meets a user again tells it, one that never does cannot."""
    user = np.repeat(np.arange(80), 10)
    item = np.repeat(np.random.default_rng(0).integers(0, 1_000, 80), 30)
    everyone = Sequences.from_items(item, np.arange(0, 2_401, 3))
    everyone = replace(everyone, user=user)
    real, other = everyone.select(user < 40), everyone.select(user >= 40)
    assert abs(detect(real, other, family="gru").auc - 0.5) < 0.15
    strangers = [replace(s, user=np.arange(400)) for s in (real, other)]
    assert detect(*strangers, family="gru").auc > 0.7, "the tempting wrong way"


def test_a_wrong_family_and_too_few_sequences_are_refused():
    real = cycle_log().sequences()
    with pytest.raises(InvalidArgumentError, match="family must be one of 'gbdt', 'logistic', 'gru', got 'svm'"):
        detect(real, real, family="svm")
    with pytest.raises(DataError, match="at least 20 sequences of each set, got 120 and 5"):
        detect(real, real.select(np.arange(5)))
    assert N_ITEMS == 6
