"""What a bandit estimator reads: a log, a target policy, a reward model where needed, and the weights between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from rlrec.core.checks import check_between, check_positive
from rlrec.core.errors import InvalidArgumentError
from rlrec.evaluation.columns import FloatArray
from rlrec.evaluation.estimation import Evidence, OffPolicyEstimate
from rlrec.evaluation.intervals import IntervalConfig
from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.q_model import fit_q
from rlrec.evaluation.slope import choose
from rlrec.evaluation.support import UnitWeights, check_reward_range
from rlrec.evaluation.target import QLike, QValues, Target, TargetLike
from rlrec.evaluation.terms import RatioTerms

MODEL_NOTE = "the interval leaves out the bias of the reward model"


@dataclass(frozen=True, eq=False)
class Problem:
    """A log, a target policy and, where needed, a reward model; turns an estimator's terms into its estimate."""

    logged: LoggedBatch
    target: Target
    q: QValues | None = None
    interval: IntervalConfig = field(default_factory=IntervalConfig)

    @classmethod
    def of(cls, logged: LoggedBatch, target: TargetLike, interval: IntervalConfig | None) -> Problem:
        """Read what a caller gave."""
        return cls(logged, Target.of(logged, target), interval=interval or IntervalConfig())

    @classmethod
    def with_model(
        cls, logged: LoggedBatch, target: TargetLike, q: QLike | None, interval: IntervalConfig | None
    ) -> Problem:
        """Read what a caller gave; without a reward model, one is cross-fitted on ``logged.context``."""
        read = Target.of(logged, target)
        values = fit_q(logged, read) if q is None else QValues.of(read, q)
        return cls(logged, read, values, interval or IntervalConfig())

    def estimate(
        self, terms: RatioTerms, *, on_range: bool = False, likelihood: bool = False, caveats: tuple[str, ...] = ()
    ) -> OffPolicyEstimate:
        """Put interval and support beside the value; the flags are those of `Evidence`."""
        return Evidence(
            terms,
            self.units,
            on_range=on_range and self.has_known_range,
            likelihood=likelihood,
            caveats=caveats + self.logged.caveats,
        ).estimate(self.interval)

    def tuned(
        self, name: str, value: float | None, rule: Callable[[float], RatioTerms], *, on_range: bool = False
    ) -> OffPolicyEstimate:
        """Estimate with a hyper-parameter that trades bias for variance; ``None`` lets SLOPE choose it.

        The interval of a choice is as long as that of the least biased candidate, whose error bounds the choice's: its
        own would leave out the bias, and the error of the model that it leans on (with it, DRos covered 24 % in the
        selftest).
        """
        if value is not None:
            check_between(name, value, 0.0, 1.0) if name == "mixing" else check_positive(name, value)
            caveats = (f"the interval leaves out the bias of {name} = {value:.4g}",)
            return self.estimate(rule(value), on_range=on_range, caveats=caveats)
        grid = parameter_grid(name, self.weights)
        candidates = [rule(float(value)) for value in grid]
        best = choose(candidates)
        caveats = (f"{name} = {grid[best]:.4g} was chosen by SLOPE; the interval is that of the least biased choice",)
        return self.estimate(candidates[0].moved_to(candidates[best].value), on_range=on_range, caveats=caveats)

    @property
    def reward_range(self) -> tuple[float, float] | None:
        """Declared smallest and largest reward."""
        return self.interval.reward_range

    @cached_property
    def weights(self) -> FloatArray:
        """Importance weight of each row, shape (N,)."""
        return self.target.taken / self.logged.require_behavior_prob()

    @property
    def model(self) -> QValues:
        """The reward model, or a sentence that asks for one."""
        if self.q is None:
            raise InvalidArgumentError(
                "q must be given for this estimator, got None; pass values (N, I), a callable or QValues"
            )
        return self.q

    def rows(self, top: FloatArray, bottom: FloatArray | None = None) -> RatioTerms:
        """Return the terms of a sum of ``top`` over a sum of ``bottom`` (default: over the number of rows)."""
        bottoms = self.logged.unit_sizes if bottom is None else self.logged.row_sums(bottom)
        return RatioTerms(self.logged.row_sums(top), bottoms)  # (U,), (U,)

    def corrected(self, weights: FloatArray) -> RatioTerms:
        """Return the terms of the reward model plus its weighted residuals."""
        return self.rows(self.model.expected + weights * (self.logged.reward - self.model.taken))

    def pair(self, mean: FloatArray, top: FloatArray, bottom: FloatArray) -> RatioTerms:
        """Return the terms of mean(mean) + sum(top) / sum(bottom)."""
        sums = self.logged.row_sums
        sizes = self.logged.unit_sizes
        counts = np.ones(self.logged.n_units) if sizes is None else sizes
        return RatioTerms(
            np.column_stack([sums(mean), sums(top)]), np.column_stack([counts, sums(bottom)])
        )  # (U, 2), (U, 2)

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """Declared reward range, or the observed one."""
        observed = self.logged.observed_range
        if self.reward_range is None:
            return (0.0, 1.0) if self.logged.is_binary else observed
        check_reward_range(self.reward_range, *observed)
        return self.reward_range

    @property
    def has_known_range(self) -> bool:
        """True where the range is declared, or evident because every reward is 0 or 1."""
        return self.reward_range is not None or self.logged.is_binary

    @cached_property
    def units(self) -> UnitWeights:
        """What the support gate reads: importance weights summed up for each unit."""
        logged, sizes = self.logged, self.logged.unit_sizes
        counts = 1.0 if sizes is None else sizes
        if logged.behavior_prob is None:  # the direct method on a log without propensities
            ones = np.ones(logged.n_units)
            return UnitWeights(ones, ones, lambda: logged.row_sums(logged.reward) / counts, self.bounds)
        sums, scale = logged.row_sums(self.weights), logged.n_units / logged.n_rows
        return UnitWeights(
            sums if sizes is None else sums / sizes,
            sums if sizes is None else sums * scale,
            lambda: logged.row_sums(self.weights * logged.reward) * scale,
            self.bounds,
            self._unsupported(),
        )

    def _unsupported(self) -> float | None:
        behavior = self.logged.behavior_probs
        if behavior is None or (self.target.probs is None and self.target.policy is None):
            return None
        return float(self.target.expectation(behavior == 0).mean())


def parameter_grid(name: str, weights: FloatArray) -> Sequence[float]:
    """Return candidates from least biased to least variable: quantiles of the weights, or powers for the others."""
    top = float(weights.max())
    if name == "mixing":
        return [0.0, *np.geomspace(1e-3, 1.0, 10).tolist()]
    if name == "shrinkage":
        return np.geomspace(1e4 * max(top, 1.0) ** 2, 1e-2, 15).tolist()  # type: ignore[no-any-return]
    quantiles = np.quantile(weights[weights > 0], np.linspace(1.0, 0.1, 10)) if top > 0 else np.ones(1)
    return np.unique(quantiles)[::-1].tolist()  # type: ignore[no-any-return]
