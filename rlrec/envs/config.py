"""Settings of the simulator and its environments. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rlrec.core.checks import check_at_least, check_between, check_choice, check_positive
from rlrec.core.errors import InvalidArgumentError

_EXACT_ITEMS = 5_000  # up to here the whole softmax costs at most half of a step (chosen here)
_SAMPLED_ITEMS = 1_000  # enough for an error of log Z below 0.001 where the model is trained (chosen here)


@dataclass(frozen=True, kw_only=True)
class SimulatorConfig:
    """How simulated people react to what they are shown, where the log cannot say."""

    kappa: float = 0.1
    """Pull of everything not shown, in (0, 1]: at 1 people only take what they would have picked anyway, near 0 they
    always take something. A log without exposures cannot identify it; policies are compared over a range."""
    organic_rate: float = 1.0
    """Probability of browsing on alone after a useless slate; 1 suits a log of positives, whose sessions went on
    without a recommender."""
    impatience: float = 0.05
    """Added to the logit of leaving for each useless slate in a row (declared: only exposures could fit it)."""
    max_streak: int = 10
    """Useless slates in a row beyond this many annoy no further."""
    satiation: float = 0.0
    """Nats by which one fresh behaviour makes its item (or its group) less wanted, beyond what the model learned;
    0 is off. `fit_satiation` fits it to a log's repeats."""
    satiation_decay: float = 0.9
    """Weight of a behaviour in that against the one after it, in (0, 1] (chosen here)."""
    horizon: int = 50
    """Steps after which a session is cut off; in a lifetime the user then goes, and may come back."""
    episode: Literal["session", "lifetime"] = "session"
    """An episode is one session, or a user's visits up to ``horizon_days``."""
    horizon_days: float = 30.0
    """Days after which a lifetime is truncated; the time between visits counts, that within them does not."""
    n_sampled_items: int | None = None
    """Items that stand for the catalogue in the normaliser of p and in browsing alone, so that a step costs the same
    for any catalogue; 0 uses every item, None every item up to 5,000 and else 1,000 (of an `LSTMModel`; others use
    every item). What the sample misses of log Z is learned; ``UserSimulator.normaliser_error`` is what is left."""
    event_rewards: tuple[float, ...] = ()
    """Reward of a reaction by event type, in the order of the log's ``event_names``; empty: each is worth 1."""

    def __post_init__(self) -> None:
        """Refuse values that describe nobody."""
        check_positive("kappa", self.kappa)
        check_between("kappa", self.kappa, 0.0, 1.0)
        check_between("organic_rate", self.organic_rate, 0.0, 1.0)
        check_at_least("impatience", self.impatience, 0.0)
        check_at_least("max_streak", self.max_streak, 0)
        check_at_least("satiation", self.satiation, 0.0)
        check_positive("satiation_decay", self.satiation_decay)
        check_between("satiation_decay", self.satiation_decay, 0.0, 1.0)
        check_at_least("horizon", self.horizon, 1)
        check_choice("episode", self.episode, ("session", "lifetime"))
        check_positive("horizon_days", self.horizon_days)
        if self.n_sampled_items:
            check_at_least("n_sampled_items", self.n_sampled_items, 2)

    def items_in_normaliser(self, n_items: int) -> int:
        """Return how many of ``n_items`` stand for the catalogue."""
        if self.n_sampled_items is None:
            return n_items if n_items <= _EXACT_ITEMS else _SAMPLED_ITEMS
        return min(self.n_sampled_items or n_items, n_items)

    def rewards_for(self, event_names: tuple[str, ...]) -> tuple[float, ...]:
        """Return one reward for each event type."""
        if not self.event_rewards:
            return (1.0,) * len(event_names)
        if len(self.event_rewards) != len(event_names):
            raise InvalidArgumentError(
                f"event_rewards must have one number for each of {', '.join(event_names)}, got {self.event_rewards}"
            )
        return self.event_rewards
