"""Settings of learning from a log alone. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rlrec.core.checks import check_at_least, check_between, check_positive


@dataclass(frozen=True, kw_only=True)
class OfflineConfig:
    """Behaviour cloning, and REINFORCE with the top-K off-policy correction (Chen et al. 2019)."""

    k: int = 1
    """Items shown at a time by the policy to be learned, K of the correction; 1 switches it off."""
    clip_ratio: float = 10.0
    """Largest importance ratio (chosen here; the paper clips at e^3, about 20)."""
    gamma: float = 0.5
    """Discount of a step (chosen here: what comes later is mostly noise in a log of some thousand sessions)."""
    n_epochs: int = 3
    """Passes over the log (chosen here)."""
    batch_size: int = 1_024
    """Steps in an update (chosen here)."""
    learning_rate: float = 1e-3
    """Adam's step size (chosen here)."""
    max_grad_norm: float = 5.0
    """Largest norm of a gradient."""
    alpha_init: float = 1.0
    """First sharpness of the user model in the policy; 1 starts as the model itself."""
    rank: int = 32
    """Size of the vectors whose dot product is the learned correction."""
    hidden_size: int = 64
    """Units of the hidden layers."""

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        for name in ("k", "n_epochs", "batch_size", "rank", "hidden_size"):
            check_at_least(name, getattr(self, name), 1)
        check_between("gamma", self.gamma, 0.0, 1.0)
        for name in ("clip_ratio", "learning_rate", "max_grad_norm", "alpha_init"):
            check_positive(name, getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class LoggedQConfig:
    """What `SQNConfig` and `CQLConfig` share: values of actions fitted to a log."""

    gamma: float = 0.5
    """Discount of a step (chosen here, as for `OfflineConfig`)."""
    n_epochs: int = 3
    """Passes over the log (chosen here)."""
    batch_size: int = 1_024
    """Steps in an update (chosen here)."""
    learning_rate: float = 1e-3
    """Adam's step size (chosen here)."""
    target_rate: float = 0.02
    """Share of the values that moves into their target at an update (chosen here)."""
    max_grad_norm: float = 5.0
    """Largest norm of a gradient."""
    temperature: float = 0.1
    """Reward units: a value higher by this multiplies the odds of an item by e (chosen here)."""
    rank: int = 32
    """Size of the vectors whose dot product is the learned correction."""
    hidden_size: int = 64
    """Units of the hidden layers."""

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        for name in ("n_epochs", "batch_size", "rank", "hidden_size"):
            check_at_least(name, getattr(self, name), 1)
        check_between("gamma", self.gamma, 0.0, 1.0)
        check_between("target_rate", self.target_rate, 0.0, 1.0)
        for name in ("learning_rate", "target_rate", "max_grad_norm", "temperature"):
            check_positive(name, getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class SQNConfig(LoggedQConfig):
    """Self-supervised Q-learning (Xin et al. 2020) and, with negatives, SNQN (Xin et al. 2022)."""

    algorithm: ClassVar[str] = "sqn"
    n_negatives: int = 0
    """Items drawn for each step that are taken to earn nothing and change nothing; 0 is SQN. For logs of positives,
    where every step earned something; a log that says what was shown in vain needs none."""
    q_weight: float = 1.0
    """Weight of the loss of the values beside the cross-entropy (the papers add them)."""
    alpha_init: float = 1.0
    """First sharpness of the user model in the cross-entropy head; 1 starts as the model itself."""

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        super().__post_init__()
        check_at_least("n_negatives", self.n_negatives, 0)
        for name in ("q_weight", "alpha_init"):
            check_positive(name, getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class CQLConfig(LoggedQConfig):
    """Conservative Q-learning (Kumar et al. 2020) for single items."""

    algorithm: ClassVar[str] = "cql"
    cql_alpha: float = 0.1
    """Weight of the penalty that keeps items which the log did not show from looking good (chosen here)."""

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        super().__post_init__()
        check_at_least("cql_alpha", self.cql_alpha, 0.0)
