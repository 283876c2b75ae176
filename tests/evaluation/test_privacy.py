"""The privacy audit: a copied training set is caught, strangers are not, and drift is not taken for a leak."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rlrec.core.errors import DataError
from rlrec.data.sequences import Sequences
from rlrec.evaluation.privacy import audit_privacy, mean_log_likelihood, similarity
from tests.small import cycle_log, cycle_model


def people(n: int, seed: int, n_items: int = 200, low: int = 0) -> Sequences:
    """Sequences of eight items without any rule: only a copy can resemble one."""
    rng = np.random.default_rng(seed)
    return Sequences.from_items(rng.integers(low, low + n_items, 8 * n), np.arange(0, 8 * n + 1, 8))


def test_a_copied_training_set_is_caught():
    members, strangers, third = (people(200, seed) for seed in (1, 2, 3))
    audit = audit_privacy(members, members, strangers, other_real=third)
    assert audit.nearest.value > 0.99
    assert audit.leak > 0.95
    assert audit.copied["copied_share"] == 1.0
    assert audit.copied_by_strangers["copied_share"] == 0.0
    assert audit.distance_to_training == pytest.approx(0.0, abs=1e-9)
    assert audit.distance_of_strangers > 0.5


def test_strangers_give_nobody_away():
    members, strangers, third, synthetic = (people(300, seed) for seed in (1, 2, 3, 4))
    audit = audit_privacy(synthetic, members, strangers, other_real=third)
    assert audit.nearest.low < 0.5 < audit.nearest.high
    assert audit.leak < 0.57
    assert audit.black_box.value == max(audit.nearest.value, audit.refit.value)


def test_a_tenth_copied_is_seen_in_the_copies():
    members, strangers, fresh = (people(300, seed) for seed in (1, 2, 3))
    mixed = fresh.select(np.arange(270))
    mixed = Sequences.from_items(np.concatenate([mixed.item, members.item[: 30 * 8]]), np.arange(0, 2_401, 8))
    assert audit_privacy(mixed, members, strangers).copied["copied_share"] == pytest.approx(0.1)


def test_drift_is_not_taken_for_a_leak():
    members, later = people(300, 1), people(300, 2, low=100)
    synthetic, third = people(300, 3), people(300, 4)  # like the members in taste, copies of nobody
    audit = audit_privacy(synthetic, members, later, other_real=third)
    assert audit.black_box.value > 0.8, "taken alone the attack looks like a success"
    assert audit.leak < 0.55


def test_similarity_by_hand():
    one = Sequences.from_items(np.array([1, 2, 3]), np.array([0, 3]))
    base = Sequences.from_items(np.array([1, 2, 9, 8]), np.array([0, 2, 4]))
    # bags: {1, 2, 3, 12, 23} and {1, 2, 12}
    assert similarity(one, base)[0] == pytest.approx(3 / np.sqrt(5 * 3))


def test_the_likelihood_of_a_sequence_equals_stepping():
    model, sequences = cycle_model(), cycle_log().sequences().select(np.arange(3))
    found = mean_log_likelihood(model, sequences)
    for row, total in enumerate(stepped(model, sequences)):
        assert found[row] == pytest.approx(total, abs=1e-5)


@torch.no_grad()
def stepped(model, sequences: Sequences) -> list[float]:
    """The same from the state after each prefix."""
    means = []
    for row in range(len(sequences)):
        item = sequences.item[sequences.offsets[row] : sequences.offsets[row + 1]]
        total = float(model.heads(model.initial_state(1)).item_log_probs()[0, item[0]])
        for t in range(1, len(item)):
            prefix = sequences.select(np.array([row]))
            prefix = replace(
                prefix, offsets=np.array([0, t]), **{n: getattr(prefix, n)[:t] for n in ("item", "event", "gap")}
            )
            total += float(model.heads(model.encode(prefix)).item_log_probs()[0, item[t]])
        means.append(total / len(item))
    return means


def test_too_few_are_refused():
    with pytest.raises(DataError, match="got 5 synthetic, 100 members and 100 strangers"):
        audit_privacy(people(5, 0), people(100, 1), people(100, 2))
