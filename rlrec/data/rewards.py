"""What a row of a log is worth: a weight for each kind of event, times its value where that is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rlrec.core.errors import ConfigError, InvalidArgumentError
from rlrec.data.log import InteractionLog


def _usual_weights() -> dict[str, float]:
    return {
        "impression": 0.0,
        "view": 0.1,
        "click": 1.0,
        "cart": 3.0,
        "purchase": 10.0,
        "return": -10.0,
        "like": 1.0,
        "hate": -1.0,
        "rating": 1.0,
    }


_SYNONYMS = {
    "clicks": "click",
    "carts": "cart",
    "addtocart": "cart",
    "add_to_cart": "cart",
    "orders": "purchase",
    "order": "purchase",
    "buy": "purchase",
    "transaction": "purchase",
    "refund": "return",
}


@dataclass(frozen=True, kw_only=True)
class EventRewards:
    """The worth of events. Weights are chosen here, as an example of an order of worth: give your own."""

    weights: Mapping[str, float] = field(default_factory=_usual_weights)
    """Reward of one event by its name; well-known other spellings count as these names."""
    other: float | None = None
    """Reward of events without a weight. None refuses them, so that no event is worth nothing by mistake."""
    times_value: tuple[str, ...] = ()
    """Events whose weight is multiplied by the row's value, such as ``("purchase",)`` where values are prices. The sign
    of the value counts as it stands; a missing value counts as ``missing_value``."""
    missing_value: float = 0.0
    """Stands in for a missing value in ``times_value``."""

    def __post_init__(self) -> None:
        """Refuse weights that are no finite numbers."""
        bad = {name: weight for name, weight in self.weights.items() if not np.isfinite(weight)}
        if bad:
            raise ConfigError(f"weights must be finite numbers, got {bad}")


def event_rewards(log: InteractionLog, rewards: EventRewards | None = None) -> NDArray[np.float64]:
    """Return the reward of each row, shape (n_events,), always finite.

    Raises
    ------
    InvalidArgumentError
        If an event has no weight and ``other`` is None, or values are asked for and the log has none.

    Examples
    --------
    >>> from rlrec.data.load import load_log
    >>> log = load_log("builtin:online_retail")
    >>> sorted(set(event_rewards(log).tolist()))
    [-10.0, 10.0]
    """
    rewards = EventRewards() if rewards is None else rewards
    weight = np.array([_weight(name, rewards) for name in log.event_names], np.float64)[log.event]
    if not rewards.times_value:
        return weight
    if log.value is None:
        raise InvalidArgumentError(f"times_value={rewards.times_value} needs a log with values; {log.name!r} has none")
    counted = np.array([name in rewards.times_value or _plain(name) in rewards.times_value for name in log.event_names])
    value = np.where(np.isfinite(log.value), log.value, rewards.missing_value)
    return np.where(counted[log.event], weight * value, weight)


def _weight(name: str, rewards: EventRewards) -> float:
    for spelling in (name, _plain(name)):
        if spelling in rewards.weights:
            return float(rewards.weights[spelling])
    if rewards.other is None:
        raise InvalidArgumentError(
            f"event {name!r} has no weight; there are weights for {', '.join(rewards.weights)}. Give it one, or set "
            "other= for all the rest"
        )
    return float(rewards.other)


def _plain(name: str) -> str:
    lowered = name.strip().lower()
    return _SYNONYMS.get(lowered, lowered)
