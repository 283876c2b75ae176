"""What one policy did with simulated users, and the metrics that are read off it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlrec.core.errors import InvalidArgumentError
from rlrec.core.estimate import Estimate
from rlrec.evaluation.means import mean_estimate, ratio_estimate

_REPLICATES = 200
METRICS = ("return_", "clicks", "session_length", "coverage", "popularity_bias", "variety", "novelty")


@dataclass(frozen=True, eq=False)
class PolicyRollout:
    """What one policy earned; one entry a user, in the order of the user keys."""

    return_: NDArray[np.float64]
    """(n,) undiscounted sum of rewards of the session."""
    clicks: NDArray[np.int64]
    """(n,) shown items that were taken."""
    session_length: NDArray[np.int64]
    """(n,) slates answered."""
    truncated: NDArray[np.bool_]
    """(n,) cut off at the horizon rather than left."""
    shown: NDArray[np.int64]
    """(m, 2) distinct pairs (user, item) that were shown."""
    popularity_sum: NDArray[np.float64]
    """(n,) sum over shown items of their training popularity percentile."""
    n_shown: NDArray[np.int64]
    """(n,) items shown, repeats included."""
    n_items: int
    """Size of the catalogue."""
    item_share: NDArray[np.float64] | None = None
    """(I,) share of each item in the training log, every count one higher."""

    def estimate(self, metric: str) -> Estimate:
        """Return a metric with its 95 % interval over users.

        Parameters
        ----------
        metric : {"return_", "clicks", "session_length", "coverage", "popularity_bias", "variety", "novelty"}
            Coverage is the share of the catalogue shown to these users (it grows with their number). Popularity bias
            is the mean training popularity percentile of what was shown: 0.5 for random items, near 1 for popular ones.
            Variety is the share of what was shown that the user had not been shown before in the session. Novelty is
            the mean self-information of the distinct items shown, in bits: the rarer in the training log, the higher.
        """
        if metric == "coverage":
            return self._coverage()
        if metric == "popularity_bias":
            return ratio_estimate(self.popularity_sum, self.n_shown)
        if metric == "variety":
            return ratio_estimate(self._distinct(), self.n_shown)
        if metric == "novelty":
            return ratio_estimate(self._distinct(self._self_information()), self._distinct())
        if metric not in METRICS:
            raise InvalidArgumentError(f"metric must be one of {', '.join(METRICS)}, got {metric!r}")
        return mean_estimate(getattr(self, metric))

    def summary(self) -> dict[str, Estimate]:
        """Return all metrics; novelty only where the training log's shares are known."""
        known = METRICS if self.item_share is not None else METRICS[:-1]
        return {metric: self.estimate(metric) for metric in known}

    def by_group(self, groups: NDArray[Any], metric: str = "return_") -> dict[Any, Estimate]:
        """Return a mean for each group of users, by the group's label.

        Parameters
        ----------
        groups : array, shape (n,)
            Label of each user, such as what they opened with.
        metric : {"return_", "clicks", "session_length"}
        """
        values, labels = self.per_user(metric), self._check_groups(groups)
        return {label: mean_estimate(values[labels == label]) for label in np.unique(labels).tolist()}

    def group_gap(self, groups: NDArray[Any], metric: str = "return_") -> Estimate:
        """Return the mean of the group that is served best minus that of the one served worst.

        Which groups these are was read off the same users, so with many groups of equal worth the gap is above 0 by
        luck.
        """
        found = self.by_group(groups, metric)
        best, worst = max(found.values(), key=lambda e: e.value), min(found.values(), key=lambda e: e.value)
        gap = best.value - worst.value
        half = float(np.hypot(best.high - best.value, worst.high - worst.value))
        n = best.n + worst.n
        return Estimate(value=gap, low=gap - half, high=gap + half, n=n, effective_sample_size=float(n))

    def per_user(self, metric: str) -> NDArray[np.float64]:
        """Return a metric that has a value for each user, (n,): the return, clicks or session length."""
        if metric not in METRICS[:3]:
            raise InvalidArgumentError(f"metric must be one of {', '.join(METRICS[:3])}, got {metric!r}")
        return np.asarray(getattr(self, metric), dtype=np.float64)

    def _check_groups(self, groups: NDArray[Any]) -> NDArray[Any]:
        labels = np.asarray(groups)
        if labels.shape != self.return_.shape or len(np.unique(labels)) < 2:
            raise InvalidArgumentError(
                f"groups must give each of {len(self.return_)} users one of two or more labels, got shape "
                f"{labels.shape} with {len(np.unique(labels))} labels"
            )
        return labels

    def _distinct(self, weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Return each user's distinct items shown, counted or summed with a weight for each item (I,)."""
        user, item = self.shown.T
        n = len(self.return_)
        return np.bincount(user, None if weights is None else weights[item], minlength=n).astype(np.float64)

    def _self_information(self) -> NDArray[np.float64]:
        if self.item_share is None:
            raise InvalidArgumentError(
                "item_share must be given for novelty, got None; roll out with evaluate_policies"
            )
        return -np.log2(self.item_share)

    def _coverage(self) -> Estimate:
        """Bootstrap users for the spread only: a replicate has fewer distinct users, so its level is biased low."""
        user, item = self.shown.T
        n = len(self.return_)
        value = len(np.unique(item)) / self.n_items
        rng = np.random.default_rng(0)
        covered = np.empty(_REPLICATES)
        for replicate in range(_REPLICATES):
            drawn = np.bincount(rng.integers(n, size=n), minlength=n)
            covered[replicate] = len(np.unique(item[drawn[user] > 0])) / self.n_items
        error = 1.96 * covered.std()
        low, high = max(value - error, 0.0), min(value + error, 1.0)
        return Estimate(value=value, low=low, high=high, n=n, effective_sample_size=float(n))


def popularity_percentile(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return each item's mid-rank among training counts in (0, 1): the mean over the catalogue is one half."""
    ordered = np.sort(counts)
    below, upto = np.searchsorted(ordered, counts, side="left"), np.searchsorted(ordered, counts, side="right")
    percentile: NDArray[np.float64] = (below + upto) / (2 * len(counts))
    return percentile
