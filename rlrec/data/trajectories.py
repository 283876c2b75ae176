"""Episodes of recommendations: what was seen, shown, with what probability, and what it earned. Ragged, as offsets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlrec.core.errors import DataError, InvalidArgumentError, MissingPropensityError
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import GAP_SECONDS
from rlrec.data.vocabulary import Vocabulary

IMPRESSION = "impression"
"""Event of an item that was shown and not taken."""
_TICK = 0.001  # seconds that a step takes at least: steps of one session must differ in time


@dataclass(frozen=True, eq=False, kw_only=True)
class Trajectories:
    """E episodes with N steps in all; episode e is rows ``offsets[e]:offsets[e + 1]``. Nothing follows an end.

    Examples
    --------
    >>> episodes = Trajectories(
    ...     offsets=np.array([0, 2, 3]), user=np.array([7, 9]), slate=np.array([[1], [0], [1]]),
    ...     reward=np.array([1.0, 0.0, 1.0]), clicked=np.array([0, -1, 0]), terminated=np.array([True, False]),
    ...     behavior_log_probs=np.log(np.full((3, 1), 0.5)),
    ... )
    >>> episodes.returns.tolist(), episodes.lengths.tolist()
    ([1.0, 1.0], [2, 1])
    """

    offsets: NDArray[np.int64]
    """(E + 1,)"""
    user: NDArray[np.int64]
    """(E,) whose session it is."""
    slate: NDArray[np.int64]
    """(N, K) items shown, from the top."""
    reward: NDArray[np.float64]
    """(N,)"""
    clicked: NDArray[np.int64]
    """(N,) position that was taken, -1 for none."""
    terminated: NDArray[np.bool_]
    """(E,) True where the user left, False where the session was cut off."""
    behavior_log_probs: NDArray[np.float64] | None = None
    """(N, K) natural log of the probability of each item given those above it; None where the policy had none."""
    observation: NDArray[np.float32] | None = None
    """(N, D) what the policy saw."""
    item: NDArray[np.int64] | None = None
    """(N,) item of the visible behaviour, clicked or found alone; -1 for none. None: clicks only."""
    event: NDArray[np.int64] | None = None
    """(N,) its event type."""
    gap: NDArray[np.int64] | None = None
    """(N,) its gap bucket."""

    def __post_init__(self) -> None:
        """Check the columns against each other."""
        offsets, n = self.offsets, len(self.reward)
        if len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != n or (np.diff(offsets) <= 0).any():
            raise InvalidArgumentError(
                f"offsets must rise from 0 to the number of steps ({n}), got {offsets.tolist()[:8]}; an episode has at "
                "least one step"
            )
        if self.slate.ndim != 2:
            raise InvalidArgumentError(
                f"slate must have shape (N={n}, K), got {self.slate.shape}; use (N, 1) for items"
            )
        shapes = {"user": (self.n_episodes,), "terminated": (self.n_episodes,), "slate": (n, self.slate_size)}
        shapes |= dict.fromkeys(("clicked", "item", "event", "gap"), (n,))
        shapes |= {"behavior_log_probs": (n, self.slate_size)}
        if self.observation is not None:
            shapes["observation"] = (n, *self.observation.shape[1:])
        for name, shape in shapes.items():
            column = getattr(self, name)
            if column is not None and column.shape != shape:
                raise InvalidArgumentError(f"{name} must have shape {shape}, got {column.shape}; one row for each step")
        if self.behavior_log_probs is not None and not (self.behavior_log_probs <= 0).all():
            raise InvalidArgumentError("behavior_log_probs must be at most 0, got one above; pass natural logarithms")

    @property
    def n_episodes(self) -> int:
        """Episodes, E."""
        return len(self.offsets) - 1

    @property
    def n_steps(self) -> int:
        """Steps of all episodes, N."""
        return len(self.reward)

    @property
    def slate_size(self) -> int:
        """Items shown at a time, K."""
        return int(self.slate.shape[1])

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Steps of each episode, (E,)."""
        return np.diff(self.offsets)

    @cached_property
    def episode(self) -> NDArray[np.int64]:
        """Episode of each step, (N,)."""
        return np.repeat(np.arange(self.n_episodes), self.lengths)

    @property
    def truncated(self) -> NDArray[np.bool_]:
        """True where the session was cut off, (E,)."""
        return ~self.terminated

    @cached_property
    def returns(self) -> NDArray[np.float64]:
        """Undiscounted sum of rewards, (E,)."""
        return np.add.reduceat(self.reward, self.offsets[:-1])

    def require_log_probs(self) -> NDArray[np.float64]:
        """Return the behaviour log-probabilities, or say how to get them.

        Raises
        ------
        MissingPropensityError
            If there are none.
        """
        if self.behavior_log_probs is None:
            raise MissingPropensityError(
                "behavior_log_probs must hold the log-probability of what was shown, got None; collect with a policy "
                "that has action_probs"
            )
        return self.behavior_log_probs

    # ---- logs ---------------------------------------------------------------------------------------------------

    def to_log(self, like: InteractionLog, *, start: float = 0.0) -> InteractionLog:
        """Return the log that a recommender with these episodes would have written.

        One row for each item shown (``exposed``, with position and propensity; an item not taken is an "impression")
        and one for each item found alone. ``value`` is the reward; an episode is a session.

        Parameters
        ----------
        like : InteractionLog
            Gives the catalogue and the names of events.
        start : float
            Time at which every session begins, UTC seconds.

        Raises
        ------
        InvalidArgumentError
            If an item or event is not in ``like``.
        """
        shown = self._shown_rows(like)
        alone = self._alone_rows()
        names = like.event_names if IMPRESSION in like.event_names else (*like.event_names, IMPRESSION)
        columns = {name: np.concatenate([shown[name], alone[name]]) for name in shown}
        step = columns.pop("step")
        users, owner = np.unique(self.user, return_inverse=True)
        return InteractionLog.from_columns(
            name=f"collected on {like.name}",
            user=owner[self.episode[step]],
            timestamp=start + self._seconds()[step],
            session=self.episode[step],
            users=Vocabulary(users),
            catalog=like.catalog,
            event_names=names,
            **columns,
        )

    @classmethod
    def from_log(cls, log: InteractionLog) -> Trajectories:
        """Read the slates of a log back: rows that were exposed at one time in one session are one slate.

        The log does not tell observations or how a session ended (it counts as left); items found alone are left out.

        Raises
        ------
        DataError
            If the log has no exposures with positions, or slates of different sizes.
        """
        if log.exposed is None or log.position is None or not log.exposed.any():
            raise DataError("a log needs exposed and position to hold slates, got a log of reactions only")
        shown = log.select(np.flatnonzero(log.exposed))
        owner = shown.user if shown.session is None else shown.session
        assert shown.position is not None
        order = np.lexsort((shown.position, shown.timestamp, owner))
        owner, time = owner[order], shown.timestamp[order]
        fresh = np.concatenate([[True], (np.diff(owner) != 0) | (np.diff(time) != 0)])
        first = np.flatnonzero(fresh)
        size = len(order) // len(first)
        if not np.array_equal(first, np.arange(len(first)) * size):
            raise DataError("a log must have slates of one size, got several; select the rows of one placement first")
        laid: dict[str, NDArray[Any] | None] = {
            "item": shown.item,
            "event": shown.event,
            "value": shown.value,
            "propensity": shown.propensity,
        }
        table = {name: None if column is None else column[order].reshape(-1, size) for name, column in laid.items()}
        return cls._from_table(table, log, owner[first], shown.user[order][first])

    @classmethod
    def _from_table(
        cls, table: dict[str, NDArray[Any] | None], log: InteractionLog, owner: NDArray[Any], user: NDArray[Any]
    ) -> Trajectories:
        events, items = table["event"], table["item"]
        assert events is not None
        assert items is not None
        quiet = log.event_names.index(IMPRESSION) if IMPRESSION in log.event_names else -1
        taken = events != quiet  # (N, K)
        value, propensity = table["value"], table["propensity"]
        begin = np.flatnonzero(np.concatenate([[True], np.diff(owner) != 0]))
        ids: NDArray[Any] = np.asarray(log.users.ids)[user[begin]]
        return cls(
            offsets=np.append(begin, len(owner)).astype(np.int64),
            user=ids.astype(np.int64) if ids.dtype.kind in "iu" else user[begin].astype(np.int64),
            slate=items.astype(np.int64),
            reward=taken.sum(axis=1).astype(np.float64) if value is None else np.nansum(value, axis=1),
            clicked=np.where(taken.any(axis=1), taken.argmax(axis=1), -1),
            terminated=np.ones(len(begin), np.bool_),
            behavior_log_probs=None if propensity is None else np.log(propensity),
        )

    def _seconds(self) -> NDArray[np.float64]:
        """Return the time of each step since the start of its session, (N,)."""
        gaps = np.full(self.n_steps, _TICK) if self.gap is None else np.maximum(GAP_SECONDS[self.gap], _TICK)
        elapsed = np.cumsum(gaps)
        return np.asarray(elapsed - (elapsed - gaps)[self.offsets[:-1]][self.episode], dtype=np.float64)

    def _shown_rows(self, like: InteractionLog) -> dict[str, NDArray[Any]]:
        n, size = self.slate.shape
        clicked = np.zeros((n, size), np.bool_)
        rows = np.flatnonzero(self.clicked >= 0)
        clicked[rows, self.clicked[rows]] = True
        quiet = like.event_names.index(IMPRESSION) if IMPRESSION in like.event_names else like.n_event_types
        event = np.zeros(n, np.int64) if self.event is None else self.event
        probs = np.full((n, size), np.nan) if self.behavior_log_probs is None else np.exp(self.behavior_log_probs)
        return {
            "step": np.repeat(np.arange(n), size),
            "item": self.slate.ravel(),
            "event": np.where(clicked, event[:, None], quiet).ravel(),
            "value": np.where(clicked, self.reward[:, None], 0.0).ravel(),
            "exposed": np.ones(n * size, np.bool_),
            "propensity": probs.ravel(),
            "position": np.tile(np.arange(size), n),
        }

    def _alone_rows(self) -> dict[str, NDArray[Any]]:
        alone = np.zeros(0, np.int64)
        item = event = alone
        if self.item is not None:
            alone = np.flatnonzero((self.clicked < 0) & (self.item >= 0))
            item = self.item[alone]
            event = np.zeros(len(alone), np.int64) if self.event is None else self.event[alone]
        return {
            "step": alone,
            "item": item,
            "event": event,
            "value": np.full(len(alone), np.nan),
            "exposed": np.zeros(len(alone), np.bool_),
            "propensity": np.full(len(alone), np.nan),
            "position": np.full(len(alone), -1),
        }
