"""Settings of learning from a log alone. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass

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
