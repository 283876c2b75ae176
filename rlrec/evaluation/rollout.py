"""Judging policies on simulated users, with intervals, and against each other on the same users.

All policies meet the same people with the same luck (common random numbers), so a difference of two policies has a
far narrower interval than the two returns. Every person counts once and to the end, so long sessions are not left out
(as they are where one stops after a number of steps). The intervals are over users
*of this simulator*; they do not say how far the simulator is from people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlrec.core.checks import check_at_least
from rlrec.core.errors import InvalidArgumentError
from rlrec.core.estimate import Estimate
from rlrec.core.progress import progress
from rlrec.core.protocols import Policy
from rlrec.envs.vector import RecommendationVectorEnv
from rlrec.evaluation.means import mean_estimate
from rlrec.evaluation.policy_rollout import METRICS, PolicyRollout, popularity_percentile


@dataclass(frozen=True, eq=False)
class RolloutResults:
    """Rollouts of several policies with the same users."""

    rollouts: dict[str, PolicyRollout]
    """By name of the policy."""

    def __getitem__(self, name: str) -> PolicyRollout:
        """Return one policy's rollout."""
        if name not in self.rollouts:
            raise InvalidArgumentError(f"there is no policy {name!r}; there are: {', '.join(self.rollouts)}")
        return self.rollouts[name]

    def estimate(self, name: str, metric: str = "return_") -> Estimate:
        """Return a policy's metric with its interval."""
        return self[name].estimate(metric)

    def paired(self, name: str, baseline: str, metric: str = "return_") -> Estimate:
        """Return the mean difference ``name - baseline`` over the same users, with its 95 % interval.

        Parameters
        ----------
        metric : {"return_", "clicks", "session_length"}
        """
        return mean_estimate(self[name].per_user(metric) - self[baseline].per_user(metric))

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return plain values for ``summary.json``."""
        return {
            name: {metric: estimate.to_dict() for metric, estimate in rollout.summary().items()}
            for name, rollout in self.rollouts.items()
        }

    def table(self) -> str:
        """Return a plain-text table, one policy a line, with 95 % intervals."""
        header = ["policy", *(metric.strip("_") for metric in METRICS)]
        rows = [[name, *map(_cell, rollout.summary().values())] for name, rollout in self.rollouts.items()]
        widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [header, *rows]
        ]
        return "\n".join(line.rstrip() for line in lines)


def _cell(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def evaluate_policies(
    policies: Mapping[str, Policy],
    env: RecommendationVectorEnv,
    *,
    n_users: int = 2000,
    seed: int = 1,
    deterministic: bool = True,
    show_progress: bool | None = None,
) -> RolloutResults:
    """Let every policy serve the same ``n_users`` simulated users for a session each.

    A policy with an attribute ``observer`` (a `SequenceModel`) gets that model's interest vectors; others get those of
    the environment's own observer. Either way a policy sees visible behaviour only.

    Parameters
    ----------
    policies : mapping of str to Policy
    env : RecommendationVectorEnv
        Gives the people and the slate size; its own state is not touched.
    n_users : int
        Users keyed 0..n_users-1 under ``seed``.
    seed : int
        Use another than the one trained with, so that the users are new.
    deterministic : bool
        Ask policies for their best action; where a policy is meant to explore, say False.
    show_progress : bool, optional
        Force the progress bar on or off.
    """
    check_at_least("n_users", n_users, 2)
    if not policies:
        raise InvalidArgumentError("policies must name at least one policy, got none")
    bar: Any = progress(description="rollout", total=len(policies) * n_users, unit="user", show=show_progress)
    with bar:
        rollouts = {}
        for name, policy in policies.items():
            rows = view_for(policy, env, n_users)
            rollouts[name] = _roll(policy, rows, n_users, seed, deterministic, bar)
    return RolloutResults(rollouts)


def view_for(policy: Policy, env: RecommendationVectorEnv, n_users: int) -> RecommendationVectorEnv:
    """Return a fresh environment with the same people, observed as the policy needs."""
    return env.view(min(env.num_envs, n_users), getattr(policy, "observer", env.observer))


def _roll(
    policy: Policy, env: RecommendationVectorEnv, n_users: int, seed: int, deterministic: bool, bar: Any
) -> PolicyRollout:
    """Step until every user below ``n_users`` had its session; a row that is through with one takes the next."""
    tally = _Tally(n_users, env.observer.space.item_counts)
    observation, infos = env.reset(seed=seed, options={"in_order": True})
    users, state = infos["user"], None  # (B,)
    start = np.ones(len(users), np.bool_)
    finished = 0
    while finished < n_users:
        actions, state = policy.predict(observation, state, episode_start=start, deterministic=deterministic)
        observation, rewards, terminated, truncated, infos = env.step(np.asarray(actions))
        counts = users < n_users  # (B,) a row that is through with its users goes on with others
        tally.add(users, counts, np.asarray(actions), rewards, infos["clicked_item"] >= 0, truncated)
        users, start = infos["user"], terminated | truncated
        over = int((start & counts).sum())
        finished += over
        bar.update(over)
        busy = np.flatnonzero(users < n_users)
        if state is None and 0 < len(busy) <= len(users) // 2:  # nobody is left to come: go on with those who are here
            env, observation = env.narrowed(busy)
            users, start = users[busy], start[busy]
    return tally.result()


class _Tally:
    """Sums by user, filled step by step."""

    def __init__(self, n_users: int, item_counts: NDArray[np.int64]) -> None:
        self.n_users = n_users
        self._percentile = popularity_percentile(item_counts)  # (I,)
        self._item_share = (item_counts + 1) / (item_counts + 1).sum()
        self._return = np.zeros(n_users)
        self._clicks, self._length, self._n_shown = np.zeros((3, n_users), np.int64)
        self._truncated = np.zeros(n_users, np.bool_)
        self._popularity = np.zeros(n_users)
        self._pairs: list[NDArray[np.int64]] = []

    def add(
        self,
        users: NDArray[np.int64],
        going: NDArray[np.bool_],
        actions: NDArray[np.int64],
        rewards: NDArray[np.float64],
        clicked: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
    ) -> None:
        """Count a step of the users that are still going; a user stands in one row only."""
        user, slates = users[going], actions.reshape(len(users), -1)[going]  # (b,), (b, K)
        self._return[user] += rewards[going]
        self._clicks[user] += clicked[going]
        self._length[user] += 1
        self._truncated[user] |= truncated[going]
        self._popularity[user] += self._percentile[slates].sum(axis=1)
        self._n_shown[user] += slates.shape[1]
        self._pairs.append(np.repeat(user, slates.shape[1]) * len(self._percentile) + slates.ravel())

    def result(self) -> PolicyRollout:
        """Return what was counted."""
        n_items = len(self._percentile)
        pairs = np.unique(np.concatenate(self._pairs))
        return PolicyRollout(
            return_=self._return,
            clicks=self._clicks,
            session_length=self._length,
            truncated=self._truncated,
            shown=np.stack([pairs // n_items, pairs % n_items], axis=1),
            popularity_sum=self._popularity,
            n_shown=self._n_shown,
            n_items=n_items,
            item_share=self._item_share,
        )
