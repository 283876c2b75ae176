"""What a sequential estimator reads: rewards, weights and models of a log, laid out by step."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from rlrec.core.errors import InvalidArgumentError
from rlrec.evaluation.columns import FloatArray
from rlrec.evaluation.episode_terms import episode_evidence, return_range
from rlrec.evaluation.estimation import Evidence, OffPolicyEstimate
from rlrec.evaluation.fitted_q import fit_fqe
from rlrec.evaluation.intervals import IntervalConfig
from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.target import QLike, QValues, Target, TargetLike


@dataclass(frozen=True, eq=False)
class EpisodeProblem:
    """Rewards, weights and models laid out by step, shape (E, T); turns an estimator's terms into its estimate."""

    logged: LoggedBatch
    target: Target
    gamma: float
    q: QValues | None = None
    interval: IntervalConfig = field(default_factory=IntervalConfig)

    def __post_init__(self) -> None:
        """Check the discount."""
        if not 0 < self.gamma <= 1:
            raise InvalidArgumentError(f"gamma must lie in (0, 1], got {self.gamma!r}; 1 means undiscounted")

    @classmethod
    def of(
        cls, logged: LoggedBatch, target: TargetLike, gamma: float, interval: IntervalConfig | None
    ) -> EpisodeProblem:
        """Read what a caller gave."""
        return cls(logged, Target.of(logged, target), gamma, interval=interval or IntervalConfig())

    @classmethod
    def with_model(
        cls,
        logged: LoggedBatch,
        target: TargetLike,
        q: QLike | None,
        gamma: float,
        interval: IntervalConfig | None,
    ) -> EpisodeProblem:
        """Read what a caller gave; without a q-model, fitted Q evaluation is cross-fitted on ``logged.context``."""
        read = Target.of(logged, target)
        values = fit_fqe(logged, read, gamma=gamma) if q is None else QValues.of(read, q)
        return cls(logged, read, gamma, values, interval or IntervalConfig())

    @cached_property
    def rewards(self) -> FloatArray:
        """Discounted rewards."""
        steps: FloatArray = self.logged.to_steps(self.logged.reward)
        return steps * self.discounts

    @cached_property
    def discounts(self) -> FloatArray:
        """Powers of gamma, shape (T,)."""
        powers: FloatArray = np.power(self.gamma, np.arange(int(self.logged.lengths.max()), dtype=np.float64))
        return powers

    @cached_property
    def weights(self) -> FloatArray:
        """Cumulative importance weights, carried on after the end."""
        ratios = self.target.taken / self.logged.require_behavior_prob()
        return np.asarray(np.cumprod(self.logged.to_steps(ratios, fill=1.0), axis=1), dtype=np.float64)

    @cached_property
    def weights_before(self) -> FloatArray:
        """Cumulative weights up to the step before; 1 at the first."""
        return np.hstack([np.ones((self.logged.n_episodes, 1)), self.weights[:, :-1]])

    @property
    def model(self) -> QValues:
        """The q-model, or a sentence that asks for one."""
        if self.q is None:
            raise InvalidArgumentError(
                "q must be given for this estimator, got None; pass a model of the discounted return to go"
            )
        return self.q

    @cached_property
    def residuals(self) -> FloatArray:
        """Discounted reward minus the model at the taken action."""
        return self.logged.to_steps(self.logged.reward - self.model.taken) * self.discounts

    @cached_property
    def values(self) -> FloatArray:
        """Discounted model under the target."""
        return self.logged.to_steps(self.model.expected) * self.discounts

    def estimate(
        self,
        tops: FloatArray,
        bottoms: FloatArray | None = None,
        *,
        likelihood: bool = False,
        caveats: tuple[str, ...] = (),
    ) -> OffPolicyEstimate:
        """Put interval and support beside the value of terms (E,) or (E, K)."""
        return self.evidence(tops, bottoms, likelihood=likelihood, caveats=caveats).estimate(self.interval)

    def evidence(
        self,
        tops: FloatArray,
        bottoms: FloatArray | None = None,
        *,
        likelihood: bool = False,
        caveats: tuple[str, ...] = (),
    ) -> Evidence:
        """Put terms (E,) or (E, K) and the support of the whole-episode weight together."""
        returns = self.rewards.sum(axis=1)
        weights = np.ones(len(returns)) if self.logged.behavior_prob is None else self.weights[:, -1]
        return episode_evidence(
            self.logged,
            tops,
            bottoms,
            weights=weights,
            weighted_returns=weights * returns,
            reward_range=return_range(self.interval.reward_range, returns),
            likelihood=likelihood,
            caveats=caveats,
        )
