"""What an agent may hand in, and the slates that it stands for.

An action is an item, a slate, places among candidates, or a vector whose nearest items are shown.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from rlrec.core.errors import InvalidArgumentError, InvalidSlateError
from rlrec.envs.nearest import NearestItems


class Actions:
    """Reads actions of ``num_envs`` users.

    Parameters
    ----------
    num_envs : int
        B.
    slate_size : int
        Items shown at a time, K.
    n_actions : int
        Items or candidates to choose from.
    staged : bool
        Actions are places among candidates.
    nearest : NearestItems, optional
        Actions are vectors (B, E), and the K nearest items (of the candidates, if ``staged``) are shown.
    """

    def __init__(
        self, num_envs: int, slate_size: int, n_actions: int, *, staged: bool, nearest: NearestItems | None
    ) -> None:
        if not 1 <= slate_size <= n_actions:
            what = "the candidates" if staged else "the catalogue"
            raise InvalidArgumentError(f"slate_size must lie in 1..{n_actions} ({what}), got {slate_size}")
        self._num_envs, self._slate_size, self._n_actions = num_envs, slate_size, n_actions
        self._staged, self.nearest = staged, nearest

    @property
    def single_space(self) -> spaces.Space[Any]:
        """Space of one user's action."""
        if self.nearest is not None:
            return spaces.Box(-1.0, 1.0, (self.nearest.size,), np.float32)
        if self._slate_size == 1:
            return spaces.Discrete(self._n_actions)
        return spaces.MultiDiscrete([self._n_actions] * self._slate_size)

    def slates(
        self, actions: NDArray[Any], candidates: NDArray[np.int64] | None, allowed: NDArray[np.bool_] | None
    ) -> NDArray[np.int64]:
        """Return the items that the actions stand for, (B, K).

        Parameters
        ----------
        actions : array
            As the space says.
        candidates : int array, shape (B, C), optional
        allowed : bool array, shape (B, n_actions), optional
            What a vector may be resolved to; items that were named are not checked here.

        Raises
        ------
        InvalidSlateError
            For a wrong shape or type, a number that is not finite, or a place outside the candidates.
        """
        actions = np.asarray(actions)
        if self.nearest is not None:
            return self.nearest(self._points(actions), self._slate_size, among=candidates, allowed=allowed)
        slates = self._integers(actions)
        if candidates is None:
            return slates
        if slates.min() < 0 or slates.max() >= self._n_actions:
            bad = slates[(slates < 0) | (slates >= self._n_actions)][0]
            raise InvalidSlateError(f"actions must be places of candidates in 0..{self._n_actions - 1}, got {bad}")
        return np.take_along_axis(candidates, slates, axis=1)

    def slate_of(self, action: Any) -> NDArray[np.int64]:
        """Return the slate (K,) of one user who names items: an int, or (K,)."""
        slate = np.asarray(action)
        if slate.dtype.kind in "iu" and slate.shape == (() if self._slate_size == 1 else (self._slate_size,)):
            one: NDArray[np.int64] = slate.reshape(self._slate_size).astype(np.int64)
            return one
        slates = self._integers(slate[None])  # it has the sentence
        return slates.reshape(self._slate_size)

    def _integers(self, actions: NDArray[Any]) -> NDArray[np.int64]:
        expected = (self._num_envs,) if self._slate_size == 1 else (self._num_envs, self._slate_size)
        if actions.shape != expected or actions.dtype.kind not in "iu":
            remedy = "places of candidates" if self._staged else "item indices from catalog.index_of(ids)"
            raise InvalidSlateError(
                f"actions must be an integer array of shape {expected} (num_envs={self._num_envs}, "
                f"slate_size={self._slate_size}), got {actions.dtype} {actions.shape}; pass {remedy}"
            )
        return actions.reshape(self._num_envs, self._slate_size)

    def _points(self, actions: NDArray[Any]) -> NDArray[np.floating]:
        assert self.nearest is not None
        expected = (self._num_envs, self.nearest.size)
        if actions.shape != expected or actions.dtype.kind != "f":
            raise InvalidSlateError(
                f"actions must be a float array of shape {expected} (num_envs={self._num_envs}, size of the item "
                f"vectors), got {actions.dtype} {actions.shape}; pass one vector for each user"
            )
        if not np.isfinite(actions).all():
            row = int(np.flatnonzero(~np.isfinite(actions).all(axis=1))[0])
            raise InvalidSlateError(f"actions must be finite, row {row} is not; the policy that made them has diverged")
        return actions
