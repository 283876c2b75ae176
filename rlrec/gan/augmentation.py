"""Augmentation: whether synthetic sequences beside the real ones make a better model, and how many of them.

The generators see the same few training sequences as everybody else. What it is worth stands beside arms that cost no
generator. Every arm is treated alike: it adds 0.5, 1 or 3 sequences for each real one, the validation sequences say how
many, and may say none.

===============  =============================================================================================
arm              what it adds to the real training sequences
===============  =============================================================================================
``nothing``      nothing
``more_epochs``  the real sequences again: as many more updates as the other arms take, with the same stopping
``disturbed``    real sequences with two neighbours swapped, cropped, or with items masked
``synthetic``    what the generators drew
===============  =============================================================================================

For a segment (`segments.segment_items`) the arms add sequences of that segment alone: the real ones of it again, which
is plain oversampling, disturbed copies of them, or what the generators drew of it; and the gates look at the validation
sequences of the segment. What that does to everybody is reported beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.core.estimate import Estimate
from rlrec.core.progress import progress
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences
from rlrec.evaluation.ranking import evaluate_ranking
from rlrec.gan.disturbances import disturbed
from rlrec.gan.joining import joined_log, repeated
from rlrec.gan.segments import in_segment
from rlrec.models.config import LSTMConfig
from rlrec.models.lstm import LSTMModel

_NOTHING = "nothing x 0"


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """What is tried, and the model on which it is tried."""

    shares: tuple[float, ...] = (0.5, 1.0, 3.0)
    """Sequences that an arm adds for each real one; 0 is always tried."""
    min_gain: float = 0.02
    """Relative gain of validation NDCG@10 below which nothing is added: smaller ones are luck (chosen here)."""
    model: LSTMConfig = field(
        default_factory=lambda: LSTMConfig(embedding_size=64, hidden_size=96, n_epochs=10, batch_tokens=640)
    )
    """The model that is trained with and without; it stops early on the validation sequences."""

    def __post_init__(self) -> None:
        """Refuse shares that add nothing."""
        if not self.shares or min(self.shares) <= 0:
            raise InvalidArgumentError(f"shares must be above 0 (0 is always tried), got {self.shares}")


@dataclass(frozen=True, kw_only=True)
class AugmentationResult:
    """What each arm reached on the test sequences, and what the gate chose."""

    chosen: str
    """Generator whose sequences were added, or ``"nothing"``."""
    share: float
    """Synthetic sequences for each real one; 0 where nothing was added."""
    gates: dict[str, str]
    """Arm to what validation chose in it, as ``source x share``."""
    valid_ndcg: dict[str, float]
    """Validation NDCG@10 of all that the gates looked at, by ``source x share``."""
    test_ndcg: dict[str, Estimate]
    """Test NDCG@10 of the arms: nothing, more_epochs, disturbed, synthetic (what the gate chose); with a segment, on
    the test sequences that belong to it."""
    test_ndcg_all: dict[str, Estimate]
    """The same on all test sequences; what a segment's gain costs everybody else."""

    @property
    def gain(self) -> float:
        """Relative gain of the synthetic arm over nothing, on the test sequences."""
        return self.gain_over("nothing")

    def gain_over(self, arm: str) -> float:
        """Relative gain of the synthetic arm over another one, on the test sequences."""
        return self.test_ndcg["synthetic"].value / max(self.test_ndcg[arm].value, 1e-12) - 1


def compare_arms(
    train: InteractionLog,
    valid: InteractionLog,
    test: InteractionLog,
    synthetic: Mapping[str, Sequences],
    *,
    config: AugmentationConfig | None = None,
    seed: int = 0,
    segment: NDArray[np.bool_] | None = None,
    show_progress: bool | None = None,
) -> AugmentationResult:
    """Train a model in each arm and test it on real sequences.

    Parameters
    ----------
    train, valid, test : InteractionLog
        Real sequences of one catalogue; ``valid`` stops every training early and is the gate of every arm.
    synthetic : mapping of name to Sequences
        What each generator, trained on ``train`` alone, has to add; enough for the largest share.
    config : AugmentationConfig, optional
    seed : int
        Starts every model alike.
    segment : bool array, shape (I,), optional
        The items of a segment: the arms add sequences of it alone (``synthetic`` must hold such), and the gates and
        ``test_ndcg`` look at its sequences.
    show_progress : bool, optional
        Force the progress bar, a step for each training, on or off.

    Raises
    ------
    InvalidArgumentError
        If a generator gave fewer sequences than the largest share needs.
    DataError
        If no training, validation or test sequence belongs to the segment.
    """
    config = AugmentationConfig() if config is None else config
    real = train.sequences()
    _check_enough(synthetic, real, config)
    own, watched, tested = real, valid.sequences(), test.sequences()
    whole = tested
    if segment is not None:
        own, watched, tested = (_inside(part, segment) for part in (train, valid, test))
    again = repeated(own, round(max(config.shares) * len(real)))
    arms: dict[str, Mapping[str, Sequences]] = {
        "more_epochs": {"copies": again},
        "disturbed": {"disturbed": disturbed(again, train.n_items, seed=seed)},
        "synthetic": synthetic,
    }
    n_fits = 1 + sum(map(len, arms.values())) * len(config.shares)
    bar: Any = progress(description="train the arms", total=n_fits, unit="model", show=show_progress)
    with bar:
        nothing = LSTMModel.fit(train, valid=valid, config=config.model, seed=seed, show_progress=False)
        seen = {_NOTHING: _ndcg(nothing, watched).value}
        gates, models = {}, {"nothing": nothing}
        bar.update()
        for arm, sources in arms.items():
            gates[arm], model = _NOTHING, nothing
            for name, sequences in sources.items():
                for share in config.shares:
                    tried = _fit(
                        train, sequences.select(np.arange(round(share * len(real)))), valid, config.model, seed
                    )
                    key = f"{name} x {share:g}"
                    seen[key] = _ndcg(tried, watched).value
                    if seen[key] > max(seen[gates[arm]], (1 + config.min_gain) * seen[_NOTHING]):
                        gates[arm], model = key, tried
                    bar.update()
            models[arm] = model
    reached = {arm: _ndcg(model, tested) for arm, model in models.items()}
    name, share_text = gates["synthetic"].rsplit(" x ", 1)
    return AugmentationResult(
        chosen=name,
        share=float(share_text),
        gates=gates,
        valid_ndcg=seen,
        test_ndcg=reached,
        test_ndcg_all=reached if segment is None else {arm: _ndcg(model, whole) for arm, model in models.items()},
    )


def _inside(log: InteractionLog, segment: NDArray[np.bool_]) -> Sequences:
    """Return the sequences of a log that belong to a segment and say something: two behaviours at least."""
    sequences = log.sequences()
    found = sequences.select(in_segment(sequences, segment) & (sequences.lengths >= 2))
    if len(found) == 0:
        raise DataError(
            f"none of the {len(sequences)} sequences of a part of {log.name} belongs to the segment (half of its "
            "behaviours on its items, two at least); choose a larger segment or larger parts"
        )
    return found


def _check_enough(synthetic: Mapping[str, Sequences], real: Sequences, config: AugmentationConfig) -> None:
    needed = round(max(config.shares) * len(real))
    for name, sequences in synthetic.items():
        if len(sequences) < needed:
            raise InvalidArgumentError(
                f"generator {name!r} must give {needed} sequences ({max(config.shares):g} for each of {len(real)} real "
                f"ones), got {len(sequences)}; sample more or lower the largest share"
            )


def _fit(train: InteractionLog, added: Sequences, valid: InteractionLog, config: LSTMConfig, seed: int) -> LSTMModel:
    log = joined_log(train.sequences(), added, train)
    return LSTMModel.fit(log, valid=valid, config=config, seed=seed, show_progress=False)


def _ndcg(model: LSTMModel, sequences: Sequences) -> Estimate:
    return evaluate_ranking(model, sequences, k=min(10, model.n_items)).estimate("ndcg")
