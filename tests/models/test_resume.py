"""A training that was killed and started again ends where an uninterrupted one ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rlrec.core.progress import read_metrics
from rlrec.models import training
from rlrec.models.config import LSTMConfig
from rlrec.models.lstm import LSTMModel
from rlrec.models.optimizers import step_share
from tests.small import cycle_log

_BOTH = ("constant", "one_cycle")


def settings(**changes: object) -> LSTMConfig:
    small = {"embedding_size": 4, "hidden_size": 6, "n_epochs": 6, "batch_tokens": 64, "learning_rate": 0.02}
    return LSTMConfig(**(small | changes))  # type: ignore[arg-type]


def fit(config: LSTMConfig, folder: Path | None = None, seed: int = 3) -> LSTMModel:
    return LSTMModel.fit(
        cycle_log(40), valid=cycle_log(20, seed=1), config=config, seed=seed, folder=folder, show_progress=False
    )


def killed_after(n_epochs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the training die when it starts another epoch."""
    whole: Callable[..., float] = training._train_epoch
    done = 0

    def epoch(*args: object) -> float:
        nonlocal done
        if done == n_epochs:
            raise KeyboardInterrupt
        done += 1
        return whole(*args)

    monkeypatch.setattr(training, "_train_epoch", epoch)


@pytest.mark.parametrize(
    "changes",
    [{}, {"optimizer": "adam"}, {"n_negatives": 3}, {"cell": "gru", "patience": 2}, {"schedule": "one_cycle"}],
)
def test_it_continues_to_the_same_weights(changes, tmp_path, monkeypatch):
    config = settings(**changes)
    whole = fit(config)
    with monkeypatch.context() as patch:
        killed_after(3, patch)
        with pytest.raises(KeyboardInterrupt):
            fit(config, tmp_path)
    assert (tmp_path / "checkpoint").is_dir()
    again = fit(config, tmp_path)
    assert again.record == whole.record
    assert again.calibration == whole.calibration
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], tensor), name
    assert not (tmp_path / "checkpoint").exists()
    steps = [line["step"] for line in read_metrics(tmp_path / "metrics.jsonl")]
    assert steps == list(range(1, len(steps) + 1))


def test_another_training_does_not_take_it_up(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        killed_after(2, patch)
        with pytest.raises(KeyboardInterrupt):
            fit(settings(), tmp_path)
    other = fit(settings(), tmp_path, seed=4)
    assert torch.equal(other.network.item_bias, fit(settings(), seed=4).network.item_bias)


def test_one_cycle_ends_with_steps_of_no_size():
    start = LSTMModel.build_network(cycle_log(40), settings(), 3).item_bias
    steps = {name: (fit(settings(schedule=name, n_epochs=1)).network.item_bias - start).abs().max() for name in _BOTH}
    assert 0 < steps["one_cycle"] < steps["constant"]
    assert step_share("one_cycle", 0.0) == pytest.approx(1 / 25)
    assert step_share("one_cycle", 0.3) == 1.0
    assert step_share("one_cycle", 1.0) == 0.0
