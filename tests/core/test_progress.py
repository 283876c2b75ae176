"""Metrics come back as written, also after a kill; bars follow the terminal."""

from __future__ import annotations

import math

import pytest

from rlrec.core.progress import MetricsWriter, progress, read_metrics


def test_metrics_come_back_as_written(tmp_path):
    with MetricsWriter(tmp_path / "run") as writer:
        writer.write(1, {"models/lstm/valid_nll": 3.5})
        writer.write(2, {"models/lstm/valid_nll": 0.1 + 0.2, "models/lstm/rate": 7})
    assert list(read_metrics(tmp_path / "run" / "metrics.jsonl")) == [
        {"step": 1, "models/lstm/valid_nll": 3.5},
        {"step": 2, "models/lstm/valid_nll": 0.1 + 0.2, "models/lstm/rate": 7.0},
    ]
    assert list((tmp_path / "run" / "tensorboard").iterdir())


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_null(tmp_path, value):
    with MetricsWriter(tmp_path) as writer:
        writer.write(0, {"a": value})
    assert list(read_metrics(tmp_path / "metrics.jsonl")) == [{"step": 0, "a": None}]


def test_a_line_is_on_disk_before_the_writer_closes(tmp_path):
    with MetricsWriter(tmp_path) as writer:
        writer.write(0, {"a": 1.0})
        assert [record["a"] for record in read_metrics(tmp_path / "metrics.jsonl")] == [1.0]


@pytest.mark.parametrize("cut", range(1, 16))
def test_a_cut_last_line_is_left_out_and_the_next_run_goes_on(tmp_path, cut):
    path = tmp_path / "metrics.jsonl"
    with MetricsWriter(tmp_path) as writer:
        writer.write(0, {"a": 1.0})
        writer.write(1, {"a": 2.0})
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert [record["step"] for record in read_metrics(path)] == [0]
    with MetricsWriter(tmp_path) as writer:
        writer.write(1, {"a": 2.0})
    assert path.read_bytes() == whole


def test_a_second_writer_appends(tmp_path):
    for step in range(2):
        with MetricsWriter(tmp_path) as writer:
            writer.write(step, {"a": 1.0})
    assert [record["step"] for record in read_metrics(tmp_path / "metrics.jsonl")] == [0, 1]


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with MetricsWriter(None) as writer:
        writer.write(0, {"a": 1.0})
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_closed_when_training_fails(tmp_path):
    writer = MetricsWriter(tmp_path)
    writer.write(0, {"a": 1.0})
    file = writer._file
    with pytest.raises(ZeroDivisionError), writer:
        _ = 1 / 0
    assert file.closed


def test_a_bar_is_silent_off_the_terminal(capsys):
    assert list(progress(range(3), description="fit")) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_a_bar_can_be_forced(capsys):
    assert list(progress(range(3), description="fit", show=True)) == [0, 1, 2]
    assert "fit" in capsys.readouterr().err


def test_lines_beyond_a_checkpoint_are_dropped(tmp_path):
    with MetricsWriter(tmp_path) as metrics:
        for step in (1, 2, 3):
            metrics.write(step, {"models/lstm/train_loss": 1.0})
        metrics.write(7, {"agents/ppo/return": 2.0})
    with MetricsWriter(tmp_path) as metrics:
        metrics.rewind(2, "models/lstm/")
        metrics.write(3, {"models/lstm/train_loss": 0.5})
    steps = [
        (record["step"], record.get("models/lstm/train_loss")) for record in read_metrics(tmp_path / "metrics.jsonl")
    ]
    assert steps == [(1, 1.0), (2, 1.0), (7, None), (3, 0.5)]


@pytest.mark.parametrize("place", ["tensorboard.summary.Writer", "pathlib.Path.open"])
def test_an_interrupt_while_the_files_are_opened_stays_an_interrupt(tmp_path, monkeypatch, place):
    """Closing what was not opened yet hid Ctrl-C behind an AttributeError."""

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(place, interrupt)
    with pytest.raises(KeyboardInterrupt), MetricsWriter(tmp_path) as metrics:
        metrics.write(0, {"models/lstm/valid_nll": 1.0})
    assert metrics._file is None
    assert metrics._board is None
