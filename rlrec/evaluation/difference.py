"""The difference of two policies judged on one log."""

from __future__ import annotations

from dataclasses import replace

from rlrec.core.errors import InvalidArgumentError
from rlrec.evaluation.estimation import Evidence, OffPolicyEstimate
from rlrec.evaluation.intervals import IntervalConfig
from rlrec.evaluation.support import measure_support, robust_bounds


def difference(
    first: OffPolicyEstimate, second: OffPolicyEstimate, interval: IntervalConfig | None = None
) -> OffPolicyEstimate:
    """Estimate the value of the first policy minus that of the second, paired unit by unit.

    The common luck of a unit cancels, so the interval is shorter than two intervals side by side suggest. The
    support is that of the worse covered policy.

    Raises
    ------
    InvalidArgumentError
        If the two rest on different numbers of units.

    Examples
    --------
    >>> from rlrec.evaluation.logged import LoggedBatch
    >>> from rlrec.evaluation.ope import ips
    >>> log = LoggedBatch(action=[0, 1, 0, 1], reward=[1, 0, 1, 1], behavior_prob=[0.5, 0.5, 0.5, 0.5])
    >>> round(difference(ips(log, [0.6, 0.4, 0.6, 0.4]), ips(log, [0.5, 0.5, 0.5, 0.5])).value, 9)
    0.05
    """
    if first.n != second.n:
        raise InvalidArgumentError(
            f"both policies must be judged on the same units, got {first.n} and {second.n}; use one log for both"
        )
    config = interval or IntervalConfig()
    both = (first.evidence, second.evidence)
    supports = [measure_support(evidence.units, config.level) for evidence in both]
    worse = int(supports[1][0].effective_sample_size < supports[0][0].effective_sample_size)
    caveats = tuple(dict.fromkeys(both[0].caveats + both[1].caveats))
    warnings = tuple(dict.fromkeys(supports[0][1] + supports[1][1]))
    estimate = Evidence(both[0].terms.minus(both[1].terms), both[worse].units, caveats=caveats).estimate(config)
    assert estimate.support is not None
    return replace(
        estimate,
        reliable=not warnings,
        notes=warnings + caveats,
        support=replace(estimate.support, **_robust_difference(*both, config.level) if warnings else {}),
    )


def _robust_difference(first: Evidence, second: Evidence, level: float) -> dict[str, float]:
    """Bounds of the difference from the bounds of both: conservative, since they need not be attained together."""
    bounds = [robust_bounds(evidence.units, level) for evidence in (first, second)]
    return {"robust_low": bounds[0][0] - bounds[1][1], "robust_high": bounds[0][1] - bounds[1][0]}
