"""The LSTM's settings by trial and error on validation data: Optuna proposes, and stops a training that is hopeless.

Needs the package ``optuna`` (extra ``tune``). What it finds is a plain `LSTMConfig`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from rlrec.core.checks import check_at_least
from rlrec.core.errors import DataError, MissingExtraError
from rlrec.data.log import InteractionLog
from rlrec.models.config import LSTMConfig
from rlrec.models.lstm import LSTMModel

if TYPE_CHECKING:
    import optuna

_RATES = {"adagrad": (0.01, 0.2), "adam": (5e-4, 0.01), "adamw": (5e-4, 0.01)}  # step sizes that train at all
_N_UNPRUNED = 4  # trials that run to their end before others are compared with them


@dataclass(frozen=True)
class Trial:
    """One setting and how it did."""

    number: int
    """From 0; trial 0 is the config that was given."""
    config: LSTMConfig
    nats: float
    """Lowest validation loss, nats per next item, before calibration."""
    n_epochs: int
    """Epochs run."""
    seconds: float
    """CPU seconds of this process."""
    pruned: bool
    """Stopped because at the same epoch half of the earlier trials were better."""


class _HopelessError(Exception):
    """Raised inside a training to leave it; never seen outside."""


def tune_lstm(
    train: InteractionLog,
    valid: InteractionLog,
    *,
    config: LSTMConfig | None = None,
    n_trials: int = 20,
    seed: int = 0,
    valid_targets: Literal["all", "last"] = "all",
    on_trial: Callable[[Sequence[Trial]], None] | None = None,
) -> list[Trial]:
    """Try settings of the LSTM and return the trials in their order; `best_trial` picks one.

    Parameters
    ----------
    config : LSTMConfig, optional
        The first trial, and the values of what is not searched.
    n_trials : int
        Settings to try, the given one among them.
    seed : int
        Of the proposals and of every training.
    valid_targets : {"all", "last"}
        As in `LSTMModel.fit`.
    on_trial : callable, optional
        Gets the trials so far after each; whoever interrupts keeps what it saved.

    Raises
    ------
    MissingExtraError
        If ``optuna`` is not installed.
    DataError
        If the validation part is empty.
    """
    check_at_least("n_trials", n_trials, 1)
    if valid.n_events == 0:
        raise DataError("tuning compares settings on the validation part, and it is empty; check the split")
    base = LSTMConfig() if config is None else config
    study = _study(seed)
    study.enqueue_trial(_values(base))
    trials: list[Trial] = []
    for number in range(n_trials):
        asked = study.ask()
        tried = replace(base, **_propose(asked))
        trials.append(_run(asked, number, tried, lambda **watch: _fit(train, valid, valid_targets, seed, **watch)))
        study.tell(asked, trials[-1].nats)
        if on_trial is not None:
            on_trial(trials)
    return trials


def best_trial(trials: Sequence[Trial]) -> Trial:
    """Return the trial of lowest validation loss; the earlier one in a tie."""
    return min(trials, key=lambda trial: trial.nats)


def _study(seed: int) -> optuna.Study:
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("optuna", "tune", "tuning") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        direction="minimize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_N_UNPRUNED, n_warmup_steps=2),
    )


def _propose(trial: optuna.Trial) -> dict[str, Any]:
    """Return the searched settings."""
    optimizer = trial.suggest_categorical("optimizer", ["adagrad", "adamw"])
    low, high = _RATES[optimizer]
    return {
        "optimizer": optimizer,
        "learning_rate": trial.suggest_float(f"{optimizer}_rate", low, high, log=True),
        "hidden_size": trial.suggest_int("hidden_size", 32, 256, step=32),
        "embedding_size": trial.suggest_int("embedding_size", 32, 160, step=32),
        "dropout": trial.suggest_float("dropout", 0.0, 0.7),
        "input_dropout": trial.suggest_float("input_dropout", 0.0, 0.6),
        "batch_tokens": trial.suggest_int("batch_tokens", 128, 4_096, log=True),
    }


def _values(config: LSTMConfig) -> dict[str, Any]:
    """Return a config as the first proposal; what lies outside the search is drawn instead."""
    names = ("optimizer", "hidden_size", "embedding_size", "dropout", "input_dropout", "batch_tokens")
    values = {name: getattr(config, name) for name in names}
    return values | {f"{config.optimizer}_rate": config.learning_rate}


def _run(asked: optuna.Trial, number: int, config: LSTMConfig, fit: Callable[..., LSTMModel]) -> Trial:
    """Train one setting, leaving it where the pruner says so."""
    losses: list[float] = []

    def watch(epoch: int, nats: float) -> None:
        losses.append(nats)
        asked.report(nats, epoch)
        if asked.should_prune():
            raise _HopelessError

    began, pruned = time.process_time(), False
    try:
        fit(config=config, on_epoch=watch)
    except _HopelessError:
        pruned = True
    return Trial(number, config, min(losses), len(losses), time.process_time() - began, pruned)


def _fit(
    train: InteractionLog, valid: InteractionLog, targets: Literal["all", "last"], seed: int, **watch: Any
) -> LSTMModel:
    return LSTMModel.fit(train, valid=valid, valid_targets=targets, seed=seed, show_progress=False, **watch)
