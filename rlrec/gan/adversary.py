"""What the discriminator gives the generator: dense rewards, rolled-out ones, or its gradient through relaxed items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rlrec.data.sequences import PaddedBatch
from rlrec.gan.config import GANConfig
from rlrec.gan.discriminator import Discriminator, JudgedBatch
from rlrec.gan.policy_gradient import policy_loss
from rlrec.gan.relaxation import relaxed_loss
from rlrec.gan.rollouts import rollout_rewards
from rlrec.gan.sampling_config import SamplingConfig
from rlrec.models.lstm import LSTMModel

if TYPE_CHECKING:
    from rlrec.gan.checkpoint import Progress


@dataclass(frozen=True)
class Adversary:
    """The discriminator as the generator's teacher.

    Parameters
    ----------
    judge : Discriminator
    config : GANConfig
    sampling : SamplingConfig
        The knobs that the sampled batches were drawn with.
    at : Progress
        Holds the moving mean of the rewards.
    """

    judge: Discriminator
    config: GANConfig
    sampling: SamplingConfig
    at: Progress

    def loss(self, model: LSTMModel, fake: PaddedBatch, *, seed: int) -> Tensor:
        """Return the adversarial loss of a sampled batch; ``seed`` is the luck of the rollouts."""
        config = self.config
        if config.reward == "gumbel":
            return relaxed_loss(self.judge, model, fake, self.sampling, config.relaxation_temperature)
        if config.reward == "dense":
            return policy_loss(model, fake, self._centred(self._dense(fake), fake), config.gamma, self.sampling)
        rewards = rollout_rewards(
            self.judge,
            model,
            fake,
            self.sampling,
            n_rollouts=config.n_rollouts,
            max_length=config.max_length,
            seed=seed,
        )
        return policy_loss(model, fake, self._centred(rewards, fake), 0.0, self.sampling)  # Q holds what comes later

    def _dense(self, fake: PaddedBatch) -> Tensor:
        judged = JudgedBatch.from_padded(fake, self.judge.n_items).to(self.judge.head.weight.device)
        return self.judge.rewards(judged).cpu()

    def _centred(self, rewards: Tensor, fake: PaddedBatch) -> Tensor:
        """Return the rewards (B, T + 1) less their moving mean, 0 at padding.

        They are centred before they are summed over steps: otherwise a long sequence would look better or worse than a
        short one for its length alone.
        """
        mask = JudgedBatch.from_padded(fake, self.judge.n_items).mask
        decay = self.config.baseline_decay if self.at.n_baseline else 0.0
        self.at.baseline = decay * self.at.baseline + (1 - decay) * float(rewards[mask].mean())
        self.at.n_baseline += 1
        return torch.where(mask, rewards - self.at.baseline, 0.0)
