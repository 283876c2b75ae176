"""Checkpoints of a training: everything that the next epoch depends on, so that a kill costs one epoch at most.

Checked against an uninterrupted training, weight by weight (``tests/models/test_resume.py``). Safetensors and JSON.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rlrec.core.artifacts import MANIFEST, load_artifact, save_artifact

_KIND = "models/checkpoint"


@dataclass
class Progress:
    """Where a training stands after an epoch."""

    rng: np.random.Generator
    """Orders the batches."""
    epoch: int = 0
    """Epochs done."""
    history: list[float] = field(default_factory=list)
    """Validation loss after each epoch."""
    best: float = math.inf
    """Lowest validation loss so far."""
    best_epoch: int = 0
    """Epoch that had it."""
    best_weights: dict[str, Tensor] | None = None
    """Weights of that epoch."""


def fingerprint(*parts: Any) -> str:
    """Return a hash of plain values: a checkpoint is taken up only by the training that wrote it."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class TrainingCheckpoint:
    """A checkpoint in ``folder``, for the training that ``identity`` names."""

    folder: Path
    identity: str

    def save(self, network: nn.Module, optimizers: Sequence[torch.optim.Optimizer], progress: Progress) -> None:
        """Write the state after an epoch; a kill leaves the one before or this one."""
        tensors = {f"weights/{name}": tensor for name, tensor in network.state_dict().items()}
        tensors |= {f"best/{name}": tensor for name, tensor in (progress.best_weights or {}).items()}
        for number, optimizer in enumerate(optimizers):
            tensors |= optimizer_tensors(optimizer, f"optimizer/{number}/")
        tensors["torch_rng"] = torch.get_rng_state()
        content = {
            "identity": self.identity,
            "epoch": progress.epoch,
            "history": progress.history,
            "best": progress.best if math.isfinite(progress.best) else None,
            "best_epoch": progress.best_epoch,
            "rng": progress.rng.bit_generator.state,
        }
        arrays: dict[str, NDArray[Any]] = {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
        save_artifact(self.folder, kind=_KIND, config={}, content=content, arrays=arrays, catalog_sha256=None)

    def restore(self, network: nn.Module, optimizers: Sequence[torch.optim.Optimizer], progress: Progress) -> bool:
        """Take up where a killed training stopped; return False if this folder holds nothing of this training."""
        if not (self.folder / MANIFEST).is_file():
            return False
        artifact = load_artifact(self.folder, kind=_KIND)
        content = artifact.content
        if content["identity"] != self.identity:
            return False
        tensors = {name: torch.from_numpy(array.copy()) for name, array in artifact.arrays.items()}
        network.load_state_dict(under(tensors, "weights/"))
        for number, optimizer in enumerate(optimizers):
            restore_optimizer(optimizer, under(tensors, f"optimizer/{number}/"))
        torch.set_rng_state(tensors["torch_rng"])
        progress.rng.bit_generator.state = content["rng"]
        progress.epoch, progress.history = content["epoch"], content["history"]
        progress.best = math.inf if content["best"] is None else content["best"]
        progress.best_epoch = content["best_epoch"]
        progress.best_weights = under(tensors, "best/") or None
        return True

    def remove(self) -> None:
        """Take the checkpoint away: the training is done."""
        shutil.rmtree(self.folder, ignore_errors=True)


def under(tensors: dict[str, Tensor], start: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with ``start``, by the rest of the name."""
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def optimizer_tensors(optimizer: torch.optim.Optimizer, start: str) -> dict[str, Tensor]:
    """Return an optimizer's state as tensors named ``start`` + ``index/name``."""
    states = optimizer.state_dict()["state"].items()
    return {f"{start}{index}/{name}": value for index, state in states for name, value in state.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Load ``index/name`` tensors as the optimizer's state; its settings are the config's."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split("/")
        state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
