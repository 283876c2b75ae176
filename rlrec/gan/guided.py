"""Guided draws from a generator, and the trial that says whether guiding is worth it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rlrec.core.random import CounterRng, spawn_seeds
from rlrec.data.sequences import Sequences
from rlrec.evaluation.detectors import detect
from rlrec.gan.joining import joined
from rlrec.gan.resampling import Guide, Method, effective_sample_size, resample

_OFFERED = 4  # candidates for each sequence drawn by importance or by Metropolis-Hastings
_MIN_BLOCK = 256


@dataclass(frozen=True, kw_only=True, eq=False)
class GuidedDraw:
    """Sequences drawn by a guide's weights, and what it cost."""

    sequences: Sequences
    n_candidates: int
    """Candidates that were sampled for them."""
    ess_share: float
    """Effective sample size of the weights over the number of candidates, in (0, 1]: 1 changed nothing."""


def draw_guided(
    draw: Callable[[int, int], Sequences], guide: Guide, n: int, *, seed: int, method: Method = "rejection"
) -> GuidedDraw:
    """Draw ``n`` sequences by a guide's weights.

    Parameters
    ----------
    draw : callable
        ``draw(m, first)`` returns the candidates ``first`` to ``first + m - 1``.
    guide : Guide
    n : int
    seed : int
        The luck of being kept.
    method : {"rejection", "importance", "metropolis"}
        Rejection draws nobody twice and keeps a candidate whatever the others are, but needs about ``clip`` candidates
        for each sequence. The others draw from four candidates for each sequence, some of them more than once.
    """
    key = spawn_seeds(seed, 1)[0]
    if method != "rejection":
        candidates = draw(_OFFERED * n, 0)
        weights = guide.weights(candidates)
        chosen = resample(weights, n, rng=np.random.default_rng(key), method=method)
        return _guided(candidates.select(chosen), weights)
    luck, kept, weights, n_kept = CounterRng(key), list[Sequences](), np.zeros(0), 0
    while n_kept < n:  # a weight is 1 / clip at least, so one candidate in clip ** 2 is kept
        block = draw(max(round((n - n_kept) * guide.clip), _MIN_BLOCK), len(weights))
        mine = guide.weights(block)
        number = np.arange(len(weights), len(weights) + len(block))
        kept.append(block.select(luck.uniform(number, 0, lane=0) * guide.clip < mine))
        weights, n_kept = np.concatenate([weights, mine]), n_kept + len(kept[-1])
    return _guided(joined(*kept).select(np.arange(n)), weights)


def _guided(sequences: Sequences, weights: NDArray[np.float64]) -> GuidedDraw:
    return GuidedDraw(
        sequences=replace(sequences, user=np.arange(len(sequences))),
        n_candidates=len(weights),
        ess_share=effective_sample_size(weights) / max(len(weights), 1),
    )


@dataclass(frozen=True, kw_only=True)
class GuideTrial:
    """Whether resampling was worth it, by a judge of another family on people that the guide has not seen."""

    auc_before: float
    """AUC of a GRU on the candidates as they come."""
    auc_after: float
    """The same on the resampled ones."""
    ess_share: float
    """Effective sample size of the weights over the number of candidates."""
    n: int
    """Real sequences that the GRU looked at."""
    accepted: bool
    """True where the GRU finds the resampled ones harder to tell by its standard error, and half the sample counts."""

    @property
    def sentence(self) -> str:
        """What came out, in words."""
        agrees = "agrees" if self.accepted else "does not agree"
        return (
            f"a GRU, which the guide was not built on, {agrees} (AUC {self.auc_before:.3f} before and "
            f"{self.auc_after:.3f} after, on {self.n} real sequences; effective sample size {self.ess_share:.0%})"
        )


def try_guide(
    real: Sequences,
    candidates: Sequences,
    *,
    teach: Sequences | None = None,
    categories: tuple[NDArray[np.int64], ...] = (),
    seed: int = 0,
) -> tuple[Guide, GuideTrial]:
    """Fit a guide on some real people and ask a GRU about others.

    Parameters
    ----------
    real : Sequences
        Validation sequences.
    candidates : Sequences
        Sampled ones, several for each real one; half of them teach the guide.
    teach : Sequences, optional
        Real sequences of other people that teach the guide, such as the training set; by default half of the users of
        ``real`` teach it, and the other half is what the GRU looks at.
    """
    users, code = np.unique(real.user, return_inverse=True)
    rng = np.random.default_rng(seed)
    half = (rng.permutation(len(users)) % 2 == 0)[code]
    teach, judged = (real.select(half), real.select(~half)) if teach is None else (teach, real)
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
        n=before.n,
        accepted=bool(after.auc < before.auc - error and share > 0.5),
    )
    return guide, trial
