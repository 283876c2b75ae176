"""Is the order of a log real? A bigram fit on the sequences against one fitted on the same sequences shuffled.

If the order tells nothing, both predict held-out sequences equally well, and a sequence model has nothing to learn.
Rows sorted by id inside each user are the other false order: a bigram fits them very well, so they are told by the
share of steps that ascend. Checked against known real and false orders in the tests.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlrec.data.log import InteractionLog

_MAX_ROWS = 2_000_000
"""Rows that are looked at, whole sequences drawn at random (chosen here: some seconds)."""
_STRENGTHS = (0.3, 3.0, 30.0, 300.0)
"""Weights of popularity in the smoothed bigram; each fit takes the one that predicts best, so that both are fair."""
_HELD_OUT = 5
"""One sequence in five is predicted, the others are fitted."""
SORTED = 0.95
"""Share of steps in one direction from which rows count as sorted (a random order has 0.5, plus or minus little)."""
_MIN_SEQUENCES = 20
"""Held-out sequences below which nothing is said (chosen here: a standard error of fewer means little)."""
_Z = 3.0
"""Standard errors by which the gain must exceed zero (chosen here: one false alarm in 700 logs)."""


class OrderGain(NamedTuple):
    """How much the order tells."""

    gain: float
    """Log-likelihood of a held-out step, bigram on real order minus bigram on shuffled order, nats."""
    error: float
    """Its standard error over sequences, nats; NaN where nothing was held out."""
    n_steps: int
    """Held-out steps."""
    n_sequences: int
    """Held-out sequences with a step."""

    @property
    def told(self) -> bool:
        """True if the gain is above zero by `_Z` standard errors."""
        return bool(self.gain > _Z * self.error)

    @property
    def judged(self) -> bool:
        """True if enough sequences were held out to say anything."""
        return self.n_sequences >= _MIN_SEQUENCES


def order_gain(log: InteractionLog, *, seed: int = 0) -> OrderGain:
    r"""Return the gain in log-likelihood of a step that knowing the order brings.

    .. math:: p(j \mid i) = \frac{c_{ij} + \alpha\, q_j}{c_i + \alpha}

    with counts :math:`c` of pairs in the fitted sequences and popularity :math:`q`.

    Examples
    --------
    >>> from rlrec.data.load import load_log
    >>> order_gain(load_log("builtin:eshop2008")).told
    True
    """
    rng = np.random.default_rng(seed)
    item, owner = _sample(log, rng)
    held_out = rng.random(owner[-1] + 1 if len(owner) else 0) < 1 / _HELD_OUT
    test = held_out[owner]
    shuffled = item[np.lexsort((rng.random(len(item)), owner))]
    pairs = _pairs(item[test], owner[test])
    if not len(pairs[0]) or test.all():
        return OrderGain(0.0, float("nan"), 0, 0)
    popularity = (np.bincount(item[~test], minlength=log.n_items) + 0.1) / (np.sum(~test) + 0.1 * log.n_items)
    real, false = (_best_fit(part[~test], owner[~test], pairs, popularity) for part in (item, shuffled))
    return _gain(real - false, owner[test][1:][np.diff(owner[test]) == 0])


def ascending_share(values: NDArray[np.number], owner: NDArray[np.integer]) -> float:
    """Return the share of steps inside a sequence that go up, among those that go up or down; NaN where none does."""
    step = np.diff(values.astype(np.float64))[np.diff(owner) == 0]
    n = int(np.count_nonzero(step[~np.isnan(step)]))
    return float(np.count_nonzero(step > 0) / n) if n else float("nan")


def _sample(log: InteractionLog, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return items and the numbers 0, 1, ... of their sequences, of at most about `_MAX_ROWS` rows."""
    sequences = log.sequences()
    if sequences.n_events > _MAX_ROWS:
        keep = rng.random(len(sequences)) < _MAX_ROWS / sequences.n_events
        sequences = sequences.select(keep)
    owner = np.repeat(np.arange(len(sequences)), sequences.lengths)
    return sequences.item.astype(np.int64), owner


def _pairs(item: NDArray[np.int64], owner: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    inside = np.diff(owner) == 0
    return item[:-1][inside], item[1:][inside]


def _best_fit(
    item: NDArray[np.int64],
    owner: NDArray[np.int64],
    test: tuple[NDArray[np.int64], NDArray[np.int64]],
    popularity: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the log-likelihood of each test step under the bigram whose strength fits the test steps best."""
    n_items = len(popularity)
    before, after = _pairs(item, owner)
    codes, counts = np.unique(before * n_items + after, return_counts=True)
    wanted = test[0] * n_items + test[1]
    at = np.minimum(np.searchsorted(codes, wanted), max(len(codes) - 1, 0))
    both = np.where(codes[at] == wanted, counts[at], 0) if len(codes) else np.zeros(len(wanted))
    first = np.bincount(before, minlength=n_items)[test[0]]
    fits = [np.log((both + alpha * popularity[test[1]]) / (first + alpha)) for alpha in _STRENGTHS]
    return max(fits, key=lambda fit: float(fit.sum()))


def _gain(difference: NDArray[np.float64], owner: NDArray[np.int64]) -> OrderGain:
    """Return the mean over steps, with its error over sequences (a ratio of two sums)."""
    _, index = np.unique(owner, return_inverse=True)
    steps, sums = np.bincount(index), np.bincount(index, weights=difference)
    mean = float(difference.mean())
    spread = sums - mean * steps
    error = float(np.sqrt(np.sum(spread**2)) / len(difference)) if len(steps) > 1 else float("nan")
    return OrderGain(mean, error, len(difference), len(steps))
