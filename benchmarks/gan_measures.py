"""What `bench_gan.py` measures of a synthetic set, beside real sets and controls."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences
from rlrec.evaluation.detectors import FAMILIES
from rlrec.evaluation.fidelity import Comparison, item_jsd, jensen_shannon
from rlrec.evaluation.privacy import audit_privacy
from rlrec.evaluation.resemblance import Resemblance, item_clusters
from rlrec.evaluation.utility import training_utility
from rlrec.gan.synthetic_log import sequences_to_log
from rlrec.models.base import SequenceModel


class Measures:
    """The real parts, and what a set is measured against: as many sequences of every set."""

    def __init__(self, parts: tuple[InteractionLog, ...], seed: int, max_n: int) -> None:
        self.train, self.valid, self.test = parts
        self.seed = seed
        self.real = [part.sequences() for part in parts]
        self.n = min(len(self.real[1]), len(self.real[2]), max_n)
        self.comparison = Comparison.of(*parts, seed=seed, max_n=self.n)
        clusters = item_clusters(self.real[0], self.train.n_items, seed=seed)
        self.near = Resemblance(real=self.real[2], train=self.real[0], cluster=clusters, n=self.n, seed=seed)
        self.floor = self.near.measure(self.real[1])

    def look(self, sequences: Sequences) -> dict[str, float]:
        """Return the AUC of each family of detectors, and what the set shares with the test part."""
        test = self.real[2]
        found = {f"auc_{name}": self.comparison.detector(test, sequences, name).auc for name in FAMILIES}
        share = self.near.measure(sequences)
        new = self.near.measure(test)["new_transition_share"]
        return (
            found
            | {
                "cluster_jsd_ratio": share["cluster_transition_jsd"] / self.floor["cluster_transition_jsd"],
                "coverage": share["coverage"],
                "new_bigram_gap": share["new_transition_share"] - new,
                "item_jsd": item_jsd(sequences, test),
                "length_ks": float(stats.ks_2samp(sequences.lengths, test.lengths).statistic),
                "gap_jsd": jensen_shannon(sequences.gap, test.gap),
                "event_jsd": jensen_shannon(sequences.event.astype(np.int64), test.event.astype(np.int64)),
            }
            | _values(sequences, test)
        )

    def twins(self, one: Sequences, other: Sequences) -> dict[str, float]:
        """Return the AUC of each family on two samples of one generator: what a detector says where nothing differs."""
        return {f"auc_{name}": self.comparison.detector(one, other, name).auc for name in FAMILIES}

    def usefulness(self, sets: dict[str, Sequences]) -> dict[str, float]:
        """Return NDCG@10 on real people of a model trained on each set, over that of one trained on real data."""
        logs = {"real": self.train} | {name: sequences_to_log(s, self.train) for name, s in sets.items()}
        found = training_utility(logs, self.test, seed=self.seed)
        return {name: found[name].value / found["real"].value for name in sets}

    def privacy(self, sequences: Sequences, generator: SequenceModel) -> dict[str, float]:
        """Return the attacks, the controls and the copies."""
        members, third, strangers = self.real
        audit = audit_privacy(
            sequences, members, strangers, other_real=third, generator=generator, max_n=800, seed=self.seed
        )
        assert audit.white_box is not None
        assert audit.nearest_control is not None
        return {
            "mia_black": audit.black_box.value,
            "mia_black_over_control": audit.leak,
            "mia_nearest_control": audit.nearest_control.value,
            "mia_white": audit.white_box.value,
            "copied_5grams": audit.copied["copied_5grams"],
            "copied_5grams_real": audit.copied_by_strangers["copied_5grams"],
            "nearest_distance": audit.distance_to_training,
            "nearest_distance_real": audit.distance_of_strangers,
        }


def _values(a: Sequences, b: Sequences) -> dict[str, float]:
    """Return the Kolmogorov-Smirnov distance of the values, where both have them."""
    if a.value is None or b.value is None:
        return {}
    known = (part[np.isfinite(part)] for part in (a.value, b.value))
    return {"value_ks": float(stats.ks_2samp(*known).statistic)}


def interval(values: list[float] | np.ndarray) -> dict[str, Any]:
    """Return the mean over seeds with its 95 % t interval; a single seed has none."""
    sample = np.asarray(values, float)
    n, mean = len(sample), float(sample.mean())
    if n == 1:
        return {"value": mean, "low": None, "high": None, "seeds": 1}
    error = float(stats.t.ppf(0.975, n - 1) * sample.std(ddof=1) / np.sqrt(n))
    return {"value": mean, "low": mean - error, "high": mean + error, "seeds": n}


def over_seeds(runs: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, Any]]:
    """Return row -> measure -> interval, of those rows and measures that any run has."""
    rows = dict.fromkeys(row for run in runs for row in run)
    table: dict[str, dict[str, Any]] = {}
    for row in rows:
        cells = [run[row] for run in runs if row in run]
        common = [name for name in cells[0] if all(name in cell for cell in cells)]
        table[row] = {name: interval([cell[name] for cell in cells]) for name in common}
    return table
