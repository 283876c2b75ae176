"""SLOPE: what it admits, what is chosen, and that tuning does no harm."""

import numpy as np

from rlrec.evaluation.ope import clipped_ips, dros, ips, sg_ips
from rlrec.evaluation.slope import choose
from rlrec.evaluation.terms import RatioTerms
from rlrec.testing.bandit_world import BanditWorld

NOISE = np.array([-1.0, 1.0] * 200)


def test_a_precise_candidate_that_is_far_off_is_refused():
    assert choose([RatioTerms(NOISE), RatioTerms(0.1 * NOISE + 9)]) == 0


def test_of_candidates_that_agree_the_most_precise_is_taken():
    assert choose([RatioTerms(spread * NOISE) for spread in (3.0, 2.0, 1.0)]) == 2


def test_a_bias_that_slope_admits_but_the_pairs_betray_is_refused():
    # 0.15 off, three standard errors of 0.05 each: SLOPE's intervals meet. But both share their noise: the bias is
    # sure.
    assert choose([RatioTerms(NOISE), RatioTerms(0.98 * NOISE + 0.15)]) == 0


def test_the_least_biased_is_chosen_where_there_is_only_one():
    assert choose([RatioTerms(NOISE)]) == 0


def test_tuning_does_no_harm():
    world, rng = BanditWorld(away=1.2), np.random.default_rng(0)
    truth = world.truth()
    errors = []
    for _ in range(60):
        log, target = world.draw(1000, rng)
        errors.append([f(log, target).value - truth for f in (ips, clipped_ips, sg_ips, dros)])
    plain, *tuned = np.sqrt(np.mean(np.square(errors), axis=0))
    assert (np.array(tuned) < 1.1 * plain).all()


def test_what_was_chosen_and_its_bias_are_told():
    log, target = BanditWorld().draw(300, np.random.default_rng(0))
    assert any(
        note.endswith("was chosen by SLOPE; the interval is that of the least biased choice")
        for note in dros(log, target).notes
    )
    assert "the interval leaves out the bias of clip = 2" in clipped_ips(log, target, clip=2.0).notes


def test_the_interval_of_a_choice_is_as_long_as_that_of_the_least_biased():
    log, target = BanditWorld(away=1.2).draw(2000, np.random.default_rng(1))
    chosen, plain = clipped_ips(log, target), ips(log, target)
    np.testing.assert_allclose(chosen.evidence.terms.influence, plain.evidence.terms.influence, atol=1e-12)
    assert chosen.low <= chosen.value <= chosen.high


def test_terms_move_to_a_value_and_keep_their_influence():
    terms = RatioTerms(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]))
    moved = terms.moved_to(2.0)
    assert moved.value == 2.0
    np.testing.assert_allclose(moved.influence, terms.influence, atol=1e-12)
