"""Every kind of model by the name in its artifact, so that a folder can be loaded without knowing what it holds."""

from __future__ import annotations

import importlib
from pathlib import Path

from rlrec.core.artifacts import load_artifact
from rlrec.core.errors import ArtifactError
from rlrec.models.recommender import Recommender

MODELS: dict[str, str] = {
    "models/content": "rlrec.models.content:ContentModel",
    "models/factorization": "rlrec.models.factorization:FactorizationModel",
    "models/hybrid": "rlrec.models.hybrid:HybridModel",
    "models/item_knn": "rlrec.models.knn:ItemKNNModel",
    "models/lstm": "rlrec.models.lstm:LSTMModel",
    "models/markov": "rlrec.models.counting:MarkovModel",
    "models/newcomers": "rlrec.models.newcomers:NewcomerModel",
    "models/ngram": "rlrec.models.ngram:NGramModel",
    "models/popularity": "rlrec.models.counting:PopularityModel",
    "models/user_knn": "rlrec.models.knn:UserKNNModel",
}
"""Kind to ``module:class``; strings, so that naming a kind imports nothing."""


def model_class(kind: str) -> type[Recommender]:
    """Return the class of a kind.

    Raises
    ------
    ArtifactError
        If no model has this kind.
    """
    if kind not in MODELS:
        raise ArtifactError(f"{kind!r} is no kind of model; the kinds are {', '.join(MODELS)}")
    module, name = MODELS[kind].split(":")
    found: type[Recommender] = getattr(importlib.import_module(module), name)
    return found


def load_model(folder: str | Path) -> Recommender:
    """Load whatever model a folder holds; nothing is unpickled.

    Raises
    ------
    ArtifactError
        If the folder holds no model, or a damaged one.
    """
    artifact = load_artifact(folder)
    if artifact.kind not in MODELS:
        raise ArtifactError(f"{str(folder)!r} holds a {artifact.kind!r}, expected a model: {', '.join(MODELS)}")
    return model_class(artifact.kind)._from_artifact(artifact)
