"""``rlrec ope``: a table judged, the selftest small, and the sentences of wrong uses."""

import json

import numpy as np
import polars as pl
import pytest

from rlrec.cli import ope
from rlrec.core.errors import ConfigError
from rlrec.data.load import load_log
from rlrec.evaluation.selftest_config import SelfTestConfig


def table(path, n=3000, **columns):
    rng = np.random.default_rng(0)
    action = (rng.random(n) < 0.5).astype(int)
    reward = (rng.random(n) < 0.2 + 0.4 * action).astype(float)
    frame = {"action": action, "reward": reward, "behavior_prob": np.full(n, 0.5)}
    pl.DataFrame(frame | {"target_prob": np.where(action == 1, 0.8, 0.2)} | columns).write_csv(path)
    return path


def test_a_table_is_judged(tmp_path, capsys):
    path = table(tmp_path / "log.csv")
    assert ope.run(ope.Command(table=path, out=tmp_path / "out")) == 0
    printed = capsys.readouterr().out
    assert "snips" in printed
    found = json.loads((tmp_path / "out" / "ope.json").read_text())
    assert found["ips"]["value"] == pytest.approx(0.52, abs=0.04)
    assert found["ips"]["low"] < found["ips"]["value"] < found["ips"]["high"]


def test_episodes_are_judged_step_by_step(tmp_path, capsys):
    path = table(tmp_path / "log.csv", episode=np.repeat(np.arange(1500), 2))
    assert ope.run(ope.Command(table=path, gamma=0.5)) == 0
    assert "pdis (self-normalised)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ({}, "give either a TABLE to judge a policy on, or --selftest"),
        ({"selftest": True, "table": "x.csv"}, "give either a TABLE"),
        ({"table": "missing.csv"}, "there is no file missing.csv; give a CSV or Parquet table"),
    ],
)
def test_wrong_uses_get_a_sentence(command, sentence):
    from pathlib import Path

    given = {name: Path(value) if name == "table" else value for name, value in command.items()}
    with pytest.raises(ConfigError, match=sentence):
        ope.run(ope.Command(**given))


def test_a_table_without_a_target_gets_a_sentence(tmp_path):
    path = tmp_path / "log.csv"
    pl.DataFrame({"action": [0], "reward": [1.0], "behavior_prob": [0.5]}).write_csv(path)
    with pytest.raises(ConfigError, match="must have a column target_prob, got action, reward, behavior_prob"):
        ope.run(ope.Command(table=path))


def test_the_selftest_prints_three_tables(tmp_path, capsys):
    size = SelfTestConfig(n_logs=2, n_users=100, n_truth_users=200)
    assert ope.run(ope.Command(selftest=True, n_items=6, size=size, out=tmp_path)) == 0
    printed = capsys.readouterr().out
    assert printed.count("| estimator | bias | z | RMSE |") == 3
    assert set(json.loads((tmp_path / "ope.json").read_text())) == {"bandit", "slate", "sequential"}


def test_the_most_frequent_items_keep_their_rows():
    log = load_log("builtin:eshop2008")
    part = ope.most_frequent(log, 5)
    assert part.n_items == 5
    assert sorted(part.item_counts) == sorted(np.sort(log.item_counts)[-5:])
