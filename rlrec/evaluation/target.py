"""The policy that is judged, as the estimators read it: in chunks, so that no (N, I) tensor is ever built for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.core.protocols import StochasticPolicy
from rlrec.evaluation.columns import FloatArray, check_probs
from rlrec.evaluation.logged import LoggedBatch

Probs: TypeAlias = Callable[[Any], NDArray[Any]]
TargetLike: TypeAlias = "Target | StochasticPolicy | Probs | ArrayLike"
QLike: TypeAlias = "QValues | Probs | ArrayLike"

_CHUNK_VALUES = 1 << 20  # 8 MiB of float64 for each chunk: larger chunks were no faster here


@dataclass(frozen=True, eq=False)
class Target:
    """Target probabilities of the logged actions, and of all actions on demand.

    Build it once with `Target.of` where several estimators judge the same policy: the checks and the gather are then
    paid once.

    Examples
    --------
    >>> log = LoggedBatch(action=[0, 1], reward=[1, 0], behavior_prob=[0.5, 0.5])
    >>> Target.of(log, [[0.2, 0.8], [0.3, 0.7]]).taken
    array([0.2, 0.7])
    """

    logged: LoggedBatch
    """The log whose rows the probabilities belong to."""
    taken: FloatArray
    """Probability of each logged action under the target, shape (N,)."""
    probs: FloatArray | None = None
    """All probabilities, shape (N, I), where the caller gave the matrix."""
    policy: Probs | None = None
    """Context rows to probabilities (B, I), where the caller gave a policy."""

    @classmethod
    def of(cls, logged: LoggedBatch, target: TargetLike) -> Target:
        """Read a target policy.

        Parameters
        ----------
        logged : LoggedBatch
            The log, N rows.
        target : Target, array (N,), array (N, I), StochasticPolicy, or callable
            Probabilities of the taken actions, or of all actions, or something that maps a chunk of ``logged.context``
            (B, d) to probabilities (B, I).

        Raises
        ------
        InvalidArgumentError
            For a wrong shape, a probability outside [0, 1], or rows that don't sum to 1.
        DataError
            If a policy is given and the log has no context.
        """
        if isinstance(target, Target):
            if target.logged.n_rows != logged.n_rows:
                raise InvalidArgumentError(
                    f"target must belong to this log of {logged.n_rows} rows, got one built for "
                    f"{target.logged.n_rows}; call Target.of again"
                )
            return target
        if isinstance(target, StochasticPolicy):
            return cls._of_policy(logged, target.action_probs)
        if callable(target):
            return cls._of_policy(logged, target)
        array = np.asarray(target, dtype=np.float64)
        if array.ndim == 1:
            return cls(logged, _check_taken(array, logged.n_rows))
        matrix = check_probs("target", array, logged.n_rows, int(logged.action.max()) + 1)
        return cls(logged, gather(matrix, logged.action), probs=matrix)

    @classmethod
    def _of_policy(cls, logged: LoggedBatch, policy: Probs) -> Target:
        logged.require_context("a policy as target")
        empty = cls(logged, np.empty(0), policy=policy)
        taken = np.empty(logged.n_rows)
        for rows, probs in empty.chunks():
            taken[rows] = gather(probs, logged.action[rows])
        return cls(logged, taken, policy=policy)

    def chunks(self, width: int | None = None) -> Iterator[tuple[slice, FloatArray]]:
        """Yield ``(rows, probs (B, I))`` over the log, a few MiB of ``width`` (default: I) numbers a row at a time."""
        n, start = self.logged.n_rows, 0
        size = max(1, _CHUNK_VALUES // (width or self.n_actions))
        while start < n:
            rows = slice(start, min(n, start + size))
            if self.probs is not None:
                yield rows, self.probs[rows]
            else:
                yield rows, self._call(rows)
            start = rows.stop

    def expectation(self, values: Probs | ArrayLike) -> FloatArray:
        r"""Return :math:`\sum_a \pi(a | x)\, q(x, a)` for each row, shape (N,).

        ``values`` is an (N, I) array, or a callable from context rows to (B, I), evaluated in the same chunks.
        """
        if not callable(values) and self.probs is not None:
            matrix = np.asarray(values, dtype=np.float64)
            return np.asarray(np.einsum("na,na->n", self.probs, matrix), dtype=np.float64)
        expected = np.empty(self.logged.n_rows)
        for rows, probs in self.chunks():
            if callable(values):
                chunk = np.asarray(values(self.logged.require_context("a q-model")[rows]), dtype=np.float64)
            else:
                chunk = np.asarray(values, dtype=np.float64)[rows]
            expected[rows] = np.einsum("na,na->n", probs, chunk)
        return expected

    @cached_property
    def n_actions(self) -> int:
        """Number of actions, I."""
        return int((self.probs if self.probs is not None else self._call(slice(0, 1))).shape[1])

    def _call(self, rows: slice) -> FloatArray:
        if self.policy is None:
            raise DataError(
                "target must give the probability of every action for this estimator, got probabilities "
                "of the taken actions only; pass the matrix (N, I) or the policy"
            )
        context = self.logged.require_context("a policy as target")[rows]
        n_actions = int(self.logged.action[rows].max()) + 1
        return check_probs("target", self.policy(context), len(context), n_actions)


@dataclass(frozen=True, eq=False)
class QValues:
    """A reward model read off at the log: its value at the taken action and its mean under the target."""

    taken: FloatArray
    """q(x, a) at the logged action, shape (N,)."""
    expected: FloatArray
    """Mean of q(x, .) under the target, shape (N,)."""

    @classmethod
    def of(cls, target: Target, q: QLike) -> QValues:
        """Read a q-model: `QValues`, an (N, I) array, or a callable from context rows (B, d) to (B, I).

        Raises
        ------
        InvalidArgumentError
            If the array is not (N, I) or not finite.
        """
        logged = target.logged
        if isinstance(q, QValues):
            if q.taken.shape != (logged.n_rows,) or q.expected.shape != (logged.n_rows,):
                raise InvalidArgumentError(
                    f"q must hold one value for each of {logged.n_rows} rows, got {q.taken.shape} and "
                    f"{q.expected.shape}; fit it on this log"
                )
            return q
        if callable(q):
            return cls(_taken_q(target, q), target.expectation(q))
        matrix = np.asarray(q, dtype=np.float64)
        if target.probs is not None and matrix.shape != target.probs.shape:
            raise InvalidArgumentError(
                f"q must have the target's shape {target.probs.shape}, got {matrix.shape}; give a value "
                "for each row and action"
            )
        if matrix.ndim != 2 or len(matrix) != logged.n_rows:
            raise InvalidArgumentError(
                f"q must have shape (N={logged.n_rows}, I), got {matrix.shape}; give a value for each row and action"
            )
        values = cls(gather(matrix, logged.action), target.expectation(matrix))
        if not np.isfinite(values.expected).all():
            raise InvalidArgumentError("q must be finite, got NaN or infinity; refit the model or impute")
        return values


def gather(matrix: FloatArray, action: NDArray[np.int64]) -> FloatArray:
    """Return ``matrix[i, action[i]]``, shape (N,); three times as fast as fancy indexing on (100,000, 10)."""
    n, width = matrix.shape
    taken: FloatArray = np.ascontiguousarray(matrix).reshape(-1).take(np.arange(0, n * width, width) + action)
    return taken


def _taken_q(target: Target, q: Probs) -> FloatArray:
    logged = target.logged
    context = logged.require_context("a q-model")
    taken = np.empty(logged.n_rows)
    for rows, _ in target.chunks():
        taken[rows] = gather(np.asarray(q(context[rows]), dtype=np.float64), logged.action[rows])
    return taken


def _check_taken(probs: FloatArray, n_rows: int) -> FloatArray:
    if probs.shape != (n_rows,):
        raise InvalidArgumentError(
            f"target must have one probability for each of {n_rows} rows, got shape {probs.shape}; pass "
            "(N,), (N, I) or a policy"
        )
    if not (probs.min() >= 0 and probs.max() <= 1):
        bad = int(np.flatnonzero(~((probs >= 0) & (probs <= 1)))[0])
        raise InvalidArgumentError(
            f"target must hold probabilities in [0, 1], got {probs[bad]!s} at row {bad}; normalise scores "
            "with a softmax first"
        )
    return probs
