"""From terms to an `Estimate`: the one place where value, interval and support gate come together."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rlrec.core.errors import InvalidArgumentError
from rlrec.core.estimate import Estimate
from rlrec.evaluation.intervals import (
    IntervalConfig,
    bernstein_interval,
    bootstrap_interval,
    hoeffding_interval,
    logit_interval,
    normal_interval,
    percentile_interval,
    t_interval,
)
from rlrec.evaluation.support import UnitWeights, measure_support, robust_bounds
from rlrec.evaluation.terms import RatioTerms


@dataclass(frozen=True)
class Judged:
    """An estimator's terms with the weights behind them: what intervals, differences and SLOPE work on."""

    terms: RatioTerms
    """One term for each unit."""
    units: UnitWeights
    """What the support gate reads."""
    on_range: bool = False
    """True where the reward range is known and the interval is better on its logit scale (average of rewards)."""
    likelihood: bool = False
    """True where Cressie-Read bounds are bounds of this estimate (weights times rewards, nothing else)."""
    notes: tuple[str, ...] = ()
    """Caveats that don't make the estimate unreliable (a model's bias, an observed range)."""

    def estimate(self, interval: IntervalConfig | None = None) -> Estimate:
        """Put the interval and the support beside the value."""
        config = interval or IntervalConfig()
        low, high = self._interval(config)
        support, warnings = measure_support(self.units, config.level)
        return Estimate(
            value=self.terms.value,
            low=low,
            high=high,
            n=self.terms.n_units,
            effective_sample_size=support.effective_sample_size,
            reliable=not warnings,
            level=config.level,
            notes=warnings + self.notes,
            support=support,
        )

    def _interval(self, config: IntervalConfig) -> tuple[float, float]:
        terms, level, method = self.terms, config.level, config.method
        if method == "auto":
            low, high = self.units.reward_range
            method = "logit" if self.on_range and low < terms.value < high else "t"
        if method == "normal":
            return normal_interval(terms.value, terms.influence, level)
        if method == "t":
            return t_interval(terms.value, terms.influence, level)
        if method == "logit":
            return logit_interval(terms.value, terms.influence, self._range_for_logit(), level)
        if method == "cressie_read":
            return robust_bounds(self._units_for_likelihood(), level)
        if method in ("bootstrap", "percentile"):
            draw = bootstrap_interval if method == "bootstrap" else percentile_interval
            rng = np.random.default_rng(config.seed)
            return draw(terms, level=level, n_resamples=config.n_resamples, rng=rng)
        bound = hoeffding_interval if method == "hoeffding" else bernstein_interval
        return bound(*self._bounded_terms(config), level)

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


def difference(first: Judged, second: Judged, interval: IntervalConfig | None = None) -> Estimate:
    """Estimate the difference of two policies judged on the same log, paired unit by unit.

    The common luck of a unit cancels, so the interval is shorter than two intervals side by side suggest. The
    support is that of the worse covered policy.

    Raises
    ------
    InvalidArgumentError
        If the two rest on different numbers of units.

    Examples
    --------
    >>> from rlrec.evaluation.logged import LoggedBatch
    >>> from rlrec.evaluation.ope import judge
    >>> log = LoggedBatch(action=[0, 1, 0, 1], reward=[1, 0, 1, 1], behavior_prob=[0.5, 0.5, 0.5, 0.5])
    >>> first = judge("ips", log, [0.6, 0.4, 0.6, 0.4])
    >>> gain = difference(first, judge("ips", log, [0.5, 0.5, 0.5, 0.5]))
    >>> round(gain.value, 9)
    0.05
    """
    if first.terms.n_units != second.terms.n_units:
        raise InvalidArgumentError(
            f"both policies must be judged on the same units, got {first.terms.n_units} and "
            f"{second.terms.n_units}; use one log for both"
        )
    config = interval or IntervalConfig()
    supports = [measure_support(judged.units, config.level) for judged in (first, second)]
    worse = int(supports[1][0].effective_sample_size < supports[0][0].effective_sample_size)
    notes = tuple(dict.fromkeys(first.notes + second.notes))
    judged = Judged(first.terms.minus(second.terms), (first, second)[worse].units, notes=notes)
    warnings = tuple(dict.fromkeys(supports[0][1] + supports[1][1]))
    estimate = judged.estimate(config)
    assert estimate.support is not None
    return replace(
        estimate,
        reliable=not warnings,
        notes=warnings + notes,
        support=replace(estimate.support, **_robust_difference(first, second, config.level) if warnings else {}),
    )


def _robust_difference(first: Judged, second: Judged, level: float) -> dict[str, float]:
    """Bounds of the difference from the bounds of both: conservative, since they need not be attained together."""
    bounds = [robust_bounds(judged.units, level) for judged in (first, second)]
    return {"robust_low": bounds[0][0] - bounds[1][1], "robust_high": bounds[0][1] - bounds[1][0]}
