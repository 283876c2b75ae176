"""What a private training spent: epsilon and delta for one person, by Opacus' accountant (extra ``privacy``).

The mechanism is the subsampled Gaussian: at every step each person is in with one probability, their clipped gradients
are summed, and noise of a multiple of the clip is added. Two logs are neighbours if one has one person more.
"""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from typing import Any

from rlrec.core.errors import InvalidArgumentError, MissingExtraError
from rlrec.models.config import PrivacyConfig

_ORDERS = [1 + x / 10 for x in range(1, 100)] + [*range(11, 64), *range(64, 1025, 64)]  # of the Renyi divergence
_FREE = ("item ids and features, event names, the number of users, every setting", "what is done with validation users")


@dataclass(frozen=True, kw_only=True)
class PrivacySpent:
    """What one person's presence in the training log can change, and what the bound leaves out."""

    epsilon: float | None
    """Whoever sees the weights learns at most this about one person (None: no noise, no bound)."""
    delta: float
    """But for this probability."""
    noise: float
    """Standard deviation of the noise, in clips."""
    clip: float
    """Largest norm of a person's gradient."""
    sample_rate: float
    """Probability of a person to be in a step."""
    steps: int
    """Steps taken."""
    is_secret: bool
    """Whether the noise came from the system's entropy; drawn from a known seed it can be taken off again."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for the manifest, with what is protected and what is not."""
        return asdict(self) | {"unit": "user", "neighbours": "one user more or less", "not_covered": list(_FREE)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PrivacySpent:
        """Read back what `to_dict` gave."""
        return cls(**{name: values[name] for name in cls.__dataclass_fields__})

    def __str__(self) -> str:
        if self.epsilon is None:
            return "no privacy: the noise is 0"
        drawn = "" if self.is_secret else " (void for who knows the seed: the noise was drawn from it)"
        return f"epsilon {self.epsilon:.2f} at delta {self.delta:g} for each user, after {self.steps:,} steps{drawn}"


def epsilon_of(config: PrivacyConfig, sample_rate: float, steps: int) -> float | None:
    """Return the epsilon of ``steps`` steps; None without noise.

    Raises
    ------
    MissingExtraError
        If ``opacus`` is not installed.
    """
    if not config.noise:
        return None
    try:
        from opacus.accountants import RDPAccountant
    except ImportError as error:
        raise MissingExtraError("opacus", "privacy", "the accountant of private training") from error
    accountant = RDPAccountant()
    accountant.history = [(config.noise, sample_rate, steps)]
    with warnings.catch_warnings():
        # It would like a better order at the ends of the list; every order gives a bound that holds.
        warnings.filterwarnings("ignore", message="Optimal order is the")
        return float(accountant.get_epsilon(config.delta, alphas=_ORDERS))


def noise_for(epsilon: float, *, sample_rate: float, steps: int, delta: float = 1e-5) -> float:
    """Return the smallest noise, to a hundredth, whose ``steps`` steps spend at most ``epsilon``.

    Examples
    --------
    >>> noise_for(3.0, sample_rate=0.02, steps=100) < noise_for(1.0, sample_rate=0.02, steps=100)
    True

    Raises
    ------
    InvalidArgumentError
        If no noise up to 100 is enough.
    """
    low, high = 0, 10_000  # hundredths
    while high - low > 1:
        middle = (low + high) // 2
        spent = epsilon_of(PrivacyConfig(noise=middle / 100, delta=delta), sample_rate, steps)
        low, high = (low, middle) if spent is not None and spent <= epsilon else (middle, high)
    if high == 10_000:
        raise InvalidArgumentError(f"no noise up to 100 gives epsilon={epsilon:g} after {steps} steps; allow more")
    return high / 100
