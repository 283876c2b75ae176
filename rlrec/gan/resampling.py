"""Discriminator-guided resampling: of many candidates those are kept that a calibrated judge takes for real.

With D(x) the probability that x is real, the density ratio of real to sampled is D / (1 - D). Weights clipped to
[1 / c, c] bound the variance and what a mistaken judge can do. Three ways to draw with them:

==============  ===============================================================================================
``rejection``   keep a candidate with probability w / c; exact for the clipped weights, nobody is drawn twice
``importance``  draw candidates with replacement in proportion to w
``metropolis``  an independence chain for each draw, which moves to the next candidate with min(1, w' / w)
==============  ===============================================================================================

References
----------
.. [1] Azadi et al., "Discriminator rejection sampling", ICLR 2019.
.. [2] Turner et al., "Metropolis-Hastings generative adversarial networks", ICML 2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from rlrec.core.checks import check_at_least, check_choice
from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.data.sequences import Sequences
from rlrec.evaluation.detectors import detect
from rlrec.evaluation.sequence_features import FloatArray, sequence_features

Method = Literal["rejection", "importance", "metropolis"]
METHODS: tuple[Method, ...] = ("rejection", "importance", "metropolis")

_N_TOP_ITEMS = 30
_MIN = 40
_CHAIN = 20  # candidates that each chain is offered
_CLIP = 4.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Guide:
    """A logistic judge of a sequence's features: plain numbers, so it is saved without pickling."""

    top_items: NDArray[np.int64]
    """Items counted one by one."""
    categories: tuple[NDArray[np.int64], ...]
    """Item categories, from `item_categories`."""
    mean: FloatArray
    scale: FloatArray
    weight: FloatArray
    bias: float
    clip: float
    """Weights lie in [1 / clip, clip]."""

    @classmethod
    def fit(
        cls,
        real: Sequences,
        sampled: Sequences,
        *,
        categories: tuple[NDArray[np.int64], ...] = (),
        clip: float = _CLIP,
        penalty: float = 20.0,
    ) -> Guide:
        """Fit on real sequences and candidates; logistic regression is calibrated where its penalty is modest.

        Raises
        ------
        DataError
            If a set has fewer than 40 sequences.
        """
        check_at_least("clip", clip, 1.0)
        if min(len(real), len(sampled)) < _MIN:
            raise DataError(
                f"a guide needs at least {_MIN} sequences of each kind, got {len(real)} real and {len(sampled)} sampled"
            )
        top = np.argsort(-np.bincount(np.concatenate([real.item, sampled.item])), kind="stable")[:_N_TOP_ITEMS]
        rows = [sequence_features(s, top_items=top, categories=categories) for s in (real, sampled)]
        features = np.concatenate(rows)
        mean, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-9)
        label = np.repeat([1, 0], [len(real), len(sampled)])
        judge = LogisticRegression(C=1 / penalty, max_iter=500).fit((features - mean) / scale, label)
        prior = float(np.log(len(real) / len(sampled)))
        return cls(
            top_items=top,
            categories=categories,
            mean=mean,
            scale=scale,
            weight=judge.coef_[0],
            bias=float(judge.intercept_[0]) - prior,
            clip=clip,
        )

    def weights(self, sequences: Sequences) -> FloatArray:
        """Return the clipped density ratio real / sampled of each sequence, (S,)."""
        features = sequence_features(sequences, top_items=self.top_items, categories=self.categories)
        logit = (features - self.mean) / self.scale @ self.weight + self.bias
        limit = float(np.log(self.clip))
        ratio: FloatArray = np.exp(np.clip(logit, -limit, limit))
        return ratio


def effective_sample_size(weights: FloatArray) -> float:
    """Return Kish's effective number of candidates, (sum w)^2 / sum w^2.

    Examples
    --------
    >>> effective_sample_size(np.array([1.0, 1.0, 0.0]))
    2.0
    """
    return float(weights.sum() ** 2 / max((weights**2).sum(), 1e-300))


def resample(
    weights: FloatArray, n: int, *, rng: np.random.Generator, method: Method = "rejection", clip: float | None = None
) -> NDArray[np.int64]:
    """Return the indices of ``n`` candidates drawn by their weights, (n,); fewer where rejection runs out of them.

    Parameters
    ----------
    weights : ndarray, shape (M,)
        Density ratios of the candidates, above 0.
    n : int
    rng : Generator
    method : {"rejection", "importance", "metropolis"}
    clip : float, optional
        The bound that the weights were clipped to, for rejection; by default their largest.

    Examples
    --------
    >>> resample(np.array([1.0, 0.0, 1.0]), 2, rng=np.random.default_rng(0)).tolist()
    [0, 2]
    """
    check_choice("method", method, METHODS)
    if len(weights) == 0 or weights.min() < 0 or weights.sum() <= 0:
        raise InvalidArgumentError("weights must be non-negative with a positive sum; sample candidates first")
    if method == "importance":
        return np.asarray(rng.choice(len(weights), n, p=weights / weights.sum()), np.int64)
    if method == "rejection":
        kept = rng.random(len(weights)) * (weights.max() if clip is None else clip) < weights
        return np.asarray(np.flatnonzero(kept)[:n], np.int64)
    offers = rng.integers(0, len(weights), (_CHAIN + 1, n))
    now = offers[0]
    for offer in offers[1:]:
        moves = rng.random(n) * np.maximum(weights[now], 1e-300) < weights[offer]
        now = np.where(moves, offer, now)
    return np.asarray(now, np.int64)


@dataclass(frozen=True, kw_only=True)
class GuideTrial:
    """Whether resampling was worth it, by a judge of another family on people that the guide has not seen."""

    auc_before: float
    """AUC of a GRU on the candidates as they come."""
    auc_after: float
    """The same on the resampled ones."""
    ess_share: float
    """Effective sample size of the weights over the number of candidates."""
    accepted: bool
    """True where the GRU finds the resampled ones harder to tell by its standard error, and half the sample counts."""


def try_guide(
    real: Sequences, candidates: Sequences, *, categories: tuple[NDArray[np.int64], ...] = (), seed: int = 0
) -> tuple[Guide, GuideTrial]:
    """Fit a guide on half of the real users and ask a GRU about the other half.

    Parameters
    ----------
    real : Sequences
        Validation sequences.
    candidates : Sequences
        Sampled ones, several for each real one; half of them teach the guide.
    """
    users, code = np.unique(real.user, return_inverse=True)
    rng = np.random.default_rng(seed)
    half = (rng.permutation(len(users)) % 2 == 0)[code]
    teach, judged = real.select(half), real.select(~half)
    first = np.arange(len(candidates)) < len(candidates) // 2
    fresh = candidates.select(~first)
    guide = Guide.fit(teach, candidates.select(first), categories=categories)
    weights = guide.weights(fresh)
    chosen = fresh.select(resample(weights, len(fresh), rng=rng, clip=guide.clip))
    before, after = (detect(judged, s, seed=seed, family="gru") for s in (fresh, chosen))
    error = (before.estimate.high - before.auc) / 1.96
    share = effective_sample_size(weights) / len(weights)
    trial = GuideTrial(
        auc_before=before.auc,
        auc_after=after.auc,
        ess_share=share,
        accepted=bool(after.auc < before.auc - error and share > 0.5),
    )
    return guide, trial
