"""``rlrec tune``: a table, a config that ``rlrec fit`` takes, and what Ctrl-C leaves."""

from __future__ import annotations

import json
import sys

import pytest

from rlrec.cli.app import main
from rlrec.core.config import read_toml
from rlrec.models import training
from tests.small import cycle_log

SMALL = ["--lstm.n-epochs", "2", "--lstm.hidden-size", "32", "--lstm.embedding-size", "32"]


@pytest.fixture
def log_file(tmp_path):
    cycle_log().to_pandas().to_csv(tmp_path / "log.csv", index=False)
    return str(tmp_path / "log.csv")


def test_the_best_settings_go_into_fit(log_file, tmp_path, capsys):
    pytest.importorskip("optuna")
    out = tmp_path / "tune"
    assert main(["tune", log_file, "--out", str(out), "--trials", "2", *SMALL]) == 0
    printed = capsys.readouterr().out
    assert "2 trials, 0 stopped early" in printed
    assert "optimizer" in printed
    assert f"rlrec fit --config {out / 'best.toml'}" in " ".join(printed.split())
    told = json.loads((out / "trials.json").read_text())
    assert [trial["number"] for trial in told["trials"]] == [0, 1]
    best = min(told["trials"], key=lambda trial: trial["nats"])
    assert told["best"] == best["number"]
    assert read_toml(out / "best.toml")["lstm"]["hidden_size"] == best["config"]["hidden_size"]
    assert main(["fit", "--config", str(out / "best.toml"), "--out", str(tmp_path / "fit"), "--k", "3"]) == 0
    fitted = read_toml(tmp_path / "fit" / "config.toml")
    assert fitted["log"] == log_file
    assert fitted["lstm"]["batch_tokens"] == best["config"]["batch_tokens"]


def test_ctrl_c_keeps_what_is_finished(log_file, tmp_path, monkeypatch, capsys):
    pytest.importorskip("optuna")
    done, whole_epoch = [], training._train_epoch

    def epoch(*args):
        if len(done) == 5:  # in the third trial of two epochs each
            raise KeyboardInterrupt
        done.append(1)
        return whole_epoch(*args)

    monkeypatch.setattr(training, "_train_epoch", epoch)
    out = tmp_path / "tune"
    assert main(["tune", log_file, "--out", str(out), "--trials", "5", *SMALL]) == 130
    told = capsys.readouterr()
    assert "2 trials, 0 stopped early" in told.out
    assert told.err.splitlines()[-1] == "rlrec: interrupted; nothing half-written was left"
    assert len(json.loads((out / "trials.json").read_text())["trials"]) == 2
    assert (out / "best.toml").is_file()


def test_without_the_extra_it_says_what_to_install(log_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(["tune", log_file, "--out", str(tmp_path / "tune")]) == 2
    assert capsys.readouterr().err == (
        "rlrec: error: tuning needs the package 'optuna'; install it with: pip install 'rlrec[tune]'\n"
    )
    assert not (tmp_path / "tune").exists()


def test_a_search_of_nothing_is_refused(log_file, capsys):
    assert main(["tune", log_file, "--trials", "0"]) == 2
    assert "trials" in capsys.readouterr().err
