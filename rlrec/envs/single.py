"""The single-user environment: the ``num_envs=1`` view of the vector environment."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from rlrec.core.errors import NotReadyError
from rlrec.envs.config import SimulatorConfig
from rlrec.envs.simulator import UserSimulator
from rlrec.envs.vector import RecommendationVectorEnv
from rlrec.models.base import SequenceModel

_INTEGERS = ("clicked_item", "position", "item", "event", "gap")


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

    @property
    def vector(self) -> RecommendationVectorEnv:
        """The environment that does the work."""
        return self._vector

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Let one user arrive; ``options={"user": key}`` says which."""
        super().reset(seed=seed)
        if options is not None and "user" in options:
            options = {"users": np.array([options["user"]])}
        observation, infos = self._vector.reset(seed=seed, options=options)
        self._over = False
        return _first(observation), {"user": int(infos["user"][0])}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Show an item (an int) or a slate (K,)."""
        if self._over:
            raise NotReadyError("the episode is over or never began; call reset() before step()")
        observation, rewards, terminated, truncated, infos = self._vector.step(np.asarray(action)[None])
        self._over = bool(terminated[0] or truncated[0])
        row = infos["final_obs"][0] if self._over else _first(observation)
        info: dict[str, Any] = {name: int(infos[name][0]) for name in _INTEGERS}
        info |= {"disagreement": float(infos["disagreement"][0]), "reward_terms": infos["reward_terms"][0]}
        if "shown" in infos:
            info["shown"] = infos["shown"][0]
        return row, float(rewards[0]), bool(terminated[0]), bool(truncated[0]), info

    def action_masks(self) -> NDArray[np.bool_]:
        """Return what may be shown now, (n_actions,)."""
        mask: NDArray[np.bool_] = self._vector.action_masks()[0]
        return mask

    def render(self) -> str | None:
        """Return the last step in words, for ``render_mode="ansi"``."""
        lines = self._vector.render()
        return None if lines is None else lines[0]


def _first(observation: Any) -> Any:
    if isinstance(observation, dict):
        return {part: column[0] for part, column in observation.items()}
    return observation[0]
