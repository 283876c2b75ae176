"""``rlrec demo`` on a small log of one's own: what it writes, the same seed twice, Ctrl-C anywhere, bad input."""

from __future__ import annotations

import json
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest

from rlrec.cli import demo
from rlrec.cli.app import main
from rlrec.data.load import load_log

N_ITEMS = 12
SMALL = [
    *(
        "--model.hidden-size",
        "16",
        "--model.embedding-size",
        "8",
        "--model.n-epochs",
        "2",
        "--model.batch-tokens",
        "128",
    ),
    *("--agent.total-steps", "512", "--agent.n-steps", "16", "--agent.batch-size", "64", "--num-envs", "16"),
    *("--gan.n-rounds", "3", "--gan.n-warmup", "1", "--gan.check-every", "1", "--gan.sequences-per-round", "16"),
    *("--n-users", "20", "--n-synthetic", "30", "--n-probe", "40", "--n-sweep", "10"),
]
STAGES = ("data", "fit", "heldout", "train", "evaluate", "fidelity", "gan", "synthetic")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A shop in which everybody walks round a ring of a dozen items."""
    rng = np.random.default_rng(0)
    rows = []
    for session in range(400):
        start, length = rng.integers(N_ITEMS), rng.integers(2, 9)
        rows += [(session, f"i{(start + t) % N_ITEMS}", session * 1000.0 + 2 * t) for t in range(length)]
    path = tmp_path_factory.mktemp("log") / "log.csv"
    pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]).assign(session_id=lambda f: f["user_id"]).to_csv(
        path, index=False
    )
    return path


@pytest.fixture(scope="module")
def run(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "demo"
    assert main(["demo", "--log", str(source), "--out", str(out), *SMALL]) == 0
    return out


def summary_of(folder) -> dict:
    return json.loads((folder / "summary.json").read_text())


def untimed(summary: dict) -> dict:
    summary = json.loads(json.dumps(summary))
    summary.pop("seconds")
    summary["simulator"].pop("user_steps_per_cpu_second")
    return summary


def test_the_summary_keeps_its_contract(run):
    summary = summary_of(run)
    assert {"data", "models", "simulator", "policies", "synthetic", "seconds", "versions", "seed"} <= summary.keys()
    assert {"name", "n_users", "n_items", "n_events", "sha256"} <= summary["data"].keys()
    ranking = {"test_nll", "hit@1", "hit@10", "ndcg@10", "mrr@10", "coverage@10", "novelty@10"}
    assert all(ranking <= summary["models"][name].keys() for name in ("lstm", "markov", "popularity"))
    fidelity = summary["simulator"]["fidelity"]
    assert {"real", "simulated", "real_vs_real"} <= fidelity["session_length_mean"].keys()
    assert {"real", "simulated", "real_vs_real"} <= fidelity["repeat_rate"].keys()
    for measure in ("session_length_ks", "item_jsd", "transition_jsd"):
        assert {"simulated", "real_vs_real"} <= fidelity[measure].keys()
    differences = ("paired_vs_random", "paired_vs_greedy", "heldout_paired_vs_greedy")
    for row in summary["policies"].values():
        for number in ("return", "session_length", "coverage", "heldout_return", *differences):
            assert {"value", "low", "high", "n"} <= row[number].keys()
    for measure in ("c2st_auc", "item_jsd", "transition_jsd", "tstr_ndcg@10", "copied_share"):
        assert {"gan", "mle", "real_vs_real"} <= summary["synthetic"][measure].keys()
    assert summary["seconds"].keys() == set(STAGES)


def test_its_report_svg_and_synthetic_log_are_there(run):
    assert "<svg" in (run / "policies.svg").read_text()
    assert load_log(str(run / "synthetic.parquet")).n_users == 30
    page = (run / "report.html").read_text()
    assert page.rstrip().endswith("</html>")


def test_the_same_seed_gives_the_same_summary(source, run, tmp_path):
    assert main(["demo", "--log", str(source), "--out", str(tmp_path), *SMALL]) == 0
    assert untimed(summary_of(tmp_path)) == untimed(summary_of(run))


@pytest.mark.parametrize("stage", STAGES)
def test_ctrl_c_at_the_end_of_any_stage_leaves_nothing_half(source, run, tmp_path, stage, monkeypatch, capsys):
    real = demo._Stages.__call__

    @contextmanager
    def interrupted(self, name, what):
        with real(self, name, what):
            yield
            if name == stage:
                raise KeyboardInterrupt

    monkeypatch.setattr(demo._Stages, "__call__", interrupted)
    assert main(["demo", "--log", str(source), "--out", str(tmp_path), *SMALL]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert not (tmp_path / "summary.json").exists()
    assert not (tmp_path / "report.html").exists()
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".part")]


def test_after_a_ctrl_c_it_runs_again_to_the_same_numbers(source, run, tmp_path, monkeypatch):
    args = ["demo", "--log", str(source), "--out", str(tmp_path), *SMALL]
    with monkeypatch.context() as patch:
        patch.setattr(demo, "_fidelity", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert main(args) == 130
    assert main(args) == 0
    assert untimed(summary_of(tmp_path)) == untimed(summary_of(run))


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--log", "nowhere.csv"], "nowhere.csv"),
        (["--n-users", "many"], "n-users"),
        (["--gan.gamma", "2"], "gamma must lie in [0.0, 1.0], got 2.0"),
    ],
)
def test_bad_input_is_a_line_and_exit_code_2(args, sentence, tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path), *args]) == 2
    assert sentence in capsys.readouterr().err
