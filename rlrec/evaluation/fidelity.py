"""How much one set of sequences resembles another: lengths, repeats, popularity, transitions, and a detector.

No number here means anything alone: a finite sample of real sequences differs from another one too. Read each beside
``real_vs_real``, the same number for two sets of real sequences of the same size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rlrec.core.errors import DataError
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences
from rlrec.evaluation.detectors import FAMILIES, Detector, Family, detect
from rlrec.evaluation.sequence_features import is_repeat, item_categories, owners, transition_pairs, width_of

_AUC_NAMES = {"gbdt": "c2st_auc", "logistic": "c2st_auc_logistic", "gru": "c2st_auc_gru"}
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplying by it is a bijection of 64-bit words


# ---- one set ------------------------------------------------------------------------------------------------------


def repeat_rate(sequences: Sequences) -> float:
    """Return the share of behaviours whose item came before in the same sequence."""
    return float(is_repeat(sequences).mean()) if sequences.n_events else 0.0


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
    width = width_of(a, b)
    return jensen_shannon(transition_pairs(a, width), transition_pairs(b, width))


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
    owner = owners(sequences)
    inside: NDArray[np.uint64] = word[owner[:n_runs] == owner[n - 1 : n - 1 + n_runs]]
    return inside


def _sequence_hash(sequences: Sequences) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each sequence's items in order."""
    if len(sequences) == 0:
        return np.zeros(0, np.uint64)
    place = np.arange(sequences.n_events) - sequences.offsets[:-1][owners(sequences)]
    word = _scramble(_scramble(sequences.item.astype(np.uint64) + np.uint64(1)) + place.astype(np.uint64))
    total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(word, dtype=np.uint64)])
    difference: NDArray[np.uint64] = total[sequences.offsets[1:]] - total[sequences.offsets[:-1]]
    return difference


def _scramble(word: NDArray[np.uint64]) -> NDArray[np.uint64]:
    word = word * _BASE
    return word ^ (word >> np.uint64(29))


# ---- all of it ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """What sets of sequences are compared with, and how."""

    real: Sequences
    """Held-out real sequences."""
    reference: Sequences
    """The training set: feeds the detector's features and the shares of copies."""
    other_real: Sequences
    """A second real set, near ``real`` in time."""
    categories: tuple[NDArray[np.int64], ...] = ()
    """Item categories for the detector, from `item_categories`."""
    seed: int = 0
    max_n: int = 3_000
    """Most sequences of each set that a detector looks at, or that a model tested for usefulness is trained on."""

    @classmethod
    def of(
        cls, train: InteractionLog, valid: InteractionLog, test: InteractionLog, *, seed: int = 0, max_n: int = 3_000
    ) -> Comparison:
        """Compare with the test part of a split; training is the reference, validation the second real set."""
        return cls(
            real=test.sequences(),
            reference=train.sequences(),
            other_real=valid.sequences(),
            categories=item_categories(train),
            seed=seed,
            max_n=max_n,
        )

    def describe(self, sequences: Sequences) -> dict[str, Any]:
        """Return what a set is like by itself: ``session_length_mean`` (behaviours), ``repeat_rate``, copies.

        ``copied_share`` and ``copied_5grams`` are shares of the training set found again, see `copied_share`.
        """
        if len(sequences) == 0:
            raise DataError("there are no sequences to describe")
        values = {"session_length_mean": float(sequences.lengths.mean()), "repeat_rate": repeat_rate(sequences)}
        return values | copied_share(sequences, self.reference)

    def distances(self, other: Sequences) -> dict[str, Any]:
        r"""Return how far ``other`` is from the real set, on equally many sequences of each.

        Returns
        -------
        dict
            ``session_length_wasserstein`` in behaviours, ``session_length_ks``, ``item_jsd``, ``transition_jsd`` and
            ``gap_jsd`` in bits; ``c2st_auc`` (boosted trees), ``c2st_auc_logistic`` and ``c2st_auc_gru``, `Estimate`\ s
            as plain values.
        """
        n = min(len(self.real), len(other))
        rng = np.random.default_rng(self.seed)
        real, other = (s.select(np.sort(rng.permutation(len(s))[:n])) for s in (self.real, other))
        found = {name: self.detector(real, other, name) for name in FAMILIES}
        return {
            "session_length_wasserstein": float(stats.wasserstein_distance(real.lengths, other.lengths)),
            "session_length_ks": float(stats.ks_2samp(real.lengths, other.lengths).statistic),
            "item_jsd": item_jsd(real, other),
            "transition_jsd": transition_jsd(real, other),
            "gap_jsd": jensen_shannon(real.gap, other.gap),
            **{_AUC_NAMES[name]: detector.estimate.to_dict() for name, detector in found.items()},
        }

    def _known_distances(self) -> dict[str, Any]:
        """Return the distances of one half of the training set, its typicality judged by counts of the other half.

        Under its own counts the training set looks more typical than anything else, and a detector would see that.
        """
        half = np.random.default_rng(self.seed).permutation(len(self.reference)) % 2 == 0
        return replace(self, reference=self.reference.select(half)).distances(self.reference.select(~half))

    def detector(self, real: Sequences, other: Sequences, family: Family = "gbdt") -> Detector:
        """Return how well a detector of a family tells two sets apart."""
        return detect(
            real,
            other,
            seed=self.seed,
            categories=self.categories,
            reference=self.reference,
            max_n=self.max_n,
            family=family,
        )

    @cached_property
    def _real_columns(self) -> dict[str, dict[str, Any]]:
        """The columns that no other set changes: detectors are dear, and a run makes several tables."""
        copies = ("copied_share", "copied_5grams")  # of the training set in itself: all of it
        known = self.describe(self.reference) | self._known_distances()
        return {
            "real": self.describe(self.real),
            "train_vs_real": {name: value for name, value in known.items() if name not in copies},
            "real_vs_real": self.describe(self.other_real) | self.distances(self.other_real),
        }

    def table(self, others: Mapping[str, Sequences]) -> dict[str, dict[str, Any]]:
        """Return measure -> column -> value: ``real``, each of ``others``, ``train_vs_real`` and ``real_vs_real``.

        A generator knows the training period only. So ``train_vs_real``, the training set itself beside the held-out
        one, is what it can be asked to reach, where the times have changed in between; ``real_vs_real`` is what two
        sets of nearly the same time give.

        Parameters
        ----------
        others : mapping of name to Sequences
            Simulated or synthetic sets.
        """
        columns = {name: self.describe(s) | self.distances(s) for name, s in others.items()} | self._real_columns
        order = ("real", *others, "train_vs_real", "real_vs_real")
        measures = dict.fromkeys(measure for name in order for measure in columns[name])
        return {
            measure: {name: columns[name][measure] for name in order if measure in columns[name]}
            for measure in measures
        }
