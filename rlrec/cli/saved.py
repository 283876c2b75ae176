"""Finding what earlier verbs saved: a user may give the artifact's own folder or that of the run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rlrec.core.artifacts import MANIFEST, read_json
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


def find_recommender(path: Path, name: str | None = None) -> Path:
    """Return the folder of the model to recommend with.

    Of a run's models, the one called ``name``; by default the one that `rlrec fit` found best on validation, and the
    LSTM where no run says which.

    Raises
    ------
    ArtifactNotFoundError
        If there is no such model.
    """
    name = name or _best_of_run(path)
    if name is None:
        return find_model(path)
    folder = path / "models" / name
    if (folder / MANIFEST).is_file():
        return folder
    there = sorted(entry.parent.name for entry in (path / "models").glob(f"*/{MANIFEST}"))
    holds = f"holds the models {', '.join(there)}" if there else "holds no models"
    raise ArtifactNotFoundError(f"{str(path)!r} {holds}, and none is called {name!r}")


def _best_of_run(path: Path) -> str | None:
    """Return the name that ``summary.json`` gives as best; None where there is no such line."""
    summary = path / "summary.json"
    if not summary.is_file():
        return None
    found = read_json(summary).get("best")
    return found if isinstance(found, str) else None


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
