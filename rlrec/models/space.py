"""What a model was fitted on: ids, event names, the catalogue's hash and how often each item occurred."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlrec.core.artifacts import Artifact
from rlrec.core.errors import ArtifactError, CatalogMismatchError
from rlrec.data.log import InteractionLog
from rlrec.data.vocabulary import Vocabulary


@dataclass(frozen=True)
class BehaviourSpace:
    """What a model was fitted on: ids, event names, the catalogue's hash and how often each item occurred."""

    items: Vocabulary
    """Item ids by index."""
    event_names: tuple[str, ...]
    """Event types by code."""
    catalog_sha256: str
    """Hash of the catalogue."""
    item_counts: NDArray[np.int64] = field(compare=False)
    """(I,) training rows of each item, for novelty and popularity."""
    usual_event: int = field(default=0, compare=False)
    """Most frequent event type: what a list of raw ids is taken for."""
    usual_gap: int = field(default=0, compare=False)
    """Most frequent bucket of the time between two behaviours, for the same."""

    @classmethod
    def of(cls, log: InteractionLog) -> BehaviourSpace:
        """Return the space of a training log."""
        sequences = log.sequences()
        later = np.ones(sequences.n_events, np.bool_)
        later[sequences.offsets[:-1]] = False
        return cls(
            log.catalog.vocabulary,
            log.event_names,
            log.catalog.sha256,
            log.item_counts,
            usual_event=int(np.bincount(log.event, minlength=1).argmax()),
            usual_gap=int(np.bincount(sequences.gap[later], minlength=1).argmax()),
        )

    def without_counts(self) -> BehaviourSpace:
        """Return the space without anything that was counted in a log: every item once, no usual event or gap."""
        return replace(self, item_counts=np.ones_like(self.item_counts), usual_event=0, usual_gap=0)

    def check_log(self, log: InteractionLog) -> None:
        """Raise `CatalogMismatchError` unless ``log`` has the catalogue that the model was fitted on."""
        if log.catalog.sha256 != self.catalog_sha256:
            raise CatalogMismatchError(
                f"the model was fitted on catalogue {self.catalog_sha256[:12]}, the log {log.name!r} has "
                f"{log.catalog.sha256[:12]}; fit the model again on this log, or load the log it was fitted on"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        ids = self.items.ids.tolist()
        if not all(isinstance(id_, int | str) for id_ in ids):
            raise ArtifactError("only integer and string item ids can be saved; convert the others to strings")
        return {
            "item_ids": ids,
            "event_names": list(self.event_names),
            "item_counts": self.item_counts.tolist(),
            "usual_event": self.usual_event,
            "usual_gap": self.usual_gap,
        }

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> BehaviourSpace:
        """Read back what `to_dict` gave."""
        content = artifact.content["space"]
        return cls(
            items=Vocabulary(content["item_ids"]),
            event_names=tuple(content["event_names"]),
            catalog_sha256=artifact.catalog_sha256 or "",
            item_counts=np.asarray(content["item_counts"], np.int64),
            usual_event=content.get("usual_event", 0),  # artifacts of before they were kept
            usual_gap=content.get("usual_gap", 0),
        )
