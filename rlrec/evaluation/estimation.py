"""From terms to an estimate: the one place where value, interval and support gate come together."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rlrec.core.errors import InvalidArgumentError
from rlrec.core.estimate import Estimate
from rlrec.evaluation.intervals import (
    IntervalConfig,
    bernstein_interval,
    bootstrap_interval,
    effective_degrees,
    hoeffding_interval,
    log_interval,
    logit_interval,
    normal_interval,
    percentile_interval,
    t_interval,
)
from rlrec.evaluation.support import UnitWeights, measure_support, robust_bounds
from rlrec.evaluation.terms import RatioTerms


@dataclass(frozen=True)
class Evidence:
    """An estimator's terms with the weights behind them: what intervals, differences and SLOPE work on."""

    terms: RatioTerms
    """One term for each unit."""
    units: UnitWeights
    """What the support gate reads."""
    on_range: bool = False
    """True where the reward range is known and the interval is better on its logit scale (average of rewards)."""
    likelihood: bool = False
    """True where Cressie-Read bounds are bounds of this estimate (weights times rewards, nothing else)."""
    caveats: tuple[str, ...] = ()
    """Notes that don't make the estimate unreliable (a model's bias, an observed range)."""

    def estimate(self, interval: IntervalConfig | None = None) -> OffPolicyEstimate:
        """Put the interval and the support beside the value."""
        config = interval or IntervalConfig()
        low, high = self._interval(config)
        support, warnings = measure_support(self.units, config.level)
        return OffPolicyEstimate(
            value=self.terms.value,
            low=low,
            high=high,
            n=self.terms.n_units,
            effective_sample_size=support.effective_sample_size,
            reliable=not warnings,
            level=config.level,
            notes=warnings + self.caveats,
            support=support,
            evidence=self,
        )

    def _interval(self, config: IntervalConfig) -> tuple[float, float]:
        terms, level = self.terms, config.level
        method: str = config.method
        degrees = None
        if method == "auto":
            method, degrees = self._best_method(), effective_degrees(terms.influence)
        if method == "normal":
            return normal_interval(terms.value, terms.influence, level)
        if method == "t":
            return t_interval(terms.value, terms.influence, level, degrees)
        if method == "log":
            return log_interval(terms.value, terms.influence, level, degrees)
        if method == "logit":
            return logit_interval(terms.value, terms.influence, self._range_for_logit(), level, degrees)
        if method == "cressie_read":
            return robust_bounds(self._units_for_likelihood(), level)
        if method in ("bootstrap", "percentile"):
            draw = bootstrap_interval if method == "bootstrap" else percentile_interval
            rng = np.random.default_rng(config.seed)
            return draw(terms, level=level, n_resamples=config.n_resamples, rng=rng)
        bound = hoeffding_interval if method == "hoeffding" else bernstein_interval
        return bound(*self._bounded_terms(config), level)

    def _best_method(self) -> str:
        low, high = self.units.reward_range
        if self.on_range and low < self.terms.value < high:
            return "logit"
        return "log" if self.terms.value > 0 and self.terms.numerators.min() >= 0 else "t"

    def _units_for_likelihood(self) -> UnitWeights:
        if not self.likelihood:
            raise InvalidArgumentError(
                "method='cressie_read' needs an estimate of weights times rewards, got one with a model, "
                "clipped weights or a difference; use 't' or 'bootstrap'"
            )
        return self.units

    def _range_for_logit(self) -> tuple[float, float]:
        if not self.on_range:
            raise InvalidArgumentError(
                "method='logit' needs a self-normalised or model-based estimate of rewards in a known "
                "range, got another; pass reward_range, or use 't' or 'bootstrap'"
            )
        return self.units.reward_range

    def _bounded_terms(self, config: IntervalConfig) -> tuple[np.ndarray, tuple[float, float]]:
        if config.term_range is None:
            raise InvalidArgumentError(
                f"term_range must be the true bounds of one unit's term for method={config.method!r}, got "
                "None; the sample's own maximum gives no valid bound"
            )
        if not self.terms.is_plain_mean:
            raise InvalidArgumentError(
                f"method={config.method!r} needs a plain mean over units of equal size, got a ratio; use "
                "IPS-type estimators or 'bootstrap'"
            )
        tops, bottoms = self.terms.columns()
        return tops[:, 0] / bottoms[0, 0], config.term_range


@dataclass(frozen=True, kw_only=True)
class OffPolicyEstimate(Estimate):
    """An estimate that keeps what it was made of, so that it can be compared or given another interval.

    Examples
    --------
    >>> from rlrec.evaluation.ope import ips
    >>> from rlrec.evaluation.logged import LoggedBatch
    >>> log = LoggedBatch(action=[0, 1, 0, 1], reward=[1, 0, 1, 1], behavior_prob=[0.5] * 4)
    >>> first = ips(log, [0.6, 0.4, 0.6, 0.4])
    >>> first.with_interval(IntervalConfig(level=0.5)).high < first.high
    True
    """

    evidence: Evidence = field(repr=False, compare=False)
    """Terms and weights of the independent units."""

    def with_interval(self, interval: IntervalConfig) -> OffPolicyEstimate:
        """Return the same estimate with another interval."""
        return self.evidence.estimate(interval)
