"""What one reset or step of a vector environment returned, and the laws that it must obey by itself."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from rlrec.core.errors import ConformanceError

_FINAL = ("final_obs", "final_info")


class Moment(NamedTuple):
    """The five things that a step returns; a reset has zeros for what it does not give. B rows."""

    where: str
    """``"reset"`` or ``"step 7"``, for messages."""
    observation: Any
    rewards: NDArray[np.floating]
    """(B,)"""
    terminated: NDArray[np.bool_]
    """(B,)"""
    truncated: NDArray[np.bool_]
    """(B,)"""
    infos: dict[str, Any]

    @property
    def done(self) -> NDArray[np.bool_]:
        """Rows whose episode ended, (B,)."""
        return self.terminated | self.truncated

    def copy(self) -> Moment:
        """Return a copy that the environment cannot reach."""
        return deepcopy(self)

    def difference(self, other: Moment) -> str | None:
        """Return the name of the first part that differs in any bit; of the infos only ``final_obs`` counts."""
        for name in ("observation", "rewards", "terminated", "truncated"):
            if not data_equivalence(getattr(self, name), getattr(other, name), exact=True):
                return name
        final, other_final = (infos.get("final_obs") for infos in (self.infos, other.infos))
        return None if data_equivalence(final, other_final, exact=True) else "final_obs"


def check_moment(
    env: VectorEnv[Any, Any, Any], mode: AutoresetMode | None, moment: Moment, *, after: Moment | None
) -> None:
    """Raise unless what came back has the declared shapes and types and obeys the autoreset mode.

    Parameters
    ----------
    mode : AutoresetMode, optional
        None for a reset, after which no row has ended.
    after : Moment, optional
        What came before a step.
    """
    _check_observation(env, moment)
    _check_flags(env.num_envs, moment)
    _check_infos(moment.infos, env.num_envs, moment.where)
    if mode is AutoresetMode.SAME_STEP:
        _check_finals(env, moment)
    elif mode is not None:
        _check_no_finals(moment, mode)
    if mode is AutoresetMode.NEXT_STEP and after is not None:
        _check_restart(moment, after)


def describe(value: Any) -> str:
    """Return what a value is in a few words: dtype and shape of an array, else its type."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return type(value).__name__


def _check_observation(env: VectorEnv[Any, Any, Any], moment: Moment) -> None:
    space = env.observation_space
    if not space.contains(moment.observation):
        raise ConformanceError(
            f"{moment.where}: observations must lie in observation_space, {space}, got {describe(moment.observation)}"
            f"{_outside(moment.observation)}; correct the space or what is returned"
        )


def _outside(observation: Any) -> str:
    if isinstance(observation, np.ndarray) and observation.size and observation.dtype.kind in "iuf":
        return f" with values in [{observation.min():g}, {observation.max():g}]"
    return ""


def _check_flags(n: int, moment: Moment) -> None:
    rewards = moment.rewards
    if not isinstance(rewards, np.ndarray) or rewards.shape != (n,) or rewards.dtype.kind != "f":
        raise ConformanceError(
            f"{moment.where}: rewards must be a float array of shape ({n},), got {describe(rewards)}; give each row one"
        )
    if not np.isfinite(rewards).all():
        row = int(np.flatnonzero(~np.isfinite(rewards))[0])
        raise ConformanceError(f"{moment.where}: rewards must be finite, got {rewards[row]} in row {row}")
    for name in ("terminated", "truncated"):
        flags = getattr(moment, name)
        if not isinstance(flags, np.ndarray) or flags.shape != (n,) or flags.dtype != np.bool_:
            raise ConformanceError(
                f"{moment.where}: {name} must be a bool array of shape ({n},), got {describe(flags)}"
            )


def _check_infos(infos: Any, n: int, where: str) -> None:
    """Each value has a mask beside it, which says for which rows it holds: wrappers look it up."""
    if not isinstance(infos, dict):
        raise ConformanceError(f"{where}: infos must be a dict, got {describe(infos)}")
    for name, value in infos.items():
        if name.startswith("_"):
            continue
        mask = infos.get(f"_{name}")
        if not isinstance(mask, np.ndarray) or mask.shape != (n,) or mask.dtype != np.bool_:
            raise ConformanceError(
                f"{where}: infos[{name!r}] needs a mask infos['_{name}'], a bool array of shape ({n},), got "
                f"{describe(mask)}; it says for which rows the value holds"
            )
        if isinstance(value, np.ndarray) and value.shape[:1] != (n,):
            raise ConformanceError(f"{where}: infos[{name!r}] must have one entry a row, {n}, got {describe(value)}")


def _check_finals(env: VectorEnv[Any, Any, Any], moment: Moment) -> None:
    """With SAME_STEP, what an ended row saw last stands in ``final_obs`` and ``final_info``, and nothing else does."""
    for name in _FINAL:
        given = moment.infos.get(f"_{name}", np.zeros(env.num_envs, np.bool_))
        if not np.array_equal(given, moment.done):
            raise ConformanceError(
                f"{moment.where}: with AutoresetMode.SAME_STEP infos['_{name}'] must be true where an episode ended, "
                f"rows {_listed(moment.done)}, got rows {_listed(given)}; add {name!r} for these rows"
            )
    for row in np.flatnonzero(moment.done):
        final = moment.infos["final_obs"][row]
        if not env.single_observation_space.contains(final):
            raise ConformanceError(
                f"{moment.where}: infos['final_obs'][{row}] must lie in single_observation_space, "
                f"{env.single_observation_space}, got {describe(final)}"
            )


def _check_no_finals(moment: Moment, mode: AutoresetMode) -> None:
    for name in _FINAL:
        if name in moment.infos:
            raise ConformanceError(
                f"{moment.where}: infos[{name!r}] belongs to AutoresetMode.SAME_STEP, but the environment declares "
                f"{mode}; leave it out, or declare the mode that it obeys"
            )


def _check_restart(moment: Moment, after: Moment) -> None:
    """With NEXT_STEP, the step after an end restarts the row: it takes no action, so it earns and ends nothing."""
    wrong = after.done & ((moment.rewards != 0) | moment.done)
    if wrong.any():
        raise ConformanceError(
            f"{moment.where}: with AutoresetMode.NEXT_STEP the step after an end restarts the row with reward 0 and "
            f"neither flag, which rows {_listed(wrong)} do not; declare the mode that the environment obeys"
        )


def _listed(mask: NDArray[np.bool_]) -> str:
    rows = np.flatnonzero(mask)
    shown = ", ".join(map(str, rows[:8]))
    return f"[{shown}{', ...' if len(rows) > 8 else ''}]"
