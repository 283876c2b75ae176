"""The sequence GAN as one object: fit it on a log, sample a log from it, save it, load it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from rlrec.core.artifacts import artifact_parts, load_artifact, save_artifact
from rlrec.core.checks import check_at_least
from rlrec.core.config import config_from_dict, config_to_dict
from rlrec.core.errors import ArtifactError
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences
from rlrec.data.splits import split_by_sequence
from rlrec.data.store import open_log, save_log
from rlrec.gan.checkpoint import remove_progress
from rlrec.gan.config import GANConfig
from rlrec.gan.sampling import Period, generate_sequences, sequences_to_log
from rlrec.gan.sampling_config import SamplingConfig
from rlrec.gan.training import AdversarialTraining, ArmName, GANRecord
from rlrec.models.lstm import LSTMModel

_PARTS = "parts-"


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
    ) -> None:
        self.arms = arms
        self.record = record
        self.config = config
        self.template = template  # no rows: the catalogue and the event names of the log it was fitted on
        self.period = period
        self.sampling = SamplingConfig() if sampling is None else sampling
        """How sequences are drawn: fitted on validation before the first round, the same for all arms."""

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
        self, n_users: int, *, seed: int = 0, max_length: int = 200, sampling: SamplingConfig | None = None
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

        Raises
        ------
        InvalidArgumentError
            If ``n_users`` is not positive.
        """
        check_at_least("n_users", n_users, 1)
        sequences = self.draw(n_users, seed=seed, max_length=max_length, sampling=sampling)
        return sequences_to_log(sequences, self.template, period=self.period)

    def draw(
        self,
        n: int,
        *,
        seed: int = 0,
        max_length: int = 200,
        sampling: SamplingConfig | None = None,
        arm: ArmName | None = None,
    ) -> Sequences:
        """Draw ``n`` sequences from an arm, by default the one that was kept, with the fitted knobs by default."""
        model = self.model if arm is None else self.arms[arm]
        knobs = self.sampling if sampling is None else sampling
        return generate_sequences(model, n, seed=seed, max_length=max_length, sampling=knobs)

    # ---- disk ---------------------------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> None:
        """Write the arms, the record and the catalogue.

        They go to a folder of their own, then the manifest that names it is renamed into place: a kill leaves the old
        GAN or the new one.
        """
        with artifact_parts(folder, _PARTS) as parts:
            for name, model in self.arms.items():
                model.save(parts / name)
            save_log(self.template, parts / "catalog")
            save_artifact(
                folder,
                kind=self.kind,
                config=config_to_dict(self.config),
                content={
                    "parts": parts.name,
                    "record": asdict(self.record),
                    "period": list(self.period),
                    "sampling": config_to_dict(self.sampling),
                },
                arrays={},
                catalog_sha256=self.model.space.catalog_sha256,
            )

    @classmethod
    def load(cls, folder: str | Path) -> SequenceGAN:
        """Read a GAN that `save` wrote; nothing is unpickled."""
        folder = Path(folder)
        artifact = load_artifact(folder, kind=cls.kind)
        names: tuple[ArmName, ...] = ("init", "control", "adversarial")
        try:
            parts = folder / Path(artifact.content["parts"]).name  # the name alone: no path climbs out of the folder
            record = GANRecord(**artifact.content["record"])
            period = Period(*artifact.content["period"])
            sampling = config_from_dict(SamplingConfig, artifact.content.get("sampling", {}), where="manifest")
        except (KeyError, TypeError) as error:
            raise ArtifactError(f"{str(folder)!r} holds an incomplete GAN: {error}; train it again") from error
        template = open_log(parts / "catalog")
        artifact.check_catalog(template.catalog.sha256)
        arms = {name: LSTMModel.load(parts / name) for name in names}
        return cls(
            arms, record, config_from_dict(GANConfig, artifact.config, where="manifest"), template, period, sampling
        )
