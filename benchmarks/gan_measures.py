"""What `bench_gan.py` measures of a synthetic set, beside real sets and controls."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import svds
from sklearn.cluster import KMeans

from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences
from rlrec.evaluation.detectors import FAMILIES
from rlrec.evaluation.fidelity import Comparison, jensen_shannon
from rlrec.evaluation.privacy import audit_privacy
from rlrec.evaluation.sequence_features import owners, transition_pairs
from rlrec.evaluation.utility import training_utility
from rlrec.gan.synthetic_log import sequences_to_log
from rlrec.models.base import SequenceModel

N_CLUSTERS = 20


def clusters(train: Sequences, n_items: int, seed: int) -> NDArray[np.int64]:
    """Return each item's cluster, (I,): k-means on the singular vectors of who has what, from training alone."""
    cells = sparse.csr_matrix(
        (np.ones(train.n_events), (owners(train), train.item)), shape=(len(train), n_items), dtype=float
    )
    factors = svds(cells, k=16, random_state=seed)[2].T  # (I, 16)
    unit = factors / np.maximum(np.linalg.norm(factors, axis=1, keepdims=True), 1e-9)
    return KMeans(N_CLUSTERS, n_init=3, random_state=seed).fit_predict(unit).astype(np.int64)


def cluster_jsd(a: Sequences, b: Sequences, cluster: NDArray[np.int64]) -> float:
    """Return the divergence of the transitions between clusters, bits."""
    codes = []
    for sequences in (a, b):
        inside = np.diff(owners(sequences)) == 0
        kind = cluster[sequences.item]
        codes.append((kind[:-1] * N_CLUSTERS + kind[1:])[inside])
    return jensen_shannon(*codes)


def new_bigrams(sequences: Sequences, train: Sequences, n_items: int) -> float:
    """Return the share of transitions that training does not have."""
    known = np.unique(transition_pairs(train, n_items))
    return float((~np.isin(transition_pairs(sequences, n_items), known)).mean())


class Measures:
    """The real parts, and what a set is measured against."""

    def __init__(self, parts: tuple[InteractionLog, ...], comparison: Comparison, seed: int) -> None:
        self.train, self.valid, self.test = parts
        self.comparison, self.seed = comparison, seed
        self.real = [part.sequences() for part in parts]
        self.cluster = clusters(self.real[0], self.train.n_items, seed)
        self.floor = cluster_jsd(self._like(self.real[1]), self._like(self.real[2]), self.cluster)

    def _like(self, sequences: Sequences) -> Sequences:
        """Return as many sequences as validation and test both have: divergences of equal sizes compare."""
        n = min(len(self.real[1]), len(self.real[2]))
        order = np.random.default_rng(self.seed).permutation(len(sequences))[:n]
        return sequences.select(np.sort(order))

    def detectors(self, sequences: Sequences) -> dict[str, Any]:
        """Return the AUC of each family of detectors with its interval."""
        real = self.comparison.real
        found = {name: self.comparison.detector(real, sequences, name).estimate for name in FAMILIES}
        return {f"auc_{name}": {"value": e.value, "low": e.low, "high": e.high, "n": e.n} for name, e in found.items()}

    def resemblance(self, sequences: Sequences) -> dict[str, float]:
        """Return what a set shares with the test part, beside what validation shares with it."""
        train, _, test = self.real
        mine, real = self._like(sequences), self._like(test)
        items = self.train.n_items
        known = np.unique(test.select(np.arange(min(len(test), len(sequences)))).item)
        drawn = np.unique(sequences.select(np.arange(min(len(test), len(sequences)))).item)
        return {
            "cluster_jsd_ratio": cluster_jsd(mine, real, self.cluster) / self.floor,
            "coverage": len(drawn) / len(known),
            "new_bigram_gap": new_bigrams(sequences, train, items) - new_bigrams(test, train, items),
            "length_mean": float(sequences.lengths.mean()),
        }

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
