"""The algorithm objects of stable-baselines3 and sb3-contrib that train a network of ours, by config."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from gymnasium.vector import VectorEnv
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.base_class import BaseAlgorithm

from rlrec.agents.actor_critic import ActorCritic
from rlrec.agents.config import (
    A2CConfig,
    AgentConfig,
    DQNConfig,
    MaskablePPOConfig,
    PPOConfig,
    QRDQNConfig,
)
from rlrec.agents.continuous_config import ContinuousConfig
from rlrec.agents.proto_networks import ProtoNetwork
from rlrec.agents.q_networks import QNetwork
from rlrec.agents.sb3 import SB3VecEnv
from rlrec.agents.sb3_continuous import continuous_algorithm
from rlrec.agents.sb3_policy import SlatePolicy
from rlrec.agents.sb3_q_policy import MaskedDQN, ValuePolicy
from rlrec.core.errors import MissingExtraError


def algorithm_for(network: ActorCritic, env: SB3VecEnv, config: AgentConfig, seed: int) -> BaseAlgorithm:
    """Return the algorithm that a config names, ready to learn; it trains ``network`` in place.

    Raises
    ------
    MissingExtraError
        If it is sb3-contrib's, and that is not installed.
    """
    if isinstance(config, DQNConfig):
        assert isinstance(network, QNetwork)
        return _value_based(network, env, config, seed)
    if isinstance(config, ContinuousConfig):
        assert isinstance(network, ProtoNetwork)
        return continuous_algorithm(network, env, config, seed)
    return _actor_critic(network, env, config, seed)


def learn_options(config: AgentConfig, env: VectorEnv[Any, Any, Any]) -> dict[str, Any]:
    """Return what ``learn`` must be told: whether the environment has masks to ask for."""
    return {"use_masking": hasattr(env, "action_masks")} if isinstance(config, MaskablePPOConfig) else {}


def _actor_critic(network: ActorCritic, env: SB3VecEnv, config: PPOConfig | A2CConfig, seed: int) -> BaseAlgorithm:
    shared: dict[str, Any] = {
        "learning_rate": _falling(config.learning_rate),
        "n_steps": config.n_steps,
        "gamma": config.gamma,
        "gae_lambda": config.gae_lambda,
        "ent_coef": config.ent_coef,
        "vf_coef": config.vf_coef,
        "max_grad_norm": config.max_grad_norm,
        "policy_kwargs": {"actor_critic": network, "uses_entropy": config.ent_coef > 0},
        "seed": seed,
        "device": "cpu",
    }
    if isinstance(config, A2CConfig):
        return A2C(SlatePolicy, env, use_rms_prop=False, normalize_advantage=config.normalize_advantage, **shared)
    shared |= {
        "batch_size": min(config.batch_size, config.n_steps * env.num_envs),
        "n_epochs": config.n_epochs,
        "clip_range": config.clip_range,
        "target_kl": config.target_kl or None,
    }
    if isinstance(config, MaskablePPOConfig):
        return _contrib("MaskablePPO").maskable_ppo(env, **shared)  # type: ignore[no-any-return]
    return PPO(SlatePolicy, env, **shared)


def _value_based(network: QNetwork, env: SB3VecEnv, config: DQNConfig, seed: int) -> BaseAlgorithm:
    shared: dict[str, Any] = {
        "learning_rate": _falling(config.learning_rate),
        "buffer_size": max(config.buffer_size, env.num_envs),
        "learning_starts": config.learning_starts,
        "batch_size": config.batch_size,
        "gamma": config.gamma,
        "train_freq": 1,
        "gradient_steps": config.gradient_steps,
        "target_update_interval": config.target_update_interval,
        "exploration_fraction": config.exploration_fraction,
        "exploration_final_eps": config.exploration_final,
        "max_grad_norm": config.max_grad_norm,
        "policy_kwargs": {"q_network": network},
        "seed": seed,
        "device": "cpu",
    }
    if isinstance(config, QRDQNConfig):
        shared["policy_kwargs"]["n_quantiles"] = config.n_quantiles
        return _contrib("QR-DQN").MaskedQRDQN(_contrib("QR-DQN").QuantilePolicy, env, **shared)  # type: ignore[no-any-return]
    return MaskedDQN(ValuePolicy, env, loss=config.loss, double=config.double, **shared)


def _contrib(purpose: str) -> Any:
    """Return our classes on top of sb3-contrib's."""
    try:
        return import_module("rlrec.agents.contrib")
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "sb3_contrib":
            raise
        raise MissingExtraError("sb3-contrib", "contrib", purpose) from error


def _falling(learning_rate: float) -> Any:
    return lambda remaining: learning_rate * remaining
