"""An estimate never travels without its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from rlrec.core.errors import InvalidArgumentError


@dataclass(frozen=True, kw_only=True)
class Support:
    """How well a log covers the policy that is judged: the evidence behind `Estimate.reliable`."""

    effective_sample_size: float
    """Kish's effective number of independent units."""
    mean_weight: float
    """Mean importance weight; 1 where the propensities are right and the logger covers the target."""
    max_weight: float
    """Largest importance weight of a unit."""
    unsupported_mass: float
    """Share of the target's probability on actions the logger never shows, in [0, 1]."""
    pareto_k: float | None = None
    """Tail index of the weights; above 0.7 their mean cannot be trusted. None below 25 units or without a tail."""
    robust_low: float | None = None
    """Lower Cressie-Read bound, where the gate is closed."""
    robust_high: float | None = None
    """Upper Cressie-Read bound, where the gate is closed."""

    def to_dict(self) -> dict[str, float | None]:
        """Return the plain values, for ``summary.json``."""
        return {
            "effective_sample_size": self.effective_sample_size,
            "mean_weight": self.mean_weight,
            "max_weight": self.max_weight,
            "unsupported_mass": self.unsupported_mass,
            "pareto_k": self.pareto_k,
            "robust_low": self.robust_low,
            "robust_high": self.robust_high,
        }


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with the interval that says how far to trust it.

    Examples
    --------
    >>> print(Estimate(value=1.25, low=1.1, high=1.4, n=200, effective_sample_size=200.0))
    1.25 [1.1, 1.4]
    """

    value: float
    """Point estimate, in the unit of what is estimated."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    n: int
    """Independent units (users, episodes, clusters) that it rests on."""
    effective_sample_size: float
    """Kish's effective sample size; equals ``n`` where nothing is weighted."""
    reliable: bool = True
    """False below the support gate, where no ordinary interval covers."""
    level: float = 0.95
    """Nominal coverage of the interval."""
    notes: tuple[str, ...] = ()
    """Why it is unreliable, in plain words."""
    support: Support | None = None
    """How well the log covers the target; None where nothing is weighted."""

    def __post_init__(self) -> None:
        """Refuse an estimate without a proper interval."""
        if not all(math.isfinite(x) for x in (self.value, self.low, self.high)):
            raise InvalidArgumentError(f"an estimate must be finite, got {self.value} [{self.low}, {self.high}]")
        if not self.low <= self.high:
            raise InvalidArgumentError(f"low must not exceed high, got [{self.low}, {self.high}]")

    def to_dict(self) -> dict[str, Any]:
        """Return the plain values that ``summary.json`` holds: value, low, high, n and, where weighted, the support."""
        values: dict[str, Any] = {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "n": self.n,
            "effective_sample_size": self.effective_sample_size,
            "reliable": self.reliable,
            "level": self.level,
            "notes": list(self.notes),
        }
        return values if self.support is None else values | {"support": self.support.to_dict()}

    def __str__(self) -> str:
        """Print as ``value [low, high]``, with a mark if it is unreliable."""
        text = f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"
        return text if self.reliable else f"{text} (unreliable)"
