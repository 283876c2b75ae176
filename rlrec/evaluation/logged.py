"""What a logger wrote down: one row for each decision, columnar and checked once.

Rows of an episode are adjacent and in the order of ``t`` (then ``position`` for slates), so that arrays a caller passes
later (target probabilities, q-values) line up row by row. Nothing is ever re-sorted behind the caller's back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlrec.core.errors import DataError, InvalidArgumentError, MissingPropensityError
from rlrec.evaluation.columns import (
    FloatArray,
    IntArray,
    check_context,
    check_finite,
    check_indices,
    check_probs,
    check_propensities,
    code_ids,
)

if TYPE_CHECKING:
    import pandas
    import polars

COLUMNS = ("episode", "t", "action", "position", "reward", "behavior_prob", "cluster")
"""Column names that `LoggedBatch.from_pandas` and `LoggedBatch.from_polars` read."""

ESTIMATED_NOTE = "the propensities were estimated: their error is not in the interval"


@dataclass(frozen=True, kw_only=True, eq=False)
class LoggedBatch:
    r"""Logged decisions: a bandit log, a log of slates, or a log of episodes.

    Trust it for off-policy estimates as far as ``behavior_prob`` is what the logger really used; where
    nobody wrote it down and it is estimated, every result carries that model's error as well.

    Parameters
    ----------
    action : integer array, shape (N,)
        0-based action or item index; for slates the item at this row's position.
    reward : array, shape (N,), reward units
        Finite.
    behavior_prob : array, shape (N,), optional
        Probability with which the logger took the logged action, in (0, 1]. For slates it is the probability that the
        estimator asks for (whole slate, item at position, or cascade): see `evaluation.slate_ope`.
    episode : array, shape (N,), optional
        Any ids; rows of an episode (or slate) must be adjacent. Default: every row is its own episode.
    t : integer array, shape (N,), optional
        Step inside the episode, not decreasing. Default: counted from 0.
    position : integer array, shape (N,), optional
        Slot inside the slate, increasing inside a slate.
    cluster : array, shape (N,), optional
        Any ids of the independent units, usually users; intervals are clustered by it. Default: the episode.
    context : array, shape (N, d), optional
        What the policies saw; needed where the target policy or the q-model is a callable.
    behavior_probs : array, shape (N, I), optional
        The logger's probability of every action; makes the unsupported mass exact.
    estimated : bool
        True where the propensities are a model's (`propensity.fit_propensities`): every estimate then says so.

    Raises
    ------
    InvalidArgumentError
        If a column has the wrong shape or an impossible value.
    DataError
        If rows of an episode are not adjacent, or not in order.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1, 1], reward=[1.0, 0.0, 1.0], behavior_prob=[0.5, 0.5, 0.25])
    >>> log.n_rows, log.n_units
    (3, 3)
    """

    action: IntArray
    reward: FloatArray
    behavior_prob: FloatArray | None = None
    episode: IntArray | None = None
    t: IntArray | None = None
    position: IntArray | None = None
    cluster: IntArray | None = None
    context: FloatArray | None = None
    behavior_probs: FloatArray | None = None
    estimated: bool = False

    def __post_init__(self) -> None:
        """Convert the columns, then check them."""
        action = check_indices("action", self.action)
        n = len(action)
        if n == 0:
            raise InvalidArgumentError("action must hold at least one row, got an empty array")
        self._set("action", action)
        self._set("reward", check_finite("reward", self.reward, (n,)))
        if self.behavior_prob is not None:
            self._set("behavior_prob", check_propensities(self.behavior_prob, n))
        if self.behavior_probs is not None:
            self._set("behavior_probs", check_probs("behavior_probs", self.behavior_probs, n, int(action.max()) + 1))
        if self.context is not None:
            self._set("context", check_context(self.context, n))
        for name in ("t", "position"):
            if getattr(self, name) is not None:
                self._set(name, check_indices(name, getattr(self, name), n))
        for name in ("episode", "cluster"):
            if getattr(self, name) is not None:
                self._set(name, code_ids(name, getattr(self, name), n))
        if self.episode is not None:
            self._check_order()
            self._check_clusters()

    def _set(self, name: str, value: NDArray[Any]) -> None:
        object.__setattr__(self, name, value)

    def _check_order(self) -> None:
        assert self.episode is not None
        inside = self.episode[1:] == self.episode[:-1]  # (N - 1,): the next row goes on with the same episode
        if np.count_nonzero(~inside) + 1 != self.episode.max() + 1:
            raise DataError(
                "episode must keep its rows adjacent, got an episode that returns after another; sort "
                "the log by (episode, t, position)"
            )
        key = self.t if self.t is not None else self.position
        if key is not None and np.any(inside & (np.diff(key) < 0)):
            row = int(np.flatnonzero(inside & (np.diff(key) < 0))[0]) + 1
            name = "t" if self.t is not None else "position"
            raise DataError(
                f"{name} must not decrease inside an episode, got {key[row]} after {key[row - 1]} at row "
                f"{row}; sort the log by (episode, t, position)"
            )

    def _check_clusters(self) -> None:
        assert self.episode is not None
        if self.cluster is not None and np.any(np.diff(self.cluster)[np.diff(self.episode) == 0] != 0):
            raise DataError(
                "cluster must not change inside an episode, got an episode with two clusters; cluster by user"
            )

    # ------------------------------------------------------------------------------------------------ shape of the log

    @property
    def n_rows(self) -> int:
        """Rows, N."""
        return len(self.action)

    @cached_property
    def offsets(self) -> IntArray:
        """Start row of each episode and N at the end, shape (E + 1,)."""
        if self.episode is None:
            return np.arange(self.n_rows + 1)
        starts = np.flatnonzero(np.diff(self.episode)) + 1
        return np.concatenate(([0], starts, [self.n_rows])).astype(np.int64)

    @property
    def n_episodes(self) -> int:
        """Episodes (or slates), E."""
        return self.n_rows if self.episode is None else len(self.offsets) - 1

    @cached_property
    def lengths(self) -> IntArray:
        """Rows of each episode, shape (E,)."""
        return np.asarray(np.diff(self.offsets), dtype=np.int64)

    @cached_property
    def step(self) -> IntArray:
        """0-based row number inside the episode, shape (N,)."""
        return np.arange(self.n_rows) - np.repeat(self.offsets[:-1], self.lengths)

    @cached_property
    def n_units(self) -> int:
        """Independent units: clusters where given, else episodes."""
        return self.n_episodes if self.cluster is None else int(self.cluster.max()) + 1

    @cached_property
    def unit_sizes(self) -> FloatArray | None:
        """Rows of each unit, shape (U,); ``None`` where every unit is one row."""
        if self.cluster is None:
            return None if self.episode is None else self.lengths.astype(np.float64)
        return np.bincount(self.cluster, minlength=self.n_units).astype(np.float64)

    @cached_property
    def observed_range(self) -> tuple[float, float]:
        """Smallest and largest reward."""
        return float(self.reward.min()), float(self.reward.max())

    @cached_property
    def is_binary(self) -> bool:
        """True where every reward is 0 or 1."""
        low, high = self.observed_range
        return low >= 0 and high <= 1 and bool(np.all(self.reward == (self.reward > 0)))

    def row_sums(self, values: FloatArray) -> FloatArray:
        """Sum one value for each row over the rows of each unit, shape (U,)."""
        if self.cluster is not None:
            return np.asarray(np.bincount(self.cluster, values, minlength=self.n_units), dtype=np.float64)
        if self.episode is None:
            return values
        return np.asarray(np.add.reduceat(values, self.offsets[:-1]), dtype=np.float64)

    @cached_property
    def unit_episodes(self) -> FloatArray | None:
        """Episodes of each unit, shape (U,); ``None`` where every unit is one episode."""
        if self.cluster is None:
            return None
        return np.bincount(self.cluster[self.offsets[:-1]], minlength=self.n_units).astype(np.float64)

    def episode_sums(self, values: FloatArray) -> FloatArray:
        """Sum columns for each episode, shape (E,) or (E, K), over the episodes of each unit: (U,) or (U, K)."""
        if self.cluster is None:
            return values
        unit = self.cluster[self.offsets[:-1]]
        if values.ndim == 1:
            return np.asarray(np.bincount(unit, values, minlength=self.n_units), dtype=np.float64)
        order = np.argsort(unit, kind="stable")
        starts = np.searchsorted(unit[order], np.arange(self.n_units))
        return np.asarray(np.add.reduceat(values[order], starts, axis=0), dtype=np.float64)

    def to_steps(self, values: FloatArray, fill: float | None = 0.0) -> FloatArray:
        """Lay a value for each row out as (E, T), with ``fill`` (``None``: the last value) after the end of an
        episode.
        """
        steps = np.arange(int(self.lengths.max()))  # (T,)
        ends = self.lengths[:, None] - 1
        laid = values[self.offsets[:-1][:, None] + np.minimum(steps, ends)]  # (E, T)
        if fill is not None and self.lengths.min() < len(steps):
            laid = np.where(steps <= ends, laid, fill)
        return laid

    @property
    def caveats(self) -> tuple[str, ...]:
        """What an estimate on this log has to say about it."""
        return (ESTIMATED_NOTE,) if self.estimated else ()

    def require_behavior_prob(self) -> FloatArray:
        """Return the propensities, or say what to do without.

        Raises
        ------
        MissingPropensityError
            If the log has none.
        """
        if self.behavior_prob is None:
            raise MissingPropensityError(
                "behavior_prob must hold the probability of each logged action, got None; log it, or "
                "estimate it with rlrec.evaluation.propensity.fit_propensities"
            )
        return self.behavior_prob

    def require_context(self, why: str) -> FloatArray:
        """Return the context, or say why it is needed."""
        if self.context is None:
            raise DataError(f"context must be given for {why}, got None; pass an array of shape (N={self.n_rows}, d)")
        return self.context

    def with_behavior(
        self, behavior_prob: ArrayLike, behavior_probs: ArrayLike | None = None, *, estimated: bool = False
    ) -> LoggedBatch:
        """Return the same log with other propensities."""
        return replace(
            self,
            behavior_prob=behavior_prob,  # type: ignore[arg-type]
            behavior_probs=behavior_probs,  # type: ignore[arg-type]
            estimated=estimated,
        )

    # ---------------------------------------------------------------------------------------------------- constructors

    @classmethod
    def from_offsets(cls, offsets: ArrayLike, **columns: Any) -> LoggedBatch:
        """Build from ragged episodes: ``offsets`` has shape (E + 1,), rises, starts at 0 and ends at N.

        Examples
        --------
        >>> LoggedBatch.from_offsets([0, 2, 3], action=[0, 1, 0], reward=[1, 0, 1]).lengths
        array([2, 1])
        """
        starts = check_indices("offsets", offsets)
        n = len(check_indices("action", columns["action"]))
        if len(starts) < 2 or starts[0] != 0 or starts[-1] != n or np.any(np.diff(starts) <= 0):
            raise InvalidArgumentError(
                f"offsets must rise from 0 to the number of rows ({n}), got {starts.tolist()[:8]}; empty "
                "episodes cannot be logged"
            )
        return cls(episode=np.repeat(np.arange(len(starts) - 1), np.diff(starts)), **columns)

    @classmethod
    def from_pandas(cls, frame: pandas.DataFrame, **columns: Any) -> LoggedBatch:
        """Build from a pandas frame whose columns carry the names in `COLUMNS`; the frame is not changed."""
        return cls._from_columns({name: frame[name].to_numpy() for name in COLUMNS if name in frame.columns}, columns)

    @classmethod
    def from_polars(cls, frame: polars.DataFrame, **columns: Any) -> LoggedBatch:
        """Build from a Polars frame whose columns carry the names in `COLUMNS`."""
        return cls._from_columns({name: frame[name].to_numpy() for name in COLUMNS if name in frame.columns}, columns)

    @classmethod
    def _from_columns(cls, read: dict[str, Any], given: dict[str, Any]) -> LoggedBatch:
        missing = [name for name in ("action", "reward") if name not in read and name not in given]
        if missing:
            raise DataError(
                f"the table must have the columns 'action' and 'reward', got none named {missing[0]!r}; rename yours"
            )
        return cls(**{**read, **given})
