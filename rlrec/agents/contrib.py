"""Networks of ours in the dress of sb3-contrib's MaskablePPO and QR-DQN. Needs the extra ``contrib``."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from sb3_contrib import QRDQN, MaskablePPO
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.qrdqn.policies import QRDQNPolicy
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor

from rlrec.agents.exploration import RowwiseExploration
from rlrec.agents.masked_buffers import BitMaskBuffer, BitMaskDictBuffer
from rlrec.agents.observation import mask_in
from rlrec.agents.q_networks import QuantileNetwork
from rlrec.agents.sb3 import SB3VecEnv
from rlrec.agents.sb3_policy import SlateActing
from rlrec.agents.sb3_q_policy import TakesNetwork

Masks = NDArray[np.bool_] | Tensor | None


def maskable_ppo(env: SB3VecEnv, **settings: Any) -> MaskablePPO:
    """Return sb3-contrib's MaskablePPO with a `MaskedSlatePolicy` and masks kept as bits."""
    in_parts = isinstance(env.observation_space, spaces.Dict)
    buffer = BitMaskDictBuffer if in_parts else BitMaskBuffer
    return MaskablePPO(MaskedSlatePolicy, env, rollout_buffer_class=buffer, **settings)


class MaskedSlatePolicy(SlateActing, MaskableActorCriticPolicy):
    """`rlrec.agents.sb3_policy.SlatePolicy` that is handed its masks (B, n_actions) apart from the observation."""

    def forward(
        self, obs: PyTorchObs, deterministic: bool = False, action_masks: Masks = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return actions (B,) or (B, K), values (B, 1) and log probabilities (B,)."""
        return self.act(self._allowed(obs, action_masks), obs, deterministic)

    def evaluate_actions(
        self, obs: PyTorchObs, actions: Tensor, action_masks: Masks = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return values (B, 1), log probabilities (B,) and entropies (B,) of actions taken."""
        return self.judge(self._allowed(obs, action_masks), obs, actions)

    def _predict(self, observation: PyTorchObs, deterministic: bool = False, action_masks: Masks = None) -> Tensor:
        return self.as_actions(self.slates(self._allowed(observation, action_masks), deterministic))

    def _allowed(self, obs: PyTorchObs, action_masks: Masks) -> Tensor:
        logits = self.logits(obs)
        return logits if action_masks is None else logits.masked_fill(~torch.as_tensor(action_masks), -torch.inf)


class _Quantiles(BasePolicy):
    """Contrib calls it for quantiles (B, N, n_actions), with -inf where the observation's mask forbids."""

    def __init__(
        self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any], network: QuantileNetwork
    ) -> None:
        super().__init__(observation_space, action_space)
        self.network = network

    def forward(self, obs: PyTorchObs) -> Tensor:
        quantiles = self.network.quantiles(obs)  # (B, N, n_actions)
        mask = mask_in(obs, quantiles.shape[-1])
        return quantiles if mask is None else quantiles.masked_fill(~mask.unsqueeze(1), -torch.inf)

    def _predict(self, observation: PyTorchObs, deterministic: bool = True) -> Tensor:
        best: Tensor = self(observation).mean(dim=1).argmax(dim=1)
        return best


class QuantilePolicy(TakesNetwork, QRDQNPolicy):
    """Contrib's face of a `QuantileNetwork`."""

    def _build(self, lr_schedule: Schedule) -> None:
        """Take the given network in place of contrib's own."""
        self.quantile_net, self.quantile_net_target = self._faces(_Quantiles)
        self.optimizer = self.optimizer_class(
            self.quantile_net.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs
        )  # type: ignore[call-arg]


class MaskedQRDQN(RowwiseExploration, QRDQN):
    """Contrib's QR-DQN, exploring within each row's mask."""
