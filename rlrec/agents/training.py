"""Training an agent on simulated users with stable-baselines3 or sb3-contrib, by the config that it is given."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter, Logger

from rlrec.agents.actor_critic import ActorCritic, CandidateActorCritic, PlainActorCritic
from rlrec.agents.algorithms import algorithm_for, learn_options
from rlrec.agents.config import AgentConfig, DQNConfig, PPOConfig, QRDQNConfig
from rlrec.agents.policies import AgentPolicy, build_network
from rlrec.agents.q_networks import PlainQNetwork, PlainQuantileNetwork
from rlrec.agents.sb3 import SB3VecEnv
from rlrec.core.errors import CollapseError, InvalidArgumentError
from rlrec.core.progress import MetricsWriter, progress
from rlrec.models.threads import torch_seed, torch_threads

_NAMES = {
    "rollout/ep_rew_mean": "return",
    "rollout/ep_len_mean": "session_length",
    "train/value_loss": "value_loss",
    "train/loss": "loss",
    "train/policy_gradient_loss": "policy_loss",
    "train/policy_loss": "policy_loss",
    "train/entropy_loss": "negative_entropy",
    "train/approx_kl": "kl",
    "train/clip_fraction": "clip_fraction",
    "train/explained_variance": "explained_variance",
    "train/alpha": "alpha",
}


def train_agent(
    env: VectorEnv[Any, Any, Any],
    config: AgentConfig | None = None,
    *,
    seed: int = 0,
    folder: str | Path | None = None,
    show_progress: bool | None = None,
) -> AgentPolicy:
    """Train a policy that starts as the environment's observer model and learns the difference.

    Parameters
    ----------
    env : VectorEnv
        A `RecommendationVectorEnv`, whose observer becomes the agent's: its ``num_envs`` users are met in parallel. In
        candidate mode the agent ranks candidates by their features. Any other vector environment that restarts rows in
        the same step, with flat observations and discrete actions, gets a plain network.
    config : AgentConfig, optional
        `PPOConfig` (the default), `A2CConfig`, or `DQNConfig` (single items only); with the extra ``contrib``
        `MaskablePPOConfig` and `QRDQNConfig` (single items only).
    seed : int
        Same seed, same machine, same agent. The callers' global random states are left as they were.
    folder : path, optional
        Gets ``metrics.jsonl`` and ``tensorboard/``; nothing else is written (see `AgentPolicy.save`).
    show_progress : bool, optional
        Force the progress bar on or off.

    Returns
    -------
    AgentPolicy

    Raises
    ------
    InvalidArgumentError
        If the config cannot train on this environment.
    CollapseError
        If the weights stop being finite.
    MissingExtraError
        If the config needs sb3-contrib, and it is not installed.
    """
    config = PPOConfig() if config is None else config
    adapter = SB3VecEnv(env)
    actions = _check_actions(env, config)
    with _global_seed(seed), torch_threads(1), MetricsWriter(folder) as metrics:
        network = network_for(env, config)
        algorithm = algorithm_for(network, adapter, config, seed)
        algorithm.set_logger(Logger(folder=None, output_formats=[_Metrics(metrics, config.algorithm)]))
        algorithm.learn(config.total_steps, callback=_Watch(config, show_progress), **learn_options(config, env))
    _check_finite(network)
    slate_size = getattr(env, "slate_size", 1)
    observer = getattr(env, "observer", None)
    return AgentPolicy(network, observer, config, slate_size=slate_size, seed=seed, n_items=actions)


def network_for(env: VectorEnv[Any, Any, Any], config: AgentConfig) -> ActorCritic:
    """Return the untrained network that fits an environment's observations and actions."""
    observer, n_actions = getattr(env, "observer", None), _n_actions(env)
    if observer is not None and getattr(env, "retriever", None) is None:
        return build_network(observer, config)
    if observer is not None:
        if isinstance(config, DQNConfig):
            raise InvalidArgumentError(
                f"{config.algorithm.upper()} does not rank candidates; train with PPOConfig or A2CConfig"
            )
        space = env.single_observation_space
        if not isinstance(space, spaces.Dict) or not {"interest", "candidate_features"} <= set(space):
            raise InvalidArgumentError("ranking candidates needs the parts 'interest' and 'candidate_features' to see")
        features = space["candidate_features"].shape
        assert features is not None
        sizes = {"alpha": config.alpha_init, "rank": config.rank, "hidden_size": config.hidden_size}
        return CandidateActorCritic(observer.interest_size, features[-1], **sizes)  # type: ignore[arg-type]
    shape = env.single_observation_space.shape
    if shape is None or len(shape) != 1:
        raise InvalidArgumentError(f"observations must have one axis, got the space {env.single_observation_space}")
    if isinstance(config, QRDQNConfig):
        return PlainQuantileNetwork(
            shape[0],
            n_actions,
            n_quantiles=config.n_quantiles,
            temperature=config.temperature,
            hidden_size=config.hidden_size,
        )
    if isinstance(config, DQNConfig):
        return PlainQNetwork(shape[0], n_actions, temperature=config.temperature, hidden_size=config.hidden_size)
    return PlainActorCritic(shape[0], n_actions, config.hidden_size)


def _n_actions(env: VectorEnv[Any, Any, Any]) -> int:
    space = env.single_action_space
    return int(space.nvec[0]) if isinstance(space, spaces.MultiDiscrete) else int(space.n)  # type: ignore[attr-defined]


def _check_actions(env: VectorEnv[Any, Any, Any], config: AgentConfig) -> int:
    """Return the number of actions, if the algorithm can choose among them."""
    space = env.single_action_space
    slates = isinstance(space, spaces.MultiDiscrete)
    if not slates and not isinstance(space, spaces.Discrete):
        raise InvalidArgumentError(f"actions must be items or slates of items, got the space {space}")
    if isinstance(config, DQNConfig):
        if slates:
            raise InvalidArgumentError(
                f"{config.algorithm.upper()} shows one item at a time; for slates train with PPOConfig or A2CConfig"
            )
    elif config.n_steps * env.num_envs < 2:
        raise InvalidArgumentError("n_steps * num_envs must be at least 2, because advantages are normalised")
    return _n_actions(env)


def _check_finite(network: ActorCritic) -> None:
    for name, parameter in network.named_parameters():
        if not bool(parameter.isfinite().all()):
            raise CollapseError(f"the agent's {name!r} is no longer finite; lower learning_rate and train again")


@contextmanager
def _global_seed(seed: int) -> Iterator[None]:
    """Let SB3 seed the global generators that it draws from, and restore them after it."""
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        with torch_seed(seed):
            yield
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)


class _Metrics(KVWriter):
    """SB3's log values under our names in ``metrics.jsonl`` and TensorBoard."""

    def __init__(self, metrics: MetricsWriter, algorithm: str) -> None:
        self._metrics, self._prefix = metrics, f"agents/{algorithm}"

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Record what has a name of ours."""
        values = {f"{self._prefix}/{_NAMES[key]}": float(value) for key, value in key_values.items() if key in _NAMES}
        if values:
            self._metrics.write(step, values)

    def close(self) -> None:
        """Nothing to close: the writer belongs to `train_agent`."""


class _Watch(BaseCallback):
    """Moves the progress bar, lets the entropy bonus fall, and logs the learned sharpness."""

    def __init__(self, config: AgentConfig, show: bool | None) -> None:
        super().__init__()
        self._config = config
        self._bar: Any = progress(
            description=config.algorithm.upper().replace("_", " "), total=config.total_steps, unit="step", show=show
        )

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        if not isinstance(self._config, DQNConfig):
            remaining = max(1.0 - self.num_timesteps / self._config.total_steps, 0.0)
            self.model.ent_coef = self._config.ent_coef * remaining  # type: ignore[attr-defined]
        log_alpha = getattr(getattr(self.model.policy, "actor_critic", None), "log_alpha", None)
        if log_alpha is not None:
            self.logger.record("train/alpha", float(log_alpha.detach().exp()))
        self._bar.update(self.num_timesteps - self._bar.n)
        finished = self.model.ep_info_buffer
        if finished:
            self._bar.set_postfix({"return": f"{np.mean([episode['r'] for episode in finished]):.2f}"})

    def _on_training_end(self) -> None:
        self._bar.close()
