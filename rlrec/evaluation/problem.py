"""What every estimator reads: a log, a target policy, a reward model where needed, and the weights between them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rlrec.core.errors import InvalidArgumentError
from rlrec.evaluation.logged import FloatArray, LoggedBatch
from rlrec.evaluation.support import UnitWeights, check_reward_range
from rlrec.evaluation.target import QValues, Target
from rlrec.evaluation.terms import RatioTerms

MODEL_NOTE = "the interval leaves out the bias of the reward model"


@dataclass(frozen=True, eq=False)
class Problem:
    """A log, a target policy and, where needed, a reward model: what every estimator below reads."""

    logged: LoggedBatch
    target: Target
    q: QValues | None = None
    reward_range: tuple[float, float] | None = None

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
