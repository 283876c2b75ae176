"""The search of settings: what it starts from, what it stops, and what it says."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from rlrec.core.errors import DataError, InvalidArgumentError, MissingExtraError
from rlrec.models.config import LSTMConfig
from rlrec.models.tuning import Trial, best_trial, tune_lstm
from tests.small import cycle_log

SMALL = LSTMConfig(embedding_size=32, hidden_size=32, batch_tokens=256, n_epochs=2)


def test_it_begins_with_what_was_given_and_finds_no_worse(monkeypatch):
    pytest.importorskip("optuna")
    seen: list[int] = []
    options = {"config": SMALL, "n_trials": 3, "seed": 1}
    trials = tune_lstm(cycle_log(), cycle_log(40, seed=1), on_trial=lambda done: seen.append(len(done)), **options)
    assert seen == [1, 2, 3]
    assert [trial.number for trial in trials] == [0, 1, 2]
    assert trials[0].config == SMALL
    assert best_trial(trials).nats <= trials[0].nats
    searched = {
        "optimizer",
        "learning_rate",
        "hidden_size",
        "embedding_size",
        "dropout",
        "input_dropout",
        "batch_tokens",
    }
    for trial in trials[1:]:
        back = {name: getattr(SMALL, name) for name in searched}
        assert replace(trial.config, **back) == SMALL  # nothing else was touched
        assert trial.config != SMALL
    again = tune_lstm(cycle_log(), cycle_log(40, seed=1), **options)
    assert [(t.config, t.nats) for t in again] == [(t.config, t.nats) for t in trials]


def test_a_hopeless_trial_is_stopped(monkeypatch):
    pytest.importorskip("optuna")
    from rlrec.models import tuning

    def fit(cls, train, *, on_epoch, **options):
        started.append(1)
        for epoch in range(1, 6):
            on_epoch(epoch, 9.0 if len(started) == 6 else 1.0)

    started: list[int] = []
    monkeypatch.setattr(tuning.LSTMModel, "fit", classmethod(fit))
    trials = tune_lstm(cycle_log(), cycle_log(), config=SMALL, n_trials=6)
    assert [trial.pruned for trial in trials] == [False] * 5 + [True]
    assert trials[-1].n_epochs == 2  # the first epoch alone stops nothing
    assert best_trial(trials) is trials[0]


def test_the_best_of_equals_is_the_first():
    trials = [Trial(n, SMALL, nats, 1, 0.0, False) for n, nats in enumerate((2.0, 1.0, 1.0))]
    assert best_trial(trials).number == 1


def test_errors_are_sentences(monkeypatch):
    with pytest.raises(InvalidArgumentError, match="n_trials"):
        tune_lstm(cycle_log(), cycle_log(), n_trials=0)
    with pytest.raises(DataError, match="tuning compares settings on the validation part, and it is empty"):
        tune_lstm(cycle_log(), cycle_log().select(cycle_log().user < 0))
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"tuning needs the package 'optuna'.* pip install 'rlrec\[tune\]'"):
        tune_lstm(cycle_log(), cycle_log())
