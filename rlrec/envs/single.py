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


class RecommendationEnv(gymnasium.Env[NDArray[np.float32], Any]):
    """One simulated user; parameters as in `RecommendationVectorEnv`."""

    metadata: dict[str, Any] = {"render_modes": ["ansi"]}  # noqa: RUF012

    def __init__(
        self,
        model: UserSimulator | SequenceModel,
        *,
        slate_size: int = 1,
        observer: SequenceModel | None = None,
        config: SimulatorConfig | None = None,
        seed: int = 0,
        render_mode: str | None = None,
    ) -> None:
        self._vector = RecommendationVectorEnv(
            model, 1, slate_size=slate_size, observer=observer, config=config, seed=seed
        )
        self.observation_space = self._vector.single_observation_space
        self.action_space = self._vector.single_action_space
        self.render_mode = render_mode
        self._over = True
        self._last: str | None = None

    @property
    def vector(self) -> RecommendationVectorEnv:
        """The environment that does the work."""
        return self._vector

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Let one user arrive; ``options={"user": key}`` says which."""
        super().reset(seed=seed)
        if options is not None and "user" in options:
            options = {"users": np.array([options["user"]])}
        observation, infos = self._vector.reset(seed=seed, options=options)
        self._over, self._last = False, None
        return observation[0], {"user": int(infos["user"][0])}

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Show an item (an int) or a slate (K,)."""
        if self._over:
            raise NotReadyError("the episode is over or never began; call reset() before step()")
        observation, rewards, terminated, truncated, infos = self._vector.step(np.asarray(action)[None])
        self._over = bool(terminated[0] or truncated[0])
        row = infos["final_obs"][0] if self._over else observation[0]
        names = ("clicked_item", "position", "item", "event", "gap")
        info = {name: int(infos[name][0]) for name in names}
        self._last = self._describe(action, info, bool(terminated[0]))
        return row, float(rewards[0]), bool(terminated[0]), bool(truncated[0]), info

    def render(self) -> str | None:
        """Return the last step in words, for ``render_mode="ansi"``."""
        return self._last if self.render_mode == "ansi" else None

    def _describe(self, action: Any, info: dict[str, Any], left: bool) -> str:
        ids = self._vector.simulator.model.space.items.ids
        shown = ", ".join(str(ids[item]) for item in np.atleast_1d(action))
        if info["clicked_item"] >= 0:
            reaction = f"clicked {ids[info['clicked_item']]}"
        elif info["item"] >= 0:
            reaction = f"ignored it and found {ids[info['item']]}"
        else:
            reaction = "ignored it"
        return f"shown {shown}: {reaction}{', then left' if left else ''}"
