"""A GAN on disk: a folder of its arms and its catalogue, and the manifest that names it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from rlrec.core.artifacts import artifact_parts, load_artifact, save_artifact
from rlrec.core.config import config_from_dict, config_to_dict
from rlrec.core.errors import ArtifactError
from rlrec.data.store import open_log, save_log
from rlrec.gan.config import GANConfig
from rlrec.gan.guided import GuideTrial
from rlrec.gan.resampling import Guide
from rlrec.gan.sampling_config import SamplingConfig
from rlrec.gan.sequence_gan import SequenceGAN
from rlrec.gan.synthetic_log import Period
from rlrec.gan.training import ArmName, GANRecord
from rlrec.models.lstm import LSTMModel

_PARTS = "parts-"
_ARMS: tuple[ArmName, ...] = ("init", "control", "adversarial")


def save_gan(gan: SequenceGAN, folder: str | Path) -> None:
    """Write the parts to a folder of their own, then rename the manifest that names it into place."""
    with artifact_parts(folder, _PARTS) as parts:
        for name, model in gan.arms.items():
            model.save(parts / name)
        save_log(gan.template, parts / "catalog")
        save_artifact(
            folder,
            kind=gan.kind,
            config=config_to_dict(gan.config),
            content={
                "parts": parts.name,
                "record": asdict(gan.record),
                "period": list(gan.period),
                "sampling": config_to_dict(gan.sampling),
                "trial": None if gan.trial is None else asdict(gan.trial),
            },
            arrays={} if gan.guide is None else gan.guide.to_arrays(),
            catalog_sha256=gan.model.space.catalog_sha256,
        )


def load_gan(folder: str | Path) -> SequenceGAN:
    """Read a GAN; nothing is unpickled."""
    folder = Path(folder)
    artifact = load_artifact(folder, kind=SequenceGAN.kind)
    content = artifact.content
    try:
        parts = folder / Path(content["parts"]).name  # the name alone: no path climbs out of the folder
        record = GANRecord(**content["record"])
        period = Period(*content["period"])
        sampling = config_from_dict(SamplingConfig, content.get("sampling", {}), where="manifest")
        trial = GuideTrial(**content["trial"]) if content.get("trial") else None
        guide = Guide.from_arrays(artifact.arrays) if trial is not None else None
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"{str(folder)!r} holds an incomplete GAN: {error}; train it again") from error
    template = open_log(parts / "catalog")
    artifact.check_catalog(template.catalog.sha256)
    return SequenceGAN(
        {name: LSTMModel.load(parts / name) for name in _ARMS},
        record,
        config_from_dict(GANConfig, artifact.config, where="manifest"),
        template,
        period,
        sampling,
        guide,
        trial,
    )
