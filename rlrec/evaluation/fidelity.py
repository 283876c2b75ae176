"""How much one set of sequences resembles another: lengths, repeats, popularity, transitions, and a detector.

No number here means anything alone: a finite sample of real sequences differs from another one too. Read each beside
``real_vs_real``, the same number for two sets of real sequences of the same size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from rlrec.core.errors import DataError
from rlrec.core.estimate import Estimate
from rlrec.data.features import Categorical
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences

FloatArray = NDArray[np.float64]

_N_TOP_ITEMS = 30  # items counted one by one in the detector's features
_MAX_LEVELS = 20  # a categorical feature with more levels is left out of them
_PULL = 5.0  # pseudo-observations of popularity in a transition row
_FOLDS = 5
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplying by it is a bijection of 64-bit words


# ---- one set ------------------------------------------------------------------------------------------------------


def repeat_rate(sequences: Sequences) -> float:
    """Return the share of behaviours whose item came before in the same sequence."""
    return float(is_repeat(sequences).mean()) if sequences.n_events else 0.0


def _owner(sequences: Sequences) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(sequences)), sequences.lengths)


def is_repeat(sequences: Sequences) -> NDArray[np.bool_]:
    """Return which behaviours take up an item that came before in the same sequence, (N,)."""
    key = _owner(sequences) * _width(sequences) + sequences.item
    repeat = np.ones(len(key), np.bool_)
    repeat[np.unique(key, return_index=True)[1]] = False
    return repeat


def _width(*sets: Sequences) -> int:
    """Return one more than the largest item index."""
    return 1 + max((int(s.item.max()) for s in sets if s.n_events), default=0)


def _pairs(sequences: Sequences, width: int) -> NDArray[np.int64]:
    """Return ``before * width + after`` of every transition inside a sequence."""
    item = sequences.item.astype(np.int64)
    inside = np.diff(_owner(sequences)) == 0
    pairs: NDArray[np.int64] = (item[:-1] * width + item[1:])[inside]
    return pairs


# ---- distances ----------------------------------------------------------------------------------------------------


def jensen_shannon(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    r"""Return the Jensen-Shannon divergence in bits, in [0, 1], of the labels in two samples.

    .. math:: \tfrac12 KL(p \| m) + \tfrac12 KL(q \| m), \quad m = (p + q) / 2

    Zero for equal frequencies, one for samples that share no label. Small samples of many labels come out too far
    apart, which is why it needs a real-against-real value beside it.
    """
    _, code = np.unique(np.concatenate([a, b]), return_inverse=True)
    n = int(code.max(initial=-1)) + 1
    p = np.bincount(code[: len(a)], minlength=n) / max(len(a), 1)
    q = np.bincount(code[len(a) :], minlength=n) / max(len(b), 1)
    middle = (p + q) / 2
    parts = [(w[w > 0] * np.log2(w[w > 0] / middle[w > 0])).sum() for w in (p, q)]
    return float(np.clip(sum(parts) / 2, 0.0, 1.0))


def item_jsd(a: Sequences, b: Sequences) -> float:
    """Return the divergence of the item frequencies, bits."""
    return jensen_shannon(a.item.astype(np.int64), b.item.astype(np.int64))


def transition_jsd(a: Sequences, b: Sequences) -> float:
    """Return the divergence of the joint frequencies of (item, next item), bits."""
    width = _width(a, b)
    return jensen_shannon(_pairs(a, width), _pairs(b, width))


# ---- copies -------------------------------------------------------------------------------------------------------


def copied_share(synthetic: Sequences, training: Sequences, *, n: int = 5) -> dict[str, float]:
    """Return how much of the synthetic set occurs in the training set word for word.

    Parameters
    ----------
    n : int
        Length of the runs compared, and the shortest sequence that counts as a copy when it is whole: short ones are
        shared by chance.

    Returns
    -------
    dict
        ``copied_share``: share of the sequences of at least ``n`` behaviours that equal a training sequence;
        ``copied_{n}grams``: share of the runs of ``n`` items that occur in training. Real people repeat each other
        too: compare with held-out real sequences in the place of ``synthetic``.
    """
    whole = [_sequence_hash(s)[s.lengths >= n] for s in (synthetic, training)]
    runs = [_run_hash(s, n) for s in (synthetic, training)]
    return {"copied_share": _share_in(*whole), f"copied_{n}grams": _share_in(*runs)}


def _share_in(values: NDArray[np.uint64], known: NDArray[np.uint64]) -> float:
    return float(np.isin(values, known).mean()) if len(values) else 0.0


def _run_hash(sequences: Sequences, n: int) -> NDArray[np.uint64]:
    """Return a 64-bit hash of every run of ``n`` items inside a sequence."""
    n_runs = max(sequences.n_events - n + 1, 0)
    word = np.zeros(n_runs, np.uint64)
    for i in range(n):
        word = _scramble(word + sequences.item[i : i + n_runs].astype(np.uint64) + np.uint64(1))
    owner = _owner(sequences)
    inside: NDArray[np.uint64] = word[owner[:n_runs] == owner[n - 1 : n - 1 + n_runs]]
    return inside


def _sequence_hash(sequences: Sequences) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each sequence's items in order."""
    if len(sequences) == 0:
        return np.zeros(0, np.uint64)
    place = np.arange(sequences.n_events) - sequences.offsets[:-1][_owner(sequences)]
    word = _scramble(_scramble(sequences.item.astype(np.uint64) + np.uint64(1)) + place.astype(np.uint64))
    total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(word, dtype=np.uint64)])
    difference: NDArray[np.uint64] = total[sequences.offsets[1:]] - total[sequences.offsets[:-1]]
    return difference


def _scramble(word: NDArray[np.uint64]) -> NDArray[np.uint64]:
    word = word * _BASE
    return word ^ (word >> np.uint64(29))


# ---- the detector -------------------------------------------------------------------------------------------------


class Detector(NamedTuple):
    """A classifier's success at telling two sets of sequences apart."""

    auc: float
    """Out-of-fold area under the ROC curve: 0.5 cannot tell, 1 always tells."""
    n: int
    """Sequences of each set."""

    @property
    def estimate(self) -> Estimate:
        """The AUC with its 95 % interval over sequences.

        References
        ----------
        .. [1] Hanley & McNeil, "The meaning and use of the area under a ROC curve", Radiology 1982.
        """
        auc, n = self.auc, self.n
        q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
        variance = (auc * (1 - auc) + (n - 1) * (q1 + q2 - 2 * auc**2)) / n**2
        error = 1.96 * float(np.sqrt(max(variance, 0.0)))
        return Estimate(value=auc, low=auc - error, high=auc + error, n=n, effective_sample_size=n)


def sequence_features(
    sequences: Sequences,
    *,
    top_items: NDArray[np.integer],
    categories: tuple[NDArray[np.int64], ...] = (),
    reference: Sequences | None = None,
) -> FloatArray:
    """Return one row of numbers for each sequence, (S, F): what the detector sees.

    Length, distinct and repeated items, immediate repeats, gaps, event shares, shares of ``top_items``, shares of the
    levels of each item category, and the first item's popularity and mean log probability of the transitions under
    counts of ``reference``.
    """
    owner, n = _owner(sequences), len(sequences)
    length = np.maximum(sequences.lengths, 1).astype(np.float64)

    def mean(values: NDArray[np.generic]) -> FloatArray:
        return np.bincount(owner, weights=values.astype(np.float64), minlength=n) / length

    def shares(code: NDArray[np.integer], n_levels: int) -> FloatArray:
        flat = np.bincount(owner * (n_levels + 1) + code, minlength=n * (n_levels + 1))
        return flat.reshape(n, n_levels + 1)[:, :n_levels] / length[:, None]

    immediate = np.zeros(sequences.n_events, np.bool_)
    immediate[1:] = (np.diff(owner) == 0) & (np.diff(sequences.item) == 0)
    rank = np.full(max(_width(sequences), int(top_items.max(initial=-1)) + 1), len(top_items))
    rank[top_items] = np.arange(len(top_items))
    n_events = int(sequences.event.max(initial=0)) + 1
    columns = [length, mean(is_repeat(sequences)), mean(immediate), mean(sequences.gap)]
    blocks = [np.stack(columns, axis=1), shares(rank[sequences.item], len(top_items))]
    blocks.append(shares(sequences.event, max(n_events, 2))[:, :2])
    blocks += [shares(levels[sequences.item], int(levels.max(initial=0)) + 1) for levels in categories]
    if reference is not None:
        blocks.append(np.stack(_typicality(sequences, reference), axis=1))
    return np.concatenate(blocks, axis=1)


def typicality(sequences: Sequences, reference: Sequences) -> tuple[FloatArray, FloatArray]:
    """Return how usual openings and transitions are under smoothed counts of ``reference``, nats.

    Returns
    -------
    opening : (S,) log popularity of each sequence's first item, 0 where it is empty
    transitions : (M,) log p(next | item) of every transition inside a sequence, in order
    """
    width = _width(sequences, reference)
    popularity = (np.bincount(reference.item, minlength=width) + 1.0) / (reference.n_events + width)
    keys, counts = np.unique(_pairs(reference, width), return_counts=True)
    total = np.bincount(keys // width, weights=counts, minlength=width)
    pair = _pairs(sequences, width)
    place = np.minimum(np.searchsorted(keys, pair), max(len(keys) - 1, 0))
    seen = np.where(keys[place] == pair, counts[place], 0) if len(keys) else np.zeros(len(pair))
    before, after = pair // width, pair % width
    log_p = np.log((seen + _PULL * popularity[after]) / (total[before] + _PULL))
    opening = np.zeros(len(sequences))
    filled = sequences.lengths > 0
    opening[filled] = np.log(popularity[sequences.item[sequences.offsets[:-1][filled]]])
    return opening, log_p


def _typicality(sequences: Sequences, reference: Sequences) -> tuple[FloatArray, FloatArray]:
    """Return the opening item's log share, and the mean log p(next | item), under smoothed counts of ``reference``."""
    opening, log_p = typicality(sequences, reference)
    owner = _owner(sequences)[1:][np.diff(_owner(sequences)) == 0]
    sums = np.bincount(owner, weights=log_p, minlength=len(sequences))
    return opening, sums / np.maximum(sequences.lengths - 1, 1)


def item_categories(log: InteractionLog) -> tuple[NDArray[np.int64], ...]:
    """Return the codes (I,) of the catalogue's categorical features of few levels, for the detector."""
    features = log.catalog.features
    columns = [column for column in features.values() if isinstance(column, Categorical)]
    codes = [np.asarray(column.codes, np.int64) for column in columns]
    return tuple(code - code.min(initial=0) for code in codes if code.max(initial=0) < _MAX_LEVELS)


def detect(
    a: Sequences,
    b: Sequences,
    *,
    seed: int = 0,
    categories: tuple[NDArray[np.int64], ...] = (),
    reference: Sequences | None = None,
    max_n: int = 3_000,
) -> Detector:
    """Train a classifier of another family (boosted trees) to tell ``a`` from ``b``; a classifier two-sample test.

    Parameters
    ----------
    seed : int
        Picks equally many sequences of each set and shuffles the folds.
    categories : tuple of (I,) arrays
        Item categories, from `item_categories`.
    reference : Sequences, optional
        A third set (the training set) whose counts say how typical a sequence is.
    max_n : int
        Most sequences of each set.

    Raises
    ------
    DataError
        If a set has fewer than 20 sequences.

    References
    ----------
    .. [1] Lopez-Paz & Oquab, "Revisiting classifier two-sample tests", ICLR 2017.
    """
    n = min(len(a), len(b), max_n)
    if n < 4 * _FOLDS:
        raise DataError(f"the detector needs at least {4 * _FOLDS} sequences of each set, got {len(a)} and {len(b)}")
    rng = np.random.default_rng(seed)
    a, b = (s.select(np.sort(rng.permutation(len(s))[:n])) for s in (a, b))
    counts = np.bincount(np.concatenate([a.item, b.item]))
    top = np.argsort(-counts, kind="stable")[:_N_TOP_ITEMS]
    rows = [sequence_features(s, top_items=top, categories=categories, reference=reference) for s in (a, b)]
    features, label = np.concatenate(rows), np.repeat([0, 1], n)
    trees = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=15, early_stopping=False, random_state=seed)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    score = cross_val_predict(trees, features, label, cv=folds, method="predict_proba")[:, 1]
    return Detector(float(roc_auc_score(label, score)), n)


def c2st_auc(
    a: Sequences,
    b: Sequences,
    *,
    seed: int = 0,
    categories: tuple[NDArray[np.int64], ...] = (),
    reference: Sequences | None = None,
    max_n: int = 3_000,
) -> float:
    """Return the detector's out-of-fold AUC: near 0.5 where the sets cannot be told apart. See `detect`."""
    return detect(a, b, seed=seed, categories=categories, reference=reference, max_n=max_n).auc


# ---- all of it ----------------------------------------------------------------------------------------------------


class Comparison(NamedTuple):
    """What sets of sequences are compared with, and how."""

    real: Sequences
    """Held-out real sequences."""
    reference: Sequences
    """The training set: feeds the detector's features and the shares of copies."""
    categories: tuple[NDArray[np.int64], ...] = ()
    """Item categories for the detector, from `item_categories`."""
    seed: int = 0
    max_n: int = 3_000
    """Most sequences of each set that a detector looks at, or that a model tested for usefulness is trained on."""

    def describe(self, sequences: Sequences) -> dict[str, Any]:
        """Return what a set is like by itself: ``session_length_mean`` (behaviours), ``repeat_rate``, copies.

        ``copied_share`` and ``copied_5grams`` are shares of the training set found again, see `copied_share`.
        """
        if len(sequences) == 0:
            raise DataError("there are no sequences to describe")
        values = {"session_length_mean": float(sequences.lengths.mean()), "repeat_rate": repeat_rate(sequences)}
        return values | copied_share(sequences, self.reference)

    def distances(self, other: Sequences) -> dict[str, Any]:
        """Return how far ``other`` is from the real set, on equally many sequences of each.

        Returns
        -------
        dict
            ``session_length_wasserstein`` in behaviours, ``session_length_ks``, ``item_jsd``, ``transition_jsd`` and
            ``gap_jsd`` in bits, and ``c2st_auc``, an `Estimate` as plain values.
        """
        n = min(len(self.real), len(other))
        rng = np.random.default_rng(self.seed)
        real, other = (s.select(np.sort(rng.permutation(len(s))[:n])) for s in (self.real, other))
        found = detect(
            real, other, seed=self.seed, categories=self.categories, reference=self.reference, max_n=self.max_n
        )
        return {
            "session_length_wasserstein": float(stats.wasserstein_distance(real.lengths, other.lengths)),
            "session_length_ks": float(stats.ks_2samp(real.lengths, other.lengths).statistic),
            "item_jsd": item_jsd(real, other),
            "transition_jsd": transition_jsd(real, other),
            "gap_jsd": jensen_shannon(real.gap, other.gap),
            "c2st_auc": found.estimate.to_dict(),
        }

    def table(self, others: Mapping[str, Sequences], *, other_real: Sequences) -> dict[str, dict[str, Any]]:
        """Return measure -> column -> value: ``real``, each of ``others``, and ``real_vs_real``.

        Parameters
        ----------
        others : mapping of name to Sequences
            Simulated or synthetic sets.
        other_real : Sequences
            A second real set; what it gives is the floor that a generator can be asked to reach.
        """
        columns = {name: self.describe(s) | self.distances(s) for name, s in others.items()}
        columns["real_vs_real"] = self.describe(other_real) | self.distances(other_real)
        columns["real"] = self.describe(self.real)
        order = ("real", *others, "real_vs_real")
        measures = dict.fromkeys(measure for name in order for measure in columns[name])
        return {
            measure: {name: columns[name][measure] for name in order if measure in columns[name]}
            for measure in measures
        }
