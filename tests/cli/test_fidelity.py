"""``rlrec fidelity`` on people who walk round a ring of six items."""

from __future__ import annotations

import json

import pytest

from rlrec.cli.app import main
from rlrec.data.splits import split_by_time
from rlrec.models.counting import MarkovModel
from tests.small import cycle_log


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fidelity")
    log = cycle_log(400)
    log.to_parquet(folder / "log.parquet")
    train, _, _ = split_by_time(log)
    MarkovModel.fit(train).save(folder / "markov")
    return folder


def test_it_writes_numbers_a_page_and_a_verdict(saved, tmp_path, capsys):
    args = ["fidelity", str(saved / "markov"), str(saved / "log.parquet"), "--out", str(tmp_path), "--n-users", "20"]
    assert main(args) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["heads"]["end"]["ece"] < 0.1
    assert summary["simulator"]["fidelity"]["rate_of_end"]["real"] == summary["heads"]["end"]["rate"]
    assert summary["test_nll"]["model"] == summary["test_nll"]["markov"]
    assert summary["verdict"].startswith("Do not trust it"), "a Markov chain does not beat itself"
    assert summary["verdict"] in capsys.readouterr().out
    assert (tmp_path / "report.html").is_file()
    assert summary["doubt"] is None
    satiation = summary["satiation"]
    assert satiation["low"] < satiation["value"] < satiation["high"]


def test_members_that_disagree_are_heard(saved, tmp_path, capsys):
    parts = split_by_time(cycle_log(400))
    MarkovModel.fit(parts[1]).save(tmp_path / "other")
    args = ["fidelity", str(saved / "markov"), str(saved / "log.parquet"), "--out", str(tmp_path), "--n-users", "40"]
    assert main([*args, "--members", str(tmp_path / "other")]) == 0
    doubt = json.loads((tmp_path / "summary.json").read_text())["doubt"]
    assert doubt["members"] == 2
    assert 0 < doubt["disagreement"] < doubt["click_chance"] < 1
    assert doubt["returns"]["greedy"][0] > doubt["returns"]["random"][0]
    assert "2 members disagree by" in capsys.readouterr().out


def test_a_log_of_other_items_is_refused(saved, tmp_path, capsys):
    frame = cycle_log(60).to_pandas()
    frame["item_id"] = "other-" + frame["item_id"]
    frame.to_csv(tmp_path / "other.csv", index=False)
    assert main(["fidelity", str(saved / "markov"), str(tmp_path / "other.csv"), "--out", str(tmp_path / "x")]) == 2
    assert "fit the model again on this log" in capsys.readouterr().err
