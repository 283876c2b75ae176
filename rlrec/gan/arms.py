"""The two arms of an adversarial training: the generator under the discriminator, and its control.

The control takes as many optimiser steps on the same real batches, by maximum likelihood alone. What the generator has
over it is what the adversary gave.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from rlrec.core.errors import CollapseError
from rlrec.data.sequences import PaddedBatch, Sequences
from rlrec.models.calibration import Calibration
from rlrec.models.losses import gather_targets, head_losses
from rlrec.models.lstm import LSTMModel
from rlrec.models.training import weighted_loss

Weights = dict[str, Tensor]


@dataclass
class Arm:
    """A model in training, its optimiser, and the best weights that the validation detector has seen of it."""

    model: LSTMModel
    optimizer: torch.optim.Optimizer
    best_auc: float | None = None
    best_round: int = 0
    best_weights: Weights = field(default_factory=dict)
    best_calibration: Calibration = field(default_factory=Calibration)

    @classmethod
    def start(cls, init: LSTMModel, learning_rate: float) -> Arm:
        """Begin at ``init``'s weights and calibration; ``init`` stays as it is."""
        model = LSTMModel(copy.deepcopy(init.network), init.space, init.calibration, init.record)
        return cls(model, torch.optim.Adam(model.network.parameters(), lr=learning_rate))

    def likelihood_loss(self, real: PaddedBatch) -> Tensor:
        """Return the training loss of maximum likelihood on a real batch, with dropout."""
        network = self.model.network.train()
        loss = weighted_loss(head_losses(network, gather_targets(network, real)), network.config)
        network.eval()
        return loss

    def step(self, loss: Tensor, clip_norm: float) -> None:
        """Take one optimiser step; a loss that is not finite is a `CollapseError`."""
        if not math.isfinite(float(loss.detach())):
            raise CollapseError("the generator's loss is no longer finite; lower generator_learning_rate")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.network.parameters(), clip_norm)
        self.optimizer.step()

    def calibrate(self, valid: Sequences) -> None:
        """Fit the heads' calibration again: further steps with dropout bend the heads, the end of sessions most."""
        self.model.calibration = self.model.calibrated(valid).calibration

    def judge(self, auc: float, round_: int) -> None:
        """Keep the present weights if the detector finds these samples harder to tell than any before."""
        if self.best_auc is None or auc < self.best_auc:
            self.best_auc, self.best_round = auc, round_
            self.best_weights = copy.deepcopy(self.model.network.state_dict())
            self.best_calibration = self.model.calibration

    def best(self) -> LSTMModel:
        """Return the model with the best weights."""
        network = copy.deepcopy(self.model.network)
        network.load_state_dict(self.best_weights)
        return LSTMModel(network, self.model.space, self.best_calibration, self.model.record)
