"""Drawing slates: frequencies agree with the probabilities that are told, and these sum to 1."""

import itertools

import numpy as np
import pytest

from rlrec.core.errors import InvalidArgumentError
from rlrec.evaluation.slate_draws import PlackettLuce, Slots

PROBS = np.array([0.5, 0.2, 0.15, 0.1, 0.05, 0.0])


@pytest.mark.parametrize(("draw", "n_slates"), [(PlackettLuce(), 20), (Slots(), 6)])
def test_frequencies_are_the_probabilities(draw, n_slates):
    n = 200_000
    rng = np.random.default_rng(0)
    drawn = draw.draw(np.tile(PROBS, (n, 1)), rng.random((n, 2)))
    every = np.array(list(itertools.permutations(range(6), 2)))
    exact = draw.probs_of(np.tile(PROBS, (len(every), 1)), every).prod(axis=1)
    assert exact.sum() == pytest.approx(1.0, abs=1e-12)
    assert (exact > 0).sum() == n_slates
    code = drawn[:, 0] * 6 + drawn[:, 1]
    share = np.bincount(code, minlength=36)[every[:, 0] * 6 + every[:, 1]] / n
    assert share.sum() == pytest.approx(1.0)  # nothing drawn twice in a slate
    np.testing.assert_allclose(share, exact, atol=5 * np.sqrt(0.25 / n))


@pytest.mark.parametrize("draw", [PlackettLuce(), Slots()])
def test_choices_hold_the_probability_of_what_was_shown(draw):
    rng = np.random.default_rng(1)
    probs = rng.dirichlet(np.ones(7), 50)
    slates = draw.draw(probs, rng.random((50, 3)))
    choices = draw.choices(probs, slates)  # (50, 3, 7)
    np.testing.assert_allclose(choices.sum(axis=2), 1.0)
    taken = np.take_along_axis(choices, slates[:, :, None], axis=2)[:, :, 0]
    np.testing.assert_allclose(taken, draw.probs_of(probs, slates))


def test_an_item_of_probability_zero_is_never_drawn():
    uniform = np.array([[np.nextafter(1.0, 0.0)], [0.0]])
    assert PlackettLuce().draw(np.tile(PROBS, (2, 1)), uniform)[:, 0].tolist() == [4, 0]


def test_nothing_left_to_show_gets_a_sentence():
    with pytest.raises(InvalidArgumentError, match="the policy must leave something to show at every position"):
        PlackettLuce().draw(np.array([[1.0, 0.0]]), np.array([[0.3, 0.3]]))
