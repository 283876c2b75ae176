"""What lists are like, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from rlrec.evaluation.lists import diversity, gini, miscalibration, most_popular


def test_diversity_is_the_mean_distance_of_pairs():
    vectors = np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    lists = np.array([[0, 1, 2], [0, 2, 3]])
    # (0, 1) and (1, 2) are at right angles, (0, 2) point the same way; nothing is known of 3.
    np.testing.assert_allclose(diversity(lists, vectors), [(1 + 1 + 0) / 3, (0 + 1 + 1) / 3])
    assert diversity(lists[:, :1], vectors).tolist() == [0, 0]


def test_miscalibration_is_stecks_divergence():
    categories = np.array([[1.0, 0.0], [0.0, 1.0]])
    history = csr_array(np.array([[3.0, 1.0], [1.0, 0.0]]))
    wanted, given = np.array([0.75, 0.25]), 0.99 * np.array([0.5, 0.5]) + 0.01 * np.array([0.75, 0.25])
    expected = (wanted * np.log(wanted / given)).sum()
    got = miscalibration(np.array([[0, 1], [0, 0]]), history, categories)
    np.testing.assert_allclose(got, [expected, 0.0], atol=1e-12)


def test_a_list_without_categories_is_not_judged():
    got = miscalibration(np.array([[0]]), csr_array(np.array([[1.0]])), np.zeros((1, 2)))
    assert got.tolist() == [0.0]


def test_gini_and_the_most_popular():
    assert gini(np.zeros(3, np.int64)) == 0.0
    assert gini(np.array([1, 3])) == pytest.approx(0.25)
    assert most_popular(np.array([1, 5, 5, 0]), 1).tolist() == [False, True, False, False]
