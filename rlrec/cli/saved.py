"""Finding what earlier verbs saved: a user may give the artifact's own folder or that of the run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rlrec.core.artifacts import MANIFEST
from rlrec.core.errors import ArtifactNotFoundError

if TYPE_CHECKING:
    from rlrec.core.protocols import Policy
    from rlrec.gan.sequence_gan import SequenceGAN
    from rlrec.models.base import SequenceModel

_MODEL_PLACES = ("models/lstm", "lstm")  # in the folders of fit and demo
_GAN_PLACES = ("gan",)  # in those of gan and demo
_POLICY_PLACES = ("policy", "ppo")  # in those of train and demo


def load_model(path: Path) -> SequenceModel:
    """Read a saved model: its folder, or the run folder of ``rlrec fit`` or ``rlrec demo``, whose LSTM is meant."""
    from rlrec.agents.observers import load_observer

    return load_observer(find_model(path))


def find_model(path: Path) -> Path:
    """Return the folder of a saved model of any kind; of a run's, the LSTM's."""
    return _find(path, _MODEL_PLACES, "saved model; give the folder that rlrec fit wrote")


def load_policy(path: Path, *, slate_size: int = 1, seed: int = 0) -> Policy:
    """Read a saved policy: its folder, or the run folder of ``rlrec train`` or ``rlrec demo``.

    A folder with a sequence model is the policy that shows what that model thinks comes next.
    """
    from rlrec.agents.baselines import GreedyPolicy
    from rlrec.agents.observers import load_observer
    from rlrec.agents.policies import AgentPolicy
    from rlrec.core.artifacts import load_artifact

    folder = _find(path, _POLICY_PLACES, "saved policy; give the folder that rlrec train wrote")
    if load_artifact(folder).kind.startswith("models/"):
        return GreedyPolicy(load_observer(folder), slate_size, seed=seed)
    return AgentPolicy.load(folder, seed=seed)


def load_gan(path: Path) -> SequenceGAN:
    """Read a saved GAN: its folder, or the run folder of ``rlrec gan`` or ``rlrec demo``."""
    from rlrec.gan.sequence_gan import SequenceGAN

    return SequenceGAN.load(_find(path, _GAN_PLACES, "saved GAN; give the folder that rlrec gan wrote"))


def _find(path: Path, places: tuple[str, ...], wanted: str) -> Path:
    for folder in (path, *(path / place for place in places)):
        if (folder / MANIFEST).is_file():
            return folder
    raise ArtifactNotFoundError(f"{str(path)!r} holds no {wanted}")
