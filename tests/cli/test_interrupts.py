"""Ctrl-C in any verb: one line, exit code 130, no half-written artifact, and running again works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from rlrec.agents.policies import AgentPolicy
from rlrec.cli.app import main
from rlrec.core.artifacts import load_artifact
from rlrec.data.load import load_log
from rlrec.models.lstm import LSTMModel
from tests.small import cycle_log, cycle_model

LINE = "rlrec: interrupted; nothing half-written was left\n"
TRAIN = ["--num-envs", "16", "--agent.total-steps", "512", "--agent.n-steps", "16"]
FIT = ["--lstm.n-epochs", "1", "--lstm.hidden-size", "8", "--lstm.embedding-size", "8", "--k", "3"]
VERBS = {
    "data": ["data", "LOG"],
    "fit": ["fit", "LOG", *FIT],
    "train": ["train", "MODEL", *TRAIN],
    "evaluate": ["evaluate", "MODEL", "--n-users", "20"],
}
STAGES = [
    ("data", "rlrec.data.store.write_json"),  # the columns are written, their manifest is not
    ("fit", "rlrec.models.lstm.train_network"),
    ("fit", "rlrec.core.artifacts.write_json"),  # the weights are written, their manifest is not
    ("train", "rlrec.agents.algorithms.PPO.learn"),
    ("train", "rlrec.core.artifacts.write_json"),
    ("evaluate", "rlrec.evaluation.rollout._roll"),
    ("evaluate", "rlrec.core.artifacts.write_json"),
]


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("places")
    cycle_log().to_pandas().to_csv(folder / "log.csv", index=False)
    cycle_model().save(folder / "model")
    return {"LOG": str(folder / "log.csv"), "MODEL": str(folder / "model")}


def line_of(verb, places, out) -> list[str]:
    return [*(places.get(arg, arg) for arg in VERBS[verb]), "--out", str(out)]


def interrupt(*args, **kwargs):
    raise KeyboardInterrupt


def half_written(out) -> list[str]:
    """Return temporary files, and weights or columns that no manifest names."""
    named = "".join(path.read_text(encoding="utf-8") for path in out.rglob("manifest.json"))
    parts = [*out.rglob("*.safetensors"), *(path for path in out.rglob("data-*") if path.is_dir())]
    return [path.name for path in [*out.rglob("*.part"), *parts] if path.name not in named]


def check_whole(verb, out) -> None:
    """Read back what the verb wrote."""
    if verb == "data":
        assert load_log(out) == load_log(out)
    elif verb == "fit":
        LSTMModel.load(out / "models" / "lstm")
    elif verb == "train":
        AgentPolicy.load(out / "policy")
    else:
        assert (out / "summary.json").is_file()


@pytest.mark.parametrize(("verb", "stage"), STAGES)
def test_an_interrupt_in_a_stage(verb, stage, places, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(stage, interrupt)
        assert main(line_of(verb, places, out)) == 130
    assert capsys.readouterr().err == LINE
    assert half_written(out) == []
    assert not list(out.rglob("summary.json"))
    assert not list(out.rglob("manifest.json"))
    assert main(line_of(verb, places, out)) == 0
    check_whole(verb, out)


@pytest.mark.parametrize(("verb", "stage"), [stage for stage in STAGES if stage[0] != "evaluate"])
def test_an_interrupted_second_run_leaves_what_the_first_wrote(verb, stage, places, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    assert main(line_of(verb, places, out)) == 0
    manifests = {path: path.read_bytes() for path in out.rglob("manifest.json")}
    with monkeypatch.context() as patch:
        patch.setattr(stage, interrupt)
        assert main([*line_of(verb, places, out), "--seed", "5"]) == 130
    assert {path: path.read_bytes() for path in out.rglob("manifest.json")} == manifests
    assert half_written(out) == []
    check_whole(verb, out)


def test_the_signal_itself_while_an_agent_trains(places, tmp_path):
    """The real thing: a process in the middle of PPO gets SIGINT, as from a terminal."""
    out = tmp_path / "out"
    args = ["train", places["MODEL"], "--out", str(out), "--num-envs", "16", "--agent.total-steps", "100000000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "rlrec", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    try:
        wait_for(out / "metrics.jsonl", process)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, error) == (130, LINE)
    assert half_written(out) == []
    assert not (out / "policy").exists()
    assert main(["train", places["MODEL"], "--out", str(out), *TRAIN]) == 0
    assert load_artifact(out / "policy").kind == "agents/ppo"


def wait_for(path, process, seconds=60.0):
    """Wait until training logs its first update."""
    end = time.monotonic() + seconds
    while not (path.exists() and path.stat().st_size):  # while TensorBoard is imported, Python can lose a signal
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end, f"{path} was not written within {seconds} s"
        time.sleep(0.05)
