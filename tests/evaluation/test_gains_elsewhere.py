"""Our gains beside those of ranx and torchmetrics, where they are installed; a tie is the mean over its orders."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch

from rlrec.evaluation.gains import expected_set_gains

N_ITEMS, K = 6, 3
NAMES = ("precision", "recall", "hit", "ndcg", "reciprocal_rank")


def case(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores (I,) with ties, who is relevant (I,), and every untied ranking that the scores allow as scores (n, I)."""
    rng = np.random.default_rng(seed)
    scores, relevant = rng.integers(3, size=N_ITEMS).astype(float), np.zeros(N_ITEMS, bool)
    relevant[rng.choice(N_ITEMS, size=int(rng.integers(1, K + 1)), replace=False)] = True
    untied = [scores + 0.1 * np.array(order) / N_ITEMS for order in permutations(range(N_ITEMS))]
    return scores, relevant, np.stack(untied)


def ours(scores: np.ndarray, relevant: np.ndarray) -> dict[str, float]:
    gains = expected_set_gains(torch.from_numpy(scores)[None], torch.from_numpy(relevant)[None], K)
    return {name: float(value[0]) for name, value in gains.items()}


@pytest.mark.parametrize("seed", range(4))
def test_torchmetrics_agrees(seed):
    functional = pytest.importorskip("torchmetrics.functional.retrieval")
    scores, relevant, untied = case(seed)
    theirs = {
        "precision": functional.retrieval_precision,
        "recall": functional.retrieval_recall,
        "hit": functional.retrieval_hit_rate,
        "ndcg": functional.retrieval_normalized_dcg,
        "reciprocal_rank": functional.retrieval_reciprocal_rank,
    }
    target, mine = torch.from_numpy(relevant), ours(scores, relevant)
    for name in NAMES:
        every = [float(theirs[name](torch.from_numpy(row), target, top_k=K)) for row in untied]
        assert mine[name] == pytest.approx(np.mean(every), abs=1e-6), name


@pytest.mark.filterwarnings("ignore")  # of numba, which it compiles with
def test_ranx_agrees():
    ranx = pytest.importorskip("ranx")
    words = {"precision": "precision", "recall": "recall", "hit": "hit_rate", "ndcg": "ndcg", "reciprocal_rank": "mrr"}
    words["average_precision"] = "map"  # theirs divides by all that are relevant, ours by K at most: here the same
    for seed in range(4):
        scores, relevant, untied = case(seed)
        wanted = {str(item): 1 for item in np.flatnonzero(relevant)}
        qrels = ranx.Qrels({f"q{n:03}": wanted for n in range(len(untied))})
        run = ranx.Run(
            {f"q{n:03}": {str(item): float(s) for item, s in enumerate(row)} for n, row in enumerate(untied)}
        )
        found = ranx.evaluate(qrels, run, [f"{word}@{K}" for word in words.values()])
        mine = ours(scores, relevant)
        for name, word in words.items():
            assert mine[name] == pytest.approx(float(found[f"{word}@{K}"]), abs=1e-6), (seed, name)
