"""Settings of the agents. Free of torch, so the command line can print them without loading it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from rlrec.agents.continuous_config import DDPGConfig, SACConfig, TD3Config
from rlrec.core.checks import check_at_least, check_between, check_choice, check_positive


def _check_share(name: str, value: float) -> None:
    check_positive(name, value)
    check_between(name, value, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class PPOConfig:
    """Proximal policy optimisation (Schulman et al. 2017) of a policy that starts as the user model.

    Defaults are those that held best in a simulator fitted on the test period (eshop2008, 2,000 users, 2 seeds); longer
    or steeper training gains at home and loses there, which is what exploiting a simulator looks like.
    """

    algorithm: ClassVar[str] = "ppo"
    total_steps: int = 200_000
    """Environment steps to train for, summed over the parallel users."""
    n_steps: int = 32
    """Steps of each parallel user between two updates (chosen here)."""
    batch_size: int = 512
    """Steps in a minibatch (chosen here)."""
    n_epochs: int = 4
    """Passes over the collected steps in an update (chosen here; PPO's paper uses 3 to 15)."""
    gamma: float = 0.99
    """Discount of a step. The return that is judged is undiscounted; sessions end by themselves, so 1 is well defined,
    and slightly less gives advantages with less noise (chosen here)."""
    gae_lambda: float = 0.95
    """Decay of generalised advantage estimation (PPO's paper)."""
    learning_rate: float = 1e-3
    """Adam's step size at the start; it falls linearly to 0 (chosen here)."""
    clip_range: float = 0.2
    """The probability ratio is clipped to 1 -+ this (PPO's paper)."""
    ent_coef: float = 0.0
    """Weight of the entropy bonus at the start; it falls linearly. The user model already spreads the choice, so
    none is needed where there is one (chosen here)."""
    ent_fraction: float = 1.0
    """Share of the training over which the entropy bonus falls to 0. Below 1 the rest settles on the best, while the
    learning rate still can (*Leave* with 100 items and more: 0.8, with larger steps); few steps want them all (1)."""
    vf_coef: float = 0.1
    """Weight of the value loss; returns are of the order of 10, so their squares are large (chosen here)."""
    max_grad_norm: float = 5.0
    """Largest norm of a gradient, critic included."""
    target_kl: float = 0.0
    """An update stops where the policy moved further than 1.5 times this (nats); 0 never stops it."""
    alpha_init: float = 4.0
    """First sharpness of the user model in the policy: logits = alpha * log p(item | interest) + correction. At 2 the
    policy that trains earns three tenths less than its best action and improves what nobody will use, at 8 it tries
    little (chosen by an n-gram simulator of the validation period, eshop2008 and online_retail)."""
    rank: int = 32
    """Size of the vectors whose dot product is the learned correction."""
    hidden_size: int = 64
    """Units of the hidden layers of actor and critic."""

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        for name in ("total_steps", "n_steps", "batch_size", "n_epochs", "rank", "hidden_size"):
            check_at_least(name, getattr(self, name), 1)
        for name in ("gamma", "gae_lambda"):
            check_between(name, getattr(self, name), 0.0, 1.0)
        for name in ("learning_rate", "clip_range", "max_grad_norm", "alpha_init"):
            check_positive(name, getattr(self, name))
        for name in ("ent_coef", "vf_coef", "target_kl"):
            check_at_least(name, getattr(self, name), 0.0)
        _check_share("ent_fraction", self.ent_fraction)


@dataclass(frozen=True, kw_only=True)
class A2CConfig:
    """Advantage actor-critic (Mnih et al. 2016), synchronous: one update for each batch, nothing clipped."""

    algorithm: ClassVar[str] = "a2c"
    total_steps: int = 200_000
    """Environment steps to train for, summed over the parallel users."""
    n_steps: int = 8
    """Steps of each parallel user between two updates (chosen here; the paper's 5 is for 16 users)."""
    gamma: float = 0.99
    """Discount of a step."""
    gae_lambda: float = 0.95
    """Decay of generalised advantage estimation; 1 is the paper's n-step return."""
    learning_rate: float = 1e-3
    """Adam's step size at the start; it falls linearly to 0 (chosen here)."""
    ent_coef: float = 0.0
    """Weight of the entropy bonus at the start; it falls linearly."""
    ent_fraction: float = 1.0
    """Share of the training over which the entropy bonus falls to 0; see `PPOConfig`."""
    vf_coef: float = 0.1
    """Weight of the value loss."""
    max_grad_norm: float = 5.0
    """Largest norm of a gradient, critic included."""
    normalize_advantage: bool = True
    """Give the advantages of an update mean 0 and standard deviation 1."""
    alpha_init: float = 2.0
    """First sharpness of the user model in the policy."""
    rank: int = 32
    """Size of the vectors whose dot product is the learned correction."""
    hidden_size: int = 64
    """Units of the hidden layers of actor and critic."""

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        for name in ("total_steps", "n_steps", "rank", "hidden_size"):
            check_at_least(name, getattr(self, name), 1)
        for name in ("gamma", "gae_lambda"):
            check_between(name, getattr(self, name), 0.0, 1.0)
        for name in ("learning_rate", "max_grad_norm", "alpha_init"):
            check_positive(name, getattr(self, name))
        for name in ("ent_coef", "vf_coef"):
            check_at_least(name, getattr(self, name), 0.0)
        _check_share("ent_fraction", self.ent_fraction)


@dataclass(frozen=True, kw_only=True)
class DQNConfig:
    """Deep Q-learning (Mnih et al. 2015) for single items; off-policy, so each step is used several times."""

    algorithm: ClassVar[str] = "dqn"
    total_steps: int = 200_000
    """Environment steps to train for, summed over the parallel users."""
    buffer_size: int = 100_000
    """Steps remembered; two interest vectors each."""
    learning_starts: int = 4_096
    """Steps before the first update (chosen here)."""
    batch_size: int = 512
    """Steps in an update (chosen here)."""
    gradient_steps: int = 4
    """Updates after each step of all parallel users (chosen here)."""
    target_update_interval: int = 4_096
    """Steps between two copies of the values to their target (chosen here)."""
    gamma: float = 0.99
    """Discount of a step."""
    learning_rate: float = 1e-3
    """Adam's step size at the start; it falls linearly to 0 (chosen here)."""
    loss: Literal["squared", "huber"] = "squared"
    """Of values against their targets. Huber's is SB3's, and wrong where returns come in two heaps, as when some people
    leave: it draws values from the mean towards the median (Leave, 10 items: 71 % of the optimum)."""
    double: bool = True
    """Let the network choose what comes next and its target price it (van Hasselt et al. 2016), against optimism."""
    exploration_fraction: float = 0.3
    """Share of the training over which the share of random items falls from 1 to its final value."""
    exploration_final: float = 0.05
    """Share of random items after that."""
    max_grad_norm: float = 10.0
    """Largest norm of a gradient."""
    temperature: float = 0.05
    """Of the softmax of values from which the trained policy draws, reward units (chosen here)."""
    rank: int = 32
    """Size of the vectors whose dot product is the learned correction."""
    hidden_size: int = 64
    """Units of the hidden layers."""

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        whole = ("total_steps", "buffer_size", "batch_size", "gradient_steps", "target_update_interval")
        for name in (*whole, "rank", "hidden_size"):
            check_at_least(name, getattr(self, name), 1)
        check_at_least("learning_starts", self.learning_starts, 0)
        check_choice("loss", self.loss, ("squared", "huber"))
        for name in ("gamma", "exploration_fraction", "exploration_final"):
            check_between(name, getattr(self, name), 0.0, 1.0)
        for name in ("learning_rate", "max_grad_norm", "temperature"):
            check_positive(name, getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class MaskablePPOConfig(PPOConfig):
    """PPO of sb3-contrib (extra ``contrib``), which asks the environment for ``action_masks()`` at every step.

    Masks are kept as bits and need not be part of what the agent sees. Fields as for `PPOConfig`.
    """

    algorithm: ClassVar[str] = "maskable_ppo"


@dataclass(frozen=True, kw_only=True)
class QRDQNConfig(DQNConfig):
    """Deep Q-learning of the quantiles of the return (Dabney et al. 2018), by sb3-contrib (extra ``contrib``)."""

    algorithm: ClassVar[str] = "qrdqn"
    n_quantiles: int = 25
    """Quantiles of each item's return (chosen here; the paper's 200 costs 8 times the products over the catalogue)."""

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        super().__post_init__()
        check_at_least("n_quantiles", self.n_quantiles, 1)


@dataclass(frozen=True, kw_only=True)
class SlateQConfig(DQNConfig):
    """SlateQ (Ie et al. 2019): values of items for slates, by the model of what people take. Fields as for `DQNConfig`.

    ``double`` is not looked at: the best slate is found from the target's values alone.
    """

    algorithm: ClassVar[str] = "slate_q"
    kappa: float = 0.1
    """Pull of what is not shown; training sets it to the environment's."""

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        super().__post_init__()
        check_positive("kappa", self.kappa)


AgentConfig = PPOConfig | A2CConfig | DQNConfig | TD3Config | DDPGConfig | SACConfig
"""Whatever `rlrec.agents.training.train_agent` can train with; those of sb3-contrib are kinds of PPO and DQN."""
