"""``rlrec tune``: try settings of the LSTM on a log's validation part, and write the best for ``rlrec fit``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import tyro

from rlrec.cli.command import BaseCommand
from rlrec.core.checks import check_at_least
from rlrec.models.config import LSTMConfig

if TYPE_CHECKING:
    from tqdm import tqdm

    from rlrec.models.tuning import Trial

BEST_FILE, TRIALS_FILE = "best.toml", "trials.json"
_SHOWN = 10  # rows of the table
_COLUMNS = {
    "optimizer": "optimizer",
    "learning_rate": "rate",
    "hidden_size": "hidden",
    "embedding_size": "embed",
    "dropout": "drop",
    "input_dropout": "input",
    "batch_tokens": "batch",
}


@dataclass(frozen=True, kw_only=True)
class Command(BaseCommand):
    """Try settings of the LSTM on a log, by their loss on the validation part; the test part is not looked at.

    Sizes, dropouts, optimizer, step size and batch size are searched by Optuna (extra `tune`); the first trial is the
    settings given here. A trial that half of the others beat at the same epoch is stopped.

    Writes best.toml, for `rlrec fit --config`, and trials.json after every trial: Ctrl-C keeps what is finished.
    """

    log: tyro.conf.Positional[str]
    """"builtin:eshop2008", "builtin:online_retail", or a file or folder with a behaviour log."""
    out: Path = Path("runs/tune")
    """Folder for the results."""
    trials: int = 20
    """Settings to try."""
    valid: float = 0.1
    """Share of the sessions, by time, that the settings are compared on; as in `rlrec fit`."""
    test: float = 0.1
    """Share of the sessions, the latest, that is kept out; as in `rlrec fit`."""
    lstm: LSTMConfig = field(default_factory=LSTMConfig)
    """The first trial, and the values of what is not searched."""

    def __post_init__(self) -> None:
        """Refuse a search of nothing."""
        check_at_least("trials", self.trials, 1)


def run(command: Command) -> int:
    """Search, write after every trial, and print the table."""
    from rlrec.core.progress import progress
    from rlrec.data.load import load_log
    from rlrec.data.splits import split_to_fit
    from rlrec.models.tuning import best_trial, tune_lstm

    log = load_log(command.log)
    train, valid, _, note = split_to_fit(log, valid=command.valid, test=command.test, seed=command.seed)
    if note:
        print(f"note: {note}")
    bar: tqdm[NoReturn] = progress(description="tune", total=command.trials, unit="trial")
    finished: list[Trial] = []

    def keep(trials: Sequence[Trial]) -> None:
        finished[:] = trials
        write_trials(command, trials)
        bar.update()
        bar.set_postfix_str(f"best {best_trial(trials).nats:.4f} nats")

    try:
        tune_lstm(train, valid, config=command.lstm, n_trials=command.trials, seed=command.seed, on_trial=keep)
    finally:  # an interrupted search shows what it found, too
        bar.close()
        if finished:
            _print_trials(finished)
            print(f"the best settings are in {command.out / BEST_FILE}: rlrec fit --config {command.out / BEST_FILE}")
    return 0


def write_trials(command: Command, trials: Sequence[Trial]) -> None:
    """Write the best settings as a config of ``rlrec fit`` on the same split, and all trials."""
    from rlrec.cli.fit import Command as FitCommand
    from rlrec.core.artifacts import atomic_path, write_json
    from rlrec.core.config import dump_toml
    from rlrec.models.tuning import best_trial

    best = best_trial(trials)
    fit = FitCommand(log=command.log, valid=command.valid, test=command.test, seed=command.seed, lstm=best.config)
    with atomic_path(command.out / BEST_FILE) as temporary:
        temporary.write_text(dump_toml(fit), encoding="utf-8")
    write_json(command.out / TRIALS_FILE, {"best": best.number, "trials": [asdict(trial) for trial in trials]})


def _print_trials(trials: Sequence[Trial]) -> None:
    from rich.console import Console
    from rich.table import Table

    best = sorted(trials, key=lambda trial: trial.nats)[:_SHOWN]
    n_pruned = sum(trial.pruned for trial in trials)
    table = Table(
        title=f"{len(trials)} trials, {n_pruned} stopped early; nats per next item on validation",
        box=None,
        padding=(0, 1, 0, 0),
    )
    for name in ("trial", "nats", "epochs", "CPU s", *_COLUMNS.values()):
        table.add_column(name, justify="right")
    for trial in best:
        settings = [getattr(trial.config, name) for name in _COLUMNS]
        cells = [f"{value:.3g}" if isinstance(value, float) else str(value) for value in settings]
        number = f"{trial.number}{'*' if trial.pruned else ''}"
        table.add_row(number, f"{trial.nats:.4f}", str(trial.n_epochs), f"{trial.seconds:.0f}", *cells)
    Console().print(table)
    if any(trial.pruned for trial in best):
        print("* stopped early")
