"""What the single-user environment does where its user can live in NumPy: the common case, and the fast one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlrec.core.random import CounterRng
from rlrec.envs.rewards import Step
from rlrec.envs.simulator import Responses
from rlrec.envs.solo import SoloSimulator, can_be_solo
from rlrec.envs.vector import RecommendationVectorEnv
from rlrec.envs.wording import describe_step

INTEGERS = ("clicked_item", "position", "item", "event", "gap")
"""Infos of a step that are integers."""
SOMETIMES = ("shown", "days_away", "visit", "day")
"""Infos that are there with continuous actions, or in lifetimes."""


class Alone:
    """One user at a time of a vector environment's population.

    Parameters
    ----------
    vector : RecommendationVectorEnv
        Gives the people, the rules and the rewards; is not stepped.
    seed : int
        Of a reset without one.
    """

    def __init__(self, vector: RecommendationVectorEnv, seed: int) -> None:
        self._vector, self._seed = vector, seed
        self._people = SoloSimulator(vector.simulator)
        self._rng: CounterRng | None = None
        self._next_key = 0
        self._last: tuple[NDArray[np.int64], Responses] | None = None

    @staticmethod
    def suits(vector: RecommendationVectorEnv) -> bool:
        """Return whether nothing is asked that only the vector environment can do."""
        plain = vector.retriever is None and vector.actions.nearest is None and not vector.mask.active
        plain = plain and not vector.reward.needs_recent
        own = vector.observer is vector.simulator.model and vector.observation_parts == ("interest",)
        return plain and own and can_be_solo(vector.simulator)

    def reset(self, seed: int | None, user: int | None) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Let a user arrive; return the observation and infos."""
        if seed is not None or self._rng is None:
            self._seed = self._seed if seed is None else int(seed)
            self._rng, self._next_key = CounterRng(self._seed), 0
        if user is None:
            key, self._next_key = self._next_key, self._next_key + 1
        else:
            key = int(user)
        self._people.arrive(key, self._rng)
        self._last = None
        return self._people.interest, {"user": key}

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Show an item or a slate (K,)."""
        assert self._rng is not None
        slate = self._vector.actions.slate_of(action)
        responses = self._people.respond(slate, self._rng)
        self._last = (slate, responses)
        rewards, terms = self._vector.reward(Step(slate[None], responses))
        position, item = int(responses.position[0]), int(responses.item[0])
        info: dict[str, Any] = {"clicked_item": item if position >= 0 else -1, "position": position, "item": item}
        info |= {"event": int(responses.event[0]), "gap": int(responses.gap[0])}
        info |= {"disagreement": 0.0, "reward_terms": terms[0]}
        terminated = bool(responses.left[0])
        truncated = not terminated and self._people.clock >= self._vector.simulator.config.horizon
        return self._people.interest, float(rewards[0]), terminated, truncated, info

    def render(self) -> str:
        """Return the last step in words."""
        if self._last is None:
            return "arrived"
        ids = self._vector.simulator.model.space.items.ids
        return describe_step(*self._last, 0, lambda item: str(ids[item]))
