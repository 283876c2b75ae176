"""A network of action values of ours in the dress that stable-baselines3's DQN trains."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.dqn import DQN
from stable_baselines3.dqn.policies import DQNPolicy
from torch import Tensor, nn

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


class TakesNetwork:
    """A mixin in front of the policies of DQN and QR-DQN: a network of ours in place of the one that they would build.

    Parameters
    ----------
    q_network : QNetwork
        Trained in place; its target is a copy.
    args, kwargs
        As for the policy behind it.
    """

    def __init__(self, *args: Any, q_network: QNetwork, **kwargs: Any) -> None:
        self._given = [q_network]
        super().__init__(*args, **kwargs)

    def _faces(self: Any, face: Callable[..., BasePolicy]) -> tuple[Any, Any]:
        """Return the network and the copy that is its target, each in the dress that the algorithm calls."""
        network = self._given.pop()
        target = face(self.observation_space, self.action_space, copy.deepcopy(network))
        target.set_training_mode(False)
        return face(self.observation_space, self.action_space, network), target


class ValuePolicy(TakesNetwork, DQNPolicy):
    """SB3's face of a `QNetwork`."""

    def _build(self, lr_schedule: Schedule) -> None:
        """Take the given network in place of SB3's own."""
        self.q_net, self.q_net_target = self._faces(_Values)
        self.optimizer = self.optimizer_class(self.q_net.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)  # type: ignore[call-arg]


class MaskedDQN(RowwiseExploration, DQN):
    """SB3's DQN, exploring within each row's mask, with the loss and the target that a `DQNConfig` names.

    Parameters
    ----------
    loss, double
        See `rlrec.agents.config.DQNConfig`.
    args, kwargs
        As for SB3's DQN.
    """

    def __init__(self, *args: Any, loss: str = "huber", double: bool = False, **kwargs: Any) -> None:
        self._loss = {"huber": nn.functional.smooth_l1_loss, "squared": nn.functional.mse_loss}[loss]
        self._double = double
        super().__init__(*args, **kwargs)

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Fit the values of remembered steps to their one-step targets."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        losses = []
        for _ in range(gradient_steps):
            steps = self.replay_buffer.sample(batch_size)  # type: ignore[union-attr]
            with torch.no_grad():
                target = self.q_net_target(steps.next_observations)  # (N, n_actions)
                best = (self.q_net(steps.next_observations) if self._double else target).argmax(1, keepdim=True)
                wanted = steps.rewards + (1 - steps.dones) * self.gamma * target.gather(1, best)  # (N, 1)
            loss = self._loss(self.q_net(steps.observations).gather(1, steps.actions.long()), wanted)
            losses.append(loss.item())
            self.policy.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
            self.policy.optimizer.step()
        self._n_updates += gradient_steps
        self.logger.record("train/loss", float(np.mean(losses)))
