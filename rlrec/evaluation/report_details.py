"""What a report shows and ``summary.json`` does not hold: curves, samples and journeys."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlrec.core.artifacts import read_json, write_json
from rlrec.core.errors import DataError

DETAILS_FILE = "details.json"

Samples = Sequence[float] | NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class ReportDetails:
    """Curves, samples and journeys behind a report; any part may be missing, and its section is then left out.

    Examples
    --------
    >>> details = ReportDetails(valid_nll=(4.1, 3.9), ppo_curve=((2_048, 5.5), (4_096, 6.0)))
    >>> ReportDetails.from_dict(details.to_dict()).to_dict() == details.to_dict()
    True
    """

    valid_nll: Sequence[float] | None = None
    """Nats per next item on the validation part, after each epoch of the LSTM."""
    ppo_curve: Sequence[tuple[int, float]] | None = None
    """(environment steps so far, mean return of the episodes that ended) while PPO trained."""
    session_lengths: Mapping[str, Samples] | None = None
    """Behaviours in each session of a sample, under ``"real"``, ``"simulated"`` (freely) and ``"synthetic"``."""
    item_popularity: Mapping[str, Samples] | None = None
    """(I,) counts or shares by item index, under the same three names; every array in the same item order."""
    journeys: Sequence[Sequence[str]] = ()
    """Simulated users: what happened to each, one short line a step, items in words."""
    interest_map: Mapping[str, Any] | None = None
    """Places of people and of popular items on a plane (``InterestMap.to_dict``)."""
    kappa_sweep: Mapping[str, Sequence[Mapping[str, float]]] | None = None
    """Policy name -> points ``{"kappa", "value", "low", "high"}``: its return over a range of kappa."""
    licence: str | None = None
    """Licence notice of the data, as it must be shown."""
    notes: Sequence[str] = field(default=())
    """Further sentences for the last section."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; missing parts are left out."""
        values = {part.name: _plain(getattr(self, part.name)) for part in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if value is not None and value != []}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ReportDetails:
        """Build from what `to_dict` returned; an unknown part is a `DataError`."""
        known = {part.name for part in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise DataError(f"report details hold unknown parts {unknown}; known are {sorted(known)}")
        return cls(**values)

    def save(self, folder: str | Path) -> None:
        """Write ``details.json`` into a run folder."""
        write_json(Path(folder) / DETAILS_FILE, self.to_dict())

    @classmethod
    def load(cls, folder: str | Path) -> ReportDetails:
        """Read ``details.json`` of a run folder; a folder without one has no details."""
        path = Path(folder) / DETAILS_FILE
        if not path.exists():
            return cls()
        values = read_json(path)
        if not isinstance(values, dict):
            raise DataError(f"{str(path)!r} must hold a JSON object, got {type(values).__name__}")
        return cls.from_dict(values)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
