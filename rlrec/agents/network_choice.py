"""Which network fits an environment's observations and actions, and which config can train on it at all."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces
from gymnasium.vector import VectorEnv

from rlrec.agents.actor_critic import ActorCritic, CandidateActorCritic, PlainActorCritic
from rlrec.agents.config import AgentConfig, DQNConfig, QRDQNConfig
from rlrec.agents.continuous_config import ContinuousConfig
from rlrec.agents.policies import build_network
from rlrec.agents.proto_networks import ProtoNetwork
from rlrec.agents.q_networks import PlainQNetwork, PlainQuantileNetwork
from rlrec.core.errors import InvalidArgumentError


def check_actions(env: VectorEnv[Any, Any, Any], config: AgentConfig) -> int:
    """Return the number of items that actions stand for, if the algorithm can choose among them.

    Raises
    ------
    InvalidArgumentError
        If it cannot.
    """
    space, name = env.single_action_space, config.algorithm.upper()
    if isinstance(config, ContinuousConfig):
        if not isinstance(space, spaces.Box) or not isinstance(env.single_observation_space, spaces.Box):
            raise InvalidArgumentError(
                f"{name} answers interest vectors with vectors in item space; make the environment with "
                f"nearest=NearestItems.of(model) and the observation 'interest' alone, got the action space {space}"
            )
        return int(_nearest(env).n_items)
    if isinstance(space, spaces.MultiDiscrete):
        if isinstance(config, DQNConfig):
            raise InvalidArgumentError(f"{name} shows one item at a time; for slates train with PPOConfig or A2CConfig")
    elif not isinstance(space, spaces.Discrete):
        raise InvalidArgumentError(f"actions must be items or slates of items, got the space {space}")
    if not isinstance(config, DQNConfig) and config.n_steps * env.num_envs < 2:
        raise InvalidArgumentError("n_steps * num_envs must be at least 2, because advantages are normalised")
    return _n_actions(space)


def network_for(env: VectorEnv[Any, Any, Any], config: AgentConfig) -> ActorCritic:
    """Return the untrained network that fits an environment's observations and actions."""
    observer, staged = getattr(env, "observer", None), getattr(env, "retriever", None) is not None
    slate_size = getattr(env, "slate_size", 1)
    if observer is not None and not staged:
        vectors = _nearest(env).vectors if isinstance(config, ContinuousConfig) else None
        return build_network(observer, config, vectors=vectors, slate_size=slate_size)
    if observer is not None:
        return _for_candidates(observer.interest_size, env.single_observation_space, config)
    shape = env.single_observation_space.shape
    if shape is None or len(shape) != 1:
        raise InvalidArgumentError(f"observations must have one axis, got the space {env.single_observation_space}")
    return _plain(shape[0], env, config, slate_size)


def _plain(size: int, env: VectorEnv[Any, Any, Any], config: AgentConfig, slate_size: int) -> ActorCritic:
    hidden = {"hidden_size": config.hidden_size}
    if isinstance(config, ContinuousConfig):
        settings = {"n_nearest": config.n_nearest, "temperature": config.temperature, "slate_size": slate_size}
        return ProtoNetwork(None, _nearest(env).vectors, size, **hidden, **settings)  # type: ignore[arg-type]
    n_actions = _n_actions(env.single_action_space)
    if isinstance(config, QRDQNConfig):
        quantiles = {"n_quantiles": config.n_quantiles, "temperature": config.temperature}
        return PlainQuantileNetwork(size, n_actions, **hidden, **quantiles)  # type: ignore[arg-type]
    if isinstance(config, DQNConfig):
        return PlainQNetwork(size, n_actions, temperature=config.temperature, **hidden)
    return PlainActorCritic(size, n_actions, config.hidden_size)


def _for_candidates(size: int, space: spaces.Space[Any], config: AgentConfig) -> ActorCritic:
    if isinstance(config, DQNConfig | ContinuousConfig):
        raise InvalidArgumentError(
            f"{config.algorithm.upper()} does not rank candidates; train with PPOConfig or A2CConfig"
        )
    if not isinstance(space, spaces.Dict) or not {"interest", "candidate_features"} <= set(space):
        raise InvalidArgumentError("ranking candidates needs the parts 'interest' and 'candidate_features' to see")
    features = space["candidate_features"].shape
    assert features is not None
    return CandidateActorCritic(
        size, features[-1], alpha=config.alpha_init, rank=config.rank, hidden_size=config.hidden_size
    )


def _nearest(env: VectorEnv[Any, Any, Any]) -> Any:
    """Return how the environment looks up items near a vector: a `rlrec.envs.nearest.NearestItems`."""
    found = getattr(getattr(env, "actions", None), "nearest", None)
    if found is None:
        raise InvalidArgumentError(
            "the environment looks up no items near vectors; make it with nearest=NearestItems..."
        )
    return found


def _n_actions(space: spaces.Space[Any]) -> int:
    return int(space.nvec[0]) if isinstance(space, spaces.MultiDiscrete) else int(space.n)  # type: ignore[attr-defined]
