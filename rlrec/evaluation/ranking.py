"""Ranking metrics of next-item predictions over the *full* catalogue, for each target, so that intervals exist.

Ties: a target's rank is taken in expectation over a random order of the items that tie with it. So a model that gives
every item the same score gets what guessing would get, whatever the order of the catalogue.

Checked against enumeration of all tie orders (``tests/evaluation/test_ranking.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.core.estimate import Estimate
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences
from rlrec.models.base import BehaviourBatch, SequenceModel

_TOKENS = 4_096  # padded behaviours scored at a time; x I floats is the memory that it costs


@dataclass(frozen=True, eq=False)
class RankingResult:
    """Metrics of N next-item predictions; one entry a target."""

    k: int
    """Length of the list."""
    hit_at_1: NDArray[np.float64]
    """(N,) accuracy: probability that the target stands first."""
    hit: NDArray[np.float64]
    """(N,) recall@k: probability that the target stands in the first k."""
    ndcg: NDArray[np.float64]
    """(N,) 1 / log2(1 + rank) inside the first k, else 0."""
    reciprocal_rank: NDArray[np.float64]
    """(N,) 1 / rank inside the first k, else 0."""
    nll: NDArray[np.float64]
    """(N,) nats: -log p(target | history)."""
    shown: NDArray[np.int64]
    """(I,) how often each item stood in a list."""
    novelty: float
    """Mean bits of surprise of a shown item: -log2 of its training popularity."""
    user: NDArray[np.int64]
    """(N,) whose target it was."""

    @property
    def coverage(self) -> float:
        """Share of the catalogue that stood in some list."""
        return float((self.shown > 0).mean())

    def summary(self) -> dict[str, float]:
        """Return the means under the names that ``summary.json`` uses."""
        return {
            "test_nll": float(self.nll.mean()),
            "hit@1": float(self.hit_at_1.mean()),
            f"hit@{self.k}": float(self.hit.mean()),
            f"ndcg@{self.k}": float(self.ndcg.mean()),
            f"mrr@{self.k}": float(self.reciprocal_rank.mean()),
            f"coverage@{self.k}": self.coverage,
            f"novelty@{self.k}": self.novelty,
        }

    def estimate(self, metric: str) -> Estimate:
        """Return a metric's mean with a 95 % interval over users (targets of one user are not independent).

        Parameters
        ----------
        metric : {"hit_at_1", "hit", "ndcg", "reciprocal_rank", "nll"}
        """
        values = getattr(self, metric)
        users, owner = np.unique(self.user, return_inverse=True)
        sums = np.bincount(owner, weights=values - values.mean())
        n = len(users)
        error = np.sqrt((sums**2).sum() * n / max(n - 1, 1)) / len(values)
        mean = float(values.mean())
        return Estimate(value=mean, low=mean - 1.96 * error, high=mean + 1.96 * error, n=n, effective_sample_size=n)


def expected_gains(scores: Tensor, targets: Tensor, k: int) -> dict[str, NDArray[np.float64]]:
    """Return expected hit@1, hit@k, NDCG@k and reciprocal rank of ``targets`` (N,) under ``scores`` (N, I).

    With g items above the target and m tied with it (itself included), its rank is uniform on g+1..g+m; the expected
    gain is a difference of running sums of the gains by rank.
    """
    own = scores.gather(1, targets.unsqueeze(1))
    above = (scores > own).sum(1).numpy()
    tied = (scores == own).sum(1).numpy()
    n_items = scores.shape[1]
    rank = np.arange(1, n_items + 1)
    gains = {
        "hit_at_1": (rank == 1).astype(float),
        "hit": (rank <= k).astype(float),
        "ndcg": np.where(rank <= k, 1 / np.log2(1 + rank), 0.0),
        "reciprocal_rank": np.where(rank <= k, 1 / rank, 0.0),
    }
    running = {name: np.concatenate([[0.0], np.cumsum(gain)]) for name, gain in gains.items()}
    return {name: (total[above + tied] - total[above]) / tied for name, total in running.items()}


@torch.no_grad()
def evaluate_ranking(model: SequenceModel, test: InteractionLog | Sequences, *, k: int = 10) -> RankingResult:
    """Predict every behaviour that follows another in ``test``, and score the predictions over the full catalogue.

    Seen items are *not* left out: people look at the same thing twice. A sequence's first behaviour is no target.

    Parameters
    ----------
    model : SequenceModel
    test : InteractionLog or Sequences
    k : int
        Length of the list.
    """
    if not 1 <= k <= model.n_items:
        raise InvalidArgumentError(f"k must lie in 1..{model.n_items} (the catalogue), got {k}")
    sequences = test if isinstance(test, Sequences) else test.sequences()
    sequences = sequences.select(sequences.lengths >= 2)
    if len(sequences) == 0:
        raise DataError("the test part has no sequence with two behaviours, so there is nothing to predict")
    counts = model.space.item_counts + 1.0
    surprise = -np.log2(counts / counts.sum())
    shown = np.zeros(model.n_items, np.int64)
    parts: list[dict[str, NDArray[np.float64]]] = []
    for index in sequences.batches(n_tokens=_TOKENS):
        batch = sequences.pad(index)
        tokens = BehaviourBatch.from_padded(batch, model.device)
        heads, _ = model.forward(tokens)
        follows = torch.from_numpy(batch.mask[:, 1:])  # (B, T-1) a behaviour comes after t
        log_probs = heads.item_log_probs()[:, :-1].cpu()[follows]  # (N, I)
        targets = torch.from_numpy(batch.item[:, 1:])[follows]
        part = expected_gains(log_probs, targets, k)
        part["nll"] = -log_probs.gather(1, targets.unsqueeze(1)).squeeze(1).double().numpy()
        part["user"] = np.repeat(batch.user, batch.length - 1).astype(np.float64)
        parts.append(part)
        shown += np.bincount(log_probs.topk(k, dim=1).indices.flatten().numpy(), minlength=model.n_items)
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    user = joined.pop("user").astype(np.int64)
    return RankingResult(k=k, shown=shown, novelty=float(shown @ surprise / shown.sum()), user=user, **joined)
