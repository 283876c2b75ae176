"""``rlrec gan``: train a generator of behaviour sequences against a discriminator, with its control beside it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from rlrec.cli.command import BaseCommand
from rlrec.gan.config import GANConfig
from rlrec.models.config import LSTMConfig

if TYPE_CHECKING:
    from rlrec.data.log import InteractionLog
    from rlrec.models.lstm import LSTMModel


@dataclass(frozen=True, kw_only=True)
class Command(BaseCommand):
    """Train a sequence GAN on a log and say what the adversary was worth.

    Beside the generator a control takes as many steps of maximum likelihood; whichever a detector of another family
    finds harder to tell from validation sessions is kept. Writes gan/, summary.json, details.json, config.toml,
    metrics.jsonl and tensorboard/. Killed, the same command goes on from the last checkpoint.
    """

    log: tyro.conf.Positional[str]
    """"builtin:eshop2008", "builtin:online_retail", or a file or folder with a behaviour log."""
    out: Path = Path("runs/gan")
    """Folder for the results."""
    init: Path | None = None
    """Where the generator starts: a saved LSTM of the same log, or the folder of rlrec fit. Fitted here by default."""
    valid: float = 0.1
    """Share of the sessions, by time, that the detector compares samples with."""
    test: float = 0.1
    """Share of the sessions, the latest, that the final table compares samples with."""
    n_probe: int = 3_000
    """Sessions that the final detector looks at and that the models of the usefulness test train on."""
    model: LSTMConfig = field(default_factory=LSTMConfig)
    """The LSTM that is fitted where --init is not given."""
    gan: GANConfig = field(default_factory=GANConfig)
    """The adversarial training."""


def run(command: Command) -> int:
    """Train, compare, save, and print the table."""
    from rlrec.cli.runs import data_summary, drawn_samples, start_run
    from rlrec.cli.tables import print_table
    from rlrec.core.artifacts import package_versions, write_json
    from rlrec.data.load import load_log
    from rlrec.data.splits import split_by_time
    from rlrec.evaluation.fidelity import Comparison
    from rlrec.evaluation.report_details import ReportDetails
    from rlrec.evaluation.report_tables import metrics_table
    from rlrec.gan.quality import quality_table
    from rlrec.gan.sequence_gan import SequenceGAN

    log = load_log(command.log)
    train, valid, test = split_by_time(log, valid=command.valid, test=command.test)
    start_run(command.out, command)
    began = time.perf_counter()
    init = _start(train, valid, command)
    gan = SequenceGAN.fit(train, init=init, valid=valid, config=command.gan, seed=command.seed, folder=command.out)
    trial = gan.fit_guide(train, valid, seed=command.seed)
    gan.save(command.out / "gan")
    seconds = {"gan": time.perf_counter() - began}
    compared = Comparison.of(train, valid, test, seed=command.seed, max_n=command.n_probe)
    table, samples = quality_table(gan, train, compared=compared, test=test, seed=command.seed)
    seconds["quality"] = time.perf_counter() - began - seconds["gan"]
    summary: dict[str, Any] = {
        "data": data_summary(log),
        "synthetic": table,
        "gan": asdict(gan.record),
        "resampling": asdict(trial),
        "seconds": seconds,
        "versions": package_versions(),
        "seed": command.seed,
    }
    drawn = {"real": compared.real, "synthetic": samples["gan"]}
    ReportDetails(
        **drawn_samples(drawn, log.n_items),
        licence=log.notes.get("licence"),
        notes=(gan.kept_sentence, f"Resampling: {trial.sentence}."),
    ).save(command.out)
    write_json(command.out / "summary.json", summary)
    print_table(metrics_table(table, "Synthetic sessions beside their controls and real ones"))
    print(f"{gan.kept_sentence}\nResampling: {trial.sentence}.")
    print(f"the generator is in {command.out / 'gan'}; to write a log: rlrec generate {command.out}")
    return 0


def _start(train: InteractionLog, valid: InteractionLog, command: Command) -> LSTMModel:
    """Return the LSTM that the generator starts from."""
    from rlrec.cli.saved import load_model
    from rlrec.core.errors import InvalidArgumentError
    from rlrec.models.lstm import LSTMModel

    if command.init is None:
        return LSTMModel.fit(train, valid=valid, config=command.model, seed=command.seed, folder=command.out)
    model = load_model(command.init)
    if not isinstance(model, LSTMModel):
        raise InvalidArgumentError(f"--init must be an LSTM, {str(command.init)!r} holds a {model.kind!r}")
    return model
