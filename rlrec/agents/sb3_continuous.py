"""A `ProtoNetwork` in the dress that stable-baselines3's TD3, DDPG and SAC train; what is done is always an item."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import DDPG, SAC, TD3
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.sac.policies import Actor as SACActor
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import Actor as TD3Actor
from stable_baselines3.td3.policies import TD3Policy
from torch import Tensor, nn

from rlrec.agents.continuous_config import ContinuousConfig, DDPGConfig, SACConfig, TD3Config
from rlrec.agents.proto_networks import ProtoNetwork
from rlrec.agents.sb3 import SB3VecEnv

_FIRST_LOG_STD = -2.3  # 0.1 a coordinate: unit vectors of 64 coordinates have 0.125 in each


class _PointActor(TD3Actor):
    """TD3 calls it for points (B, E)."""

    def take(self, network: ProtoNetwork) -> _PointActor:
        """Act by the network's actor."""
        self.mu = nn.Sequential(network.actor, nn.Tanh())
        return self


class _TakesProto:
    """A mixin in front of TD3's and SAC's policies: the `ProtoNetwork` ``proto`` is trained, and takes their critic."""

    def __init__(self, *args: Any, proto: ProtoNetwork, **kwargs: Any) -> None:
        self._given = [proto]
        super().__init__(*args, **kwargs)

    def _build(self: Any, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)  # type: ignore[misc]  # of the policy behind this mixin
        self._given[0].take_critic(self.critic.q_networks[0])


class _PointPolicy(_TakesProto, TD3Policy):
    """TD3's face of a `ProtoNetwork`, which it trains in place, the first of SB3's two critics as its critic."""

    def make_actor(self, features_extractor: Any = None) -> TD3Actor:
        """Return the network's actor; the second time a copy, for the target."""
        settings = self._update_features_extractor(self.actor_kwargs, features_extractor)
        network = self._given[0] if not hasattr(self, "actor") else copy.deepcopy(self._given[0])
        return _PointActor(**settings).to(self.device).take(network)


class _NoisyActor(SACActor):
    """SAC calls it for the mean of points before the tanh, and their log standard deviation."""

    def take(self, network: ProtoNetwork) -> _NoisyActor:
        """Take the mean from the network's actor."""
        self.proto = network.actor
        log_std: Any = self.log_std  # a layer, as there is no state-dependent exploration
        nn.init.zeros_(log_std.weight)
        nn.init.constant_(log_std.bias, _FIRST_LOG_STD)
        return self

    def get_action_dist_params(self, obs: PyTorchObs) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Return mean, log standard deviation, and nothing more."""
        _, log_std, _ = super().get_action_dist_params(obs)
        assert isinstance(obs, Tensor)
        return self.proto(obs), log_std, {}


class _NoisyPolicy(_TakesProto, SACPolicy):
    """SAC's face of a `ProtoNetwork`; see `_PointPolicy`."""

    def make_actor(self, features_extractor: Any = None) -> SACActor:
        """Return an actor around the network's."""
        settings = self._update_features_extractor(self.actor_kwargs, features_extractor)
        return _NoisyActor(**settings).to(self.device).take(self._given[0])


class _Resolving:
    """A mixin in front of TD3, DDPG and SAC: points become the item that the critic picks, and it is remembered."""

    proto: ProtoNetwork
    noise: float
    """Standard deviation of what is added to each coordinate of a point, besides SAC's own."""

    def _sample_action(
        self: Any, learning_starts: int, action_noise: Any = None, n_envs: int = 1
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        items = self.proto.items
        with torch.no_grad():
            if self.num_timesteps < learning_starts:
                points = items[torch.randint(len(items), (n_envs,))]
            else:
                seen = torch.as_tensor(self._last_obs)
                points = self.policy._predict(seen, deterministic=False)
                points = (points + self.noise * torch.randn_like(points)).clamp(-1.0, 1.0)
                if self.proto.n_nearest:
                    points = items[self.proto.ranked(seen, points).argmax(1)]
        actions: NDArray[np.float32] = points.clamp(-1.0, 1.0).numpy()
        return actions, actions


class _ResolvingTD3(_Resolving, TD3):
    pass


class _ResolvingDDPG(_Resolving, DDPG):
    pass


class _ResolvingSAC(_Resolving, SAC):
    pass


def continuous_algorithm(network: ProtoNetwork, env: SB3VecEnv, config: ContinuousConfig, seed: int) -> TD3 | SAC:
    """Return SB3's algorithm, ready to learn; it trains ``network`` in place."""
    shared: dict[str, Any] = {
        "learning_rate": lambda remaining: config.learning_rate * remaining,
        "buffer_size": max(config.buffer_size, env.num_envs),
        "learning_starts": config.learning_starts,
        "batch_size": config.batch_size,
        "tau": config.target_rate,
        "gamma": config.gamma,
        "train_freq": 1,
        "gradient_steps": config.gradient_steps,
        "policy_kwargs": {"proto": network, "net_arch": [config.hidden_size] * 2, "activation_fn": nn.Tanh},
        "seed": seed,
        "device": "cpu",
    }
    algorithm: _ResolvingTD3 | _ResolvingDDPG | _ResolvingSAC
    if isinstance(config, TD3Config):
        algorithm, noise = _ResolvingTD3(_PointPolicy, env, target_policy_noise=config.noise, **shared), config.noise
    elif isinstance(config, DDPGConfig):
        algorithm, noise = _ResolvingDDPG(_PointPolicy, env, **shared), config.noise
    else:
        assert isinstance(config, SACConfig)
        algorithm, noise = _ResolvingSAC(_NoisyPolicy, env, **shared), 0.0
    algorithm.proto, algorithm.noise = network, noise
    return algorithm
