"""``rlrec train`` and ``rlrec evaluate`` on users who walk round a ring of six items."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from rlrec.agents.policies import AgentPolicy
from rlrec.cli.app import main
from rlrec.cli.evaluate import split_name
from rlrec.data.log import InteractionLog
from rlrec.models.counting import MarkovModel
from tests.small import N_ITEMS, cycle_log, cycle_model

SMALL = ["--num-envs", "16", "--agent.total-steps", "512", "--agent.n-steps", "16", "--agent.batch-size", "64"]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A folder as ``rlrec fit`` leaves it, with a second model beside."""
    folder = tmp_path_factory.mktemp("fit")
    cycle_model().save(folder / "models" / "lstm")
    MarkovModel.fit(cycle_log()).save(folder / "models" / "markov")
    cycle_model(seed=1).save(folder / "later")
    return folder


@pytest.fixture(scope="module")
def trained(fitted, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "mine"
    assert main(["train", str(fitted), "--out", str(out), *SMALL]) == 0
    return out


@pytest.fixture
def strangers(tmp_path):
    """A model of a shop with other items."""
    frame = cycle_log().to_pandas()
    frame["item_id"] = "other-" + frame["item_id"]
    MarkovModel.fit(InteractionLog.from_pandas(frame)).save(tmp_path / "strangers")
    return tmp_path / "strangers"


def last_line(capsys) -> str:
    """Return the one line that an error printed."""
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert printed.startswith("rlrec: error: ")
    return printed.removeprefix("rlrec: error: ").strip()


# train


def test_train_writes_a_run_without_pickle(trained):
    names = {"policy", "summary.json", "details.json", "config.toml", "metrics.jsonl", "tensorboard"}
    assert {path.name for path in trained.iterdir()} == names
    kinds = {path.suffix for path in (trained / "policy").rglob("*") if path.is_file()}
    assert kinds == {".json", ".safetensors"}
    curve = json.loads((trained / "details.json").read_text())["ppo_curve"]
    assert curve[-1][0] == 512
    assert main(["report", str(trained)]) == 0


def test_train_says_which_policy_it_kept(fitted, tmp_path, capsys):
    judge = ["--checks", "2", "--judge", str(fitted / "later")]
    assert main(["train", str(fitted), "--out", str(tmp_path / "run"), *SMALL, *judge]) == 0
    assert "kept: the policy" in capsys.readouterr().out
    checks = json.loads((tmp_path / "run" / "summary.json").read_text())["checks"]
    assert [check["step"] for check in checks] == [0, 256, 512]
    assert checks[0]["kept"]
    assert main(["train", str(fitted), "--out", str(tmp_path / "no"), *SMALL, *judge, "--checks", "0"]) == 2
    assert "judge names a model and checks=0 asks it nothing" in last_line(capsys)


def test_train_prints_the_agent_beside_what_it_has_to_beat(fitted, tmp_path, capsys):
    out = tmp_path / "dqn"
    small = ["--algorithm", "dqn", "--dqn.total-steps", "256", "--dqn.learning-starts", "64", "--dqn.batch-size", "32"]
    few = ["--num-envs", "8", "--n-users", "20", "--planners", "beam", "cem"]
    assert main(["train", str(fitted), "--out", str(out), *small, *few]) == 0
    rows = json.loads((out / "summary.json").read_text())["policies"]
    assert list(rows) == ["random", "popular", "greedy", "beam", "cem", "agent"]
    printed = capsys.readouterr().out
    assert all(f"\n{name} " in printed for name in rows)
    assert AgentPolicy.load(out / "policy").config.algorithm == "dqn"
    assert main(["evaluate", str(fitted), "--policies", str(out), "--planners", "beam", "--n-users", "20"]) == 0
    assert "\nbeam " in capsys.readouterr().out


def test_the_policy_works_alone_on_raw_ids(trained):
    """In a fresh process that sees neither the log nor the model of the training."""
    code = "import sys, rlrec; print(rlrec.AgentPolicy.load(sys.argv[1]).recommend([['i0', 'i1']], k=1)[0, 0])"
    command = [sys.executable, "-c", code, str(trained / "policy")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ), timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == "i2"


def test_the_saved_config_trains_the_same_agent(trained, tmp_path):
    again = tmp_path / "again"
    assert main(["train", "--config", str(trained / "config.toml"), "--out", str(again)]) == 0
    interests = cycle_model().interests(cycle_log().sequences())
    first, second = (AgentPolicy.load(folder / "policy").action_probs(interests) for folder in (trained, again))
    assert np.array_equal(first, second)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["nowhere"], "'nowhere' holds no saved model; give the folder that rlrec fit wrote"),
        ([], "missing from rlrec train: "),
        (["MODEL", "--slate-size", "7"], f"slate_size must lie in 1..{N_ITEMS} (the catalogue), got 7"),
        (["MODEL", "--num-envs", "0"], "num_envs must be at least 1, got 0"),
        (["MODEL", "--simulator.kappa", "0"], "cannot use simulator: kappa must be above 0, got 0.0"),
        (["MODEL", "--agent.gamma", "2"], "cannot use agent: gamma must lie in [0.0, 1.0], got 2.0"),
    ],
)
def test_train_says_what_it_cannot_use(args, sentence, fitted, tmp_path, capsys):
    args = [str(fitted) if arg == "MODEL" else arg for arg in args]
    assert main(["train", *args, "--out", str(tmp_path / "out")]) == 2
    assert last_line(capsys).startswith(sentence)
    assert not (tmp_path / "out").exists()


def test_train_with_an_observer_that_knows_other_items(fitted, strangers, tmp_path, capsys):
    args = ["train", str(fitted), "--observer", str(strangers), "--out", str(tmp_path / "out")]
    assert main(args) == 2
    assert last_line(capsys) == "observer and simulator know different items; fit both on one catalogue"


# evaluate


def test_evaluate_judges_at_home_and_held_out(fitted, trained, tmp_path, capsys):
    out = tmp_path / "judged"
    markov = f"markov={fitted / 'models' / 'markov'}"
    args = ["evaluate", str(fitted), "--policies", str(trained), markov, "--heldout", str(fitted / "later")]
    assert main([*args, "--n-users", "60", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    for words in ("At home", "Held out", "Return minus greedy's", "mine", "markov"):
        assert words in printed
    rows = json.loads((out / "summary.json").read_text())["policies"]
    assert list(rows) == ["random", "popular", "greedy", "mine", "markov"]
    for row in rows.values():
        for metric in ("return", "session_length", "coverage", "heldout_return", "heldout_paired_vs_greedy"):
            assert row[metric]["low"] <= row[metric]["value"] <= row[metric]["high"]
            assert row[metric]["n"] == 60
    assert rows["greedy"]["paired_vs_random"]["low"] > 0
    difference = rows["mine"]["return"]["value"] - rows["greedy"]["return"]["value"]
    assert rows["mine"]["paired_vs_greedy"]["value"] == pytest.approx(difference)
    assert main(["report", str(out)]) == 0
    assert "markov" in (out / "report.html").read_text(encoding="utf-8")


def test_evaluate_warns_where_there_is_one_simulator_only(fitted, tmp_path, capsys):
    args = ["evaluate", str(fitted / "models" / "lstm"), "--n-users", "20", "--slate-size", "2"]
    assert main([*args, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "Judged in one simulator only; --heldout MODEL shows what is left in another." in printed
    assert "Held out" not in printed
    assert "heldout_return" not in json.loads((tmp_path / "summary.json").read_text())["policies"]["greedy"]


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--policies", "nowhere"], "'nowhere' holds no saved policy; give the folder that rlrec train wrote"),
        (
            ["--policies", "TRAINED", "TRAINED"],
            "there are two policies named 'mine'; give one another: --policies NAME",
        ),
        (["--policies", "greedy=TRAINED"], "there are two policies named 'greedy'; give one another"),
        (
            ["--policies", "TRAINED", "--slate-size", "2"],
            "policy 'mine' shows 1 at a time, but slate_size is 2; ",
        ),
        (
            ["--policies", "STRANGERS"],
            "policy 'strangers' knows other items than the model; make both from one log, as",
        ),
        (["--heldout", "STRANGERS"], "the held-out model knows other items than the model; make both from one log"),
        (["--heldout", "nowhere"], "'nowhere' holds no saved model; give the folder that rlrec fit wrote"),
        (["--n-users", "1"], "n_users must be at least 2, got 1; see: rlrec evaluate --help"),
        (["--n-users", "few"], "cannot use --n-users: invalid literal for int() with base 10: 'few'"),
    ],
)
def test_evaluate_says_what_it_cannot_use(args, sentence, fitted, trained, strangers, tmp_path, capsys):
    args = [arg.replace("TRAINED", str(trained)).replace("STRANGERS", str(strangers)) for arg in args]
    assert main(["evaluate", str(fitted), *args, "--out", str(tmp_path / "out")]) == 2
    assert last_line(capsys).startswith(sentence)
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_manifest_is_one_line(tmp_path, capsys):
    (tmp_path / "manifest.json").write_text("{", encoding="utf-8")
    assert main(["evaluate", str(tmp_path)]) == 2
    assert "is not valid JSON" in last_line(capsys)


@pytest.mark.parametrize(
    ("given", "name"),
    [("a=runs/b", "a"), ("runs/b", "b"), ("runs/b/policy", "b"), ("/x/policy/", "x"), ("runs/b=c/policy", "b=c")],
)
def test_a_policy_is_named_by_the_user_or_by_its_run(given, name):
    assert split_name(given)[0] == name


def test_slates_are_trained_and_judged(fitted, tmp_path):
    args = ["--slate-size", "2", "--out"]
    assert main(["train", str(fitted), *SMALL, *args, str(tmp_path / "pairs")]) == 0
    judged = ["evaluate", str(fitted), "--policies", str(tmp_path / "pairs"), "--n-users", "60"]
    assert main([*judged, *args, str(tmp_path / "judged")]) == 0
    rows = json.loads((tmp_path / "judged" / "summary.json").read_text())["policies"]
    assert rows["pairs"]["return"]["value"] > rows["random"]["return"]["value"]


# several training seeds


def test_agents_of_several_seeds_are_trained_once_and_judged_together(fitted, tmp_path, capsys):
    out, judged = tmp_path / "many", tmp_path / "judged"
    train = ["train", str(fitted), "--out", str(out), "--seeds", "3", "--seed", "5", *SMALL]
    assert main(train) == 0
    assert sorted(path.name for path in out.glob("seed-*")) == ["seed-5", "seed-6", "seed-7"]
    (out / "seed-6" / "summary.json").unlink()  # as a kill leaves it
    before = (out / "seed-7" / "policy" / "manifest.json").stat().st_mtime_ns
    capsys.readouterr()
    assert main(train) == 0
    assert capsys.readouterr().out.count("trained before") == 2
    assert (out / "seed-7" / "policy" / "manifest.json").stat().st_mtime_ns == before

    evaluate = ["evaluate", str(fitted), "--policies", str(out), "--heldout", str(fitted / "later")]
    assert main([*evaluate, "--n-users", "200", "--out", str(judged)]) == 0
    printed = capsys.readouterr().out
    assert "many, 3 seeds, at home:" in printed
    assert "many, 3 seeds, held out:" in printed
    summary = json.loads((judged / "summary.json").read_text())
    row = summary["seeds"]["many"]
    returns = [summary["policies"][f"many, seed {seed}"]["return"]["value"] for seed in (5, 6, 7)]
    assert row["n_seeds"] == row["return"]["n"] == 3
    assert row["return"]["value"] == pytest.approx(np.mean(returns))  # of three, nothing is trimmed
    assert row["return"]["low"] <= row["return"]["value"] <= row["return"]["high"]
    greedy = summary["policies"]["greedy"]["return"]["value"]
    assert row["paired_vs_greedy"]["value"] == pytest.approx(row["return"]["value"] - greedy)
    assert main(["report", str(judged)]) == 0
    page = (judged / "report.html").read_text()
    assert "Over training seeds" in page
    assert page.count("many over 3 training seeds, against greedy:") == 1
    assert "many, seed 5 against greedy" not in page


def test_no_seed_at_all_gets_a_sentence(fitted, capsys):
    assert main(["train", str(fitted), "--seeds", "0"]) == 2
    assert "seeds must be at least 1, got 0" in last_line(capsys)
