"""Model folders that somebody tampered with: one sentence, bounded memory, nothing run."""

from __future__ import annotations

import hashlib
import json
import pickle
import resource
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from rlrec.cli.app import main
from rlrec.core.artifacts import MANIFEST, load_artifact
from rlrec.core.errors import ArtifactError, RlrecError
from rlrec.models.lstm import LSTMModel
from tests.small import cycle_model

TERABYTES = 4 * 10**12


class Bomb:
    """Makes a file where it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


@pytest.fixture
def folder(tmp_path) -> Path:
    cycle_model().save(tmp_path / "model")
    return tmp_path / "model"


def weights(folder: Path) -> Path:
    return folder / json.loads((folder / MANIFEST).read_text())["weights"]


def replace_weights(folder: Path, blob: bytes) -> None:
    """Put other bytes in place of the weights, with the hash that belongs to them: the attacker can count, too."""
    weights(folder).write_bytes(blob)
    change(folder, weights_sha256=hashlib.sha256(blob).hexdigest())


def change(folder: Path, **values) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def claiming(n_bytes: int) -> bytes:
    """A safetensors file of some hundred bytes whose header claims much more."""
    header = {"network.item.weight": {"dtype": "F32", "shape": [n_bytes // 4], "data_offsets": [0, n_bytes]}}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"\0" * 64


def test_a_pickle_is_not_run(folder, tmp_path):
    blob = pickle.dumps(Bomb(tmp_path / "exploded"))
    replace_weights(folder, blob)
    with pytest.raises(ArtifactError, match="is not a safetensors file"):
        LSTMModel.load(folder)
    pickle.loads(blob)
    assert (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    "blob",
    [b"", b"\0" * 7, b"\xff" * 64, struct.pack("<Q", 2**63) + b"{}", claiming(TERABYTES)],
    ids=["empty", "short", "noise", "header of 2^63 bytes", "tensor of terabytes"],
)
def test_bytes_that_are_no_weights(folder, blob):
    replace_weights(folder, blob)
    with pytest.raises(ArtifactError, match="is not a safetensors file"):
        LSTMModel.load(folder)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_file(folder, share):
    blob = weights(folder).read_bytes()
    weights(folder).write_bytes(blob[: int(len(blob) * share)])
    with pytest.raises(ArtifactError, match="is damaged"):
        LSTMModel.load(folder)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(folder, value):
    arrays = {name: array.copy() for name, array in load(weights(folder).read_bytes()).items()}
    next(array for array in arrays.values() if array.dtype.kind == "f" and array.size).flat[0] = value
    replace_weights(folder, save(arrays))
    with pytest.raises(ArtifactError, match="not finite"):
        LSTMModel.load(folder)


def test_weights_of_other_shapes(folder):
    arrays = load(weights(folder).read_bytes())
    replace_weights(folder, save({name: np.zeros((3, *array.shape), array.dtype) for name, array in arrays.items()}))
    with pytest.raises(RlrecError):
        LSTMModel.load(folder)


def test_weights_under_other_names(folder):
    arrays = load(weights(folder).read_bytes())
    replace_weights(folder, save({f"x{name}": array for name, array in arrays.items()}))
    with pytest.raises(RlrecError):
        LSTMModel.load(folder)


@pytest.mark.parametrize("name", ["../model/w.safetensors", "/etc/passwd", "..", "a/../../w.safetensors", 7, None])
def test_a_path_that_climbs_out(folder, name):
    change(folder, weights=name)
    with pytest.raises(ArtifactError, match="outside its own folder"):
        load_artifact(folder)


@pytest.mark.parametrize("size", [10**12, -1, 0, "many", None, [1]])
def test_a_config_that_claims_an_absurd_network(folder, size):
    config = json.loads((folder / MANIFEST).read_text())["config"]
    change(folder, config=config | {"hidden_size": size})
    with pytest.raises(RlrecError):
        LSTMModel.load(folder)


def test_a_config_with_an_unknown_key(folder):
    config = json.loads((folder / MANIFEST).read_text())["config"]
    change(folder, config=config | {"on_load": "import os"})
    with pytest.raises(RlrecError, match="on_load"):
        LSTMModel.load(folder)


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"format": 1', "[" * 100_000, "\0"])
def test_a_manifest_that_is_none(folder, text):
    (folder / MANIFEST).write_text(text)
    with pytest.raises(ArtifactError):
        LSTMModel.load(folder)


def test_the_command_line_says_one_line(folder, capsys, tmp_path):
    replace_weights(folder, b"no weights")
    assert main(["evaluate", str(folder), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("rlrec: error: ")
    assert error.count("\n") == 1


def test_memory_stays_bounded(folder):
    """In a process that may have 3 GB and no more, claims of terabytes are refused, not tried."""
    replace_weights(folder, claiming(TERABYTES))
    program = "import sys; from rlrec.core.artifacts import load_artifact; load_artifact(sys.argv[1])"
    limit = 3 * 2**30
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert "is not a safetensors file" in done.stderr
    assert "MemoryError" not in done.stderr
