r"""Learning from a log alone: behaviour cloning, and REINFORCE with the top-K off-policy correction.

Behaviour cloning maximises :math:`\log \pi(a_t \mid h_t)` of what was shown. REINFORCE (Chen et al. 2019) weighs it by
what came of it and by how much likelier the new policy is to show it than the logging policy β was:

.. math:: \nabla = \sum_t \min\!\Big(c, \frac{\pi(a_t \mid h_t)}{\beta(a_t \mid h_t)}\Big)\,
    \lambda_K(h_t, a_t)\, R_t\, \nabla \log \pi(a_t \mid h_t), \qquad
    \lambda_K = K (1 - \pi(a_t \mid h_t))^{K-1}

:math:`R_t` is the discounted return from t on. :math:`\lambda_K` is the slope of the probability that a set of K draws
holds the item: once an item is likely in the set, it stops pushing, and the next one is learned.

References
----------
.. [1] Chen et al., "Top-K Off-Policy Correction for a REINFORCE Recommender System", WSDM 2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.agents.actor_critic import ActorCritic
from rlrec.agents.config import PPOConfig
from rlrec.agents.offline_config import OfflineConfig
from rlrec.agents.policies import AgentPolicy, build_network
from rlrec.core.errors import CollapseError, InvalidArgumentError, MissingPropensityError
from rlrec.core.progress import progress
from rlrec.data.trajectories import Trajectories
from rlrec.models.base import SequenceModel
from rlrec.models.threads import torch_seed, torch_threads


@dataclass(frozen=True, eq=False)
class LoggedSteps:
    """Steps of a logging policy, flat: N of them, episodes one after another."""

    observation: NDArray[np.float32]
    """(N, D) what was known."""
    action: NDArray[np.int64]
    """(N,) the item shown."""
    reward: NDArray[np.float64]
    """(N,) what came of it."""
    start: NDArray[np.bool_]
    """(N,) True at the first step of an episode."""
    behavior_probs: NDArray[np.float64] | None = None
    """(N,) probability with which the logging policy showed it; behaviour cloning does without."""

    def __post_init__(self) -> None:
        """Refuse columns that do not fit together."""
        n = len(self.action)
        columns: dict[str, NDArray[Any]] = {"observation": self.observation, "reward": self.reward, "start": self.start}
        if self.behavior_probs is not None:
            columns["behavior_probs"] = self.behavior_probs
        for name, column in columns.items():
            if len(column) != n:
                raise InvalidArgumentError(f"{name} must have one row for each of the {n} actions, got {len(column)}")
        if n == 0 or not self.start[0]:
            raise InvalidArgumentError(
                "logged steps must begin with the first step of an episode, start[0] is not True"
            )

    @classmethod
    def from_trajectories(cls, episodes: Trajectories) -> LoggedSteps:
        """Return the steps of collected episodes of single items, whose observations were kept.

        Raises
        ------
        InvalidArgumentError
            If slates hold more than one item, or observations were not kept.
        """
        if episodes.slate_size != 1:
            raise InvalidArgumentError(f"learning from a log needs single items, got slates of {episodes.slate_size}")
        if episodes.observation is None:
            raise InvalidArgumentError("the episodes hold no observations; collect them with keep_observations=True")
        start = np.zeros(episodes.n_steps, np.bool_)
        start[episodes.offsets[:-1]] = True
        log_probs = episodes.behavior_log_probs
        return cls(
            observation=episodes.observation,
            action=episodes.slate[:, 0],
            reward=episodes.reward,
            start=start,
            behavior_probs=None if log_probs is None else np.exp(log_probs[:, 0]),
        )

    def transitions(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the row that follows each step, (N,), and whether it was its episode's last, (N,).

        A last step is followed by itself; nothing of it should be used.
        """
        terminal = np.append(self.start[1:], True)
        return np.arange(len(self.action)) + ~terminal, terminal

    def returns(self, gamma: float) -> NDArray[np.float64]:
        """Return the discounted return from each step to the end of its episode, (N,)."""
        first = np.flatnonzero(self.start)
        lengths = np.diff(np.append(first, len(self.action)))
        place = np.arange(len(self.action)) - np.repeat(first, lengths)
        padded = np.zeros((len(first), int(lengths.max()) + 1))
        row = np.repeat(np.arange(len(first)), lengths)
        padded[row, place] = self.reward
        for t in range(padded.shape[1] - 2, -1, -1):  # over time, for all episodes at once
            padded[:, t] += gamma * padded[:, t + 1]
        returns: NDArray[np.float64] = padded[row, place]
        return returns


def top_k_weight(probs: Tensor, k: int) -> Tensor:
    """Return K (1 - π)^(K - 1), shape of ``probs``: the correction for a set of K draws; 1 for K = 1."""
    return k * (1.0 - probs) ** (k - 1)


def off_policy_loss(log_probs: Tensor, returns: Tensor, behavior_probs: Tensor, *, k: int, clip: float) -> Tensor:
    """Return the surrogate whose gradient is minus the corrected REINFORCE gradient, a mean over steps.

    Parameters
    ----------
    log_probs : Tensor, shape (N,)
        log π(a | h) of what was shown, with its gradient.
    returns, behavior_probs : Tensor, shape (N,)
        Advantages or returns, and β(a | h).
    k : int
        Size of the set that is shown.
    clip : float
        Largest importance ratio c.
    """
    probs = log_probs.detach().exp()
    weight = (probs / behavior_probs).clamp(max=clip) * top_k_weight(probs, k)
    return -(weight * returns * log_probs).mean()


def clone_behavior(
    observer: SequenceModel | None,
    steps: LoggedSteps,
    config: OfflineConfig | None = None,
    *,
    network: ActorCritic | None = None,
    seed: int = 0,
    show_progress: bool | None = None,
) -> AgentPolicy:
    """Fit a policy to what the logging policy showed, by maximum likelihood; rewards are not looked at.

    Parameters
    ----------
    observer : SequenceModel, optional
        Gave the interest vectors in ``steps``; the policy starts as its forecast.
    network : ActorCritic, optional
        Trained in place of the residual one; needed without an observer.
    """
    config = OfflineConfig() if config is None else config

    def loss(log_probs: Tensor, batch: NDArray[np.int64]) -> Tensor:
        return -log_probs.mean()

    return _train(observer, steps, config, network, loss, seed, show_progress, "BC")


def train_off_policy(
    observer: SequenceModel | None,
    steps: LoggedSteps,
    config: OfflineConfig | None = None,
    *,
    network: ActorCritic | None = None,
    seed: int = 0,
    show_progress: bool | None = None,
) -> AgentPolicy:
    """Train by REINFORCE with the top-K off-policy correction on logged steps; parameters as in `clone_behavior`.

    Returns are centred on their mean and scaled by their spread: a baseline that leaves the gradient unbiased at ratio
    1 and keeps a log of positives from only pushing up whatever was shown.

    Raises
    ------
    MissingPropensityError
        If the log has no behaviour probabilities.
    CollapseError
        If the weights stop being finite.
    """
    config = OfflineConfig() if config is None else config
    if steps.behavior_probs is None:
        raise MissingPropensityError(
            "REINFORCE from a log needs behavior_probs, the probability of each shown item; log them, or use "
            "clone_behavior, which does without"
        )
    if not (steps.behavior_probs > 0).all():
        raise InvalidArgumentError("behavior_probs must be above 0: what was shown had some probability")
    returns = steps.returns(config.gamma)
    scaled = torch.from_numpy((returns - returns.mean()) / max(float(returns.std()), 1e-8)).float()
    behavior = torch.from_numpy(steps.behavior_probs).float()

    def loss(log_probs: Tensor, batch: NDArray[np.int64]) -> Tensor:
        return off_policy_loss(log_probs, scaled[batch], behavior[batch], k=config.k, clip=config.clip_ratio)

    return _train(observer, steps, config, network, loss, seed, show_progress, "REINFORCE")


def _train(
    observer: SequenceModel | None,
    steps: LoggedSteps,
    config: OfflineConfig,
    network: ActorCritic | None,
    loss_of: Any,
    seed: int,
    show_progress: bool | None,
    name: str,
) -> AgentPolicy:
    agent_config = PPOConfig(alpha_init=config.alpha_init, rank=config.rank, hidden_size=config.hidden_size)
    with torch_seed(seed), torch_threads(1):
        if network is None:
            if observer is None:
                raise InvalidArgumentError("give an observer, or a network to train")
            network = build_network(observer, agent_config)
        network.train()
        optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
        observation, action = torch.from_numpy(steps.observation), torch.from_numpy(steps.action)
        rng = np.random.default_rng(seed)
        bar: Any = progress(description=name, total=config.n_epochs, unit="epoch", show=show_progress)
        with bar:
            for _ in range(config.n_epochs):
                for batch in np.array_split(rng.permutation(len(action)), max(len(action) // config.batch_size, 1)):
                    log_probs = network.logits(observation[batch]).log_softmax(-1)
                    shown = log_probs.gather(1, action[batch].unsqueeze(1)).squeeze(1)
                    loss = loss_of(shown, batch)
                    optimizer.zero_grad()
                    loss.backward()
                    torch.nn.utils.clip_grad_norm_(network.parameters(), config.max_grad_norm)
                    optimizer.step()
                bar.update(1)
        n_actions = log_probs.shape[1]
    if not all(bool(parameter.isfinite().all()) for parameter in network.parameters()):
        raise CollapseError(f"{name}'s weights are no longer finite; lower learning_rate and train again")
    return AgentPolicy(network, observer, agent_config, seed=seed, n_items=n_actions)
