r"""SlateQ: the value of a slate, decomposed into values of items by the model of what people take from it.

.. math:: Q(h, S) = \sum_{i \in S} P(i \mid h, S)\, \bar Q(h, i) + P(\varnothing \mid h, S)\, \bar Q(h, \varnothing)

Only the item taken decides what comes next, so :math:`\bar Q(h, i)` is learned from the steps at which i was taken:

.. math:: \bar Q(h, i) \leftarrow r + \gamma \max_{S'} Q(h', S')

Q(h, S) is a ratio of sums over S, so the best slate holds the K largest :math:`v_i (\bar Q(h, i) - \lambda)` with v
the attraction and λ the value of that very slate: Dinkelbach's iteration finds both exactly, where the paper solves a
linear program or ranks by :math:`v_i \bar Q(h, i)`.

References
----------
.. [1] Ie et al., "SlateQ: A Tractable Decomposition for Reinforcement Learning with Recommendation Sets", IJCAI 2019.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from torch import nn

from rlrec.agents.config import DQNConfig, SlateQConfig
from rlrec.agents.judge import Judge
from rlrec.agents.networks import forecast_of
from rlrec.agents.policies import AgentPolicy
from rlrec.agents.replay import Replay
from rlrec.agents.slate_networks import Attraction, ForecastAttraction, SlateQNetwork
from rlrec.core.errors import CollapseError, InvalidArgumentError
from rlrec.core.progress import progress
from rlrec.envs.vector import RecommendationVectorEnv
from rlrec.models.threads import torch_seed, torch_threads


def train_slate_q(
    env: VectorEnv[Any, Any, Any],
    config: DQNConfig | None = None,
    *,
    attraction: Attraction | None = None,
    outside: float = 1.0,
    seed: int = 0,
    judge: Judge | None = None,
    show_progress: bool | None = None,
) -> AgentPolicy:
    """Train SlateQ on a vector environment of slates that tells in ``infos["position"]`` what was taken.

    Parameters
    ----------
    env : VectorEnv
        A `RecommendationVectorEnv` whose observation is the interest vector, or any other that restarts rows in the
        same step.
    config : SlateQConfig, optional
        As for DQN; the share of random slates falls in the same way. A `DQNConfig` serves as well.
    attraction, outside : optional
        The choice model. By default the observer's p(item | history) with the simulator's κ.
    seed : int
    judge : Judge, optional
        Checks the policy on its way; the best one is returned, else the last.

    Raises
    ------
    InvalidArgumentError
        If the environment shows single items, or has no choice model and none is given.
    CollapseError
        If the weights stop being finite.
    """
    settings = SlateQConfig(**{} if config is None else asdict(config))
    space = env.single_action_space
    if not isinstance(space, spaces.MultiDiscrete):
        raise InvalidArgumentError(f"SlateQ learns slates, got the action space {space}; for single items train DQN")
    n_items, slate_size = int(space.nvec[0]), len(space.nvec)

    def policy_of(network: SlateQNetwork) -> AgentPolicy:
        observer = getattr(env, "observer", None)
        return AgentPolicy(network, observer, settings, slate_size=slate_size, seed=seed, n_items=n_items)

    with torch_seed(seed), torch_threads(1):
        if attraction is None and isinstance(env, RecommendationVectorEnv):
            settings = replace(settings, kappa=env.simulator.config.kappa)
        network = _network(env, settings, attraction, outside, n_items, slate_size)
        learner = _Learner(env, network, settings, slate_size, seed)
        if judge is None:
            learner.run(show_progress)
        else:
            judge.begin(network, settings.total_steps, policy_of)
            learner.run(show_progress, lambda step: judge.look(step, network))
        if not all(bool(parameter.isfinite().all()) for parameter in network.parameters()):
            raise CollapseError("SlateQ's weights are no longer finite; lower learning_rate and train again")
        if judge is not None:
            judge.finish(settings.total_steps, network)
    return policy_of(network)


def _network(
    env: VectorEnv[Any, Any, Any],
    config: SlateQConfig,
    attraction: Attraction | None,
    outside: float,
    n_items: int,
    slate_size: int,
) -> SlateQNetwork:
    shape = env.single_observation_space.shape
    if shape is None or len(shape) != 1:
        raise InvalidArgumentError(f"observations must have one axis, got the space {env.single_observation_space}")
    kappa = None
    if attraction is None:
        if not isinstance(env, RecommendationVectorEnv):
            raise InvalidArgumentError("attraction must be given where the environment has no observer model")
        attraction, kappa = ForecastAttraction(forecast_of(env.observer)), config.kappa
    return SlateQNetwork(
        shape[0],
        n_items,
        slate_size,
        config.hidden_size,
        attraction,
        outside=outside,
        kappa=kappa,
        temperature=config.temperature,
    )


class _Learner:
    """Collects slates and fits item values to their one-step targets."""

    def __init__(
        self, env: VectorEnv[Any, Any, Any], network: SlateQNetwork, config: DQNConfig, slate_size: int, seed: int
    ) -> None:
        self.env, self.network, self.config, self.slate_size = env, network, config, slate_size
        self.target = copy.deepcopy(network)
        self.optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
        self.rng = np.random.default_rng(seed)
        self.replay = Replay(max(config.buffer_size, env.num_envs), env.single_observation_space.shape[0])  # type: ignore[index]
        self.seed = seed

    def run(self, show_progress: bool | None, on_step: Callable[[int], None] = lambda step: None) -> None:
        """Train for ``total_steps``; ``on_step`` gets the number of steps done before each."""
        config, n = self.config, self.env.num_envs
        observation, _ = self.env.reset(seed=self.seed)
        bar: Any = progress(description="SlateQ", total=config.total_steps, unit="step", show=show_progress)
        copied = 0
        with bar:
            for step in range(0, config.total_steps, n):
                on_step(step)
                done = step / config.total_steps
                slates = self._slates(observation, done)
                after, rewards, terminated, truncated, infos = self.env.step(slates)
                last = np.array(after)
                for row in np.flatnonzero(terminated | truncated):
                    last[row] = infos["final_obs"][row]
                taken = _taken(slates, infos["position"], self.network.n_items)
                self.replay.add(observation, taken, rewards, last, terminated)
                observation = after
                if step >= config.learning_starts:
                    for group in self.optimizer.param_groups:
                        group["lr"] = config.learning_rate * (1.0 - done)
                    for _ in range(config.gradient_steps):
                        self._learn()
                if step - copied >= config.target_update_interval:
                    self.target.load_state_dict(self.network.state_dict())
                    copied = step
                bar.update(n)

    def _slates(self, observation: NDArray[np.float32], done: float) -> NDArray[np.int64]:
        """Return the best-ranked slates, and random ones for the share that explores."""
        config = self.config
        falling = 1.0 - done / max(config.exploration_fraction, 1e-9)
        explore = max(falling, config.exploration_final)
        with torch.no_grad():
            scores = self.network.scores(torch.from_numpy(np.asarray(observation))).numpy()  # (B, I)
        random = self.rng.random(len(scores)) < explore
        scores = np.where(random[:, None], self.rng.random(scores.shape), scores)
        best: NDArray[np.int64] = np.argsort(-scores, axis=1, kind="stable")[:, : self.slate_size]
        return best

    def _learn(self) -> None:
        batch = self.replay.sample(self.config.batch_size, self.rng)
        with torch.no_grad():
            future = self.target.values(batch.after)
            target = batch.reward + self.config.gamma * (1.0 - batch.terminated) * future
        value = self.network.q(batch.observation).gather(1, batch.action.unsqueeze(1)).squeeze(1)
        squared = self.config.loss == "squared"
        loss = (nn.functional.mse_loss if squared else nn.functional.smooth_l1_loss)(value, target)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), self.config.max_grad_norm)
        self.optimizer.step()


def _taken(slates: NDArray[np.int64], position: NDArray[np.int64], null: int) -> NDArray[np.int64]:
    """Return the item taken from each slate, ``null`` for none."""
    item = np.take_along_axis(slates, np.maximum(position, 0)[:, None], axis=1)[:, 0]
    return np.where(position >= 0, item, null)
