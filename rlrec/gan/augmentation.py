"""Augmentation: whether synthetic sequences beside the real ones make a better model, and how many of them.

The generators see the same few training sequences as everybody else. How many synthetic sequences are added, and from
which generator, is chosen by the validation sequences, which may choose none. What it is worth stands beside arms that
cost no generator: nothing, more epochs, and the usual disturbances (swap, crop, mask).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from rlrec.core.errors import InvalidArgumentError
from rlrec.core.estimate import Estimate
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences
from rlrec.evaluation.ranking import evaluate_ranking
from rlrec.gan.sampling import sequences_to_log
from rlrec.models.config import LSTMConfig
from rlrec.models.lstm import LSTMModel

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """What is tried, and the model on which it is tried."""

    shares: tuple[float, ...] = (0.5, 1.0, 3.0)
    """Synthetic sequences for each real one; 0 is always tried."""
    min_gain: float = 0.02
    """Relative gain of validation NDCG@10 below which nothing is added: smaller ones are luck (chosen here)."""
    more_epochs: float = 2.0
    """Factor on the epochs of the arm that only trains longer."""
    model: LSTMConfig = field(
        default_factory=lambda: LSTMConfig(embedding_size=64, hidden_size=96, n_epochs=10, batch_tokens=640)
    )
    """The model that is trained with and without; it stops early on the validation sequences."""

    def __post_init__(self) -> None:
        """Refuse shares that add nothing."""
        if not self.shares or min(self.shares) <= 0:
            raise InvalidArgumentError(f"shares must be above 0 (0 is always tried), got {self.shares}")
        if self.more_epochs <= 1:
            raise InvalidArgumentError(f"more_epochs must be above 1, got {self.more_epochs}")


@dataclass(frozen=True, kw_only=True)
class AugmentationResult:
    """What each arm reached on the test sequences, and what the gate chose."""

    chosen: str
    """Generator whose sequences were added, or ``"nothing"``."""
    share: float
    """Synthetic sequences for each real one; 0 where nothing was added."""
    valid_ndcg: dict[str, float]
    """Validation NDCG@10 of all that the gate looked at, by ``generator x share``."""
    test_ndcg: dict[str, Estimate]
    """Test NDCG@10 of the arms: nothing, more_epochs, disturbed, synthetic (what the gate chose)."""

    @property
    def gain(self) -> float:
        """Relative gain of the synthetic arm over nothing, on the test sequences."""
        return self.test_ndcg["synthetic"].value / max(self.test_ndcg["nothing"].value, 1e-12) - 1


def compare_arms(
    train: InteractionLog,
    valid: InteractionLog,
    test: InteractionLog,
    synthetic: Mapping[str, Sequences],
    *,
    config: AugmentationConfig | None = None,
    seed: int = 0,
) -> AugmentationResult:
    """Train a model in each arm and test it on real sequences.

    Parameters
    ----------
    train, valid, test : InteractionLog
        Real sequences of one catalogue; ``valid`` stops every arm's training early and is the gate.
    synthetic : mapping of name to Sequences
        What each generator, trained on ``train`` alone, has to add; enough for the largest share.
    config : AugmentationConfig, optional
    seed : int
        Starts every model alike.

    Raises
    ------
    InvalidArgumentError
        If a generator gave fewer sequences than the largest share needs.
    """
    config = AugmentationConfig() if config is None else config
    real = train.sequences()
    _check_enough(synthetic, real, config)
    nothing = _fit(train, valid, config.model, seed)
    models = {"nothing x 0": nothing}
    for name, sequences in synthetic.items():
        for share in config.shares:
            added = sequences.select(np.arange(round(share * len(real))))
            models[f"{name} x {share:g}"] = _fit(joined_log(real, added, train), valid, config.model, seed)
    seen = {name: _ndcg(model, valid).value for name, model in models.items()}
    best = max(seen, key=seen.__getitem__)
    if seen[best] < (1 + config.min_gain) * seen["nothing x 0"]:
        best = "nothing x 0"
    longer = replace(config.model, n_epochs=round(config.more_epochs * config.model.n_epochs), patience=99)
    noisy = joined_log(real, disturbed(real, train.n_items, seed=seed), train)
    arms = {
        "nothing": nothing,
        "more_epochs": _fit(train, valid, longer, seed),
        "disturbed": _fit(noisy, valid, config.model, seed),
        "synthetic": models[best],
    }
    name, share_text = best.rsplit(" x ", 1)
    return AugmentationResult(
        chosen=name,
        share=float(share_text),
        valid_ndcg=seen,
        test_ndcg={arm: _ndcg(model, test) for arm, model in arms.items()},
    )


def _check_enough(synthetic: Mapping[str, Sequences], real: Sequences, config: AugmentationConfig) -> None:
    needed = round(max(config.shares) * len(real))
    for name, sequences in synthetic.items():
        if len(sequences) < needed:
            raise InvalidArgumentError(
                f"generator {name!r} must give {needed} sequences ({max(config.shares):g} for each of {len(real)} real "
                f"ones), got {len(sequences)}; sample more or lower the largest share"
            )


def _fit(train: InteractionLog, valid: InteractionLog, config: LSTMConfig, seed: int) -> LSTMModel:
    return LSTMModel.fit(train, valid=valid, config=config, seed=seed, show_progress=False)


def _ndcg(model: LSTMModel, log: InteractionLog) -> Estimate:
    return evaluate_ranking(model, log, k=min(10, log.n_items)).estimate("ndcg")


def joined(*sets: Sequences) -> Sequences:
    """Return sets of sequences one after another; users keep apart, values are left out.

    Examples
    --------
    >>> one = Sequences.from_items(np.array([1, 2]), np.array([0, 2]))
    >>> joined(one, one).offsets.tolist()
    [0, 2, 4]
    """
    n_users = np.cumsum([0] + [int(s.user.max(initial=-1)) + 1 for s in sets])
    n_events = np.cumsum([0] + [s.n_events for s in sets])
    return Sequences(
        offsets=np.concatenate([[0], *(s.offsets[1:] + n for s, n in zip(sets, n_events, strict=False))]),
        item=np.concatenate([s.item for s in sets]),
        event=np.concatenate([s.event for s in sets]),
        gap=np.concatenate([s.gap for s in sets]),
        value=None,
        start=np.concatenate([s.start for s in sets]),
        user=np.concatenate([s.user + n for s, n in zip(sets, n_users, strict=False)]),
        ended=np.concatenate([s.ended for s in sets]),
    )


def joined_log(real: Sequences, added: Sequences, like: InteractionLog) -> InteractionLog:
    """Return real and added sequences as one log to train on: a sequence is a session, users and values are lost."""
    return sequences_to_log(joined(real, added), like, prefix="augmented")


def disturbed(sequences: Sequences, n_items: int, *, seed: int) -> Sequences:
    """Return a disturbed copy of each sequence: two neighbours swapped, an end cropped, or items masked.

    Each sequence gets one of the three at random: a swap of two neighbouring items; a crop to a run of 60 % of its
    length; or a fifth of its items replaced by items drawn as often as they occur.

    References
    ----------
    .. [1] Xie et al., "Contrastive learning for sequential recommendation", ICDE 2022 (crop, mask, reorder).
    """
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, len(sequences))
    parts = [sequences.select(kind == which) for which in range(3)]
    return joined(_swapped(parts[0], rng), _cropped(parts[1], rng), _masked(parts[2], n_items, rng))


def _swapped(sequences: Sequences, rng: np.random.Generator) -> Sequences:
    long = np.flatnonzero(sequences.lengths >= 2)
    place = sequences.offsets[long] + rng.integers(0, sequences.lengths[long] - 1)
    item = sequences.item.copy()
    item[place], item[place + 1] = sequences.item[place + 1], sequences.item[place]
    return replace(sequences, item=item)


def _cropped(sequences: Sequences, rng: np.random.Generator) -> Sequences:
    kept = np.maximum(np.round(0.6 * sequences.lengths).astype(np.int64), np.minimum(sequences.lengths, 1))
    begin = sequences.offsets[:-1] + rng.integers(0, sequences.lengths - kept + 1)
    offsets = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
    rows = np.arange(offsets[-1]) + np.repeat(begin - offsets[:-1], kept)
    gap = sequences.gap[rows]
    gap[offsets[:-1][kept > 0]] = 0
    whole = kept == sequences.lengths
    ended = sequences.ended & (whole | (begin + kept == sequences.offsets[1:]))
    return replace(
        sequences,
        offsets=offsets,
        item=sequences.item[rows],
        event=sequences.event[rows],
        gap=gap,
        value=None,
        ended=ended,
    )


def _masked(sequences: Sequences, n_items: int, rng: np.random.Generator) -> Sequences:
    hit = rng.random(sequences.n_events) < 0.2
    item = sequences.item.copy()
    counts = sequences.item_counts(n_items) + 1e-9
    item[hit] = rng.choice(n_items, int(hit.sum()), p=counts / counts.sum())
    return replace(sequences, item=item)
