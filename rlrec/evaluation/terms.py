r"""One term for each independent unit: the form in which every estimator here meets every interval.

An estimate is a sum of ratios of sums over units g (users or episodes),

.. math:: \hat V = \sum_k \frac{\sum_g b_{gk}}{\sum_g c_{gk}}

IPS has one ratio with c = number of rows, SNIPS one with c = weight, SNDR two, weighted per-decision sampling one for
each step. So the delta method and a bootstrap that re-evaluates the whole ratio are each written once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rlrec.core.errors import DataError
from rlrec.evaluation.columns import FloatArray


@dataclass(frozen=True, eq=False)
class RatioTerms:
    """Numerators and denominators of each unit, shape (U, K) each, or (U,) where there is one ratio.

    Raises
    ------
    DataError
        If a denominator sums to 0: no logged action could have come from the target.

    Examples
    --------
    >>> terms = RatioTerms(np.array([1.0, 0.0, 3.0]), np.array([1.0, 1.0, 2.0]))
    >>> terms.value, terms.n_units
    (1.0, 3)
    """

    numerators: FloatArray
    denominators: FloatArray | None = None
    """``None`` for a plain mean, where every unit counts 1."""

    def __post_init__(self) -> None:
        """Refuse ratios that are 0/0."""
        empty = self._totals == 0
        if empty.any():
            raise DataError(
                f"the weights must not all be 0, got no logged action with target probability in "
                f"{int(empty.sum())} of {empty.size} ratios; the log does not support this target"
            )

    @property
    def n_units(self) -> int:
        """Independent units, U."""
        return len(self.numerators)

    @cached_property
    def _totals(self) -> FloatArray:
        """Sums of the denominators, shape (K,)."""
        if self.denominators is None:
            return np.full(self.numerators.shape[1:] or 1, float(self.n_units))
        totals: FloatArray = np.atleast_1d(self.denominators.sum(axis=0))
        return totals

    @cached_property
    def _ratios(self) -> FloatArray:
        ratios: FloatArray = np.atleast_1d(self.numerators.sum(axis=0)) / self._totals
        return ratios

    @cached_property
    def value(self) -> float:
        """The estimate."""
        return float(self._ratios.sum())

    @cached_property
    def influence(self) -> FloatArray:
        r"""Delta-method influence of each unit, shape (U,): :math:`\sum_k (b_{gk} - \theta_k c_{gk}) / \bar c_k`.

        Its mean is 0 and its standard deviation over :math:`\sqrt U` is the standard error of the estimate.
        """
        if self.denominators is None:
            centred: FloatArray = self.numerators - (self._ratios[0] if self.numerators.ndim == 1 else self._ratios)
            return centred if centred.ndim == 1 else centred.sum(axis=1)
        means = self._totals / self.n_units
        if self.numerators.ndim == 1:
            residual: FloatArray = self.denominators * (-self._ratios[0])
            residual += self.numerators
            residual /= means[0]
            return residual
        values: FloatArray = self.numerators @ (1 / means) - self.denominators @ (self._ratios / means)
        return values

    @property
    def is_plain_mean(self) -> bool:
        """True where the estimate is the mean of independent bounded terms, as finite-sample bounds need."""
        return self.numerators.ndim == 1 and (self.denominators is None or bool(np.ptp(self.denominators) == 0))

    def resample(self, counts: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Re-evaluate the estimate and its standard error under bootstrap counts.

        Parameters
        ----------
        counts : array, shape (R, U)
            How often each unit was drawn in each of R resamples.

        Returns
        -------
        tuple of arrays, shape (R,) each
            Estimates and their delta-method standard errors; NaN where a resample drew only zero denominators.
        """
        tops, bottoms = self.columns()
        with np.errstate(invalid="ignore", divide="ignore"):
            sums = counts @ bottoms  # (R, K)
            ratios = counts @ tops / sums
            means = sums / self.n_units
            residuals = (1 / means) @ tops.T - (ratios / means) @ bottoms.T  # (R, U)
        np.square(residuals, out=residuals)
        variances = np.einsum("ru,ru->r", counts, residuals) / (self.n_units - 1)
        return ratios.sum(axis=1), np.sqrt(variances / self.n_units)

    def moved_to(self, value: float) -> RatioTerms:
        """Return terms of another value with the same influences: the interval keeps its length."""
        tops, bottoms = self.columns()
        share = (value - self.value) / tops.shape[1]
        moved = tops + share * bottoms
        return RatioTerms(moved.reshape(self.numerators.shape), self.denominators)

    def minus(self, other: RatioTerms) -> RatioTerms:
        """Return the terms of the difference of two estimates on the same units, so that common luck cancels."""
        tops, bottoms = self.columns()
        other_tops, other_bottoms = other.columns()
        return RatioTerms(np.hstack([tops, -other_tops]), np.hstack([bottoms, other_bottoms]))

    def columns(self) -> tuple[FloatArray, FloatArray]:
        """Return numerators and denominators, shape (U, K) each, whatever the short form."""
        tops = self.numerators.reshape(self.n_units, -1)
        bottoms = np.ones_like(tops) if self.denominators is None else self.denominators.reshape(self.n_units, -1)
        return tops, bottoms
