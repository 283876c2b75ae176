"""Means over independent units with normal intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rlrec.core.errors import InvalidArgumentError
from rlrec.core.estimate import Estimate

Z_95 = 1.959963984540054
"""Half-width of a two-sided 95 % normal interval, in standard errors."""


def mean_estimate(values: NDArray[np.number]) -> Estimate:
    """Return the mean of independent values (n,) with its 95 % normal interval.

    Examples
    --------
    >>> print(mean_estimate(np.array([1.0, 2.0, 3.0])))
    2 [0.8684, 3.132]
    """
    n = len(values)
    if n < 2:
        raise InvalidArgumentError(f"an interval needs at least 2 values, got {n}")
    values = np.asarray(values, np.float64)
    mean, error = float(values.mean()), float(values.std(ddof=1) / np.sqrt(n))
    return Estimate(value=mean, low=mean - Z_95 * error, high=mean + Z_95 * error, n=n, effective_sample_size=float(n))


def ratio_estimate(sums: NDArray[np.number], counts: NDArray[np.number]) -> Estimate:
    """Return ``sum(sums) / sum(counts)`` over units (n,) with its 95 % interval by linearisation.

    Examples
    --------
    >>> round(ratio_estimate(np.array([1.0, 4.0]), np.array([2, 4])).value, 4)
    0.8333
    """
    n = len(sums)
    if n < 2:
        raise InvalidArgumentError(f"an interval needs at least 2 units, got {n}")
    total = float(np.sum(counts))
    value = float(np.sum(sums)) / total
    residual = np.asarray(sums, np.float64) - value * np.asarray(counts, np.float64)
    error = float(np.sqrt((residual**2).sum() * n / (n - 1))) / total
    return Estimate(
        value=value, low=value - Z_95 * error, high=value + Z_95 * error, n=n, effective_sample_size=float(n)
    )
