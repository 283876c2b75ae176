r"""Values learned from a log alone: self-supervised Q-learning (SQN, SNQN) and conservative Q-learning (CQL).

Both fit Q by double Q-learning to the steps of a log,

.. math:: L_Q = \big(Q(h, a) - r - \gamma\, \bar Q(h', \arg\max_j Q(h', j))\big)^2

and differ in what keeps Q from dreaming about items that the log did not show. SQN puts a cross-entropy head on the
same hidden layer, :math:`L = L_Q - \log \mathrm{softmax}(s(h))_a`, and SNQN adds for drawn items j the same loss with
reward 0 and h' = h. CQL adds :math:`\alpha (\log \sum_j e^{Q(h, j)} - Q(h, a))`.

The papers' SQN recommends by the cross-entropy head alone, which is the logging policy again. Here the policy is
:math:`\pi \propto e^{s + Q / \tau}`: the logging policy, tilted towards what paid; a huge τ is the papers'.

References
----------
.. [1] Xin et al., "Self-Supervised Reinforcement Learning for Recommender Systems", SIGIR 2020.
.. [2] Xin et al., "Supervised Advantage Actor-Critic for Recommender Systems", WSDM 2022.
.. [3] Kumar et al., "Conservative Q-Learning for Offline Reinforcement Learning", NeurIPS 2020.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rlrec.agents.logged_fit import fit_to_log, n_actions_of, network_or_residual
from rlrec.agents.logged_networks import TwoHeadNetwork
from rlrec.agents.logged_steps import LoggedSteps
from rlrec.agents.offline_config import CQLConfig, SQNConfig
from rlrec.agents.policies import AgentPolicy
from rlrec.agents.q_networks import QNetwork
from rlrec.core.errors import InvalidTypeError
from rlrec.models.base import SequenceModel
from rlrec.models.threads import torch_seed, torch_threads


def td_targets(reward: Tensor, terminal: Tensor, online: Tensor, target: Tensor, gamma: float) -> Tensor:
    """Return r + γ Q̄(h', argmax Q(h', ·)), the double Q-learning target; 0 follows a ``terminal`` step.

    Parameters
    ----------
    reward, terminal : Tensor, shape (N,)
    online, target : Tensor, shape (N, I)
        Values of what comes next by the network and by its slow copy.
    """
    best = online.argmax(dim=1, keepdim=True)
    return reward + gamma * (1.0 - terminal) * target.gather(1, best).squeeze(1)


def conservative_penalty(q: Tensor, action: Tensor) -> Tensor:
    """Return the mean of log Σ exp Q(h, ·) - Q(h, a); q (N, I), action (N,)."""
    return (q.logsumexp(dim=1) - q.gather(1, action.unsqueeze(1)).squeeze(1)).mean()


def negative_loss(q: Tensor, target: Tensor, items: Tensor, gamma: float) -> Tensor:
    """Return SNQN's mean squared error of items (N, n) that earn nothing and leave the person as they are.

    Parameters
    ----------
    q, target : Tensor, shape (N, I)
        Values of what is known now, by the network and by its slow copy.
    """
    nothing = q.new_zeros(len(q))
    wanted = td_targets(nothing, nothing, q.detach(), target, gamma)  # (N,)
    return (q.gather(1, items) - wanted.unsqueeze(1)).square().mean()


def train_logged_q(
    observer: SequenceModel | None,
    steps: LoggedSteps,
    config: SQNConfig | CQLConfig | None = None,
    *,
    network: QNetwork | None = None,
    seed: int = 0,
    show_progress: bool | None = None,
) -> AgentPolicy:
    """Train SQN, SNQN or CQL on logged steps; no propensities are needed.

    Parameters
    ----------
    observer : SequenceModel, optional
        Gave the interest vectors in ``steps``; the policy starts as its forecast.
    steps : LoggedSteps
        An episode's last step is taken to be the end: nothing is expected after it.
    config : SQNConfig or CQLConfig, optional
        SQN by default.
    network : QNetwork, optional
        Trained in place of the residual one; needed without an observer. For SQN a `TwoHeadNetwork`.
    seed : int
        Same seed, same machine, same agent.
    show_progress : bool, optional
        Force the progress bar on or off.

    Raises
    ------
    InvalidArgumentError
        If there is neither observer nor network.
    CollapseError
        If the weights stop being finite.
    """
    config = SQNConfig() if config is None else config
    with torch_seed(seed), torch_threads(1):
        trained = network_or_residual(network, observer, config)
        assert isinstance(trained, QNetwork)
        if isinstance(config, SQNConfig) and not isinstance(trained, TwoHeadNetwork):
            raise InvalidTypeError(f"SQN trains a TwoHeadNetwork, got a {type(trained).__name__}")
        _Learner(trained, steps, config, seed).run(show_progress)
        n_actions = n_actions_of(trained, steps)
    return AgentPolicy(trained, observer, config, seed=seed, n_items=n_actions)


class _Learner:
    """The loss of a batch, and a slow copy of the network."""

    def __init__(self, network: QNetwork, steps: LoggedSteps, config: SQNConfig | CQLConfig, seed: int) -> None:
        self.network, self.config = network.train(), config
        self.target = copy.deepcopy(network)
        self.rng = np.random.default_rng(seed)
        self.observation, self.action = torch.from_numpy(steps.observation), torch.from_numpy(steps.action)
        self.reward = torch.from_numpy(steps.reward).float()
        after, terminal = steps.transitions()
        self.after, self.terminal = torch.from_numpy(after), torch.from_numpy(terminal).float()

    def run(self, show_progress: bool | None) -> None:
        """Train for ``n_epochs``."""
        fit_to_log(
            self.network,
            self._loss,
            self.config,
            n_steps=len(self.action),
            rng=self.rng,
            name=self.config.algorithm.upper(),
            show=show_progress,
            after_update=self._follow,
        )

    def _follow(self) -> None:
        for slow, fast in zip(self.target.parameters(), self.network.parameters(), strict=True):
            slow.lerp_(fast, self.config.target_rate)

    def _loss(self, batch: NDArray[np.int64]) -> Tensor:
        config, seen, action = self.config, self.observation[batch], self.action[batch]
        q = self.network.q_values(seen)  # (N, I)
        with torch.no_grad():
            later = self.observation[self.after[batch]]
            wanted = td_targets(
                self.reward[batch],
                self.terminal[batch],
                self.network.q_values(later),
                self.target.q_values(later),
                config.gamma,
            )
        loss = (q.gather(1, action.unsqueeze(1)).squeeze(1) - wanted).square().mean()
        if isinstance(config, CQLConfig):
            return loss + config.cql_alpha * conservative_penalty(q, action)
        assert isinstance(config, SQNConfig)
        assert isinstance(self.network, TwoHeadNetwork)
        if config.n_negatives:
            drawn = torch.from_numpy(self.rng.integers(0, q.shape[1], (len(batch), config.n_negatives)))
            with torch.no_grad():
                slow = self.target.q_values(seen)
            loss = loss + negative_loss(q, slow, drawn, config.gamma)
        return nn.functional.cross_entropy(self.network.supervised(seen), action) + config.q_weight * loss
