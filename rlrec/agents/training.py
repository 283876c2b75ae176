"""Training an agent on simulated users with stable-baselines3 or sb3-contrib, by the config that it is given."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.logger import KVWriter, Logger

from rlrec.agents.actor_critic import ActorCritic
from rlrec.agents.algorithms import algorithm_for, learn_options
from rlrec.agents.config import A2CConfig, AgentConfig, PPOConfig, SlateQConfig
from rlrec.agents.judge import Judge
from rlrec.agents.network_choice import check_actions, network_for
from rlrec.agents.policies import AgentPolicy
from rlrec.agents.sb3 import SB3VecEnv
from rlrec.agents.slate_q import train_slate_q
from rlrec.core.errors import CollapseError
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
    "train/actor_loss": "actor_loss",
    "train/critic_loss": "critic_loss",
    "train/ent_coef": "entropy_weight",
}


def train_agent(
    env: VectorEnv[Any, Any, Any],
    config: AgentConfig | None = None,
    *,
    seed: int = 0,
    folder: str | Path | None = None,
    judge: Judge | None = None,
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
        `MaskablePPOConfig` and `QRDQNConfig` (single items only); `TD3Config`, `DDPGConfig` or `SACConfig` where
        actions are vectors; `SlateQConfig` for slates.
    seed : int
        Same seed, same machine, same agent. The callers' global random states are left as they were.
    folder : path, optional
        Gets ``metrics.jsonl`` and ``tensorboard/``, but from SlateQ; nothing else is written (see `AgentPolicy.save`).
    judge : Judge, optional
        Checks the policy on its way; the best one is returned, else the last.
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
    if isinstance(config, SlateQConfig):
        return train_slate_q(env, config, seed=seed, judge=judge, show_progress=show_progress)
    adapter = SB3VecEnv(env)
    actions = check_actions(env, config)
    slate_size, observer = getattr(env, "slate_size", 1), getattr(env, "observer", None)

    def policy_of(network: Any) -> AgentPolicy:
        return AgentPolicy(network, observer, config, slate_size=slate_size, seed=seed, n_items=actions)

    with _global_seed(seed), torch_threads(1), MetricsWriter(folder) as metrics:
        network = network_for(env, config)
        algorithm = algorithm_for(network, adapter, config, seed)
        algorithm.set_logger(Logger(folder=None, output_formats=[_Metrics(metrics, config.algorithm)]))
        callbacks: list[BaseCallback] = [_Watch(config, show_progress)]
        if judge is not None:
            judge.begin(network, config.total_steps, policy_of)
            callbacks.append(_Checks(judge, network))
        algorithm.learn(config.total_steps, callback=CallbackList(callbacks), **learn_options(config, env))
        _check_finite(network)
        if judge is not None:
            judge.finish(algorithm.num_timesteps, network)
    return policy_of(network)


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
        if isinstance(self._config, PPOConfig | A2CConfig):
            falling = self._config.ent_fraction * self._config.total_steps
            remaining = max(1.0 - self.num_timesteps / falling, 0.0)
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


class _Checks(BaseCallback):
    """Lets the judge look between two collections of steps."""

    def __init__(self, judge: Judge, network: ActorCritic) -> None:
        super().__init__()
        self._judge, self._network = judge, network

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self._judge.look(self.num_timesteps, self._network)
