"""``rlrec gan`` and ``rlrec generate`` on people who walk round a ring of six items."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rlrec.cli.app import main
from rlrec.data.load import load_log
from rlrec.data.log import InteractionLog
from rlrec.data.splits import split_by_time
from rlrec.data.store import save_log
from rlrec.gan.synthetic_log import sequences_to_log
from rlrec.gan.training import AdversarialTraining
from rlrec.models.counting import MarkovModel
from tests.small import N_ITEMS, cycle_log

SMALL = [
    *(
        "--model.hidden-size",
        "16",
        "--model.embedding-size",
        "8",
        "--model.n-epochs",
        "4",
        "--model.batch-tokens",
        "64",
    ),
    *("--gan.n-rounds", "4", "--gan.n-warmup", "2", "--gan.check-every", "2", "--gan.sequences-per-round", "32"),
    *("--n-probe", "60"),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "log.csv"
    cycle_log(400).to_pandas().to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def trained(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "gan"
    assert main(["gan", str(source), "--out", str(out), *SMALL]) == 0
    return out


def error_line(capsys) -> str:
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    return printed.strip()


def test_gan_writes_every_number_beside_its_controls(trained):
    summary = json.loads((trained / "summary.json").read_text())
    for measure in ("item_jsd", "transition_jsd", "c2st_auc", "copied_share", "tstr_ndcg@10"):
        assert {"gan", "control", "mle", "real_vs_real"} <= summary["synthetic"][measure].keys()
    assert summary["gan"]["kept"] in {"init", "control", "adversarial"}
    assert main(["report", str(trained)]) == 0
    assert "beside" in (trained / "report.html").read_text()


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_generate_writes_a_log_that_loads_back_and_trains(trained, tmp_path, suffix):
    path = tmp_path / f"synthetic.{suffix}"
    assert main(["generate", str(trained), "--out", str(path), "--n-users", "50", "--seed", "3"]) == 0
    log = load_log(str(path))
    assert log.n_users == 50
    assert log.cleaning.n_kept == log.n_events
    assert MarkovModel.fit(log).n_items <= N_ITEMS
    twice = tmp_path / f"twice.{suffix}"
    assert main(["generate", str(trained), "--out", str(twice), "--n-users", "50", "--seed", "3"]) == 0
    assert load_log(str(twice), name=log.name) == log


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--n-users", "0"], "n_users must be at least 1"),
        (["--out", "synthetic.xlsx"], "must end in .parquet or .csv"),
    ],
)
def test_generate_refuses_in_a_line(trained, capsys, args, sentence):
    assert main(["generate", str(trained), *args]) == 2
    assert sentence in error_line(capsys)


def test_generate_without_a_gan_says_what_to_give(tmp_path, capsys):
    assert main(["generate", str(tmp_path)]) == 2
    assert "give the folder that rlrec gan wrote" in error_line(capsys)


def test_gan_refuses_a_start_from_another_catalogue(source, trained, tmp_path, capsys):
    frame = cycle_log(60).to_pandas()
    frame["item_id"] = "other-" + frame["item_id"]
    other = tmp_path / "other.csv"
    frame.to_csv(other, index=False)
    capsys.readouterr()
    init = next(trained.glob("gan/parts-*/init"))
    assert main(["gan", str(other), "--init", str(init), "--out", str(tmp_path / "x"), *SMALL]) == 2
    assert "fit the model again on this log" in error_line(capsys)


def test_interrupted_gan_leaves_no_half_and_goes_on(source, trained, tmp_path, monkeypatch, capsys):
    rounds, real_round = [], AdversarialTraining._round

    def round_(self, number, metrics):
        if number == 3 and 3 not in rounds:
            rounds.append(3)
            raise KeyboardInterrupt
        rounds.append(number)
        real_round(self, number, metrics)

    monkeypatch.setattr(AdversarialTraining, "_round", round_)
    out = tmp_path / "gan"
    assert main(["gan", str(source), "--out", str(out), *SMALL]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert not (out / "gan").exists()
    assert not (out / "summary.json").exists()
    assert main(["gan", str(source), "--out", str(out), *SMALL]) == 0
    assert rounds == [1, 2, 3, 3, 4], "it goes on from the checkpoint of round 2"
    first, again = (json.loads((folder / "summary.json").read_text()) for folder in (trained, out))
    assert first["gan"] == again["gan"]
    for measure, cells in first["synthetic"].items():
        for column, cell in cells.items():
            assert np.isclose(_value(cell), _value(again["synthetic"][measure][column])), (measure, column)


def _value(cell) -> float:
    return cell["value"] if isinstance(cell, dict) else cell


def test_a_log_is_written_only_if_it_gives_nobody_away(source, trained, tmp_path, capsys):
    out = tmp_path / "synthetic.parquet"
    gate = ["--log", str(source), "--out", str(out), "--n-users", "200"]
    refused = main(["generate", str(trained), *gate, "--max-mia", "0.5"])
    printed = capsys.readouterr().out
    assert "membership inference: nearest neighbour" in printed
    assert refused == (1 if "not written" in printed else 0)
    assert out.exists() == (refused == 0)
    assert main(["generate", str(trained), *gate, "--max-mia", "1.0"]) == 0
    assert load_log(out).n_users == 200


def test_a_log_that_leaks_is_never_written(source, trained, tmp_path, capsys, monkeypatch):
    """A generator that hands out its training set is caught, and the file is not there."""
    from rlrec.gan.sequence_gan import SequenceGAN

    real = load_log(str(source))
    members = split_by_time(real)[0].sequences()
    rng = np.random.default_rng(0)
    scrambled = replace(members, item=rng.integers(0, N_ITEMS, members.n_events).astype(np.int32))
    monkeypatch.setattr("rlrec.data.splits.split_by_time", lambda *_, **__: _strangers(scrambled, real, rng))
    monkeypatch.setattr(SequenceGAN, "draw", lambda self, n, **_: scrambled.select(np.arange(n)))
    out = tmp_path / "synthetic.parquet"
    gate = ["--log", str(source), "--out", str(out), "--n-users", "300", "--max-mia", "0.55"]
    assert main(["generate", str(trained), *gate]) == 1
    assert "not written: an attack learns who was in the training set" in capsys.readouterr().out
    assert not out.exists()


def _strangers(members, like, rng):
    """Members, and two sets of other people who walk as randomly."""
    sets = [replace(members, item=rng.integers(0, N_ITEMS, members.n_events).astype(np.int32)) for _ in range(2)]
    return tuple(sequences_to_log(part, like) for part in (members, *sets))


def test_generate_draws_what_it_is_told(trained, tmp_path, capsys):
    path = tmp_path / "s.parquet"
    wanted = ["--n-users", "40", "--out", str(path)]
    assert main(["generate", str(trained), *wanted, "--starts", "i2", "i3", "--length", "5"]) == 0
    log = load_log(path)
    sequences = log.sequences()
    ids = log.catalog.ids[sequences.item].reshape(40, 5)
    assert set(ids[:, 0]) == {"i2"}
    assert set(ids[:, 1]) == {"i3"}
    assert main(["generate", str(trained), *wanted, "--items", "i0", "i4"]) == 0
    assert set(load_log(path).catalog.ids) <= {"i0", "i4"}
    capsys.readouterr()
    assert main(["generate", str(trained), *wanted, "--items", "i0", "nothing"]) == 2
    assert "nothing" in error_line(capsys)


def test_generate_resamples_only_where_an_unrelated_detector_agreed(trained, tmp_path, capsys):
    summary = json.loads((trained / "summary.json").read_text())
    path = tmp_path / "s.parquet"
    code = main(["generate", str(trained), "--out", str(path), "--resample", "rejection", "--n-users", "40"])
    printed = capsys.readouterr()
    assert (code == 0) == summary["resampling"]["accepted"] == path.exists()
    said = printed.out if code == 0 else printed.err
    assert ("effective sample size" if code == 0 else "resampling was not worth it here: a GRU") in said


def test_generate_draws_more_of_a_segment(tmp_path, capsys):
    frame = cycle_log(400).to_pandas()
    items = pd.DataFrame({"item_id": [f"i{i}" for i in range(N_ITEMS)], "kind": ["low"] * 3 + ["high"] * 3})
    log = InteractionLog.from_pandas(frame, items=items)
    path, out = tmp_path / "log", tmp_path / "run"
    save_log(log, path)
    assert main(["gan", str(path), "--out", str(out), *SMALL]) == 0
    args = ["generate", str(out), "--n-users", "60", "--length", "3", "--out", str(tmp_path / "s.csv")]
    assert main([*args, "--segment", "kind=high", "--segment-share", "0.9"]) == 0
    drawn = load_log(tmp_path / "s.csv")
    high = np.isin(drawn.catalog.ids[drawn.item], ["i3", "i4", "i5"]).reshape(60, 3).mean(1) >= 0.5
    assert high.sum() == 54
    capsys.readouterr()
    assert main([*args, "--segment", "kind=middle"]) == 2
    assert "'kind' has no value 'middle'; it has" in error_line(capsys)
    assert main([*args, "--segment", "kind"]) == 2
    assert "--segment must be FEATURE=VALUE" in error_line(capsys)


def test_a_gate_without_the_log_is_refused(trained, tmp_path, capsys):
    assert main(["generate", str(trained), "--max-mia", "0.55", "--out", str(tmp_path / "s.csv")]) == 2
    assert "--max-mia needs --log" in error_line(capsys)


def test_compare_puts_detectors_use_and_privacy_in_the_summary(source, trained, tmp_path, capsys):
    log = tmp_path / "synthetic.parquet"
    assert main(["generate", str(trained), "--out", str(log), "--n-users", "100"]) == 0
    assert main(["compare", str(source), str(log), "--out", str(tmp_path / "compare"), "--n-probe", "60"]) == 0
    summary = json.loads((tmp_path / "compare" / "summary.json").read_text())
    assert {"synthetic", "train_vs_real", "real_vs_real"} <= summary["synthetic"]["c2st_auc_gru"].keys()
    assert 0.5 <= summary["privacy"]["leak"] <= 1
    foreign = tmp_path / "foreign.csv"
    cycle_log().to_pandas().assign(item_id="other").to_csv(foreign, index=False)
    capsys.readouterr()
    assert main(["compare", str(source), str(foreign), "--out", str(tmp_path / "no")]) == 2
    assert "other" in error_line(capsys)


def test_the_quality_report_holds_every_number_beside_real_ones_and_a_control(source, trained, tmp_path, capsys):
    for name, seed in (("a", "1"), ("b", "2")):
        assert (
            main(["generate", str(trained), "--out", str(tmp_path / f"{name}.csv"), "--n-users", "80", "--seed", seed])
            == 0
        )
    logs = [str(source), str(tmp_path / "a.csv")]
    out = tmp_path / "report"
    assert (
        main(["gan", "report", *logs, "--control", str(tmp_path / "b.csv"), "--out", str(out), "--n-probe", "60"]) == 0
    )
    summary = json.loads((out / "summary.json").read_text())
    assert summary["n_compared"] == 40, "as many of each as the smallest real part has"
    for measure in ("c2st_auc", "item_jsd", "cluster_transition_jsd", "coverage", "new_transition_share"):
        assert {"synthetic", "control", "real_vs_real"} <= summary["synthetic"][measure].keys(), measure
    assert {c["n"] for c in summary["synthetic"]["c2st_auc"].values()} == {40}
    page = (out / "report.html").read_text()
    for words in (
        "How good the synthetic sessions of",
        "Can a classifier tell them",
        "What it gives away",
        "real strangers",
    ):
        assert words in page
    assert "No control was given" not in page
    assert "who was in training" in capsys.readouterr().out


def test_augment_says_what_it_was_worth_and_its_log_loads(source, tmp_path, capsys):
    settings = ["--model.hidden-size", "8", "--model.embedding-size", "8", "--model.n-epochs", "1", "--shares", "0.5"]
    assert main(["augment", str(source), "--out", str(tmp_path / "run"), *settings]) == 0
    printed = capsys.readouterr().out
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())["augmentation"]
    assert set(summary["test_ndcg@10"]) == {"nothing", "more_epochs", "disturbed", "synthetic"}
    assert set(summary["gates"]) == {"more_epochs", "disturbed", "synthetic"}
    assert "validation chose" in printed
    written = tmp_path / "run" / "augmented.parquet"
    assert written.exists() == (summary["share"] > 0)
    if written.exists():
        log = load_log(written)
        assert len(log.sequences()) == round(1.5 * 320)
        assert log.n_items == N_ITEMS


def test_augment_adds_a_segment_alone(tmp_path, capsys):
    items = pd.DataFrame({"item_id": [f"i{i}" for i in range(N_ITEMS)], "kind": ["low"] * 3 + ["high"] * 3})
    log = InteractionLog.from_pandas(cycle_log(200).to_pandas(), items=items)
    save_log(log, tmp_path / "log")
    small = ["--model.hidden-size", "8", "--model.embedding-size", "8", "--model.n-epochs", "1", "--shares", "0.5"]
    args = ["augment", str(tmp_path / "log"), "--out", str(tmp_path / "run"), *small]
    assert main([*args, "--segment", "kind=high"]) == 0
    assert "on the sessions of kind=high (and on all)" in capsys.readouterr().out
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())["augmentation"]
    assert summary["segment"] == "kind=high"
    assert summary["test_ndcg@10"]["nothing"]["n"] < summary["test_ndcg@10_all"]["nothing"]["n"] == 20
    assert main([*args, "--segment", "kind"]) == 2
    assert "--segment must be FEATURE=VALUE" in error_line(capsys)


def test_the_report_ranks_policies_built_on_synthetic_users_on_real_ones(source, trained, tmp_path, capsys):
    log, out = tmp_path / "s.csv", tmp_path / "report"
    assert main(["generate", str(trained), "--out", str(log), "--n-users", "80"]) == 0
    args = ["gan", "report", str(source), str(log), "--out", str(out), "--n-probe", "60"]
    assert main([*args, "--policies", "--agent-steps", "512"]) == 0
    found = json.loads((out / "summary.json").read_text())["policy_ranking"]
    assert set(found) == {"synthetic", "real"}
    assert set(found["synthetic"]["elsewhere"]) == {"random", "popular", "greedy", "ppo"}
    assert -1 <= found["synthetic"]["tau"] <= 1
    words = "policies built on synthetic users and judged on held-out ones: order of policies: Kendall tau"
    assert words in capsys.readouterr().out
    assert words in (out / "report.html").read_text()
    assert main([*args, "--agent-steps", "-1"]) == 2
