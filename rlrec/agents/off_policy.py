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

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlrec.agents.actor_critic import ActorCritic
from rlrec.agents.config import PPOConfig
from rlrec.agents.logged_fit import fit_to_log, n_actions_of, network_or_residual
from rlrec.agents.logged_steps import LoggedSteps
from rlrec.agents.offline_config import OfflineConfig
from rlrec.agents.policies import AgentPolicy
from rlrec.core.errors import InvalidArgumentError, MissingPropensityError
from rlrec.models.base import SequenceModel
from rlrec.models.threads import torch_seed, torch_threads


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
    loss_of: Callable[[Tensor, NDArray[np.int64]], Tensor],
    seed: int,
    show_progress: bool | None,
    name: str,
) -> AgentPolicy:
    agent_config = PPOConfig(alpha_init=config.alpha_init, rank=config.rank, hidden_size=config.hidden_size)
    observation, action = torch.from_numpy(steps.observation), torch.from_numpy(steps.action).unsqueeze(1)
    with torch_seed(seed), torch_threads(1):
        trained = network_or_residual(network, observer, agent_config)

        def loss(batch: NDArray[np.int64]) -> Tensor:
            return loss_of(trained.log_probs_of(observation[batch], action[batch]), batch)

        fit_to_log(
            trained, loss, config, n_steps=len(action), rng=np.random.default_rng(seed), name=name, show=show_progress
        )
        n_actions = n_actions_of(trained, steps)
    return AgentPolicy(trained, observer, agent_config, seed=seed, n_items=n_actions)
