"""Which items may not be shown: those blocked for all, and those that the user touched already."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rlrec.core.errors import InvalidArgumentError, InvalidSlateError
from rlrec.envs.visible import Visible


class ActionMask:
    """Rules of what may be shown.

    Parameters
    ----------
    n_items : int
    hide_seen : bool
        Forbid what the user touched in this episode.
    blocked : bool array, shape (I,), optional
        Forbid for all.

    Raises
    ------
    InvalidArgumentError
        If ``blocked`` has the wrong shape or type, or blocks everything.
    """

    def __init__(self, n_items: int, *, hide_seen: bool = False, blocked: NDArray[np.bool_] | None = None) -> None:
        if blocked is not None:
            blocked = np.asarray(blocked)
            if blocked.shape != (n_items,) or blocked.dtype != np.bool_ or blocked.all():
                raise InvalidArgumentError(
                    f"blocked must be a boolean array of shape ({n_items},) that leaves some item, "
                    f"got {blocked.dtype} {blocked.shape}{' of True' if blocked.all() else ''}"
                )
        self.hide_seen, self.n_items = hide_seen, n_items
        self._blocked = blocked

    @property
    def active(self) -> bool:
        """True if anything can be forbidden."""
        return self.hide_seen or self._blocked is not None

    def __call__(
        self, visible: Visible, candidates: NDArray[np.int64] | None, slate_size: int
    ) -> NDArray[np.bool_] | None:
        """Return what may be shown, (B, n_actions), or None for everything.

        A user for whom fewer than ``slate_size`` items would be left may be shown anything.
        """
        if not self.active:
            return None
        items = np.arange(self.n_items)[None] if candidates is None else candidates
        items = np.broadcast_to(items, (len(visible.key), items.shape[1]))
        allowed = ~self._forbidden(visible, items)
        allowed[allowed.sum(axis=1) < slate_size] = True
        return allowed

    def check(self, visible: Visible, slates: NDArray[np.int64], slate_size: int) -> None:
        """Raise if a slate (B, K) shows a forbidden item."""
        if slates.min() < 0 or slates.max() >= self.n_items:
            return  # the simulator has the sentence for that
        wrong = self._forbidden(visible, slates)
        rows = np.flatnonzero(wrong.any(axis=1))
        if len(rows) == 0:
            return
        allowed = self(visible.select(rows), None, slate_size)
        assert allowed is not None
        bad = ~np.take_along_axis(allowed, slates[rows], axis=1)
        if bad.any():
            at = int(np.flatnonzero(bad.any(axis=1))[0])
            item = int(slates[rows[at]][bad[at]][0])
            raise InvalidSlateError(
                f"row {rows[at]} shows item {item}, which is masked (blocked, or seen before); "
                "choose among env.action_masks()"
            )

    def _forbidden(self, visible: Visible, items: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return (B, n) for ``items`` (B, n)."""
        forbidden = np.zeros(items.shape, np.bool_) if self._blocked is None else self._blocked[items]
        if self.hide_seen and visible.seen is not None:
            bits = np.take_along_axis(visible.seen, items // 8, axis=1)
            forbidden = forbidden | ((bits >> (7 - items % 8)) & 1).astype(np.bool_)
        return forbidden
