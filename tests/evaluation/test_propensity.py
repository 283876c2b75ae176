"""Estimated propensities: near the true ones, cross-fitted, and never hidden."""

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from rlrec.core.errors import InvalidArgumentError
from rlrec.evaluation.logged import ESTIMATED_NOTE, LoggedBatch
from rlrec.evaluation.ope import difference, ips, pdis
from rlrec.evaluation.propensity import fit_propensities


def logged(n=4000, seed=0):
    rng = np.random.default_rng(seed)
    context = rng.normal(size=(n, 2))
    scores = np.exp(context @ rng.normal(size=(2, 3)))
    behavior = scores / scores.sum(axis=1, keepdims=True)
    action = (behavior.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return LoggedBatch(action=action, reward=rng.random(n), context=context), behavior


def test_they_are_near_the_true_ones():
    log, behavior = logged()
    found = fit_propensities(log, all_actions=True)
    assert np.abs(found.behavior_probs - behavior).mean() < 0.02
    np.testing.assert_allclose(found.behavior_prob, found.behavior_probs[np.arange(4000), log.action], rtol=1e-6)
    assert fit_propensities(log).behavior_probs is None


def test_every_estimate_says_so():
    log, behavior = logged()
    found = fit_propensities(log)
    first, second = ips(found, behavior), pdis(found, np.full_like(behavior, 1 / 3))
    assert ESTIMATED_NOTE in first.notes
    assert ESTIMATED_NOTE in second.notes
    assert ESTIMATED_NOTE in difference(first, first).notes
    assert first.reliable  # a caveat, not a fault


def test_a_model_that_memorises_is_not_asked_about_its_own_rows():
    log, _ = logged(500)
    deep = fit_propensities(log, model=lambda: DecisionTreeClassifier(random_state=0))
    # Grown to single rows, the tree gives its own rows probability 1; held-out ones get 0 or 1, so the floor shows.
    assert deep.behavior_prob.min() < 0.01
    assert np.mean(deep.behavior_prob > 0.99) < 0.9


def test_actions_that_only_one_fold_shows_stay_above_zero():
    log = LoggedBatch(action=[0] * 99 + [1], reward=[0.0] * 100, context=np.random.default_rng(0).normal(size=(100, 1)))
    found = fit_propensities(log, 4)
    assert 0 < found.behavior_prob.min() < 0.05


def test_wrong_inputs_get_a_sentence():
    log, _ = logged(50)
    with pytest.raises(InvalidArgumentError, match="n_actions must be at least 3, got 2"):
        fit_propensities(log, 2)
    with pytest.raises(InvalidArgumentError, match="n_folds must not exceed the number of units, got 60 folds for 50"):
        fit_propensities(log, n_folds=60)
    with pytest.raises(InvalidArgumentError, match="smoothing must be above 0"):
        fit_propensities(log, smoothing=0)
