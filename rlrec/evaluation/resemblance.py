"""Resemblance where single items are too many to compare: clusters of items, transitions never seen, coverage.

As everywhere, a number means something beside the same number for another real set of equal size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import svds
from sklearn.cluster import KMeans

from rlrec.data.sequences import Sequences
from rlrec.evaluation.fidelity import jensen_shannon
from rlrec.evaluation.sequence_features import owners, transition_pairs

_N_CLUSTERS = 20
_N_FACTORS = 16


def item_clusters(train: Sequences, n_items: int, *, seed: int, n_clusters: int = _N_CLUSTERS) -> NDArray[np.int64]:
    """Return each item's cluster, (I,): k-means on the singular vectors of which sequence holds what.

    Items that training does not have share a cluster with whatever lies at the origin.
    """
    n_factors = min(_N_FACTORS, n_items - 1, len(train) - 1)
    cells = sparse.csr_matrix((np.ones(train.n_events), (owners(train), train.item)), shape=(len(train), n_items))
    _, strength, vectors = svds(cells, k=n_factors, random_state=seed)
    factors = (strength[:, None] * vectors).T  # (I, 16): the stronger a factor, the more it tells items apart
    unit = factors / np.maximum(np.linalg.norm(factors, axis=1, keepdims=True), 1e-9)
    found = KMeans(min(n_clusters, n_items), n_init=3, random_state=seed).fit_predict(unit)
    return np.asarray(found, np.int64)


def cluster_transition_jsd(a: Sequences, b: Sequences, cluster: NDArray[np.int64]) -> float:
    """Return the divergence of the transitions between clusters (I,), bits."""
    width, codes = int(cluster.max()) + 1, []
    for sequences in (a, b):
        inside = np.diff(owners(sequences)) == 0
        kind = cluster[sequences.item]
        codes.append((kind[:-1] * width + kind[1:])[inside])
    return jensen_shannon(*codes)


def new_transition_share(sequences: Sequences, train: Sequences, n_items: int) -> float:
    """Return the share of the transitions that training does not have; 0 where there are none."""
    pairs = transition_pairs(sequences, n_items)
    known = np.unique(transition_pairs(train, n_items))
    return float((~np.isin(pairs, known)).mean()) if len(pairs) else 0.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Resemblance:
    """Compares sets with held-out real sequences, on equally many of each.

    Parameters
    ----------
    real : Sequences
        Held-out real sequences.
    train : Sequences
        Says what is new, and what is like what.
    cluster : ndarray, shape (I,)
        From `item_clusters`.
    n : int
        Sequences of each set.
    seed : int
        Picks them.
    """

    real: Sequences
    train: Sequences
    cluster: NDArray[np.int64]
    n: int
    seed: int = 0

    def measure(self, other: Sequences) -> dict[str, float]:
        """Return what a set shares with the real one.

        Returns
        -------
        dict
            ``cluster_transition_jsd`` in bits, ``coverage`` (distinct items over those of the real set), and
            ``new_transition_share`` (transitions that training does not have).
        """
        mine, real = self._pick(other), self._pick(self.real)
        return {
            "cluster_transition_jsd": cluster_transition_jsd(mine, real, self.cluster),
            "coverage": len(np.unique(mine.item)) / max(len(np.unique(real.item)), 1),
            "new_transition_share": new_transition_share(mine, self.train, len(self.cluster)),
        }

    def _pick(self, sequences: Sequences) -> Sequences:
        order = np.random.default_rng(self.seed).permutation(len(sequences))[: self.n]
        return sequences.select(np.sort(order))
