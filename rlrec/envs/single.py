"""The single-user environment: the ``num_envs=1`` view of the vector environment."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from rlrec.core.errors import NotReadyError
from rlrec.envs.alone import INTEGERS, SOMETIMES, Alone
from rlrec.envs.config import SimulatorConfig
from rlrec.envs.simulator import UserSimulator
from rlrec.envs.vector import RecommendationVectorEnv
from rlrec.models.base import SequenceModel


class RecommendationEnv(gymnasium.Env[Any, Any]):
    """One simulated user; parameters as in `RecommendationVectorEnv`."""

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012

    def __init__(
        self,
        model: UserSimulator | SequenceModel,
        *,
        slate_size: int = 1,
        observer: SequenceModel | None = None,
        config: SimulatorConfig | None = None,
        seed: int = 0,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        self._vector = RecommendationVectorEnv(
            model,
            1,
            slate_size=slate_size,
            observer=observer,
            config=config,
            seed=seed,
            render_mode=render_mode,
            **options,
        )
        self.observation_space = self._vector.single_observation_space
        self.action_space = self._vector.single_action_space
        self.render_mode = render_mode
        self._over = True
        self._next: tuple[Any, dict[str, Any]] | None = None  # whom the vector environment let in after an end
        self._alone = Alone(self._vector, seed) if Alone.suits(self._vector) else None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Let one user arrive, the next of the population; ``options={"user": key}`` says which."""
        super().reset(seed=seed)
        self._over = False
        user = None if options is None else options.get("user")
        if self._alone is not None:
            return self._alone.reset(seed, user)
        if self._next is not None and seed is None and user is None:
            waiting, self._next = self._next, None
            return waiting
        self._next = None
        options = None if user is None else {"users": np.array([user])}
        observation, infos = self._vector.reset(seed=seed, options=options)
        return _first(observation), {"user": int(infos["user"][0])}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Show an item (an int), a slate (K,) or what is near a vector (E,)."""
        if self._over:
            raise NotReadyError("the episode is over or never began; call reset() before step()")
        if self._alone is not None:
            result = self._alone.step(action)
            self._over = result[2] or result[3]
            return result
        observation, rewards, terminated, truncated, infos = self._vector.step(np.asarray(action)[None])
        self._over = bool(terminated[0] or truncated[0])
        row = _first(observation)
        if self._over:
            self._next, row = (row, {"user": int(infos["user"][0])}), infos["final_obs"][0]
        info: dict[str, Any] = {name: int(infos[name][0]) for name in INTEGERS}
        info |= {"disagreement": float(infos["disagreement"][0]), "reward_terms": infos["reward_terms"][0]}
        info |= {name: infos[name][0] for name in SOMETIMES if name in infos}
        return row, float(rewards[0]), bool(terminated[0]), bool(truncated[0]), info

    def action_masks(self) -> NDArray[np.bool_]:
        """Return what may be shown now, (n_actions,)."""
        if self._alone is not None:
            return np.ones(self._vector.n_actions, np.bool_)
        mask: NDArray[np.bool_] = self._vector.action_masks()[0]
        return mask

    def render(self) -> str | None:
        """Return the last step in words, for ``render_mode="ansi"``."""
        if self._alone is not None:
            return self._alone.render() if self.render_mode == "ansi" else None
        lines = self._vector.render()
        return None if lines is None else lines[0]


def _first(observation: Any) -> Any:
    if isinstance(observation, dict):
        return {part: column[0] for part, column in observation.items()}
    return observation[0]
