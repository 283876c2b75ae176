"""What follows what in a log of episodes: the one-step view that fitted Q evaluation and marginal weights share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlrec.core.checks import check_at_least
from rlrec.core.errors import InvalidArgumentError
from rlrec.evaluation.columns import FloatArray, IntArray
from rlrec.evaluation.logged import LoggedBatch


@dataclass(frozen=True, eq=False)
class Transitions:
    """For each row of a log, whether and how the episode goes on."""

    goes_on: NDArray[np.bool_]
    """The next row belongs to the same episode, shape (N,)."""
    known: NDArray[np.bool_]
    """What follows is known: the next row, or the end, shape (N,)."""
    steps_left: IntArray
    """Steps from this row to the horizon, this one included, shape (N,); 0 where there is no horizon."""

    @classmethod
    def of(
        cls,
        logged: LoggedBatch,
        gamma: float,
        truncated: ArrayLike | None = None,
        horizon: int | None = None,
    ) -> Transitions:
        """Read the episodes.

        Parameters
        ----------
        logged : LoggedBatch
            Episodes.
        gamma : float
            Discount per step; only checked.
        truncated : bool array, shape (E,), optional
            Episodes that were cut off, not ended. Default: none, or all of length ``horizon``.
        horizon : int, optional
            Steps after which every episode is over.

        Raises
        ------
        InvalidArgumentError
            If ``truncated`` has the wrong shape, ``gamma`` is not in (0, 1], or an episode is longer than ``horizon``.
        """
        if not 0 < gamma <= 1:
            raise InvalidArgumentError(f"gamma must lie in (0, 1], got {gamma!r}; 1 means undiscounted")
        longest = int(logged.lengths.max())
        if horizon is not None:
            check_at_least("horizon", horizon, longest)
        cut = logged.lengths == horizon if truncated is None else np.asarray(truncated)
        if cut.shape != (logged.n_episodes,) or cut.dtype != np.bool_:
            raise InvalidArgumentError(
                f"truncated must be a bool array with one value for each of {logged.n_episodes} episodes, got "
                f"{cut.dtype} {cut.shape}; True where the log breaks off"
            )
        goes_on = np.ones(logged.n_rows, dtype=np.bool_)
        goes_on[logged.offsets[1:] - 1] = False
        known = goes_on | ~np.repeat(cut, logged.lengths)
        left = np.zeros(logged.n_rows, dtype=np.int64) if horizon is None else horizon - logged.step
        return cls(goes_on, known, left)

    def after(self, values: FloatArray) -> FloatArray:
        """Return each row's value in the next row, 0 after the last; shape (N,) or (N, p)."""
        following = np.zeros_like(values)
        following[:-1] = np.where(self.goes_on[:-1].reshape(-1, *[1] * (values.ndim - 1)), values[1:], 0.0)
        return following
