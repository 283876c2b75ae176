"""Adversarial training: rounds of discriminator and generator, watched by a detector of another family.

Every random choice of a round is keyed by (seed, round), so a training that goes on from a checkpoint does what it
would have done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from rlrec.core.errors import CollapseError, DataError
from rlrec.core.progress import MetricsWriter, progress
from rlrec.core.random import spawn_seeds
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import PaddedBatch, Sequences
from rlrec.evaluation.detectors import c2st_auc
from rlrec.evaluation.sequence_features import item_categories
from rlrec.gan.adversary import Adversary
from rlrec.gan.arms import Arm
from rlrec.gan.checkpoint import Progress, load_progress, save_progress
from rlrec.gan.collapse import Breadth, CollapseAlarm
from rlrec.gan.config import GANConfig
from rlrec.gan.discriminator import Discriminator, JudgedBatch
from rlrec.gan.knobs import fit_sampling
from rlrec.gan.sampling import generate_sequences
from rlrec.gan.sampling_config import SamplingConfig
from rlrec.models.lstm import LSTMModel
from rlrec.models.threads import torch_seed, torch_threads
from rlrec.models.training import cut_long

ArmName = Literal["init", "control", "adversarial"]
_MIN_DETECTED = 20  # sequences of each kind that a detector needs


@dataclass(frozen=True)
class GANRecord:
    """How an adversarial training went: what the validation detector said of each arm, and which one was kept."""

    auc: dict[str, float]
    """Lowest validation AUC of ``init``, ``control`` and ``adversarial``: 0.5 is indistinguishable from real."""
    best_round: dict[str, int]
    """Round of the weights behind it; ``init`` is round 0."""
    kept: ArmName
    """The arm with the lowest AUC."""
    n_rounds: int
    """Rounds run."""
    collapsed: str | None
    """Why the alarm stopped the run, or None."""


class AdversarialTraining:
    """The rounds. Build it, then call `run`.

    Parameters
    ----------
    init : LSTMModel
        The generator as maximum likelihood left it.
    train, valid : InteractionLog
        Real sequences: the discriminator and the anchor see ``train``, the detector sees ``valid``.
    config : GANConfig
    seed : int
    """

    def __init__(
        self, init: LSTMModel, train: InteractionLog, valid: InteractionLog, config: GANConfig, seed: int
    ) -> None:
        self.config, self.seed = config, seed
        self.real, self.watched = cut_long(train.sequences(), config.max_length), valid.sequences()
        self.reference, self.categories = train.sequences(), item_categories(train)
        if min(len(self.real), len(self.watched)) < _MIN_DETECTED:
            raise DataError(
                f"adversarial training needs at least {_MIN_DETECTED} training and validation sequences, "
                f"got {len(self.real)} and {len(self.watched)}"
            )
        self.identity = {
            "seed": seed,
            "init": _weights_sha256(init),
            "train": train.sha256,
            "valid": valid.sha256,
        }  # what must be equal for a checkpoint to fit, beside the config
        self.generator = Arm.start(init, config.generator_learning_rate)
        self.control = Arm.start(init, config.generator_learning_rate)
        with torch_seed(seed):
            self.discriminator = Discriminator(init.n_items, init.n_events, config).to(init.device)
        self.judge_optimizer = torch.optim.Adam(self.discriminator.parameters(), lr=config.discriminator_learning_rate)
        self.at = Progress()
        self.sampling = self._knobs(init) if config.sampling == "fitted" else SamplingConfig()

    def _knobs(self, model: LSTMModel) -> SamplingConfig:
        return fit_sampling(model, self.reference, self.watched, seed=self.seed, max_length=self.config.max_length)

    def run(self, folder: Path | None, *, show_progress: bool | None = None) -> GANRecord:
        """Run the rounds that are left; with a folder, checkpoints go there and a killed run goes on from the last.

        Raises
        ------
        CollapseError
            If a loss stops being finite, or the alarm rings and ``on_collapse`` is ``"raise"``.
        """
        with torch_threads(1), MetricsWriter(folder) as metrics:
            if folder is not None:
                load_progress(self, folder)
            if self.at.init_auc is None:
                self._first_look(metrics)
            bar = progress(
                range(self.at.round + 1, self.config.n_rounds + 1),
                description="fit gan",
                unit="round",
                show=show_progress,
            )
            for round_ in bar:
                if self.at.collapsed is not None:
                    break
                self._round(round_, metrics)
                over = round_ == self.config.n_rounds or self.at.collapsed is not None
                if over or round_ % self.config.check_every == 0:
                    if over or round_ > self.config.n_warmup:
                        self._look(round_, metrics)
                        bar.set_postfix_str(f"auc {self.generator.best_auc:.3f}, control {self.control.best_auc:.3f}")
                    if folder is not None:
                        save_progress(self, folder)
            bar.close()
        return self.record()

    def record(self) -> GANRecord:
        """Return what came out so far."""
        looks = {"init": self.at.init_auc, "control": self.control.best_auc, "adversarial": self.generator.best_auc}
        auc = {name: seen for name, seen in looks.items() if seen is not None}
        rounds = {"init": 0, "control": self.control.best_round, "adversarial": self.generator.best_round}
        kept: ArmName = min(("init", "control", "adversarial"), key=auc.__getitem__)
        return GANRecord(auc, rounds, kept, self.at.round, self.at.collapsed)

    # ---- one round ----------------------------------------------------------------------------------------------

    def _round(self, round_: int, metrics: MetricsWriter) -> None:
        config = self.config
        sample_seed, order_seed, dropout_seed, rollout_seed = spawn_seeds(self.seed * 1_000_003 + round_, 4)
        rng = np.random.default_rng(order_seed)
        sample = generate_sequences(
            self.generator.model,
            config.sequences_per_round,
            seed=sample_seed,
            max_length=config.max_length,
            sampling=self.sampling,
        )
        if self._collapsed(sample):
            return
        pick = rng.integers(0, len(self.real), config.sequences_per_round)
        values = {}
        with torch_seed(dropout_seed):
            for real, fake in zip(self._batches(self.real.select(pick), rng), self._batches(sample, rng), strict=True):
                values = self._judge_step(real, fake)
                if round_ > config.n_warmup:
                    self._generator_step(real, fake, rollout_seed)
                    self.control.step(config.mle_weight * self.control.likelihood_loss(real), config.clip_norm)
        self.at.round = round_
        metrics.write(round_, {f"gan/{name}": value for name, value in values.items()})

    def _batches(self, sequences: Sequences, rng: np.random.Generator) -> Iterator[PaddedBatch]:
        """Yield ``n_batches`` padded batches of like lengths, in random order."""
        order = np.argsort(sequences.lengths, kind="stable")
        parts = np.array_split(order, self.config.n_batches)
        for part in rng.permutation(len(parts)):
            yield sequences.pad(parts[part])

    def _judge_step(self, real: PaddedBatch, fake: PaddedBatch) -> dict[str, float]:
        judge, device = self.discriminator.train(), self.generator.model.device
        n_items = judge.n_items
        loss = judge.loss(JudgedBatch.from_padded(real, n_items).to(device), real=True)
        loss = loss + judge.loss(JudgedBatch.from_padded(fake, n_items).to(device), real=False)
        if not bool(torch.isfinite(loss)):
            raise CollapseError("the discriminator's loss is no longer finite; lower discriminator_learning_rate")
        self.judge_optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(judge.parameters(), self.config.clip_norm)
        self.judge_optimizer.step()
        return {"discriminator_loss": float(loss.detach()) / 2, "reward": self.at.baseline}

    def _generator_step(self, real: PaddedBatch, fake: PaddedBatch, seed: int) -> None:
        config = self.config
        adversary = Adversary(self.discriminator, config, self.sampling, self.at)
        adversarial = adversary.loss(self.generator.model, fake, seed=seed)
        anchor = self.generator.likelihood_loss(real)
        self.generator.step(config.mle_weight * anchor + config.adversarial_weight * adversarial, config.clip_norm)

    def _collapsed(self, sample: Sequences) -> bool:
        breadth = Breadth.of(sample)
        if self.at.first_breadth is None:
            self.at.first_breadth = breadth
        reason = CollapseAlarm(self.at.first_breadth, self.config.collapse_share).reason(breadth)
        if reason is not None and self.config.on_collapse == "raise":
            raise CollapseError(f"the generator collapsed: {reason}; lower adversarial_weight or raise mle_weight")
        self.at.collapsed = reason
        return reason is not None

    # ---- the validation detector --------------------------------------------------------------------------------

    def _auc(self, model: LSTMModel, round_: int) -> float:
        n = min(len(self.watched), self.config.detector_sequences)
        seed = spawn_seeds(self.seed, 1)[0] + round_
        sample = generate_sequences(model, n, seed=seed, sampling=self.sampling)
        return c2st_auc(
            self.watched, sample, seed=self.seed, categories=self.categories, reference=self.reference, max_n=n
        )

    def _first_look(self, metrics: MetricsWriter) -> None:
        self.at.init_auc = self._auc(self.generator.model, 0)
        metrics.write(0, {"gan/auc_init": self.at.init_auc})

    def _look(self, round_: int, metrics: MetricsWriter) -> None:
        arms = {"adversarial": self.generator, "control": self.control}
        for arm in arms.values():
            arm.calibrate(self.watched)
        found = {name: self._auc(arm.model, round_) for name, arm in arms.items()}
        for name, arm in arms.items():
            arm.judge(found[name], round_)
        metrics.write(round_, {f"gan/auc_{name}": auc for name, auc in found.items()})


def _weights_sha256(model: LSTMModel) -> str:
    digest = hashlib.sha256()
    for tensor in model.network.state_dict().values():
        digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()
