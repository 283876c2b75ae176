"""Two processes that share each batch take the steps of one: torchrun and gloo, on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlrec.core.errors import InvalidArgumentError
from rlrec.models import parallel

ROOT = Path(__file__).parents[2]
WORKER = """
import json, sys
from pathlib import Path

import torch

from rlrec.models.config import LSTMConfig
from rlrec.models.lstm import LSTMModel
from tests.small import cycle_log

folder, changes = Path(sys.argv[1]), json.loads(sys.argv[2])
if "alone" not in sys.argv:
    torch.distributed.init_process_group("gloo")
small = {"embedding_size": 8, "hidden_size": 16, "n_epochs": 4, "batch_tokens": 48, "learning_rate": 0.1}
config = LSTMConfig(**(small | {"dropout": 0.0, "input_dropout": 0.0} | changes))
model = LSTMModel.fit(cycle_log(41), valid=cycle_log(20, seed=1), config=config, folder=folder, show_progress=False)
rank = 0 if "alone" in sys.argv else torch.distributed.get_rank()
print("losses", rank, json.dumps(model.record.valid_nll))
if rank == 0:
    model.save(folder / "model")
if "alone" not in sys.argv:
    torch.distributed.destroy_process_group()
"""


def run(folder: Path, *, alone: bool = False, **changes: object) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    worker = folder / "worker.py"
    worker.write_text(WORKER, encoding="utf-8")
    torchrun = [] if alone else ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, *torchrun, str(worker), str(folder), json.dumps(changes), *(["alone"] if alone else [])]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)


def losses(run: subprocess.CompletedProcess[str]) -> dict[int, list[float]]:
    assert run.returncode == 0, run.stderr
    found: dict[int, list[float]] = {}
    for line in run.stdout.splitlines():
        if line.startswith("losses"):
            _, rank, curve = line.split(" ", 2)
            found[int(rank)] = json.loads(curve)
    return found


def weights(folder: Path) -> dict[str, Any]:
    from rlrec.models.lstm import LSTMModel

    return dict(LSTMModel.load(folder / "model").network.state_dict())


def test_two_processes_have_the_loss_curve_and_the_weights_of_one(tmp_path):
    one = losses(run(tmp_path / "one", alone=True))
    two = losses(run(tmp_path / "two"))
    assert sorted(two) == [0, 1]
    assert two[0] == two[1]  # to the last bit: both hold the same weights
    assert len(one[0]) == 4
    np.testing.assert_allclose(two[0], one[0], rtol=1e-5)
    assert one[0][-1] < one[0][0] - 0.1  # something was learned
    expected = weights(tmp_path / "one")
    for name, tensor in weights(tmp_path / "two").items():
        np.testing.assert_allclose(tensor.numpy(), expected[name].numpy(), atol=2e-4, err_msg=name)
    steps = [json.loads(line)["step"] for line in (tmp_path / "two" / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4]  # one process wrote


def test_a_sampled_softmax_is_refused(monkeypatch):
    monkeypatch.setattr(parallel, "n_processes", lambda: 2)
    sentence = "a sampled softmax trains in one process, and there are 2; set n_negatives=0 for the full softmax"
    with pytest.raises(InvalidArgumentError, match=sentence):
        parallel.check_together(sampled=True)
    parallel.check_together(sampled=False)


def test_every_sequence_is_one_process(monkeypatch):
    monkeypatch.setattr(parallel, "n_processes", lambda: 3)
    index, parts = np.array([4, 2]), []
    for rank in range(3):
        monkeypatch.setattr(parallel, "rank", lambda rank=rank: rank)
        parts.append(parallel.own_part(index))
    assert [(part.tolist(), weight) for part, weight in parts] == [([4], 1), ([2], 1), ([4], 0)]
