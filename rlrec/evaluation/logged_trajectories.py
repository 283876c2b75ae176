"""From episodes of recommendations to what the estimators read, and to the probabilities of a target on them."""

from __future__ import annotations

from typing import Literal

import numpy as np

from rlrec.core.checks import check_choice
from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.core.protocols import StochasticPolicy
from rlrec.data.log import InteractionLog
from rlrec.data.trajectories import Trajectories
from rlrec.evaluation.columns import FloatArray
from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.slate_draws import PlackettLuce, SlateDraw

SlateProbability = Literal["slate", "cascade", "item"]
_CHUNK = 8192  # rows: with 10,000 items 650 MB less than all rows at once


def decisions(trajectories: Trajectories | InteractionLog, behavior: StochasticPolicy | None = None) -> LoggedBatch:
    """Return single recommendations as rows: for the bandit and the sequential estimators.

    Parameters
    ----------
    trajectories : Trajectories or InteractionLog
        Episodes with one item a step; a log is read with `Trajectories.from_log`.
    behavior : StochasticPolicy, optional
        The logger; given, the probability of every action is filled in too, (N, I).

    Returns
    -------
    LoggedBatch
        Clustered by user, with the observation as ``context``.

    Raises
    ------
    InvalidArgumentError
        If slates have more than one item: see `slates`.
    """
    episodes = _read(trajectories)
    if episodes.slate_size != 1:
        raise InvalidArgumentError(
            f"trajectories must show one item a step, got slates of {episodes.slate_size}; use slates(...)"
        )
    log_probs = episodes.behavior_log_probs
    return LoggedBatch(
        action=episodes.slate[:, 0],
        reward=episodes.reward,
        behavior_prob=None if log_probs is None else np.exp(log_probs[:, 0]),
        behavior_probs=None if behavior is None else policy_probs(behavior, episodes),
        episode=episodes.episode,
        cluster=episodes.user[episodes.episode],
        context=None if episodes.observation is None else episodes.observation.astype(np.float64),
    )


def slates(trajectories: Trajectories | InteractionLog, probability: SlateProbability = "cascade") -> LoggedBatch:
    """Return one row for each (slate, position): for the slate estimators.

    Parameters
    ----------
    trajectories : Trajectories or InteractionLog
        Episodes; a step is a slate.
    probability : {"slate", "cascade", "item"}
        What ``behavior_prob`` stands for: the whole slate (`sips`), the items down to the position (`rips`,
        `cascade_dr`), or the item given those above it (`iips` and `pseudo_inverse`, where slots are independent).

    Returns
    -------
    LoggedBatch
        The reward stands at the position that was taken; clustered by user.
    """
    episodes = _read(trajectories)
    n, size = episodes.slate.shape
    reward = np.where(episodes.clicked[:, None] == np.arange(size), episodes.reward[:, None], 0.0)
    observation = episodes.observation
    return LoggedBatch(
        action=episodes.slate.ravel(),
        reward=reward.ravel(),
        behavior_prob=slate_probs(np.exp(episodes.require_log_probs()), probability),
        episode=np.repeat(np.arange(n), size),
        position=np.tile(np.arange(size), n),
        cluster=np.repeat(episodes.user[episodes.episode], size),
        context=None if observation is None else np.repeat(observation, size, axis=0).astype(np.float64),
    )


def slate_probs(given: FloatArray, probability: SlateProbability) -> FloatArray:
    """Turn the probability of each item given those above, (N, K), into what an estimator reads, (N * K,).

    Examples
    --------
    >>> slate_probs(np.array([[0.5, 0.25]]), "slate").tolist(), slate_probs(np.array([[0.5, 0.25]]), "cascade").tolist()
    ([0.125, 0.125], [0.5, 0.125])
    """
    check_choice("probability", probability, ("slate", "cascade", "item"))
    if probability == "item":
        return given.ravel()
    cumulative = np.cumprod(given, axis=1)
    if probability == "slate":
        cumulative = np.repeat(cumulative[:, -1:], given.shape[1], axis=1)
    return np.asarray(cumulative.ravel(), dtype=np.float64)


def target_slate_probs(
    policy: StochasticPolicy, trajectories: Trajectories, draw: SlateDraw | None = None
) -> FloatArray:
    """Return the target's probability of each logged item given those above it, (N, K)."""
    drawn = draw or PlackettLuce()
    found = np.empty(trajectories.slate.shape)
    for rows in _chunks(trajectories):
        found[rows] = drawn.probs_of(_ask(policy, trajectories, rows), trajectories.slate[rows])
    return found


def target_choices(policy: StochasticPolicy, trajectories: Trajectories, draw: SlateDraw | None = None) -> FloatArray:
    """Return the target's probability of every item at each position of the log, (N * K, I): for `cascade_dr`."""
    drawn = draw or PlackettLuce()
    found = [
        drawn.choices(_ask(policy, trajectories, rows), trajectories.slate[rows]) for rows in _chunks(trajectories)
    ]
    return np.concatenate(found).reshape(trajectories.slate.size, -1)


def policy_probs(policy: StochasticPolicy, trajectories: Trajectories) -> FloatArray:
    """Return the policy's probability of every item at each step, (N, I)."""
    return np.concatenate([_ask(policy, trajectories, rows) for rows in _chunks(trajectories)])


def _ask(policy: StochasticPolicy, trajectories: Trajectories, rows: slice) -> FloatArray:
    if trajectories.observation is None:
        raise DataError("trajectories must have observations to ask a policy, got None; collect with keep_observations")
    return np.asarray(policy.action_probs(trajectories.observation[rows]), dtype=np.float64)


def _chunks(trajectories: Trajectories) -> list[slice]:
    n: int = trajectories.n_steps
    return [slice(start, min(start + _CHUNK, n)) for start in range(0, n, _CHUNK)]


def _read(trajectories: Trajectories | InteractionLog) -> Trajectories:
    return Trajectories.from_log(trajectories) if isinstance(trajectories, InteractionLog) else trajectories
