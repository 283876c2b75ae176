"""``rlrec fit`` and ``rlrec report`` on a log of a few people."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rlrec.cli.app import main
from rlrec.cli.saved import find_recommender
from rlrec.models import training
from rlrec.models.lstm import LSTMModel

SMALL = ["--lstm.n-epochs", "1", "--lstm.hidden-size", "8", "--lstm.embedding-size", "8", "--k", "3"]

NAMES = {"hybrid", "item_knn", "lstm", "markov", "ngram", "popularity"}


@pytest.fixture
def log_file(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["user_id,item_id,timestamp"]
    for user in range(60):
        lines += [f"u{user},i{rng.integers(8)},{1_000_000 * user + 60 * step}" for step in range(5)]
    path = tmp_path / "log.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_fit_then_report(log_file, tmp_path, capsys):
    out = tmp_path / "run"
    command = ["fit", str(log_file), "--out", str(out), *SMALL]
    assert main(command) == 0
    printed = capsys.readouterr().out
    for word in ("markov", "popularity", "coverage@3", "novelty@3"):  # whole in 80 columns, not cut to coverag…
        assert word in printed
    names = {"config.toml", "metrics.jsonl", "metrics.json", "summary.json", "details.json", "tensorboard", "models"}
    assert names | {"interest_map.svg"} <= {path.name for path in out.iterdir()}
    assert json.loads((out / "details.json").read_text())["interest_map"]["shares"][0] > 0
    assert {path.name for path in (out / "models").iterdir()} == NAMES
    first = json.loads((out / "summary.json").read_text())
    assert first["data"]["n_users"] == 60
    assert set(first["models"]) == set(first["valid_ndcg"]) == NAMES
    assert first["best"] == max(first["valid_ndcg"], key=first["valid_ndcg"].get)
    assert f"best: {first['best']}, by NDCG@3 on" in " ".join(printed.split())
    assert find_recommender(out) == out / "models" / first["best"]
    n_lines = len((out / "metrics.jsonl").read_text().splitlines())

    assert main(["fit", "--config", str(out / "config.toml")]) == 0  # the saved config is the whole command
    again = json.loads((out / "summary.json").read_text())
    assert again["models"] == first["models"]
    assert len((out / "metrics.jsonl").read_text().splitlines()) == n_lines

    assert main(["report", str(out)]) == 0
    assert "Markov" in (out / "report.html").read_text(encoding="utf-8")


def test_a_killed_run_goes_on_to_the_same_metrics(log_file, tmp_path, monkeypatch):
    options = [*SMALL, "--lstm.n-epochs", "4"]
    assert main(["fit", str(log_file), "--out", str(tmp_path / "whole"), *options]) == 0
    command = ["fit", str(log_file), "--out", str(tmp_path / "killed"), *options]
    done, whole_epoch = [], training._train_epoch

    def epoch(*args):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(1)
        return whole_epoch(*args)

    with monkeypatch.context() as patch:
        patch.setattr(training, "_train_epoch", epoch)
        assert main(command) == 130
    assert main(command) == 0
    for name in ("metrics.json", "metrics.jsonl"):
        assert (tmp_path / "killed" / name).read_text() == (tmp_path / "whole" / name).read_text()


def test_a_held_out_model_is_fitted_on_the_latest_part_and_not_ranked(log_file, tmp_path):
    out = tmp_path / "run"
    assert main(["fit", str(log_file), "--out", str(out), "--heldout", *SMALL]) == 0
    home, away = (LSTMModel.load(out / "models" / name) for name in ("lstm", "heldout"))
    assert home.space.items == away.space.items
    assert home.space.item_counts.sum() > 5 * away.space.item_counts.sum() > 0
    assert "heldout" not in json.loads((out / "summary.json").read_text())["models"]


@pytest.mark.parametrize("verb", ["fit", "report"])
def test_a_bad_path_is_one_line(verb, tmp_path, capsys):
    assert main([verb, str(tmp_path / "nowhere.csv"), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert len(error.strip().splitlines()) == 1
    assert "nowhere.csv" in error
    assert not (tmp_path / "out").exists()
