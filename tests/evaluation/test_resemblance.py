"""Resemblance by clusters, coverage and new transitions: by hand, and zero for a set beside itself."""

from __future__ import annotations

import numpy as np
import pytest

from rlrec.data.sequences import Sequences
from rlrec.evaluation.resemblance import Resemblance, cluster_transition_jsd, item_clusters, new_transition_share


def test_new_transitions_by_hand():
    train = Sequences.from_items(np.array([0, 1, 2]), np.array([0, 3]))
    other = Sequences.from_items(np.array([0, 1, 2, 0, 2, 1]), np.array([0, 4, 6]))
    assert new_transition_share(other, train, 3) == pytest.approx(2 / 4)  # 2 -> 0 and 2 -> 1 are new
    assert new_transition_share(train, train, 3) == 0.0


def test_items_of_like_people_share_a_cluster():
    rng = np.random.default_rng(0)
    items = np.concatenate([rng.permutation(8)[:4] + 8 * (i % 2) for i in range(400)])
    cluster = item_clusters(Sequences.from_items(items, np.arange(0, 1_601, 4)), 16, seed=0, n_clusters=2)
    assert len(set(cluster[:8])) == len(set(cluster[8:])) == 1
    assert cluster[0] != cluster[8]


def test_a_swap_inside_a_cluster_is_no_difference_and_one_across_is():
    cluster = np.array([0, 0, 1, 1])
    real = Sequences.from_items(np.array([0, 2, 1, 3]), np.array([0, 2, 4]))
    alike = Sequences.from_items(np.array([1, 3, 0, 2]), np.array([0, 2, 4]))
    across = Sequences.from_items(np.array([2, 0, 3, 1]), np.array([0, 2, 4]))
    assert cluster_transition_jsd(real, alike, cluster) == 0.0
    assert cluster_transition_jsd(real, across, cluster) == 1.0
    near = Resemblance(real=real, train=real, cluster=cluster, n=2)
    assert near.measure(real) == {"cluster_transition_jsd": 0.0, "coverage": 1.0, "new_transition_share": 0.0}
    half = Sequences.from_items(np.array([0, 2, 0, 2]), np.array([0, 2, 4]))
    assert near.measure(half)["coverage"] == 0.5
