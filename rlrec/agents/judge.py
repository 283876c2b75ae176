"""Checks while an agent trains: what its policy earns of people that it does not train on, and the best of it kept.

A simulator can be learned by heart, and a policy that explores can improve without its best action doing so. So the
policy is judged as it will be used, by its best action, and it leaves the start only for what is surely better.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from rlrec.core.checks import check_at_least
from rlrec.core.estimate import Estimate
from rlrec.envs.vector import RecommendationVectorEnv
from rlrec.evaluation.means import mean_estimate
from rlrec.evaluation.rollout import evaluate_policies

if TYPE_CHECKING:
    from rlrec.agents.policies import AgentPolicy

_SEED = 77_003  # of the judge's people, unless said otherwise: far from the small seeds that one trains with


@dataclass(frozen=True, kw_only=True)
class Check:
    """What a policy earned at one moment of its training."""

    step: int
    """Environment steps behind it."""
    return_: float
    """Mean return of a session."""
    gain: Estimate
    """Return minus that of the start, over the same people."""
    kept: bool
    """True if it was taken for the best so far."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for ``summary.json``."""
        return asdict(self) | {"gain": self.gain.to_dict()}


class Judge:
    """Judges the policy at even distances of its training and keeps the best; give one to `train_agent`.

    The best is what earns most, of those whose gain over the start has an interval above zero; else it is the start. An
    agent on a user model starts as that model's greedy policy, so what is kept is that policy or a better one, up to
    the doubt of an interval for each check.

    Parameters
    ----------
    env : RecommendationVectorEnv
        People to judge with: those of the same simulator, or of one that was fitted on later data, by another
        architecture. Seen through the agent's own observer.
    n_checks : int
        After the start.
    n_users : int
        People that every check meets, for a session each; the same ones every time.
    seed : int, optional
        Of these people.

    Attributes
    ----------
    checks : list of Check
        The start first.

    Examples
    --------
    >>> import rlrec
    >>> from rlrec.agents.config import PPOConfig
    >>> from rlrec.agents.training import train_agent
    >>> model = rlrec.MarkovModel.fit(rlrec.load_log("builtin:eshop2008"))
    >>> judge = Judge(rlrec.make_vec(model, num_envs=64), n_checks=2, n_users=64)
    >>> env = rlrec.make_vec(model, num_envs=64)
    >>> agent = train_agent(env, PPOConfig(total_steps=4_096), judge=judge, show_progress=False)
    >>> [check.step for check in judge.checks]
    [0, 2048, 4096]
    """

    def __init__(
        self, env: RecommendationVectorEnv, *, n_checks: int = 8, n_users: int = 500, seed: int = _SEED
    ) -> None:
        check_at_least("n_checks", n_checks, 1)
        check_at_least("n_users", n_users, 2)
        self.env, self.n_checks, self.n_users, self.seed = env, n_checks, n_users, seed
        self.checks: list[Check] = []

    @property
    def kept(self) -> Check:
        """The check whose policy was kept."""
        return [check for check in self.checks if check.kept][-1]

    def begin(self, network: nn.Module, total_steps: int, policy_of: Callable[[Any], AgentPolicy]) -> None:
        """Judge the start; ``policy_of`` makes a policy of a network."""
        self._policy_of, self._every = policy_of, total_steps / self.n_checks
        self._start = self._earned(network)  # (n_users,)
        self.checks = []
        self._check(0, network, self._start)

    def look(self, step: int, network: nn.Module) -> None:
        """Judge the network if a check is due after ``step`` steps."""
        if step >= len(self.checks) * self._every:
            self._check(step, network, self._earned(network))

    def finish(self, step: int, network: nn.Module) -> None:
        """Judge the end, and give the network the weights of the best."""
        if step != self.checks[-1].step:
            self._check(step, network, self._earned(network))
        network.load_state_dict(self._weights)

    def _check(self, step: int, network: nn.Module, earned: NDArray[np.float64]) -> None:
        mean, gain = float(earned.mean()), mean_estimate(earned - self._start)
        is_best = not self.checks or (gain.low > 0 and mean > self.kept.return_)
        if is_best:
            self._weights: dict[str, Tensor] = copy.deepcopy(network.state_dict())
        self.checks.append(Check(step=step, return_=mean, gain=gain, kept=is_best))

    def _earned(self, network: nn.Module) -> NDArray[np.float64]:
        """Return what each of the people brings, (n_users,)."""
        policies = {"agent": self._policy_of(copy.deepcopy(network).eval())}
        found = evaluate_policies(policies, self.env, n_users=self.n_users, seed=self.seed, show_progress=False)
        return found["agent"].return_
