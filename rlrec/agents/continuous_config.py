"""Settings of the agents that answer with points in item space. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rlrec.core.checks import check_at_least, check_between, check_positive


@dataclass(frozen=True, kw_only=True)
class ContinuousConfig:
    """What `TD3Config`, `DDPGConfig` and `SACConfig` share: agents that answer with a point, to be resolved to items.

    They train on environments with ``nearest=NearestItems...`` and see the interest vector alone.
    """

    algorithm: ClassVar[str] = "continuous"
    total_steps: int = 200_000
    """Environment steps to train for, summed over the parallel users."""
    buffer_size: int = 100_000
    """Steps remembered; two interest vectors and an item's vector each."""
    learning_starts: int = 4_096
    """Steps with random items before the first update (chosen here)."""
    batch_size: int = 512
    """Steps in an update (chosen here)."""
    gradient_steps: int = 4
    """Updates after each step of all parallel users (chosen here)."""
    target_rate: float = 0.005
    """Share of the networks that moves into their targets at an update (TD3's paper)."""
    gamma: float = 0.99
    """Discount of a step."""
    learning_rate: float = 1e-3
    """Adam's step size at the start; it falls linearly to 0 (chosen here)."""
    n_nearest: int = 10
    """Items near the point among which the critic picks (Wolpertinger); 1 takes the nearest."""
    temperature: float = 0.05
    """Of the softmax of values from which the trained policy draws, reward units (chosen here)."""
    hidden_size: int = 64
    """Units of the hidden layers of actor and critics."""

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        for name in ("total_steps", "buffer_size", "batch_size", "gradient_steps", "n_nearest", "hidden_size"):
            check_at_least(name, getattr(self, name), 1)
        check_at_least("learning_starts", self.learning_starts, 0)
        for name in ("gamma", "target_rate"):
            check_between(name, getattr(self, name), 0.0, 1.0)
        for name in ("learning_rate", "target_rate", "temperature"):
            check_positive(name, getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class TD3Config(ContinuousConfig):
    """Twin delayed deterministic policy gradient (Fujimoto et al. 2018)."""

    algorithm: ClassVar[str] = "td3"
    noise: float = 0.1
    """Standard deviation of what is added to each coordinate of a point, in exploring and in targets (chosen here)."""

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        super().__post_init__()
        check_at_least("noise", self.noise, 0.0)


@dataclass(frozen=True, kw_only=True)
class DDPGConfig(ContinuousConfig):
    """Deep deterministic policy gradient (Lillicrap et al. 2016): TD3's forebear, one critic and no delay."""

    algorithm: ClassVar[str] = "ddpg"
    noise: float = 0.1
    """Standard deviation of what is added to each coordinate of a point in exploring (chosen here)."""

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        super().__post_init__()
        check_at_least("noise", self.noise, 0.0)


@dataclass(frozen=True, kw_only=True)
class SACConfig(ContinuousConfig):
    """Soft actor-critic (Haarnoja et al. 2018), its temperature of entropy tuned by SB3."""

    algorithm: ClassVar[str] = "sac"
