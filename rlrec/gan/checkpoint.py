"""Where an adversarial training stands, in memory and on disk: a killed run goes on instead of starting again."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rlrec.core.artifacts import MANIFEST, load_artifact, save_artifact
from rlrec.core.config import config_to_dict
from rlrec.core.errors import ArtifactError
from rlrec.gan.collapse import Breadth
from rlrec.models.calibration import Calibration
from rlrec.models.checkpoint import optimizer_tensors, restore_optimizer, under

if TYPE_CHECKING:
    from rlrec.gan.arms import Arm
    from rlrec.gan.training import AdversarialTraining

KIND = "gan/checkpoint"
_NAME = "gan-checkpoint"


@dataclass
class Progress:
    """The plain numbers of a run; weights and optimisers are with their owners."""

    round: int = 0
    """Last round finished."""
    init_auc: float | None = None
    """What the detector said of the start."""
    baseline: float = 0.0
    """Moving mean of the discriminator's reward."""
    n_baseline: int = 0
    """Batches in it."""
    first_breadth: Breadth | None = None
    """Of the first round's sample."""
    collapsed: str | None = None
    """Why the alarm rang."""


def save_progress(training: AdversarialTraining, folder: Path) -> None:
    """Write everything that the next round needs under ``folder``."""
    tensors: dict[str, Tensor] = {}
    for name, arm in _arms(training).items():
        tensors |= {f"{name}/weights/{key}": value for key, value in arm.model.network.state_dict().items()}
        tensors |= {f"{name}/best/{key}": value for key, value in arm.best_weights.items()}
        tensors |= optimizer_tensors(arm.optimizer, f"{name}/optimizer/")
    tensors |= {f"judge/weights/{key}": value for key, value in training.discriminator.state_dict().items()}
    tensors |= optimizer_tensors(training.judge_optimizer, "judge/optimizer/")
    best = {name: [arm.best_auc, arm.best_round] for name, arm in _arms(training).items()}
    calibration = {
        name: [arm.model.calibration.to_dict(), arm.best_calibration.to_dict()] for name, arm in _arms(training).items()
    }
    save_artifact(
        folder / _NAME,
        kind=KIND,
        config=config_to_dict(training.config),
        content={
            "progress": asdict(training.at),
            "best": best,
            "calibration": calibration,
            "identity": training.identity,
        },
        arrays={name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()},
        catalog_sha256=training.generator.model.space.catalog_sha256,
    )


def load_progress(training: AdversarialTraining, folder: Path) -> None:
    """Go on from the checkpoint under ``folder`` if there is one.

    Raises
    ------
    ArtifactError
        If it belongs to a run with other settings, another seed or other data.
    """
    folder = folder / _NAME
    if not (folder / MANIFEST).is_file():
        return
    artifact = load_artifact(folder, kind=KIND)
    if artifact.config != config_to_dict(training.config) or artifact.content["identity"] != training.identity:
        raise ArtifactError(
            f"{str(folder)!r} is the checkpoint of a run with other settings, data or seed; "
            "remove it to start again, or use another folder"
        )
    tensors = {name: torch.from_numpy(array.copy()) for name, array in artifact.arrays.items()}
    for name, arm in _arms(training).items():
        arm.model.network.load_state_dict(under(tensors, f"{name}/weights/"))
        arm.best_weights = under(tensors, f"{name}/best/")
        arm.best_auc, arm.best_round = artifact.content["best"][name]
        arm.model.calibration, arm.best_calibration = map(Calibration.from_dict, artifact.content["calibration"][name])
        restore_optimizer(arm.optimizer, under(tensors, f"{name}/optimizer/"))
    training.discriminator.load_state_dict(under(tensors, "judge/weights/"))
    restore_optimizer(training.judge_optimizer, under(tensors, "judge/optimizer/"))
    plain = dict(artifact.content["progress"])
    breadth = plain.pop("first_breadth")
    training.at = Progress(first_breadth=None if breadth is None else Breadth(*breadth), **plain)


def remove_progress(folder: Path) -> None:
    """Remove the checkpoint of a run that is over."""
    shutil.rmtree(folder / _NAME, ignore_errors=True)


def _arms(training: AdversarialTraining) -> dict[str, Arm]:
    return {"adversarial": training.generator, "control": training.control}
