"""Expected gains against the mean over every order of the ties."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, ndcg_score

from rlrec.evaluation.gains import expected_gains, expected_set_gains

N_ITEMS, K = 6, 3


def orders(scores: np.ndarray) -> list[list[int]]:
    """All rankings that the scores allow, each as often as ties can produce it."""
    return [sorted(order, key=lambda item: -scores[item]) for order in permutations(range(len(scores)))]


def gains_of(ranking: list[int], relevant: set[int], k: int) -> dict[str, float]:
    flags = [item in relevant for item in ranking[:k]]
    hits = [place for place, flag in enumerate(flags) if flag]
    best = sum(1 / np.log2(2 + place) for place in range(min(k, len(relevant))))
    return {
        "precision": sum(flags) / k,
        "recall": sum(flags) / len(relevant),
        "hit": float(any(flags)),
        "ndcg": sum(1 / np.log2(2 + place) for place in hits) / best,
        "reciprocal_rank": 1 / (1 + hits[0]) if hits else 0.0,
        "average_precision": sum(sum(flags[: p + 1]) / (p + 1) for p in hits) / min(len(relevant), k),
    }


@pytest.mark.parametrize("seed", range(12))
def test_sets_equal_the_mean_over_all_tie_orders(seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(3, size=N_ITEMS).astype(float)  # ties everywhere
    relevant = set(rng.choice(N_ITEMS, size=int(rng.integers(1, 5)), replace=False).tolist())
    flags = torch.zeros(1, N_ITEMS, dtype=torch.bool)
    flags[0, list(relevant)] = True
    got = expected_set_gains(torch.from_numpy(scores)[None], flags, K)
    every = [gains_of(ranking, relevant, K) for ranking in orders(scores)]
    for name, value in got.items():
        assert value[0] == pytest.approx(np.mean([gains[name] for gains in every]), abs=1e-12), name


@pytest.mark.parametrize("seed", range(6))
def test_one_target_is_a_set_of_one(seed):
    rng = np.random.default_rng(seed)
    scores = torch.from_numpy(rng.integers(3, size=(4, N_ITEMS)).astype(float))
    targets = torch.from_numpy(rng.integers(N_ITEMS, size=4))
    one = expected_gains(scores, targets, K)
    many = expected_set_gains(scores, torch.nn.functional.one_hot(targets, N_ITEMS).bool(), K)
    for name in ("hit", "ndcg", "reciprocal_rank"):
        np.testing.assert_allclose(one[name], many[name], rtol=1e-12)
    np.testing.assert_allclose(one["hit"], many["recall"], rtol=1e-12)
    np.testing.assert_allclose(one["reciprocal_rank"], many["average_precision"], rtol=1e-12)


def test_equal_scores_get_what_guessing_gets():
    gains = expected_gains(torch.zeros(1, N_ITEMS), torch.tensor([4]), K)
    assert gains["hit"][0] == pytest.approx(K / N_ITEMS)
    # The tempting wrong way, counting only items above, would call the target first.
    assert gains["hit_at_1"][0] == pytest.approx(1 / N_ITEMS)


@pytest.mark.parametrize("k", [1, 3, 20])
def test_ndcg_equals_scikit_learns_which_averages_ties_too(k):
    rng = np.random.default_rng(k)
    scores = rng.integers(4, size=(30, 20)).astype(float)
    relevant = rng.random((30, 20)) < 0.2
    relevant[np.arange(30), rng.integers(20, size=30)] = True
    ours = expected_set_gains(torch.from_numpy(scores), torch.from_numpy(relevant), k)["ndcg"]
    theirs = [ndcg_score([row], [score], k=k) for row, score in zip(relevant.astype(int), scores, strict=True)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_average_precision_equals_scikit_learns_without_ties():
    rng = np.random.default_rng(0)
    scores = rng.permuted(np.tile(np.arange(20.0), (30, 1)), axis=1)
    relevant = rng.random((30, 20)) < 0.2
    relevant[np.arange(30), rng.integers(20, size=30)] = True
    ours = expected_set_gains(torch.from_numpy(scores), torch.from_numpy(relevant), 20)["average_precision"]
    theirs = [average_precision_score(row, score) for row, score in zip(relevant, scores, strict=True)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("name", ["hit", "ndcg", "precision", "reciprocal_rank", "average_precision"])
def test_they_equal_torchmetrics_where_there_are_no_ties(name):
    functional = pytest.importorskip("torchmetrics.functional.retrieval")
    their_name = {
        "hit": "retrieval_hit_rate",
        "ndcg": "retrieval_normalized_dcg",
        "precision": "retrieval_precision",
        "reciprocal_rank": "retrieval_reciprocal_rank",
        "average_precision": "retrieval_average_precision",
    }[name]
    rng = np.random.default_rng(0)
    # From 1: torchmetrics counts an item with a score of 0 or less as not relevant.
    scores = torch.from_numpy(rng.permuted(np.tile(np.arange(1.0, 21.0), (30, 1)), axis=1))
    relevant = torch.from_numpy(rng.random((30, 20)) < 0.2)
    relevant[torch.arange(30), torch.from_numpy(rng.integers(20, size=30))] = True
    k = 20  # the whole list: at a cut, libraries divide average precision by different counts
    ours = expected_set_gains(scores, relevant, k)[name]
    theirs = [
        float(getattr(functional, their_name)(s, r, top_k=k)) for s, r in zip(scores.float(), relevant, strict=True)
    ]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
