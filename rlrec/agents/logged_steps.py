"""Steps of a logging policy: what agents that learn from a log alone are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlrec.core.errors import InvalidArgumentError
from rlrec.data.trajectories import Trajectories


@dataclass(frozen=True, eq=False)
class LoggedSteps:
    """Steps of a logging policy, flat: N of them, episodes one after another."""

    observation: NDArray[np.float32]
    """(N, D) what was known."""
    action: NDArray[np.int64]
    """(N,) the item shown."""
    reward: NDArray[np.float64]
    """(N,) what came of it."""
    start: NDArray[np.bool_]
    """(N,) True at the first step of an episode."""
    behavior_probs: NDArray[np.float64] | None = None
    """(N,) probability with which the logging policy showed it; behaviour cloning does without."""

    def __post_init__(self) -> None:
        """Refuse columns that do not fit together."""
        n = len(self.action)
        columns: dict[str, NDArray[Any]] = {"observation": self.observation, "reward": self.reward, "start": self.start}
        if self.behavior_probs is not None:
            columns["behavior_probs"] = self.behavior_probs
        for name, column in columns.items():
            if len(column) != n:
                raise InvalidArgumentError(f"{name} must have one row for each of the {n} actions, got {len(column)}")
        if n == 0 or not self.start[0]:
            raise InvalidArgumentError(
                "logged steps must begin with the first step of an episode, start[0] is not True"
            )

    @classmethod
    def from_trajectories(cls, episodes: Trajectories) -> LoggedSteps:
        """Return the steps of collected episodes of single items, whose observations were kept.

        Raises
        ------
        InvalidArgumentError
            If slates hold more than one item, or observations were not kept.
        """
        if episodes.slate_size != 1:
            raise InvalidArgumentError(f"learning from a log needs single items, got slates of {episodes.slate_size}")
        if episodes.observation is None:
            raise InvalidArgumentError("the episodes hold no observations; collect them with keep_observations=True")
        start = np.zeros(episodes.n_steps, np.bool_)
        start[episodes.offsets[:-1]] = True
        log_probs = episodes.behavior_log_probs
        return cls(
            observation=episodes.observation,
            action=episodes.slate[:, 0],
            reward=episodes.reward,
            start=start,
            behavior_probs=None if log_probs is None else np.exp(log_probs[:, 0]),
        )

    def transitions(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the row that follows each step, (N,), and whether it was its episode's last, (N,).

        A last step is followed by itself; nothing of it should be used.
        """
        terminal = np.append(self.start[1:], True)
        return np.arange(len(self.action)) + ~terminal, terminal

    def returns(self, gamma: float) -> NDArray[np.float64]:
        """Return the discounted return from each step to the end of its episode, (N,)."""
        first = np.flatnonzero(self.start)
        lengths = np.diff(np.append(first, len(self.action)))
        place = np.arange(len(self.action)) - np.repeat(first, lengths)
        padded = np.zeros((len(first), int(lengths.max()) + 1))
        row = np.repeat(np.arange(len(first)), lengths)
        padded[row, place] = self.reward
        for t in range(padded.shape[1] - 2, -1, -1):  # over time, for all episodes at once
            padded[:, t] += gamma * padded[:, t + 1]
        returns: NDArray[np.float64] = padded[row, place]
        return returns
