"""``rlrec augment``: find out whether synthetic sequences beside the real ones make a better model, and write them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from rlrec.cli.command import BaseCommand
from rlrec.cli.segment import feature_and_value
from rlrec.models.config import LSTMConfig

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rlrec.data.log import InteractionLog
    from rlrec.data.sequences import Sequences
    from rlrec.gan.augmentation import AugmentationResult
    from rlrec.gan.sampling_config import SamplingConfig
    from rlrec.models.base import SequenceModel


@dataclass(frozen=True, kw_only=True)
class Command(BaseCommand):
    """Train a model on real and synthetic sequences and say what the synthetic ones were worth.

    An LSTM and a Markov chain fitted on the training part give the sequences; how many are added, and whose, is chosen
    by validation, which may choose none. Beside it stand nothing, the real sequences again (more epochs), and
    swap/crop/mask, each with as many sequences to add and the same gate. Writes summary.json, config.toml, and
    augmented.parquet (training rows and the chosen synthetic ones) if any were chosen.
    """

    log: tyro.conf.Positional[str]
    """"builtin:eshop2008", "builtin:online_retail", or a file or folder with a behaviour log."""
    out: Path = Path("runs/augment")
    """Folder for the results."""
    valid: float = 0.1
    """Share of the sessions, by time, that chooses."""
    test: float = 0.1
    """Share of the sessions, the latest, on which the arms are compared."""
    shares: tuple[float, ...] = (0.5, 1.0, 3.0)
    """Synthetic sequences for each real one that are tried; 0 is always tried."""
    segment: str | None = None
    """A categorical item feature and its value, such as colour=red: add sessions with half of their items in it alone,
    and look at such sessions when choosing and comparing."""
    model: LSTMConfig = field(
        default_factory=lambda: LSTMConfig(embedding_size=64, hidden_size=96, n_epochs=10, batch_tokens=640)
    )
    """The model that is trained in each arm, and the generator."""

    def __post_init__(self) -> None:
        """Refuse what names no segment before anything is read."""
        if self.segment is not None:
            feature_and_value(self.segment)


def run(command: Command) -> int:
    """Fit generators, compare the arms, write."""
    from rlrec.cli.runs import data_summary, start_run
    from rlrec.core.artifacts import package_versions, write_json
    from rlrec.data.load import load_log
    from rlrec.data.splits import split_by_time
    from rlrec.gan.augmentation import AugmentationConfig, compare_arms
    from rlrec.gan.segments import segment_items

    config = AugmentationConfig(shares=command.shares, model=command.model)
    log = load_log(command.log)
    train, valid, test = split_by_time(log, valid=command.valid, test=command.test)
    items = None if command.segment is None else segment_items(log.catalog, *feature_and_value(command.segment))
    start_run(command.out, command)
    synthetic = _generators(train, valid, items, command)
    result = compare_arms(train, valid, test, synthetic, config=config, seed=command.seed, segment=items)
    write_json(
        command.out / "summary.json",
        {
            "data": data_summary(log),
            "augmentation": {
                "chosen": result.chosen,
                "share": result.share,
                "segment": command.segment,
                "gain": result.gain,
                "gain_over_more_epochs": result.gain_over("more_epochs"),
                "gates": result.gates,
                "valid_ndcg@10": result.valid_ndcg,
                "test_ndcg@10": {name: found.to_dict() for name, found in result.test_ndcg.items()},
                "test_ndcg@10_all": {name: found.to_dict() for name, found in result.test_ndcg_all.items()},
            },
            "versions": package_versions(),
            "seed": command.seed,
        },
    )
    _say(result, command.segment)
    if result.share:
        path = command.out / "augmented.parquet"
        _write(train, synthetic[result.chosen], result.share, path)
        print(f"training rows and synthetic ones: {path}")
    return 0


def _generators(
    train: InteractionLog, valid: InteractionLog, items: NDArray[np.bool_] | None, command: Command
) -> dict[str, Sequences]:
    """Return what each generator draws; with a segment's items (I,), of that segment alone."""
    from rlrec.gan.knobs import fit_sampling
    from rlrec.gan.segments import draw_with_share
    from rlrec.models.counting import MarkovModel
    from rlrec.models.lstm import LSTMModel

    models = {
        "lstm": LSTMModel.fit(train, valid=valid, config=command.model, seed=command.seed),
        "markov": MarkovModel.fit(train),
    }
    real, watched, sampled = train.sequences(), valid.sequences(), {}
    for name, model in models.items():
        knobs = fit_sampling(model, real, watched, seed=command.seed)
        draw = partial(_draw, model, knobs, command.seed)
        n = round(max(command.shares) * len(real))
        sampled[name] = draw(n, 0) if items is None else draw_with_share(draw, items, n, 1.0)[0]
    return sampled


def _draw(model: SequenceModel, knobs: SamplingConfig, seed: int, n: int, first: int) -> Sequences:
    from rlrec.gan.sampling import generate_sequences

    return generate_sequences(model, n, seed=seed, first=first, sampling=knobs)


def _say(result: AugmentationResult, segment: str | None) -> None:
    where = "" if segment is None else f" on the sessions of {segment} (and on all)"
    print(f"test NDCG@10{where} by what was added to the training rows:")
    for name, found in result.test_ndcg.items():
        everybody = "" if segment is None else f"  ({result.test_ndcg_all[name]})"
        print(f"  {name:12} {found}{everybody}  {result.gates.get(name, '')}")
    if result.share:
        print(f"validation chose {result.share:g} sequences of {result.chosen!r} for each real one: {result.gain:+.1%}")
    else:
        print("validation chose to add nothing: no generator improved the model there")


def _write(train: InteractionLog, sequences: Sequences, share: float, path: Path) -> None:
    """Write the training rows and the added ones; a real row stays as it was."""
    import numpy as np
    import polars as pl

    from rlrec.data.frames import table_path
    from rlrec.gan.synthetic_log import sequences_to_log

    added = sequences.select(np.arange(round(share * len(train.sequences()))))
    frames = [log.to_polars() for log in (train, sequences_to_log(added, train))]
    columns = [name for name in frames[0].columns if name in frames[1].columns]
    text = [pl.col(name).cast(pl.String) for name in ("user_id", "session_id") if name in columns]
    real, synthetic = (frame.select(columns).with_columns(text) for frame in frames)
    if "session_id" in columns:  # the numbers of the two logs' sessions must not meet
        synthetic = synthetic.with_columns((pl.lit("synthetic-") + pl.col("session_id")).alias("session_id"))
    with table_path(path) as temporary:
        pl.concat([real, synthetic], how="vertical_relaxed").write_parquet(temporary)
