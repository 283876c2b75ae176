"""The n-gram's counts against a log small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from rlrec.core.errors import InvalidArgumentError
from rlrec.data.log import InteractionLog
from rlrec.models.config import NGramConfig
from rlrec.models.ngram import NGramModel, absolute_discount
from tests.small import cycle_log

A, B, C = 0, 1, 2
D = 0.5  # discount


def by_hand(**settings: object) -> NGramModel:
    """Sessions ABC, ABA, CBA: popularity (A 4, B 3, C 2) + 1 over 12."""
    rows = [(s, item, float(t)) for s, word in enumerate(["ABC", "ABA", "CBA"]) for t, item in enumerate(word)]
    log = InteractionLog.from_pandas(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]))
    return NGramModel.fit(log, config=NGramConfig(discount=D, **settings))  # type: ignore[arg-type]


POPULARITY = np.array([5, 4, 3]) / 12


def test_kneser_ney_counts_distinct_predecessors():
    model = by_hand(order=3, strength=0.0)
    # After B came A (behind A and behind C: 2) and C (behind A: 1): 3 continuations, 2 distinct successors.
    after_b = np.array([2 - D, 0, 1 - D]) / 3 + D * 2 / 3 * POPULARITY
    # After AB came C once and A once.
    after_ab = np.array([1 - D, 0, 1 - D]) / 2 + D * 2 / 2 * after_b
    torch.testing.assert_close(model.context_probs(torch.tensor([A, B])).numpy(), after_ab)


def test_without_continuation_it_counts_occurrences():
    model = by_hand(order=3, strength=0.0, continuation=False)
    after_b = np.array([2 - D, 0, 1 - D]) / 3 + D * 2 / 3 * POPULARITY
    # After CB came A once.
    after_cb = np.array([1 - D, 0, 0]) + D * after_b
    np.testing.assert_allclose(model.context_probs(torch.tensor([C, B])), after_cb)


def test_an_opening_context_keeps_its_occurrences():
    model = by_hand(order=3, strength=0.0)
    opening = np.array([2 - D, 0, 1 - D]) / 3 + D * 2 / 3 * POPULARITY  # A opened twice, C once
    np.testing.assert_allclose(model.context_probs(torch.tensor([-2, -1])), opening)


def test_an_unseen_context_leaves_the_word_to_the_shorter_one():
    model = by_hand(order=3, strength=0.0)
    after_b = np.array([2 - D, 0, 1 - D]) / 3 + D * 2 / 3 * POPULARITY
    np.testing.assert_allclose(model.context_probs(torch.tensor([B, B])), after_b)


def test_strength_adds_pseudo_occurrences_of_the_shorter_context():
    model = by_hand(order=2, strength=2.0)
    after_b = np.array([2 - D, 0, 1 - D]) / 5 + (D * 2 + 2.0) / 5 * POPULARITY
    np.testing.assert_allclose(model.context_probs(torch.tensor([B])), after_b)


def test_the_discount_is_neys_within_limits():
    assert absolute_discount(np.array([1, 1, 2])) == pytest.approx(2 / 4)
    assert absolute_discount(np.array([1, 1])) == 0.95
    assert absolute_discount(np.array([2, 7])) == 0.1


def test_an_order_of_one_is_refused():
    with pytest.raises(InvalidArgumentError, match="order must be at least 2, got 1"):
        NGramConfig(order=1)


def test_it_generates_and_simulates():
    from rlrec.agents.networks import forecast_of
    from rlrec.gan.sampling import generate_sequences

    model = NGramModel.fit(cycle_log(), config=NGramConfig(strength=0.0))
    made = generate_sequences(model, 50, seed=0)
    step = np.diff(made.item)[np.diff(np.repeat(np.arange(50), made.lengths)) == 0]
    assert (step % 6 == 1).mean() > 0.6  # the next item of the cycle; smoothing leaves some to chance
    interest = model.interest(model.encode(model.histories([["i0"], ["i4"]])))
    assert forecast_of(model)(interest).argmax(1).tolist() == [1, 5]
