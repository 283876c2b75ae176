"""A contextual bandit whose truth is known, and how often an estimator's interval holds it.

For benchmarks and tests of off-policy estimators; a new estimator can be put through the same study.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

import numpy as np
from scipy import special

from rlrec.core.estimate import Estimate
from rlrec.evaluation.columns import FloatArray
from rlrec.evaluation.logged import LoggedBatch

_N_TRUTH = 1_000_000  # contexts: the truth's own error is 3 % of a standard error at n = 500


@dataclass(frozen=True, kw_only=True)
class BanditWorld:
    """Normal contexts, softmax policies, and rewards of 0 or 1 with a logistic mean.

    Examples
    --------
    >>> world = BanditWorld(n_actions=3)
    >>> log, target = world.draw(100, np.random.default_rng(0))
    >>> log.n_rows, target.shape
    (100, (100, 3))
    """

    n_actions: int = 5
    """Actions, I."""
    n_features: int = 3
    """Size of a context."""
    base: float = 0.0
    """Added to the logit of every reward: 0 for a base rate near one half, 3 for one near 0.95."""
    pull: float = 0.7
    """How strongly the logger prefers its favourites; 0 is uniform."""
    away: float = 0.4
    """How far the target's scores lie from the logger's."""
    seed: int = 0
    """Of the coefficients."""
    _coefficients: FloatArray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Draw the coefficients."""
        shape = (3, self.n_features, self.n_actions)
        object.__setattr__(self, "_coefficients", np.random.default_rng(self.seed).normal(size=shape))

    def draw(self, n: int, rng: np.random.Generator) -> tuple[LoggedBatch, FloatArray]:
        """Return a log of ``n`` decisions, and the target's probabilities on it, (n, I)."""
        x = rng.normal(size=(n, self.n_features))
        behavior, target, mean = self._laws(x)
        action = (behavior.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
        rows = np.arange(n)
        reward = (rng.random(n) < mean[rows, action]).astype(np.float64)
        log = LoggedBatch(action=action, reward=reward, behavior_prob=behavior[rows, action], context=x)
        return log, target

    def truth(self) -> float:
        """Return the target's value, a mean over a million contexts without noise in actions and rewards."""
        rng = np.random.default_rng(self.seed + 1)
        parts = []
        for _ in range(10):
            _, target, mean = self._laws(rng.normal(size=(_N_TRUTH // 10, self.n_features)))
            parts.append(np.einsum("na,na->n", target, mean).mean())
        return float(np.mean(parts))

    def _laws(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        own, other, effect = self._coefficients
        behavior = special.softmax(self.pull * (x @ own), axis=1)
        target = special.softmax(self.pull * (x @ own) + self.away * (x @ other), axis=1)
        return behavior, target, special.expit(self.base + 0.7 * (x @ effect))


@dataclass(frozen=True)
class Coverage:
    """What an estimator's intervals did over many logs."""

    coverage: float
    """Share of logs whose interval held the truth."""
    width_over_ideal: float
    """Mean width over that of an interval with the estimator's true standard deviation."""
    z: float
    """Bias in standard errors of the study."""
    flagged: float
    """Share of logs on which the estimate was marked unreliable."""
    effective_share: float
    """Mean effective sample size over n."""

    def to_dict(self) -> dict[str, float]:
        """Return the plain values, rounded for a record."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def study_coverage(
    world: BanditWorld,
    estimators: Mapping[str, Callable[[LoggedBatch, FloatArray], Estimate]],
    *,
    n: int = 500,
    n_logs: int = 2000,
    seed: int = 0,
) -> dict[str, Coverage]:
    """Judge the same target on many logs and compare with the truth.

    Parameters
    ----------
    world : BanditWorld
        Where the logs come from.
    estimators : mapping of str to callable
        Each takes a log and the target's probabilities (n, I).
    n : int
        Decisions in a log.
    n_logs : int
        Logs; 2,000 tell a coverage to 0.5 points.
    seed : int
        Of the logs.

    Returns
    -------
    dict of str to Coverage

    Examples
    --------
    >>> from rlrec.evaluation.ope import ips
    >>> found = study_coverage(BanditWorld(), {"ips": ips}, n=200, n_logs=50)
    >>> 0.8 < found["ips"].coverage <= 1
    True
    """
    rng = np.random.default_rng(seed)
    truth = world.truth()
    kept: dict[str, list[Estimate]] = {name: [] for name in estimators}
    for _ in range(n_logs):
        log, target = world.draw(n, rng)
        for name, estimator in estimators.items():
            kept[name].append(estimator(log, target))
    return {name: _summary(estimates, truth) for name, estimates in kept.items()}


def _summary(estimates: list[Estimate], truth: float) -> Coverage:
    value, low, high = np.array([(e.value, e.low, e.high) for e in estimates]).T
    spread = float(value.std(ddof=1))
    z = float(special.ndtri(0.5 + estimates[0].level / 2))
    return Coverage(
        coverage=float(np.mean((low <= truth) & (truth <= high))),
        width_over_ideal=float((high - low).mean() / (2 * z * spread)),
        z=float((value.mean() - truth) / (spread / np.sqrt(len(value)))),
        flagged=float(np.mean([not e.reliable for e in estimates])),
        effective_share=float(np.mean([e.effective_sample_size / e.n for e in estimates])),
    )
