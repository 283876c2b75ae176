"""A network of action values of ours in the dress that stable-baselines3's DQN trains."""

from __future__ import annotations

import copy
from typing import Any

from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.dqn import DQN
from stable_baselines3.dqn.policies import DQNPolicy
from torch import Tensor

from rlrec.agents.exploration import RowwiseExploration
from rlrec.agents.observation import masked
from rlrec.agents.q_networks import QNetwork


class _Values(BasePolicy):
    """SB3 calls it for Q (B, n_actions), with -inf where the observation's mask forbids."""

    def __init__(self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any], q: QNetwork) -> None:
        super().__init__(observation_space, action_space)
        self.q = q

    def forward(self, obs: PyTorchObs) -> Tensor:
        return masked(self.q.q_values(obs), obs)

    def _predict(self, observation: PyTorchObs, deterministic: bool = True) -> Tensor:
        best: Tensor = self(observation).argmax(dim=1)
        return best


class ValuePolicy(DQNPolicy):
    """SB3's face of a `QNetwork`.

    Parameters
    ----------
    q_network : QNetwork
        Trained in place; its target is a copy.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Discrete,
        lr_schedule: Schedule,
        *,
        q_network: QNetwork,
        **kwargs: Any,
    ) -> None:
        self._given = [q_network]
        super().__init__(observation_space, action_space, lr_schedule, **kwargs)

    def _build(self, lr_schedule: Schedule) -> None:
        """Take the given network in place of SB3's own."""
        network = self._given.pop()
        self.q_net = _Values(self.observation_space, self.action_space, network)  # type: ignore[assignment]
        target = _Values(self.observation_space, self.action_space, copy.deepcopy(network))
        target.set_training_mode(False)
        self.q_net_target = target  # type: ignore[assignment]
        self.optimizer = self.optimizer_class(self.q_net.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)  # type: ignore[call-arg]


class MaskedDQN(RowwiseExploration, DQN):
    """SB3's DQN, exploring within each row's mask."""
