"""The sequence GAN as one object: fit it on a log, sample a log from it, save it, load it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from rlrec.core.checks import check_at_least
from rlrec.core.errors import NotReadyError
from rlrec.core.random import spawn_seeds
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences
from rlrec.data.splits import split_by_sequence
from rlrec.evaluation.sequence_features import item_categories
from rlrec.gan.checkpoint import remove_progress
from rlrec.gan.config import GANConfig
from rlrec.gan.guided import GuidedDraw, GuideTrial, draw_guided, try_guide
from rlrec.gan.resampling import Guide, Method
from rlrec.gan.sampling import generate_sequences
from rlrec.gan.sampling_config import SamplingConfig
from rlrec.gan.synthetic_log import Period, sequences_to_log
from rlrec.gan.training import AdversarialTraining, ArmName, GANRecord
from rlrec.models.lstm import LSTMModel

_CANDIDATES = 6  # sampled for each validation sequence: half of them teach the guide, half are resampled


class SequenceGAN:
    """A generator of behaviour sequences, trained against a discriminator and compared with its own control.

    The generator is an `LSTMModel`. Beside it a control takes as many further steps of maximum likelihood, because an
    adversarial fine-tune that "beats maximum likelihood" has been matched by its control before. A detector of another
    family (boosted trees on features) looks at samples of both against validation sequences, and `model` is whichever
    it finds hardest to tell from real: the start, the control or the adversarially trained one. `record` says which.

    Build it with `fit` or `load`.

    Examples
    --------
    >>> import rlrec
    >>> log = rlrec.load_log("builtin:eshop2008")
    >>> train, valid, test = rlrec.split_by_time(log)
    >>> start = rlrec.LSTMModel.fit(train, valid=valid, config=rlrec.LSTMConfig(n_epochs=1, hidden_size=16), seed=0)
    >>> short = rlrec.GANConfig(n_rounds=2, n_warmup=1, detector_sequences=50)
    >>> gan = rlrec.SequenceGAN.fit(train, init=start, valid=valid, config=short, seed=0)
    >>> gan.sample(n_users=10, seed=0).n_users
    10
    """

    kind = "gan/sequence_gan"

    def __init__(
        self,
        arms: dict[ArmName, LSTMModel],
        record: GANRecord,
        config: GANConfig,
        template: InteractionLog,
        period: Period,
        sampling: SamplingConfig | None = None,
        guide: Guide | None = None,
        trial: GuideTrial | None = None,
    ) -> None:
        self.arms = arms
        self.record = record
        self.config = config
        self.template = template  # no rows: the catalogue and the event names of the log it was fitted on
        self.period = period
        self.sampling = SamplingConfig() if sampling is None else sampling
        """How sequences are drawn: fitted on validation before the first round, the same for all arms."""
        self.guide = guide
        """What resampled draws keep by; None until `fit_guide`."""
        self.trial = trial
        """Whether resampling was worth it, by a detector of another family; None until `fit_guide`."""

    @classmethod
    def fit(
        cls,
        train: InteractionLog,
        *,
        init: LSTMModel,
        valid: InteractionLog | None = None,
        config: GANConfig | None = None,
        seed: int = 0,
        folder: str | Path | None = None,
        show_progress: bool | None = None,
    ) -> SequenceGAN:
        """Train adversarially from ``init``, and its control beside it.

        Parameters
        ----------
        train : InteractionLog
            Real sequences for the discriminator and for the likelihood anchor.
        init : LSTMModel
            Where the generator starts; it is not changed.
        valid : InteractionLog, optional
            What the detector compares samples with. Without it a tenth of ``train`` is set aside for it, which
            ``init`` has usually been fitted on: the AUCs are then a little flattering to all three.
        config : GANConfig, optional
        seed : int
            Same seed, same machine, same weights.
        folder : path, optional
            Gets ``metrics.jsonl``, ``tensorboard/`` and checkpoints; a run that was killed goes on from the last one.
        show_progress : bool, optional
            Force the progress bar on or off.

        Raises
        ------
        CatalogMismatchError
            If ``init`` was fitted on another catalogue.
        CollapseError
            If a loss stops being finite, or the generator narrows and ``on_collapse`` is ``"raise"``.
        """
        config = GANConfig() if config is None else config
        init.space.check_log(train)
        period = Period.after(train)
        template = train.select(np.zeros(train.n_events, np.bool_), name=train.name)
        if valid is None:
            train, valid, _ = split_by_sequence(train, valid=0.1, test=0.001, seed=seed)
        training = AdversarialTraining(init, train, valid, config, seed)
        where = None if folder is None else Path(folder)
        record = training.run(where, show_progress=show_progress)
        arms: dict[ArmName, LSTMModel] = {
            "init": init,
            "control": training.control.best(),
            "adversarial": training.generator.best(),
        }
        if where is not None:
            remove_progress(where)
        return cls(arms, record, config, template, period, training.sampling)

    @property
    def kept(self) -> ArmName:
        """Which arm the validation detector chose."""
        return self.record.kept

    @property
    def model(self) -> LSTMModel:
        """The chosen generator: a `SequenceModel`, so a simulator can run on it."""
        return self.arms[self.kept]

    @property
    def kept_sentence(self) -> str:
        """Which generator was kept and on what evidence, in words."""
        auc = ", ".join(f"{name} {value:.3f}" for name, value in self.record.auc.items())
        stopped = f" The adversarial run was stopped: {self.record.collapsed}." if self.record.collapsed else ""
        return (
            f"The synthetic log comes from the {self.kept!r} generator: a classifier found its validation samples the "
            f"hardest to tell from real sessions (AUC: {auc}; differences below .02 are noise).{stopped}"
        )

    @property
    def control(self) -> LSTMModel:
        """The equal-step maximum-likelihood control."""
        return self.arms["control"]

    @property
    def adversarial(self) -> LSTMModel:
        """The adversarially trained generator, whether it was chosen or not."""
        return self.arms["adversarial"]

    def sample(
        self,
        n_users: int,
        *,
        seed: int = 0,
        max_length: int = 200,
        sampling: SamplingConfig | None = None,
        starts: Sequences | None = None,
    ) -> InteractionLog:
        """Sample a log of ``n_users`` synthetic users with one session each, over the original catalogue.

        Parameters
        ----------
        n_users : int
        seed : int
        max_length : int
            A session that reaches it is cut.
        sampling : SamplingConfig, optional
            Other knobs than the fitted ones, e.g. ``dataclasses.replace(gan.sampling, allowed_items=(0, 3))``.
        starts : Sequences, optional
            What the sessions begin with, taken in turn; see `generate_sequences`.

        Raises
        ------
        InvalidArgumentError
            If ``n_users`` is not positive, or a start cannot be gone on from.
        """
        check_at_least("n_users", n_users, 1)
        return self.as_log(self.draw(n_users, seed=seed, max_length=max_length, sampling=sampling, starts=starts))

    def as_log(self, sequences: Sequences) -> InteractionLog:
        """Return drawn sequences as a log over the original catalogue, in the time right after the training log's."""
        return sequences_to_log(sequences, self.template, period=self.period)

    def draw(
        self,
        n: int,
        *,
        seed: int = 0,
        max_length: int = 200,
        sampling: SamplingConfig | None = None,
        starts: Sequences | None = None,
        arm: ArmName | None = None,
        first: int = 0,
    ) -> Sequences:
        """Draw ``n`` sequences from an arm, by default the one that was kept, with the fitted knobs by default."""
        model = self.model if arm is None else self.arms[arm]
        knobs = self.sampling if sampling is None else sampling
        return generate_sequences(
            model, n, seed=seed, max_length=max_length, first=first, sampling=knobs, starts=starts
        )

    # ---- resampling ---------------------------------------------------------------------------------------------

    def fit_guide(self, train: InteractionLog, valid: InteractionLog, *, seed: int = 0) -> GuideTrial:
        """Fit the guide of resampled draws on ``train`` and let a GRU say on ``valid`` whether it is worth it.

        Returns
        -------
        GuideTrial
            Also in ``trial``; `draw_resampled` refuses a guide that was not accepted.
        """
        real = valid.sequences()
        candidates = self.draw(_CANDIDATES * len(real), seed=spawn_seeds(seed, 1)[0])
        self.guide, self.trial = try_guide(
            real, candidates, teach=train.sequences(), categories=item_categories(train), seed=seed
        )
        return self.trial

    def draw_resampled(
        self,
        n: int,
        *,
        seed: int = 0,
        method: Method = "rejection",
        draw: Callable[[int, int], Sequences] | None = None,
        accepted_only: bool = True,
    ) -> GuidedDraw:
        """Draw ``n`` sequences of the kept arm by the guide's weights.

        Parameters
        ----------
        method : {"rejection", "importance", "metropolis"}
        draw : callable, optional
            ``draw(m, first)``, where other candidates are wanted than `draw` gives.
        accepted_only : bool
            Refuse a guide that the unrelated detector did not agree with.

        Raises
        ------
        NotReadyError
            If there is no guide, or it was not accepted.
        """
        if self.guide is None or self.trial is None:
            raise NotReadyError("this GAN has no guide; call fit_guide with the training and validation logs first")
        if accepted_only and not self.trial.accepted:
            raise NotReadyError(f"resampling was not worth it here: {self.trial.sentence}; draw without it")
        candidates = (lambda m, first: self.draw(m, seed=seed, first=first)) if draw is None else draw
        return draw_guided(candidates, self.guide, n, seed=seed, method=method)

    # ---- disk ---------------------------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> None:
        """Write the arms, the record, the guide and the catalogue; a kill leaves the old GAN or the new one."""
        from rlrec.gan.storage import save_gan

        save_gan(self, folder)

    @classmethod
    def load(cls, folder: str | Path) -> SequenceGAN:
        """Read a GAN that `save` wrote; nothing is unpickled."""
        from rlrec.gan.storage import load_gan

        return load_gan(folder)
