"""Ranking metrics of next-item predictions over the *full* catalogue, for each target, so that intervals exist.

Ties count in expectation: see `rlrec.evaluation.gains`. Which items may stand in a list is said aloud: seen ones stay
in unless ``exclude_seen``, because people look at the same thing twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.core.checks import check_choice
from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.core.estimate import Estimate
from rlrec.data.catalog import ItemCatalog
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences
from rlrec.evaluation.gains import expected_gains
from rlrec.evaluation.lists import category_shares, diversity, gini, miscalibration, most_popular
from rlrec.models.base import BehaviourBatch, SequenceModel
from rlrec.models.prefixes import prefixes, target_rows
from rlrec.models.recommender import Recommender, best_of, without_seen
from rlrec.models.sparse import history_matrix

__all__ = ["RankingResult", "evaluate_ranking", "expected_gains"]

_SCORES = 2**23  # scores held at a time: 32 MB in single precision, a few times over
_TOKENS = 4_096  # most padded behaviours scanned at a time

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RankingResult:
    """Metrics of N next-item predictions; one entry a target."""

    k: int
    """Length of the list."""
    hit_at_1: Floats
    """(N,) accuracy: probability that the target stands first."""
    hit: Floats
    """(N,) recall@k: probability that the target stands in the first k."""
    ndcg: Floats
    """(N,) 1 / log2(1 + rank) inside the first k, else 0."""
    reciprocal_rank: Floats
    """(N,) 1 / rank inside the first k, else 0; with one target this is average precision too."""
    shown: NDArray[np.int64]
    """(I,) how often each item stood in a list."""
    novelty: float
    """Mean bits of surprise of a shown item: -log2 of its training popularity."""
    user: NDArray[np.int64]
    """(N,) whose target it was."""
    serendipity: Floats
    """(N,) a hit that the k most popular items do not hold."""
    popularity: Floats
    """(N,) mean training rows of the listed items."""
    target_popularity: Floats
    """(N,) training rows of the target."""
    nll: Floats | None = None
    """(N,) nats: -log p(target | history), seen items left in; None if the model's scores are no probabilities."""
    diversity: Floats | None = None
    """(N,) mean distance 1 - cos between two listed items; None without item features."""
    miscalibration: Floats | None = None
    """(N,) nats from the list's mix of categories to the history's; None without categories."""
    exclude_seen: bool = False
    """True if the items of the history could not stand in the list."""

    @property
    def coverage(self) -> float:
        """Share of the catalogue that stood in some list."""
        return float((self.shown > 0).mean())

    @property
    def precision(self) -> Floats:
        """(N,) share of the list that the target is: hit / k."""
        return self.hit / self.k

    @property
    def popularity_bias(self) -> float:
        """Popularity of what is listed over that of what people took; above 1 the model leans to the popular."""
        return float(self.popularity.mean() / max(float(self.target_popularity.mean()), 1e-12))

    def summary(self) -> dict[str, float]:
        """Return the means under the names that ``summary.json`` uses."""
        likelihood = {} if self.nll is None else {"test_nll": float(self.nll.mean())}
        return {
            **likelihood,
            "hit@1": float(self.hit_at_1.mean()),
            f"hit@{self.k}": float(self.hit.mean()),
            f"ndcg@{self.k}": float(self.ndcg.mean()),
            f"mrr@{self.k}": float(self.reciprocal_rank.mean()),
            f"coverage@{self.k}": self.coverage,
            f"novelty@{self.k}": self.novelty,
        }

    def beyond_accuracy(self) -> dict[str, float]:
        """Return what the lists are like: precision, MAP, serendipity, popularity bias, Gini, and where known more."""
        known = {
            "precision": self.precision,
            "map": self.reciprocal_rank,
            "serendipity": self.serendipity,
            "diversity": self.diversity,
            "miscalibration": self.miscalibration,
        }
        values = {f"{name}@{self.k}": float(array.mean()) for name, array in known.items() if array is not None}
        return values | {f"popularity_bias@{self.k}": self.popularity_bias, f"gini@{self.k}": gini(self.shown)}

    def estimate(self, metric: str) -> Estimate:
        """Return a metric's mean with a 95 % interval over users (targets of one user are not independent).

        Parameters
        ----------
        metric : str
            Name of a field or property with one entry a target, such as ``"hit"``, ``"ndcg"`` or ``"nll"``.
        """
        values = self._values(metric)
        users, owner = np.unique(self.user, return_inverse=True)
        sums = np.bincount(owner, weights=values - values.mean())
        n = len(users)
        error = np.sqrt((sums**2).sum() * n / max(n - 1, 1)) / len(values)
        mean = float(values.mean())
        return Estimate(value=mean, low=mean - 1.96 * error, high=mean + 1.96 * error, n=n, effective_sample_size=n)

    def per_user(self, metric: str) -> tuple[NDArray[np.int64], Floats]:
        """Return the users that have a target, ascending, and each one's mean of ``metric``."""
        users, owner = np.unique(self.user, return_inverse=True)
        return users, np.bincount(owner, weights=self._values(metric)) / np.bincount(owner)

    def compared_with(self, other: RankingResult, metric: str) -> Estimate:
        """Return the mean of ``metric`` here minus there, paired by target, with a 95 % interval over users.

        Raises
        ------
        InvalidArgumentError
            If the two were not measured on the same targets.
        """
        if not np.array_equal(self.user, other.user):
            raise InvalidArgumentError("the two results have different targets; evaluate both models on one test part")
        users, owner = np.unique(self.user, return_inverse=True)
        difference = self._values(metric) - other._values(metric)
        sums = np.bincount(owner, weights=difference - difference.mean())
        n, mean = len(users), float(difference.mean())
        error = np.sqrt((sums**2).sum() * n / max(n - 1, 1)) / len(difference)
        return Estimate(value=mean, low=mean - 1.96 * error, high=mean + 1.96 * error, n=n, effective_sample_size=n)

    def _values(self, metric: str) -> Floats:
        values = getattr(self, metric, None)
        if not isinstance(values, np.ndarray) or values.shape != self.user.shape or metric == "user":
            raise InvalidArgumentError(
                f"metric must have one value a target here, got {metric!r}; take hit_at_1, hit, ndcg, reciprocal_rank, "
                "precision, serendipity, popularity, or nll, diversity and miscalibration where they are known"
            )
        result: Floats = values
        return result


class _Scored(NamedTuple):
    scores: Tensor  # (N, I)
    rows: NDArray[np.int64]  # (N,) flat rows of the targets


@torch.no_grad()
def evaluate_ranking(
    model: Recommender,
    test: InteractionLog | Sequences,
    *,
    k: int = 10,
    exclude_seen: bool = False,
    targets: Literal["all", "last"] = "all",
    catalog: ItemCatalog | None = None,
) -> RankingResult:
    """Predict behaviours of ``test`` from those before them, and score the predictions over the full catalogue.

    A sequence's first behaviour is no target.

    Parameters
    ----------
    model : Recommender
        Any model: sequence models scan each sequence once, the others read every history anew.
    test : InteractionLog or Sequences
    k : int
        Length of the list.
    exclude_seen : bool
        Keep the items of the history out of the list. Where people repeat themselves that forbids right answers; where
        they never do (films) it gives every model a hint. Say which you did.
    targets : {"all", "last"}
        Every behaviour that follows another, or only the last of each sequence (leave-last-out).
    catalog : ItemCatalog, optional
        For diversity and calibration; by default that of a log.

    Raises
    ------
    InvalidArgumentError
        If k is out of range.
    DataError
        If there is nothing to predict.
    """
    if not 1 <= k <= model.n_items:
        raise InvalidArgumentError(f"k must lie in 1..{model.n_items} (the catalogue), got {k}")
    check_choice("targets", targets, ("all", "last"))
    sequences = test if isinstance(test, Sequences) else test.sequences()
    sequences = sequences.select(sequences.lengths >= 2)
    if len(sequences) == 0:
        raise DataError("the test part has no sequence with two behaviours, so there is nothing to predict")
    catalog = test.catalog if catalog is None and isinstance(test, InteractionLog) else catalog
    judge = _Judge(model, sequences, k, exclude_seen, catalog)
    parts = [judge.measure(scored) for scored in _scored_targets(model, sequences, last_only=targets == "last")]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    rows = joined.pop("rows").astype(np.int64)
    user = sequences.user[np.searchsorted(sequences.offsets, rows, side="right") - 1]
    order = np.argsort(rows, kind="stable")
    ordered = {name: values[order] for name, values in joined.items()}
    novelty = float(judge.shown @ judge.surprise / judge.shown.sum())
    return RankingResult(
        k=k, shown=judge.shown, novelty=novelty, user=user[order], exclude_seen=exclude_seen, **ordered
    )


class _Judge:
    """Measures one block of targets after another."""

    def __init__(
        self, model: Recommender, sequences: Sequences, k: int, exclude_seen: bool, catalog: ItemCatalog | None
    ) -> None:
        counts = model.space.item_counts
        self.model, self.sequences, self.k, self.exclude_seen = model, sequences, k, exclude_seen
        self.counts = counts.astype(np.float64)
        self.surprise = -np.log2((counts + 1.0) / (counts + 1.0).sum())
        self.popular = most_popular(counts, k)
        self.shown = np.zeros(model.n_items, np.int64)
        dense = None if catalog is None else catalog.features.dense[0]
        self.vectors = None if dense is None or not dense.shape[1] else dense.astype(np.float64)
        self.categories = None if catalog is None else category_shares(catalog)

    def measure(self, scored: _Scored) -> dict[str, Floats]:
        """Return every metric of a block of targets, (n,) each."""
        histories, target = prefixes(self.sequences, scored.rows)
        targets, scores = torch.from_numpy(target), scored.scores
        allowed = without_seen(scores, histories) if self.exclude_seen else scores
        part = expected_gains(allowed, targets, self.k)
        lists = best_of(allowed, self.k)[0].numpy()
        self.shown += np.bincount(lists.ravel(), minlength=self.model.n_items)
        part["rows"] = scored.rows.astype(np.float64)
        part["serendipity"] = part["hit"] * ~self.popular[target]
        part["popularity"] = self.counts[lists].mean(axis=1)
        part["target_popularity"] = self.counts[target]
        if self.model.score_kind == "log_probs":
            part["nll"] = -scores.gather(1, targets.unsqueeze(1)).squeeze(1).double().numpy()
        if self.vectors is not None:
            part["diversity"] = diversity(lists, self.vectors)
        if self.categories is not None:
            history = history_matrix(histories, self.model.n_items)
            part["miscalibration"] = miscalibration(lists, history, self.categories)
        return part


def _scored_targets(model: Recommender, sequences: Sequences, *, last_only: bool) -> Iterator[_Scored]:
    """Yield the scores before each target: by scanning where one scan serves many targets, else history by history."""
    if isinstance(model, SequenceModel) and not last_only:
        yield from _scanned(model, sequences)
        return
    rows = target_rows(sequences, last_only=last_only)
    size = max(_SCORES // model.n_items, 1)
    for begin in range(0, len(rows), size):
        block = rows[begin : begin + size]
        yield _Scored(model.scores_at(sequences, block).cpu(), block)


def _scanned(model: SequenceModel, sequences: Sequences) -> Iterator[_Scored]:
    for index in sequences.batches(n_tokens=min(max(_SCORES // model.n_items, 1), _TOKENS)):
        batch = sequences.pad(index)
        heads, _ = model.forward(BehaviourBatch.from_padded(batch, model.device))
        follows = batch.mask[:, 1:]  # (B, T-1) a behaviour comes after t
        log_probs = heads.item_log_probs()[:, :-1].cpu()[torch.from_numpy(follows)]  # (N, I)
        rows = (sequences.offsets[index][:, None] + 1 + np.arange(follows.shape[1]))[follows]
        yield _Scored(log_probs, rows)
