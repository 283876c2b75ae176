"""How far to trust a simulator: every requirement beside what was measured, and a verdict in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rlrec.evaluation.calibration import HeadCalibration
from rlrec.evaluation.report_numbers import number_text, point

MAX_ECE = 0.02
"""Largest expected calibration error of a head."""
MAX_RATE_ERROR = 0.05
"""Largest relative error of a base rate."""
MAX_LENGTH_ERROR = 0.10
"""Largest relative error of the mean session length."""
MAX_RATIO = 1.25
"""Largest distance to held-out sessions, as a multiple of the training sessions' own, and of the ceiling: that of real
sessions of a neighbouring period. Where times change, the training sessions themselves miss the ceiling."""
_DISTANCES = {
    "session_length_wasserstein": "session lengths",
    "item_jsd": "item popularity",
    "transition_jsd": "which item follows which",
}


@dataclass(frozen=True)
class Requirement:
    """One thing that a simulator was asked to be, and whether it is."""

    what: str
    limit: str
    measured: float
    met: bool

    def __str__(self) -> str:
        """Print as ``met  what: measured, at most limit``."""
        return f"{'met   ' if self.met else 'MISSED'} {self.what}: {number_text(self.measured)}, {self.limit}"


def requirements(
    fidelity: Mapping[str, Mapping[str, Any]],
    heads: Mapping[str, HeadCalibration],
    nll: Mapping[str, float],
) -> list[Requirement]:
    """Return the requirements in the order of a reader's questions.

    Parameters
    ----------
    fidelity : mapping
        The table of `rlrec.evaluation.fidelity.Comparison.table` with a column ``simulated``.
    heads : mapping
        Of `rlrec.evaluation.calibration.head_calibration`.
    nll : mapping
        Held-out nats per next item of ``model``, ``markov`` and ``popularity``.
    """
    gain = nll["markov"] - nll["model"]
    found = [Requirement("nats per next item below a Markov chain", "at least 0", gain, gain > 0)]
    for name, head in heads.items():
        found.append(Requirement(f"calibration error of {name!r}", f"at most {MAX_ECE}", head.ece, head.ece <= MAX_ECE))
        error = abs(head.predicted / head.rate - 1) if head.rate else abs(head.predicted)
        limit = f"at most {MAX_RATE_ERROR}"
        found.append(Requirement(f"relative error of the rate of {name!r}", limit, error, error <= MAX_RATE_ERROR))
    row = fidelity["session_length_mean"]
    off = abs(row["simulated"] / row["real"] - 1)
    limit = f"at most {MAX_LENGTH_ERROR}"
    found.append(Requirement("relative error of the mean session length", limit, off, off <= MAX_LENGTH_ERROR))
    for name, words in _DISTANCES.items():
        found += _distance_requirements(fidelity[name], words)
    return found


def _distance_requirements(row: Mapping[str, Any], words: str) -> list[Requirement]:
    """Compare a distance with what the model could learn from, and with what real sessions reach."""
    simulated, past, near = (point(row.get(name)) for name in ("simulated", "train_vs_real", "real_vs_real"))
    found = []
    if simulated is not None and past:
        limit = f"at most {MAX_RATIO} times the training sessions' own distance"
        ratio = simulated / past
        found.append(Requirement(f"distance of {words}", limit, ratio, ratio <= MAX_RATIO))
    if simulated is not None and near:
        own = "" if past is None else f" (the training sessions': {number_text(past / near)} times)"
        limit = f"at most {MAX_RATIO} times the ceiling, the distance of real sessions of a neighbouring period{own}"
        ratio = simulated / near
        found.append(Requirement(f"distance of {words} against the ceiling", limit, ratio, ratio <= MAX_RATIO))
    return found


def verdict(found: list[Requirement]) -> str:
    """Say in plain words what the simulator may be used for."""
    missed = [requirement.what for requirement in found if not requirement.met]
    if not found[0].met:
        return (
            "Do not trust it: the model knows no more than a Markov chain about what comes next, so its people are no "
            "better than counts."
        )
    use = (
        "Trust it for ranking policies that stay near the log, confirmed in a simulator of a later period; do not "
        "trust absolute returns, nor policies that show what the log hardly holds."
    )
    if not missed:
        return f"All {len(found)} requirements are met. {use}"
    return f"{len(missed)} of {len(found)} requirements are missed ({'; '.join(missed)}). {use}"
