"""Reading back whichever sequence model an agent was trained with."""

from __future__ import annotations

from pathlib import Path

from rlrec.core.artifacts import load_artifact
from rlrec.core.errors import ArtifactError
from rlrec.models.base import SequenceModel
from rlrec.models.counting import MarkovModel, PopularityModel
from rlrec.models.lstm import LSTMModel
from rlrec.models.ngram import NGramModel

_OBSERVERS: tuple[type[SequenceModel], ...] = (LSTMModel, MarkovModel, NGramModel, PopularityModel)
_KINDS = {model.kind: model for model in _OBSERVERS}


def load_observer(folder: str | Path) -> SequenceModel:
    """Return the sequence model saved in ``folder``, of the class that its manifest names."""
    kind = load_artifact(folder).kind
    if kind not in _KINDS:
        raise ArtifactError(f"{str(folder)!r} holds a {kind!r}, expected one of {', '.join(map(repr, _KINDS))}")
    model: SequenceModel = _KINDS[kind].load(folder)
    return model
