"""`check_vector_env`: whether a Gymnasium vector environment keeps its word.

Gymnasium ships a checker for single environments only. The laws here are those that its `SyncVectorEnv` keeps in each
autoreset mode (``tests/testing/test_vector_env.py`` runs it on that), and that defects of published simulators break:
one ignores its seed, one returns the next user's features as the last observation of the user who left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from gymnasium.spaces import Space
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate

from rlrec.core.checks import check_at_least
from rlrec.core.errors import ConformanceError, InvalidTypeError
from rlrec.testing.vector_step import Moment, check_moment, describe


def check_vector_env(
    env: VectorEnv[Any, Any, Any],
    *,
    n_steps: int = 200,
    seed: int = 0,
    sample_actions: Callable[[np.random.Generator], Any] | None = None,
    stochastic: bool = True,
    independent_rows: bool = True,
) -> None:
    """Raise unless a Gymnasium vector environment obeys the laws of its kind; leaves it freshly reset.

    The laws: batched spaces are batches of the single ones; what comes back has the declared shapes and types, and is
    not changed afterwards; infos carry their masks; the declared autoreset mode is obeyed, and with
    ``AutoresetMode.SAME_STEP`` a last observation is that of the row that ended; ``reset(seed=...)`` repeats
    everything bit by bit and another seed does not; a row does not depend on the actions in other rows.

    Parameters
    ----------
    env : VectorEnv
    n_steps : int
        Steps of each run; some episode must end within them, or autoreset was not seen.
    seed : int
        Of the environment and of the actions.
    sample_actions : callable, optional
        Returns a batch of valid actions, drawn with the generator it is given. By default the action space is sampled,
        which does not do where some of its members are refused (slates that show an item twice).
    stochastic : bool
        Say False for an environment without randomness: two seeds may then give the same.
    independent_rows : bool
        Say False where rows share something by design.

    Raises
    ------
    ConformanceError
        With the first law that was broken, in a sentence.

    Examples
    --------
    >>> import gymnasium as gym
    >>> check_vector_env(gym.make_vec("CartPole-v1", num_envs=3, vectorization_mode="sync"))
    """
    check_at_least("n_steps", n_steps, 1)
    _check_spaces(env)
    _check_mode(env)
    plan = list(_plan(env, n_steps, seed, sample_actions))
    first = _roll(env, plan, seed)
    _check_some_episode_ended(first)
    _check_last_observations_are_own(env, first)
    _check_repeats(first, _roll(env, plan, seed), seed)
    if stochastic:
        _check_another_seed_differs(first, _roll(env, plan, seed + 1), seed)
    if independent_rows and env.num_envs > 1:
        others = _mix(env, plan, list(_plan(env, n_steps, seed + 1, sample_actions)))
        _check_first_row_alone(env, first, _roll(env, others, seed))
    _reset(env, seed=None)


# ---- before it runs ---------------------------------------------------------------------------------------------


def _check_spaces(env: VectorEnv[Any, Any, Any]) -> None:
    """Raise unless the batched spaces are batches of ``num_envs`` of the single ones."""
    if not isinstance(env, VectorEnv):
        raise InvalidTypeError(f"env must be a gymnasium VectorEnv, got {type(env).__name__}; make one with make_vec")
    n = getattr(env, "num_envs", None)
    if not isinstance(n, int) or n < 1:
        raise ConformanceError(f"env.num_envs must be an int of at least 1, got {n!r}; set it in __init__")
    for kind in ("observation", "action"):
        single, batched = (getattr(env, f"{prefix}{kind}_space", None) for prefix in ("single_", ""))
        if not isinstance(single, Space):
            raise ConformanceError(f"env.single_{kind}_space must be a gymnasium Space, got {single!r}")
        if batched != batch_space(single, n):
            raise ConformanceError(
                f"env.{kind}_space must be the batch of {n} of single_{kind}_space, {batch_space(single, n)}, got "
                f"{batched}; set it to batch_space(single_{kind}_space, num_envs)"
            )


def _check_mode(env: VectorEnv[Any, Any, Any]) -> None:
    mode = (env.metadata or {}).get("autoreset_mode")
    if not isinstance(mode, AutoresetMode):
        raise ConformanceError(
            f"env.metadata['autoreset_mode'] must be a gymnasium.vector.AutoresetMode, got {mode!r}; without it nobody "
            "knows to which episode an observation belongs"
        )


def _plan(
    env: VectorEnv[Any, Any, Any], n_steps: int, seed: int, sample: Callable[[np.random.Generator], Any] | None
) -> Iterator[Any]:
    """Yield the actions of a run. They are drawn before it, so that no run can move another's."""
    rng = np.random.default_rng(seed)
    space = deepcopy(env.action_space)
    space.seed(seed)
    for _ in range(n_steps):
        yield space.sample() if sample is None else sample(rng)


def _mix(env: VectorEnv[Any, Any, Any], own: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    """Return plans whose first row does as in ``own``, and the other rows as in ``others``."""
    mixed = []
    for mine, theirs in zip(own, others, strict=True):
        rows = [*iterate(env.action_space, theirs)]
        rows[0] = next(iterate(env.action_space, mine))
        batch: Any = create_empty_array(env.single_action_space, env.num_envs)
        mixed.append(concatenate(env.single_action_space, rows, batch))
    return mixed


# ---- running it -------------------------------------------------------------------------------------------------


def _roll(env: VectorEnv[Any, Any, Any], plan: Sequence[Any], seed: int) -> list[Moment]:
    """Run the plan, checking every step; returns copies, the reset first."""
    mode, before = env.metadata["autoreset_mode"], _reset(env, seed=seed)
    moments = [before.copy()]
    for number, actions in enumerate(plan, start=1):
        returned = env.step(deepcopy(actions))
        if not isinstance(returned, tuple) or len(returned) != 5:
            raise ConformanceError(
                f"step must return (observations, rewards, terminated, truncated, infos), got {describe(returned)}"
            )
        _check_untouched(before, moments[-1], number)
        moment = Moment(f"step {number}", *returned)
        check_moment(env, mode, moment, after=moments[-1])
        before = moment
        moments.append(moment.copy())
        if mode is AutoresetMode.DISABLED and moment.done.any():
            before = _reset_rows(env, moments[-1])
            moments.append(before.copy())
    return moments


def _reset(env: VectorEnv[Any, Any, Any], *, seed: int | None, options: dict[str, Any] | None = None) -> Moment:
    returned = env.reset(seed=seed, options=options)
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise ConformanceError(f"reset must return (observations, infos), got {describe(returned)}")
    nothing, n = np.zeros(env.num_envs, np.bool_), env.num_envs
    moment = Moment("reset", returned[0], np.zeros(n), nothing, nothing, returned[1])
    check_moment(env, None, moment, after=None)
    return moment


def _reset_rows(env: VectorEnv[Any, Any, Any], ended: Moment) -> Moment:
    """Restart the rows that ended, as a user of ``AutoresetMode.DISABLED`` has to; the others must stay."""
    moment = _reset(env, seed=None, options={"reset_mask": ended.done.copy()})
    rows = zip(ended.done, _rows(env, ended.observation), _rows(env, moment.observation), strict=True)
    if not all(over or data_equivalence(old, new, exact=True) for over, old, new in rows):
        raise ConformanceError(
            "reset(options={'reset_mask': mask}) must leave the rows outside the mask as they are; restart only those "
            "that it marks"
        )
    return moment


def _check_untouched(returned: Moment, copy: Moment, number: int) -> None:
    """A replay buffer keeps what it was given, so a step must not write into it."""
    if not data_equivalence(returned.observation, copy.observation, exact=True):
        raise ConformanceError(
            f"step {number} changed the observations that were returned before it; return a copy of the buffer"
        )


# ---- what runs say ----------------------------------------------------------------------------------------------


def _check_some_episode_ended(run: Sequence[Moment]) -> None:
    if not any(moment.done.any() for moment in run):
        raise ConformanceError(
            f"no episode ended within {len(run) - 1} steps, so autoreset was not seen; give more n_steps or a shorter "
            "horizon"
        )


def _check_last_observations_are_own(env: VectorEnv[Any, Any, Any], run: Sequence[Moment]) -> None:
    """Where each last observation equals the next user's first, it is the next user's (VirtualTaobao does this)."""
    if env.metadata["autoreset_mode"] is not AutoresetMode.SAME_STEP:
        return
    ends = [
        data_equivalence(moment.infos["final_obs"][row], _rows(env, moment.observation)[row], exact=True)
        for moment in run
        for row in np.flatnonzero(moment.done)
    ]
    constant = all(data_equivalence(moment.observation, run[0].observation, exact=True) for moment in run)
    if all(ends) and not constant:
        raise ConformanceError(
            f"each of {len(ends)} last observations (infos['final_obs']) equals the first observation of the next "
            "episode; take it before the row restarts"
        )


def _check_repeats(first: Sequence[Moment], second: Sequence[Moment], seed: int) -> None:
    for a, b in zip(first, second, strict=False):
        part = a.difference(b)
        if part is not None:
            raise ConformanceError(
                f"reset(seed={seed}) twice, then the same actions, must give the same bit by bit, but {part} at "
                f"{a.where} differs; draw every number from a generator that reset seeds"
            )


def _check_another_seed_differs(first: Sequence[Moment], other: Sequence[Moment], seed: int) -> None:
    if all(a.difference(b) is None for a, b in zip(first, other, strict=False)):
        raise ConformanceError(
            f"reset(seed={seed}) and reset(seed={seed + 1}) gave the same run, so the seed is ignored; use it, or say "
            "stochastic=False if nothing is random"
        )


def _check_first_row_alone(env: VectorEnv[Any, Any, Any], first: Sequence[Moment], other: Sequence[Moment]) -> None:
    """Compare to float tolerance: matrix products of a batch may round differently."""
    steps = [[moment for moment in run if moment.where != "reset"] for run in (first, other)]
    for a, b in zip(*steps, strict=True):
        mine, again = ((_rows(env, m.observation)[0], m.rewards[0], m.terminated[0], m.truncated[0]) for m in (a, b))
        if not data_equivalence(mine, again):
            raise ConformanceError(
                f"row 0 changed at {a.where} when only the other rows' actions did; give each row a random stream of "
                "its own, or say independent_rows=False if rows share something by design"
            )


def _rows(env: VectorEnv[Any, Any, Any], observation: Any) -> list[Any]:
    return list(iterate(env.observation_space, observation))
