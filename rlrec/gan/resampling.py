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

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from rlrec.core.checks import check_at_least, check_choice
from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.data.sequences import Sequences
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

    # ---- disk ---------------------------------------------------------------------------------------------------

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return its numbers by name, for an artifact."""
        plain = {name: np.asarray(getattr(self, name)) for name in ("top_items", "mean", "scale", "weight")}
        numbers = {name: np.asarray([getattr(self, name)], np.float64) for name in ("bias", "clip")}
        return {**plain, **numbers} | {f"category{i}": codes for i, codes in enumerate(self.categories)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Guide:
        """Return the guide that `to_arrays` took apart."""
        n_categories = sum(name.startswith("category") for name in arrays)
        return cls(
            top_items=np.asarray(arrays["top_items"], np.int64),
            categories=tuple(np.asarray(arrays[f"category{i}"], np.int64) for i in range(n_categories)),
            mean=np.asarray(arrays["mean"], np.float64),
            scale=np.asarray(arrays["scale"], np.float64),
            weight=np.asarray(arrays["weight"], np.float64),
            bias=float(np.asarray(arrays["bias"], np.float64)[0]),
            clip=float(np.asarray(arrays["clip"], np.float64)[0]),
        )


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
