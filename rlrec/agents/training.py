"""Training an agent on simulated users with stable-baselines3's PPO."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter, Logger

from rlrec.agents.config import PPOConfig
from rlrec.agents.policies import AgentPolicy, build_network
from rlrec.agents.sb3 import SB3VecEnv
from rlrec.agents.sb3_policy import ResidualPolicy
from rlrec.core.errors import CollapseError, InvalidArgumentError
from rlrec.core.progress import MetricsWriter, progress
from rlrec.envs.vector import RecommendationVectorEnv
from rlrec.models.threads import torch_seed, torch_threads

_NAMES = {
    "rollout/ep_rew_mean": "agents/ppo/return",
    "rollout/ep_len_mean": "agents/ppo/session_length",
    "train/value_loss": "agents/ppo/value_loss",
    "train/policy_gradient_loss": "agents/ppo/policy_loss",
    "train/entropy_loss": "agents/ppo/negative_entropy",
    "train/approx_kl": "agents/ppo/kl",
    "train/clip_fraction": "agents/ppo/clip_fraction",
    "train/explained_variance": "agents/ppo/explained_variance",
    "train/alpha": "agents/ppo/alpha",
}


def train_agent(
    env: RecommendationVectorEnv,
    config: PPOConfig | None = None,
    *,
    seed: int = 0,
    folder: str | Path | None = None,
    show_progress: bool | None = None,
) -> AgentPolicy:
    """Train a policy that starts as the environment's observer model and learns the difference by PPO.

    Parameters
    ----------
    env : RecommendationVectorEnv
        Its ``num_envs`` users are met in parallel; its observer becomes the agent's.
    config : PPOConfig, optional
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
    CollapseError
        If the weights stop being finite.
    """
    config = PPOConfig() if config is None else config
    steps = config.n_steps * env.num_envs
    if steps < 2:
        raise InvalidArgumentError("n_steps * num_envs must be at least 2, because PPO normalises advantages")
    with _global_seed(seed), torch_threads(1), MetricsWriter(folder) as metrics:
        network = build_network(env.observer, config)
        ppo = _algorithm(network, SB3VecEnv(env), config, seed)
        ppo.set_logger(Logger(folder=None, output_formats=[_Metrics(metrics)]))
        ppo.learn(config.total_steps, callback=_Watch(config.total_steps, show_progress))
    _check_finite(network)
    return AgentPolicy(network, env.observer, config, slate_size=env.slate_size, seed=seed)


def _algorithm(network: Any, env: SB3VecEnv, config: PPOConfig, seed: int) -> PPO:
    return PPO(
        ResidualPolicy,
        env,
        learning_rate=lambda remaining: config.learning_rate * remaining,
        n_steps=config.n_steps,
        batch_size=min(config.batch_size, config.n_steps * env.num_envs),
        n_epochs=config.n_epochs,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        clip_range=config.clip_range,
        ent_coef=config.ent_coef,
        vf_coef=config.vf_coef,
        max_grad_norm=config.max_grad_norm,
        target_kl=config.target_kl or None,
        policy_kwargs={"actor_critic": network},
        seed=seed,
        device="cpu",
    )


def _check_finite(network: Any) -> None:
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

    def __init__(self, metrics: MetricsWriter) -> None:
        self._metrics = metrics

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Record what has a name of ours."""
        values = {_NAMES[key]: float(value) for key, value in key_values.items() if key in _NAMES}
        if values:
            self._metrics.write(step, values)

    def close(self) -> None:
        """Nothing to close: the writer belongs to `train_agent`."""


class _Watch(BaseCallback):
    """Moves the progress bar and logs the learned sharpness."""

    def __init__(self, total: int, show: bool | None) -> None:
        super().__init__()
        self._bar: Any = progress(description="PPO", total=total, unit="step", show=show)

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        alpha = float(self.model.policy.actor_critic.log_alpha.detach().exp())  # type: ignore[union-attr, operator]
        self.logger.record("train/alpha", alpha)
        self._bar.update(self.num_timesteps - self._bar.n)
        finished = self.model.ep_info_buffer
        if finished:
            self._bar.set_postfix({"return": f"{np.mean([episode['r'] for episode in finished]):.2f}"})

    def _on_training_end(self) -> None:
        self._bar.close()
