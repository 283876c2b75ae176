"""Detectors: classifiers of three families that try to tell two sets of sequences apart (classifier two-sample tests).

``gbdt`` boosts trees on features of a sequence, ``logistic`` draws one plane through the same features, ``gru`` reads
the items themselves. What one family cannot see another may; a generator that was tuned against one is judged by the
others. All are scored out of fold, and a user's sequences share a fold: otherwise a detector that knows the user again
would seem to know the real from the false.

Checked against: samples of the same chain (0.5 within the interval), shuffled cycles (near 1).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from rlrec.core.checks import check_choice
from rlrec.core.errors import DataError
from rlrec.core.estimate import Estimate
from rlrec.data.sequences import Sequences
from rlrec.evaluation.sequence_features import FloatArray, sequence_features
from rlrec.models.threads import torch_seed, torch_threads

Family = Literal["gbdt", "logistic", "gru"]
FAMILIES: tuple[Family, ...] = ("gbdt", "logistic", "gru")

_N_TOP_ITEMS = 30  # items counted one by one in the features
_FOLDS = 5
_GRU_FOLDS = 2  # a network a fold: half the sequences teach, half are judged
_GRU_SIZE, _GRU_BATCH, _GRU_UPDATES, _GRU_RATE = 32, 32, 300, 5e-3
_GRU_LENGTH = 50  # behaviours that the GRU reads


class Detector(NamedTuple):
    """A classifier's success at telling two sets of sequences apart."""

    auc: float
    """Out-of-fold area under the ROC curve: 0.5 cannot tell, 1 always tells."""
    n: int
    """Sequences of each set."""

    @property
    def estimate(self) -> Estimate:
        """The AUC with its 95 % interval over sequences.

        References
        ----------
        .. [1] Hanley & McNeil, "The meaning and use of the area under a ROC curve", Radiology 1982.
        """
        return auc_estimate(self.auc, self.n)


def auc_estimate(auc: float, n: int) -> Estimate:
    """Return an AUC of ``n`` against ``n`` with its 95 % interval (Hanley & McNeil 1982)."""
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = (auc * (1 - auc) + (n - 1) * (q1 + q2 - 2 * auc**2)) / n**2
    error = 1.96 * float(np.sqrt(max(variance, 0.0)))
    return Estimate(value=auc, low=auc - error, high=auc + error, n=n, effective_sample_size=n)


def detect(
    a: Sequences,
    b: Sequences,
    *,
    seed: int = 0,
    categories: tuple[NDArray[np.int64], ...] = (),
    reference: Sequences | None = None,
    max_n: int = 3_000,
    family: Family = "gbdt",
) -> Detector:
    """Train a classifier to tell ``a`` from ``b`` and score it on users that it has not seen.

    Parameters
    ----------
    seed : int
        Picks equally many sequences of each set and deals the users to folds.
    categories : tuple of (I,) arrays
        Item categories, from `item_categories`; the GRU does not use them.
    reference : Sequences, optional
        A third set (the training set) whose counts say how typical a sequence is.
    max_n : int
        Most sequences of each set.
    family : {"gbdt", "logistic", "gru"}

    Raises
    ------
    DataError
        If a set has fewer than 20 sequences.

    References
    ----------
    .. [1] Lopez-Paz & Oquab, "Revisiting classifier two-sample tests", ICLR 2017.
    """
    check_choice("family", family, FAMILIES)
    n = min(len(a), len(b), max_n)
    if n < 4 * _FOLDS:
        raise DataError(f"the detector needs at least {4 * _FOLDS} sequences of each set, got {len(a)} and {len(b)}")
    rng = np.random.default_rng(seed)
    a, b = (s.select(np.sort(rng.permutation(len(s))[:n])) for s in (a, b))
    fold = np.concatenate([_folds(s.user, _GRU_FOLDS if family == "gru" else _FOLDS, rng) for s in (a, b)])
    label = np.repeat([0, 1], n)
    if family == "gru":
        score = _gru_scores(a, b, label, fold, seed)
    else:
        counts = np.bincount(np.concatenate([a.item, b.item]))
        top = np.argsort(-counts, kind="stable")[:_N_TOP_ITEMS]
        rows = [sequence_features(s, top_items=top, categories=categories, reference=reference) for s in (a, b)]
        score = _feature_scores(np.concatenate(rows), label, fold, family, seed)
    return Detector(float(roc_auc_score(label, score)), n)


def c2st_auc(
    a: Sequences,
    b: Sequences,
    *,
    seed: int = 0,
    categories: tuple[NDArray[np.int64], ...] = (),
    reference: Sequences | None = None,
    max_n: int = 3_000,
    family: Family = "gbdt",
) -> float:
    """Return the detector's out-of-fold AUC: near 0.5 where the sets cannot be told apart. See `detect`."""
    return detect(a, b, seed=seed, categories=categories, reference=reference, max_n=max_n, family=family).auc


def _folds(user: NDArray[np.int64], n_folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Deal users to folds, (S,): each fold gets about as many sequences, whole users only."""
    _, code, size = np.unique(user, return_inverse=True, return_counts=True)
    order = rng.permutation(len(size))
    begun = np.concatenate([[0], np.cumsum(size[order])[:-1]])
    of_user = np.empty(len(size), np.int64)
    of_user[order] = begun * n_folds // max(len(user), 1)
    dealt: NDArray[np.int64] = of_user[code]
    return dealt


def _classifier(family: Family, seed: int) -> object:
    if family == "gbdt":
        return HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=15, early_stopping=False, random_state=seed)
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))


def _feature_scores(
    features: FloatArray, label: NDArray[np.int64], fold: NDArray[np.int64], family: Family, seed: int
) -> FloatArray:
    score = np.zeros(len(label))
    for held in np.unique(fold):
        out = fold == held
        classifier = _classifier(family, seed).fit(features[~out], label[~out])  # type: ignore[attr-defined]
        score[out] = classifier.predict_proba(features[out])[:, 1]
    return score


# ---- the GRU ------------------------------------------------------------------------------------------------------


class _Reader(nn.Module):
    """Embedding → GRU → mean and last hidden vector → one logit for the whole sequence."""

    def __init__(self, n_tokens: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, _GRU_SIZE)
        self.gru = nn.GRU(_GRU_SIZE, _GRU_SIZE, batch_first=True)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(2 * _GRU_SIZE, 1)
        nn.init.normal_(self.embedding.weight, std=0.1)

    def forward(self, item: Tensor, length: Tensor) -> Tensor:
        """Return the logits (B,) of items (B, T) of which the first ``length`` (B,) are real."""
        hidden, _ = self.gru(self.dropout(self.embedding(item)))  # (B, T, H)
        real = (torch.arange(item.shape[1]) < length.unsqueeze(1)).unsqueeze(2)  # (B, T, 1)
        mean = (hidden * real).sum(1) / length.unsqueeze(1)
        last = hidden[torch.arange(len(length)), length - 1]
        logit: Tensor = self.head(self.dropout(torch.cat([mean, last], dim=1))).squeeze(1)
        return logit


def _gru_scores(a: Sequences, b: Sequences, label: NDArray[np.int64], fold: NDArray[np.int64], seed: int) -> FloatArray:
    padded = [s.pad(np.arange(len(s))) for s in (a, b)]
    width = min(max(p.item.shape[1] for p in padded), _GRU_LENGTH)
    items = [np.pad(p.item, ((0, 0), (0, max(width - p.item.shape[1], 0))))[:, :width] for p in padded]
    item = torch.from_numpy(np.concatenate(items))  # (2n, T)
    length = torch.from_numpy(np.clip(np.concatenate([p.length for p in padded]), 1, width))
    target = torch.from_numpy(label).float()
    score = np.zeros(len(label))
    with torch_threads(1), torch_seed(seed):
        for held in np.unique(fold):
            out = torch.from_numpy(fold == held)
            reader = _teach(_Reader(int(item.max()) + 1), item[~out], length[~out], target[~out])
            with torch.no_grad():
                score[out.numpy()] = reader(item[out], length[out]).double().numpy()
    return score


def _teach(reader: _Reader, item: Tensor, length: Tensor, target: Tensor) -> _Reader:
    optimizer = torch.optim.AdamW(reader.parameters(), lr=_GRU_RATE, weight_decay=0.01)
    order = torch.cat([torch.randperm(len(target)) for _ in range(1 + _GRU_UPDATES * _GRU_BATCH // len(target))])
    for update in range(_GRU_UPDATES):
        rows = order[update * _GRU_BATCH : (update + 1) * _GRU_BATCH]
        loss = nn.functional.binary_cross_entropy_with_logits(reader(item[rows], length[rows]), target[rows])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return reader.eval()
