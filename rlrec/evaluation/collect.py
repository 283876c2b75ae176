"""Collecting episodes from simulated users with a known logger: the log whose truth a roll-out can tell."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from rlrec.core.checks import check_at_least
from rlrec.core.errors import InvalidArgumentError
from rlrec.core.protocols import Policy, StochasticPolicy
from rlrec.core.random import CounterRng
from rlrec.data.trajectories import Trajectories
from rlrec.envs.vector import RecommendationVectorEnv
from rlrec.evaluation.rollout import view_for
from rlrec.evaluation.slate_draws import PlackettLuce, SlateDraw

_LANE = 101  # of the logger's own luck, apart from the users'


def collect(
    env: RecommendationVectorEnv,
    policy: Policy,
    *,
    n_users: int = 1000,
    seed: int = 0,
    draw: SlateDraw | None = None,
    keep_observations: bool = True,
) -> Trajectories:
    """Let a policy serve each of ``n_users`` simulated users for a session, and keep everything.

    Slates are drawn here from the policy's ``action_probs``, so that their probabilities are exact and a user's session
    does not depend on the others: the same seed gives the same episodes in any batch. A policy without ``action_probs``
    is asked for its best action, and the episodes have no propensities. Where the environment takes points in item
    space (``nearest=...``), such a policy answers with points, and what was shown is kept.

    Parameters
    ----------
    env : RecommendationVectorEnv
        Gives the people and the slate size; its own state is not touched.
    policy : StochasticPolicy or Policy
        The logger.
    n_users : int
        Users keyed 0..n_users-1 under ``seed``.
    seed : int
        Of the users and of the logger's choices.
    draw : SlateDraw, optional
        How a slate is drawn; by default without replacement (`PlackettLuce`).
    keep_observations : bool
        Keep what the policy saw, (N, D) float32.

    Returns
    -------
    Trajectories
        In the order of users.

    Raises
    ------
    InvalidArgumentError
        If the environment's observation is not one array, its actions or the policy's are not items, or ``n_users`` is
        below 1.
    """
    check_at_least("n_users", n_users, 1)
    points = isinstance(env.single_action_space, spaces.Box)
    if points and isinstance(policy, StochasticPolicy):
        raise InvalidArgumentError(
            "policy draws items, and this env takes points in item space; collect from one made without nearest=..."
        )
    rows = view_for(policy, env, n_users)
    if not isinstance(rows.single_observation_space, spaces.Box):
        raise InvalidArgumentError(
            "env must give one array as observation to collect from, got "
            f"{type(rows.single_observation_space).__name__}; leave out its other parts"
        )
    chooser = _Chooser(policy, rows, CounterRng(seed).child(_LANE), draw or PlackettLuce())
    return _collect(rows, chooser, n_users, seed, keep_observations)


class _Chooser:
    """Asks the policy and keeps the odds."""

    def __init__(self, policy: Policy, env: RecommendationVectorEnv, rng: CounterRng, draw: SlateDraw) -> None:
        self._policy, self._size, self._rng, self._draw = policy, env.slate_size, rng, draw
        self.points = isinstance(env.single_action_space, spaces.Box)
        self._state: Any = None
        self.has_probs = isinstance(policy, StochasticPolicy)

    def __call__(
        self, observation: NDArray[np.float32], users: NDArray[np.int64], clock: NDArray[np.int64]
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Return slates (B, K), or points (B, E), and the log-probability of each item given those above it."""
        if isinstance(self._policy, StochasticPolicy):
            probs = np.asarray(self._policy.action_probs(observation), dtype=np.float64)
            uniform = self._rng.uniform(users, clock, lane=0, n=self._size)
            slates = self._draw.draw(probs, uniform)
            return slates, np.log(self._draw.probs_of(probs, slates))
        actions, self._state = self._policy.predict(
            observation, self._state, episode_start=clock == 0, deterministic=True
        )
        nothing = np.zeros((len(users), self._size))
        return (np.asarray(actions) if self.points else self._items(np.asarray(actions), nothing.shape)), nothing

    @staticmethod
    def _items(actions: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.int64]:
        """Return actions as slates (B, K), or say that they are none."""
        if actions.dtype.kind not in "iu" or actions.size != shape[0] * shape[1]:
            raise InvalidArgumentError(
                f"policy must answer {shape[0]} observations with {shape[1]} item indices each to be collected from, "
                f"got {actions.dtype} of shape {actions.shape}"
            )
        return actions.astype(np.int64).reshape(shape)


def _collect(
    env: RecommendationVectorEnv, chooser: _Chooser, n_users: int, seed: int, keep_observations: bool
) -> Trajectories:
    observation, infos = env.reset(seed=seed, options={"in_order": True})
    users, clock = infos["user"], np.zeros(env.num_envs, np.int64)
    left = np.zeros(n_users, np.bool_)
    kept: list[dict[str, NDArray[Any]]] = []
    finished = 0
    while finished < n_users:
        actions, log_probs = chooser(observation, users, clock)
        seen, single = observation, env.slate_size == 1 and not chooser.points
        observation, rewards, terminated, truncated, infos = env.step(actions[:, 0] if single else actions)
        slates = infos["shown"] if chooser.points else actions
        going = users < n_users  # (B,) a row that is through with its users goes on with others
        step = {"user": users, "clock": clock, "slate": slates, "log_probs": log_probs, "reward": rewards}
        step |= {"clicked": infos["position"], "item": infos["item"], "event": infos["event"], "gap": infos["gap"]}
        if keep_observations:
            step["observation"] = seen
        kept.append({name: column[going] for name, column in step.items()})
        over = terminated | truncated
        left[users[going & terminated]] = True
        finished += int((over & going).sum())
        clock = np.where(over, 0, clock + 1)
        users = infos["user"]
        busy = np.flatnonzero(users < n_users)
        if chooser.has_probs and 0 < len(busy) <= len(users) // 2:  # nobody is left to come
            env, observation = env.narrowed(busy)
            users, clock = users[busy], clock[busy]
    return _assemble(kept, left, chooser.has_probs)


def _assemble(kept: list[dict[str, NDArray[Any]]], left: NDArray[np.bool_], has_probs: bool) -> Trajectories:
    columns = {name: np.concatenate([step[name] for step in kept]) for name in kept[0]}
    order = np.lexsort((columns["clock"], columns["user"]))
    columns = {name: column[order] for name, column in columns.items()}
    log_probs, user = columns.pop("log_probs"), columns.pop("user")
    start = np.flatnonzero(columns.pop("clock") == 0)
    return Trajectories(
        offsets=np.append(start, len(user)),
        user=user[start],
        terminated=left,
        behavior_log_probs=log_probs if has_probs else None,
        **columns,
    )
