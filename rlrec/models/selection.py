"""Choosing on validation data: one setting of a model, or one model of several, by NDCG or by likelihood.

Models here are asked for the scores of a few thousand validation targets; the ranking's full account of a test part is
`rlrec.evaluation.evaluate_ranking`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences
from rlrec.models.hybrid import HybridModel
from rlrec.models.prefixes import target_rows
from rlrec.models.recommender import Recommender

_SCORES = 2**22  # scores held at a time
HYBRID = "hybrid"


class ValidationTargets(NamedTuple):
    """Validation sequences and the flat rows in them that a model is judged by."""

    sequences: Sequences
    rows: NDArray[np.int64]

    @classmethod
    def of(
        cls, valid: InteractionLog | Sequences, *, last_only: bool = False, max_targets: int = 5_000, seed: int = 0
    ) -> ValidationTargets:
        """Return every behaviour that follows another, or ``max_targets`` of them drawn without replacement.

        Raises
        ------
        DataError
            If no sequence has two behaviours.
        """
        sequences = valid if isinstance(valid, Sequences) else valid.sequences()
        rows = target_rows(sequences, last_only=last_only)
        if len(rows) == 0:
            raise DataError("the validation part has no sequence with two behaviours, so there is nothing to choose by")
        if len(rows) > max_targets:
            rows = np.sort(np.random.default_rng(seed).choice(rows, max_targets, replace=False))
        return cls(sequences, rows)

    def scored(self, model: Recommender) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield a model's scores (n, I) and the targets (n,), in blocks of rows."""
        size = max(_SCORES // model.n_items, 1)
        for begin in range(0, len(self.rows), size):
            rows = self.rows[begin : begin + size]
            with torch.no_grad():
                scores = model.scores_at(self.sequences, rows).cpu()
            yield scores, torch.from_numpy(self.sequences.item[rows].astype(np.int64))


def mean_ndcg(model: Recommender, targets: ValidationTargets, *, k: int = 10) -> float:
    """Return NDCG@k over the full catalogue, a tie counting in expectation over its orders."""
    rank = np.arange(1, model.n_items + 1)
    running = np.concatenate([[0.0], np.cumsum(np.where(rank <= k, 1 / np.log2(1 + rank), 0.0))])
    total = 0.0
    for scores, target in targets.scored(model):
        own = scores.gather(1, target.unsqueeze(1))
        above, tied = (scores > own).sum(1).numpy(), (scores == own).sum(1).numpy()
        total += float(((running[above + tied] - running[above]) / tied).sum())
    return total / len(targets.rows)


def mean_nats(model: Recommender, targets: ValidationTargets) -> float:
    """Return the mean of -log p(target) under a model whose scores are log probabilities.

    Raises
    ------
    InvalidArgumentError
        If its scores are of another kind.
    """
    if model.score_kind != "log_probs":
        raise InvalidArgumentError(f"{model.kind!r} gives no probabilities; compare it by mean_ndcg")
    parts = [-scores.gather(1, target.unsqueeze(1)).double().sum() for scores, target in targets.scored(model)]
    return float(sum(parts)) / len(targets.rows)


@dataclass(frozen=True)
class Choice:
    """Which of several models did best on validation."""

    name: str
    """Of the best; the first in a tie."""
    ndcg: dict[str, float]
    """Validation NDCG of each, by name."""
    k: int
    """Length of the lists."""
    n_targets: int
    """Validation targets that they were compared on."""


def choose_model(models: Mapping[str, Recommender], targets: ValidationTargets, *, k: int = 10) -> Choice:
    """Return the model of highest NDCG@k on ``targets``, which no model may have been fitted on.

    Examples
    --------
    >>> import rlrec
    >>> train, valid, test = rlrec.split_by_time(rlrec.load_log("builtin:eshop2008"))
    >>> models = {"popularity": rlrec.PopularityModel.fit(train), "markov": rlrec.MarkovModel.fit(train)}
    >>> choose_model(models, ValidationTargets.of(valid)).name
    'markov'
    """
    if not models:
        raise InvalidArgumentError("models must hold at least one model, got none")
    k = min(k, next(iter(models.values())).n_items)
    ndcg = {name: mean_ndcg(model, targets, k=k) for name, model in models.items()}
    return Choice(max(ndcg, key=lambda name: ndcg[name]), ndcg, k, len(targets.rows))


def blend_and_choose(
    models: Mapping[str, Recommender],
    valid: InteractionLog,
    *,
    k: int = 10,
    seed: int = 0,
    last_only: bool = False,
) -> tuple[HybridModel, Choice]:
    """Fit a hybrid of ``models`` on validation data, and say which of them and it did best there.

    The hybrid that takes part in the comparison learned its weights on every second validation sequence and is compared
    on the others; the one returned learned them on all.

    Parameters
    ----------
    models : mapping of name to Recommender
        Fitted on the training part. ``popularity``, if among them, votes by the term that every hybrid has.
    valid : InteractionLog
        Later than the training part.
    k : int
        Length of the lists whose NDCG decides.
    last_only : bool
        Only the last item of each sequence is a target (leave-last-out).
    """
    parts = {name: model for name, model in models.items() if name != "popularity"}
    sequences = valid.sequences()
    with_target = np.flatnonzero(sequences.lengths >= 2)
    learn, judge = with_target[::2], with_target[1::2]
    if len(judge) == 0:  # a single sequence: better judged by what it taught than not at all
        judge = learn
    trial = HybridModel.fit(parts, sequences.select(learn), seed=seed, last_only=last_only)
    targets = ValidationTargets.of(sequences.select(judge), last_only=last_only, seed=seed)
    choice = choose_model({**models, HYBRID: trial}, targets, k=k)
    return HybridModel.fit(parts, sequences, seed=seed, last_only=last_only), choice
