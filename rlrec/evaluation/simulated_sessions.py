"""The sessions of simulated users under a policy as sequences, their openings included: what their log would hold."""

from __future__ import annotations

import numpy as np

from rlrec.core.protocols import Policy
from rlrec.core.random import CounterRng
from rlrec.data.sequences import Sequences
from rlrec.envs.vector import RecommendationVectorEnv
from rlrec.evaluation.collect import collect


def simulated_sessions(
    env: RecommendationVectorEnv, policy: Policy, *, n_users: int = 1000, seed: int = 0
) -> Sequences:
    """Let a policy serve ``n_users`` simulated users, and return what they did: clicked, found alone, and opened with.

    Parameters
    ----------
    env : RecommendationVectorEnv
        Gives the people; its own state is not touched.
    policy : Policy
    n_users : int
        Users keyed 0..n_users-1 under ``seed``.
    seed : int

    Returns
    -------
    Sequences
        Items, events and gaps; ``ended`` is False where the horizon cut a session.

    Raises
    ------
    InvalidArgumentError
        If ``n_users`` is below 1.
    """
    episodes = collect(env, policy, n_users=n_users, seed=seed, keep_observations=False)
    assert episodes.item is not None
    assert episodes.event is not None
    assert episodes.gap is not None
    _, history = env.simulator.reset(episodes.user, rng=CounterRng(seed))
    opened = [column.cpu().numpy() for column in history]
    item, event, gap, length = opened
    real = np.arange(item.shape[1]) < length[:, None]  # (E, T)
    acted = episodes.item >= 0
    owner = np.concatenate([np.nonzero(real)[0], episodes.episode[acted]])
    order = np.argsort(owner, kind="stable")  # an episode's opening, then its steps in order
    return Sequences(
        offsets=np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=episodes.n_episodes))]).astype(np.int64),
        item=np.concatenate([item[real], episodes.item[acted]])[order].astype(np.int32),
        event=np.concatenate([event[real], episodes.event[acted]])[order].astype(np.int16),
        gap=np.concatenate([gap[real], episodes.gap[acted]])[order].astype(np.int64),
        value=None,
        start=np.zeros(episodes.n_episodes),
        user=episodes.user,
        ended=episodes.terminated,
    )
