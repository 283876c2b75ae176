"""Fitting the sampling knobs: what sampled sequences are like on average is made what validation sequences are like.

Maximum likelihood fits each next behaviour given a *real* past; left to its own past a generator drifts. On windows of
film ratings it opens with rarer items, moves on to less typical ones and repeats where nobody does. Each knob has one
statistic that it moves, and is turned until free-running samples have validation's value of it.

====================  =======================================================================
knob                  statistic
====================  =======================================================================
first_temperature     mean log popularity of the opening item (nats, under training counts)
temperature           mean log p(next | item) under smoothed training counts (nats)
repeat_factor         share of behaviours that take up an earlier item, but for the last one
immediate_factor      share of behaviours that repeat the last item
item_factors          how often each item occurs: tastes have drifted since training
length_probs          lengths: the training histogram where it fits validation clearly better
event_order           what never happens to an item in training before something else did
====================  =======================================================================
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rlrec.core.errors import DataError
from rlrec.data.sequences import Sequences
from rlrec.evaluation.sequence_features import is_repeat, typicality
from rlrec.gan.event_order import learn_event_order
from rlrec.gan.knob_gate import gated
from rlrec.gan.sampling import generate_sequences
from rlrec.gan.sampling_config import SamplingConfig
from rlrec.models.base import SequenceModel

_N_ROUNDS = 8
_ITEM_ROUNDS = (2, 4)  # in which the items' factors are turned: the other knobs have settled, and settle again
_N_SAMPLES = 1_000  # sequences sampled in each round
_SLOPE = 1.5  # first guess: nats that a statistic falls by for each unit of log temperature
_LIMITS = (float(np.log(0.5)), float(np.log(1.5)))  # a temperature outside means another fault than sharpness
_HOLD = 10.0  # pseudo-observations against the noise of the sample that the item factors come from
_HOLDS = (
    10.0,
    30.0,
    100.0,
    300.0,
    1_000.0,
)  # pseudo-observations holding item counts to training's; one is chosen
_MIN_GAIN = 0.06  # Kolmogorov-Smirnov distance by which the length histogram must beat the end head


class Habits(NamedTuple):
    """Statistics of a set of sequences that the knobs turn on."""

    opening: float
    """Mean log popularity of the opening item, nats."""
    moving: float
    """Mean log p(next | item) of the transitions that bring a new item, nats."""
    repeats: float
    """Share of transitions to an earlier item that is not the last."""
    immediate: float
    """Share of transitions to the same item."""

    @classmethod
    def of(cls, sequences: Sequences, reference: Sequences) -> Habits:
        """Measure sequences, under counts of ``reference``."""
        opening, log_p = typicality(sequences, reference)
        later = np.ones(sequences.n_events, np.bool_)
        later[sequences.offsets[:-1][sequences.lengths > 0]] = False
        again = is_repeat(sequences)[later]
        immediate = (np.diff(sequences.item, prepend=-1) == 0)[later]
        fresh = log_p[~again]
        return cls(
            float(opening.mean()),
            float(fresh.mean()) if len(fresh) else 0.0,
            float((again & ~immediate).mean()) if len(again) else 0.0,
            float(immediate.mean()) if len(again) else 0.0,
        )

    def distance(self, other: Habits) -> float:
        """Return how far two sets of habits are apart: squared nats, and squared log odds of the shares."""
        nats = (self.opening - other.opening) ** 2 + (self.moving - other.moving) ** 2
        shares = ((self.repeats, other.repeats), (self.immediate, other.immediate))
        return nats + sum((_logit(mine) - _logit(theirs)) ** 2 for mine, theirs in shares)


def _logit(share: float) -> float:
    share = float(np.clip(share, 1e-4, 1 - 1e-4))
    return float(np.log(share / (1 - share)))


class _Secant:
    """Turns the logarithm of one knob towards a target, measuring on the way what a turn does to the statistic."""

    def __init__(self, slope: float, limits: tuple[float, float]) -> None:
        self.x, self.guess, self.slope, self.limits = 0.0, slope, slope, limits
        self._before: tuple[float, float] | None = None

    def turn(self, value: float, target: float) -> float:
        """Return the knob's next value, after the present one gave ``value``."""
        if self._before is not None and abs(self.x - self._before[0]) > 1e-3:
            slope = (value - self._before[1]) / (self.x - self._before[0]) / self.guess
            self.slope = self.guess * float(np.clip(slope, 0.5, 2.0))
        self._before = (self.x, value)
        self.x = float(np.clip(self.x + (target - value) / self.slope, *self.limits))
        return float(np.exp(self.x))

    def forget(self) -> None:
        """Stay, but measure the slope anew: something else has moved the statistic."""
        self._before = None


class _Factor(_Secant):
    """Turns a repeat factor; the statistic is the share of repeats, whose log odds rise with the log factor."""

    def __init__(self) -> None:
        super().__init__(1.0, (-7.0, 7.0))

    def turn(self, value: float, target: float) -> float:
        """Return the next factor: 0 where the target is 0."""
        return 0.0 if target <= 0 else super().turn(_logit(value), _logit(target))


def fit_sampling(
    model: SequenceModel, train: Sequences, valid: Sequences, *, seed: int = 0, max_length: int = 200
) -> SamplingConfig:
    """Fit temperatures, repeat factors and the way lengths are drawn on validation sequences.

    Each knob is turned by the secant rule on its logarithm, all at once: eight rounds of samples with the same
    luck, of which the nearest to validation is taken. Where detectors find samples with these knobs easier to tell from
    validation than samples without (`gated`), only lengths and the order of events stay.

    Parameters
    ----------
    model : SequenceModel
        The generator.
    train : Sequences
        Its counts say what is popular and what follows what; its lengths are the histogram.
    valid : Sequences
        What samples are made to resemble.
    seed : int
    max_length : int
        Behaviours after which a sample is cut.

    Returns
    -------
    SamplingConfig

    Raises
    ------
    DataError
        If there is no validation sequence.

    Examples
    --------
    >>> import rlrec
    >>> log = rlrec.load_log("builtin:eshop2008")
    >>> train, valid, test = (part.sequences() for part in rlrec.split_by_time(log))
    >>> model = rlrec.MarkovModel.fit(log)
    >>> knobs = fit_sampling(model, train, valid, seed=0)
    >>> 0.5 <= knobs.temperature <= 1.5
    True
    """
    if len(valid) == 0 or len(train) == 0:
        raise DataError("fitting the sampling knobs needs training and validation sequences, got none")
    config = _fit_lengths(model, train, valid, seed, max_length)
    config = replace(config, event_order=learn_event_order(train) if model.n_events > 1 else ())
    plain = config
    target, knobs = Habits.of(valid, train), _Knobs()
    wanted = expected_counts(train, valid, model.n_items, seed=seed)
    tried: list[tuple[float, SamplingConfig]] = []
    for round_ in range(_N_ROUNDS):
        sample = generate_sequences(model, _N_SAMPLES, seed=seed, max_length=max_length, sampling=config)
        now = Habits.of(sample, train)
        if round_ in _ITEM_ROUNDS:
            config = replace(config, item_factors=item_factors(sample, wanted, config.item_factors))
            knobs.forget()
        elif round_ > _ITEM_ROUNDS[-1]:
            tried.append((now.distance(target), config))
        config = knobs.turn(config, now, target)
    tuned = min(tried, key=lambda pair: pair[0])[1]
    return gated(model, tuned, plain, train, valid, seed=seed, max_length=max_length)


class _Knobs:
    """The four knobs that are turned in each round."""

    def __init__(self) -> None:
        self.first, self.later = (_Secant(-_SLOPE, _LIMITS) for _ in range(2))
        self.again, self.at_once = _Factor(), _Factor()

    def turn(self, config: SamplingConfig, now: Habits, target: Habits) -> SamplingConfig:
        """Return the next config, after the present one gave ``now``."""
        return replace(
            config,
            first_temperature=self.first.turn(now.opening, target.opening),
            temperature=self.later.turn(now.moving, target.moving),
            repeat_factor=self.again.turn(now.repeats, target.repeats),
            immediate_factor=self.at_once.turn(now.immediate, target.immediate),
        )

    def forget(self) -> None:
        """Measure all slopes anew: something else has moved the statistics."""
        for knob in (self.first, self.later, self.again, self.at_once):
            knob.forget()


def expected_counts(train: Sequences, valid: Sequences, n_items: int, *, seed: int) -> NDArray[np.float64]:
    """Return how often each item is expected in the near future, (I,): training's counts, moved towards validation's.

    The frequencies of few validation users are noise about the next users. How strongly they are held to training's is
    chosen by the likelihood of one half of the users under what the other half says; unless that gains twice its
    standard error over users, tastes have not drifted and the counts are training's.
    """
    users, code = np.unique(valid.user, return_inverse=True)
    half = np.random.default_rng(seed).permutation(len(users)) % 2 == 0
    halves = [valid.select(half[code] == side) for side in (True, False)]
    counts = train.item_counts(n_items).astype(np.float64)
    gains = [_gains(counts, halves, hold) for hold in _HOLDS]
    best = int(np.argmax([gain.sum() for gain in gains]))
    error = float(gains[best].std() * np.sqrt(len(gains[best])))
    if gains[best].sum() <= 2 * error:
        return counts
    return (counts + 1) * held_ratio(counts, valid.item_counts(n_items).astype(np.float64), _HOLDS[best])


def _gains(counts: NDArray[np.float64], halves: list[Sequences], hold: float) -> NDArray[np.float64]:
    """Return what each user's log likelihood gains by a drift that the other half of the users shows, (U,)."""
    share = (counts + 1) / (counts + 1).sum()
    parts = []
    for seen, other in (halves, halves[::-1]):
        moved = share * held_ratio(counts, seen.item_counts(len(counts)).astype(np.float64), hold)
        gain = np.log(moved / moved.sum() / share)[other.item]
        owner = np.unique(np.repeat(other.user, other.lengths), return_inverse=True)[1]
        parts.append(np.bincount(owner, weights=gain))
    return np.concatenate(parts)


def item_factors(sample: Sequences, wanted: NDArray[np.float64], before: tuple[float, ...] = ()) -> tuple[float, ...]:
    """Return factors (I,) that move each item's sampled frequency to the ``wanted`` one, on top of those ``before``."""
    sampled = sample.item_counts(len(wanted)).astype(np.float64)
    ratio = held_ratio(sampled, wanted * (sampled.sum() / max(wanted.sum(), 1.0)), _HOLD)
    return tuple(np.round(ratio * (np.asarray(before) if before else 1.0), 6).tolist())


def held_ratio(counts: NDArray[np.float64], wanted: NDArray[np.float64], hold: float) -> NDArray[np.float64]:
    """Return wanted over given frequencies, held back by ``hold`` pseudo-observations of no change."""
    scaled = counts * (wanted.sum() / max(counts.sum(), 1.0))
    ratio: NDArray[np.float64] = (wanted + hold) / (scaled + hold)
    return ratio


def _fit_lengths(
    model: SequenceModel, train: Sequences, valid: Sequences, seed: int, max_length: int
) -> SamplingConfig:
    """Return a config with the training histogram of lengths if it fits validation clearly better than the end head."""
    histogram = np.bincount(np.minimum(train.lengths[train.lengths > 0], max_length))[1:]
    sample = generate_sequences(model, _N_SAMPLES, seed=seed, max_length=max_length)
    learned = stats.ks_2samp(sample.lengths, valid.lengths).statistic
    drawn = stats.ks_2samp(np.repeat(np.arange(1, len(histogram) + 1), histogram), valid.lengths).statistic
    if drawn > learned - _MIN_GAIN:
        return SamplingConfig()
    return SamplingConfig(length_probs=tuple((histogram / histogram.sum()).tolist()))
