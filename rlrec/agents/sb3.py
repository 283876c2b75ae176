"""Gymnasium's vector environments for stable-baselines3, which speaks its own dialect of them.

SB3 assumes that a finished row restarts in the same step, and wants each row's last observation, whether it was cut
off, and its return in a dict of its own. Only finished rows cost Python time here.
"""

from __future__ import annotations

import time
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from rlrec.core.errors import InvalidArgumentError, InvalidTypeError, NotReadyError


class SB3VecEnv(VecEnv):
    """A Gymnasium `VectorEnv` as SB3's `VecEnv`.

    Infos of a finished row hold ``terminal_observation``, ``TimeLimit.truncated`` (cut off, not ended) and
    ``episode`` (return ``r``, length ``l``, seconds ``t``), as SB3's ``VecMonitor`` gives; the others are empty.

    Parameters
    ----------
    env : VectorEnv
        With ``metadata["autoreset_mode"] == AutoresetMode.SAME_STEP``; any other mode is refused.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        if not isinstance(env, VectorEnv):
            raise InvalidTypeError(f"env must be a gymnasium VectorEnv, got {type(env).__name__}")
        mode = env.metadata.get("autoreset_mode")
        if mode != AutoresetMode.SAME_STEP:
            raise InvalidArgumentError(
                f"stable-baselines3 needs an environment that restarts rows in the same step, got autoreset mode "
                f"{mode!r}; make it with autoreset_mode=AutoresetMode.SAME_STEP"
            )
        self.env = env
        self._actions: NDArray[Any] | None = None
        self._returns = np.zeros(env.num_envs)
        self._lengths = np.zeros(env.num_envs, np.int64)
        self._began = time.monotonic()
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> Any:
        """Restart all rows; a seed given to `seed` is used once."""
        observations, _ = self.env.reset(seed=self._seeds[0], options=self._options[0] or None)
        self._reset_seeds()
        self._reset_options()
        self._returns[:] = 0
        self._lengths[:] = 0
        return observations

    def seed(self, seed: int | None = None) -> list[int | None]:
        """Keep one seed for the next `reset`; the environment derives its rows' randomness from it."""
        self._seeds = [seed] * self.num_envs
        return list(self._seeds)

    def step_async(self, actions: NDArray[Any]) -> None:
        """Take the actions (B,) or (B, K)."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step all rows."""
        if self._actions is None:
            raise NotReadyError("step_wait was called before step_async")
        observations, rewards, terminations, truncations, infos = self.env.step(self._actions)
        self._actions = None
        self._returns += rewards
        self._lengths += 1
        dones = terminations | truncations
        rows: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for row in np.flatnonzero(dones):
            rows[row] = {
                "terminal_observation": infos["final_obs"][row],
                "TimeLimit.truncated": bool(truncations[row] and not terminations[row]),
                "episode": self._episode(row),
            }
        self._returns[dones] = 0
        self._lengths[dones] = 0
        return observations, rewards, dones, rows

    def _episode(self, row: np.intp) -> dict[str, float]:
        seconds = round(time.monotonic() - self._began, 6)
        return {"r": float(self._returns[row]), "l": int(self._lengths[row]), "t": seconds}

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of the environment once for each row asked about."""
        value = getattr(self.env, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the environment; the rows share it, so it is set for all or none."""
        self._refuse_some(indices, "set_attr")
        setattr(self.env, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of the environment once, for all rows."""
        self._refuse_some(indices, "env_method")
        if method_name == "action_masks":  # sb3-contrib asks each row for its own
            return list(self.env.action_masks())  # type: ignore[attr-defined]
        return [getattr(self.env, method_name)(*method_args, **method_kwargs)] * self.num_envs

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Rows of a vectorised environment have no wrappers of their own."""
        return [False for _ in self._get_indices(indices)]

    def _refuse_some(self, indices: VecEnvIndices, method: str) -> None:
        if indices is not None and len(list(self._get_indices(indices))) != self.num_envs:
            raise InvalidArgumentError(
                f"{method} cannot act on some rows of a vectorised environment; leave out indices"
            )
