"""Every agent of the registry obeys the same laws: it learns, repeats, comes back from disk, masks, and complains."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import VectorWrapper
from gymnasium.vector.utils import batch_space

from rlrec.agents.baselines import GreedyPolicy
from rlrec.agents.config import (
    A2CConfig,
    DQNConfig,
    MaskablePPOConfig,
    PPOConfig,
    QRDQNConfig,
    SlateQConfig,
)
from rlrec.agents.continuous_config import ContinuousConfig, DDPGConfig, SACConfig, TD3Config
from rlrec.agents.logged_networks import PlainTwoHeadNetwork
from rlrec.agents.logged_q import train_logged_q
from rlrec.agents.logged_steps import LoggedSteps
from rlrec.agents.offline_config import CQLConfig, SQNConfig
from rlrec.agents.policies import CONFIGS, AgentPolicy
from rlrec.agents.q_networks import PlainQNetwork
from rlrec.agents.training import train_agent
from rlrec.core.errors import InvalidArgumentError
from rlrec.core.protocols import StochasticPolicy
from rlrec.envs.actions import Actions
from rlrec.envs.nearest import NearestItems
from rlrec.envs.vector import make_vec
from rlrec.evaluation.collect import collect
from rlrec.testing.oracles import BoredomWorld
from tests.agents.logs import logged
from tests.small import N_ITEMS, cycle_log, cycle_model

TINY: dict[str, Any] = {
    "agents/ppo": PPOConfig(total_steps=512, n_steps=8, batch_size=64, n_epochs=1),
    "agents/a2c": A2CConfig(total_steps=512, n_steps=8),
    "agents/dqn": DQNConfig(total_steps=512, learning_starts=64, batch_size=32),
    "agents/maskable_ppo": MaskablePPOConfig(total_steps=512, n_steps=8, batch_size=64, n_epochs=1),
    "agents/qrdqn": QRDQNConfig(total_steps=512, learning_starts=64, batch_size=32, n_quantiles=5),
    "agents/td3": TD3Config(total_steps=512, learning_starts=64, batch_size=32, n_nearest=3, noise=0.3),
    "agents/ddpg": DDPGConfig(total_steps=512, learning_starts=64, batch_size=32, n_nearest=3, noise=0.3),
    "agents/sac": SACConfig(total_steps=512, learning_starts=64, batch_size=32, n_nearest=3),
    "agents/slate_q": SlateQConfig(total_steps=512, learning_starts=64, batch_size=32, target_update_interval=64),
    "agents/sqn": SQNConfig(n_epochs=1, batch_size=64, n_negatives=2),
    "agents/cql": CQLConfig(n_epochs=1, batch_size=64),
}
BOREDOM: dict[str, Any] = {
    "agents/ppo": PPOConfig(total_steps=100_000, learning_rate=3e-3, vf_coef=0.5),
    "agents/a2c": A2CConfig(total_steps=100_000, n_steps=16, learning_rate=3e-3, vf_coef=0.5),
    "agents/dqn": DQNConfig(total_steps=50_000, learning_starts=2_048),
    "agents/maskable_ppo": MaskablePPOConfig(total_steps=100_000, learning_rate=3e-3, vf_coef=0.5),
    "agents/qrdqn": QRDQNConfig(total_steps=50_000, learning_starts=2_048, batch_size=128, n_quantiles=11),
    "agents/td3": TD3Config(total_steps=16_000, learning_starts=2_048, batch_size=256, noise=0.3),
    "agents/ddpg": DDPGConfig(total_steps=16_000, learning_starts=2_048, batch_size=256, noise=0.3),
    "agents/sac": SACConfig(total_steps=16_000, learning_starts=2_048, batch_size=256),
    "agents/slate_q": SlateQConfig(),  # slates have a world of their own, in test_slate_q.py
    "agents/sqn": SQNConfig(gamma=0.99, n_epochs=60, learning_rate=3e-3, temperature=0.02),
    "agents/cql": CQLConfig(gamma=0.99, n_epochs=60, learning_rate=3e-3, temperature=0.02, cql_alpha=0.01),
}
OFFLINE = (SQNConfig, CQLConfig)


def test_every_agent_is_put_to_the_test():
    assert set(TINY) == set(BOREDOM) == set(CONFIGS)


def needs(name: str) -> None:
    if name in ("agents/maskable_ppo", "agents/qrdqn"):
        pytest.importorskip("sb3_contrib")


def train(name: str, *, seed: int = 0, **options: Any) -> AgentPolicy:
    """Train a tiny agent for the small cyclic shop."""
    config = TINY[name]
    if isinstance(config, OFFLINE):
        env = make_vec(cycle_model(), num_envs=16)
        episodes = collect(env, GreedyPolicy(cycle_model(), temperature=2.0), n_users=60, seed=3)
        return train_logged_q(
            cycle_model(), LoggedSteps.from_trajectories(episodes), config, seed=seed, show_progress=False
        )
    if isinstance(config, SlateQConfig):
        options["slate_size"] = 2
    if isinstance(config, ContinuousConfig):
        options["nearest"] = NearestItems.of(cycle_model())
    return train_agent(make_vec(cycle_model(), num_envs=16, **options), config, seed=seed, show_progress=False)


def interests() -> np.ndarray:
    return cycle_model().interests(cycle_log().sequences())


@pytest.fixture(scope="module")
def agents() -> Callable[[str], AgentPolicy]:
    trained: dict[str, AgentPolicy] = {}

    def agent(name: str) -> AgentPolicy:
        needs(name)
        if name not in trained:
            trained[name] = train(name)
        return trained[name]

    return agent


@pytest.mark.parametrize("name", CONFIGS)
def test_it_is_a_policy_whose_probabilities_sum_to_one(name, agents):
    assert isinstance(agents(name), StochasticPolicy)
    probs = agents(name).action_probs(interests())
    np.testing.assert_allclose(probs.sum(axis=1), 1.0)
    best, _ = agents(name).predict(interests(), deterministic=True)
    assert np.array_equal(best.reshape(len(best), -1)[:, 0], probs.argmax(axis=1))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_seed_repeats_and_another_does_not(name, agents):
    probs = agents(name).action_probs(interests())
    assert np.array_equal(train(name).action_probs(interests()), probs)
    assert not np.array_equal(train(name, seed=1).action_probs(interests()), probs)


@pytest.mark.parametrize("name", CONFIGS)
def test_training_leaves_the_callers_luck_alone(name, agents):
    needs(name)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    train(name)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize(
    "name", [name for name in CONFIGS if not isinstance(TINY[name], (*OFFLINE, ContinuousConfig, SlateQConfig))]
)
def test_masked_items_are_not_shown_while_it_learns(name):
    needs(name)
    blocked = np.zeros(N_ITEMS, bool)
    blocked[[1, 3]] = True  # the environment refuses masked items with an error
    agent = train(name, blocked=blocked, hide_seen=True, observation=("interest", "mask_bits"))
    obeys(agent, blocked)


@pytest.mark.parametrize("name", CONFIGS)
def test_masked_items_are_not_shown_after(name, agents):
    blocked = np.zeros(N_ITEMS, bool)
    blocked[[0, 2]] = True
    obeys(agents(name), blocked)


def obeys(agent: AgentPolicy, blocked: np.ndarray) -> None:
    options = {"blocked": blocked, "hide_seen": True, "observation": ("interest", "mask_bits")}
    env = make_vec(cycle_model(), num_envs=16, slate_size=agent.slate_size, **options)
    observation, _ = env.reset(seed=9)
    for step in range(20):
        forbidden = ~env.action_masks()
        assert forbidden[:, blocked].any()  # where nothing would be left, everything may be shown
        assert (agent.action_probs(observation)[forbidden] == 0).all()
        apart, _ = agent.predict(observation["interest"], action_masks=~forbidden)
        assert not np.take_along_axis(forbidden, apart.reshape(16, -1), axis=1).any()
        observation, *_ = env.step(agent.predict(observation, deterministic=step % 2 == 0)[0])


@pytest.mark.parametrize("name", CONFIGS)
def test_bad_input_gets_a_sentence(name, agents):
    agent = agents(name)
    with pytest.raises(InvalidArgumentError, match=r"must hold interest vectors of shape \(n, 16\), got \(3, 5\)"):
        agent.predict(np.zeros((3, 5)))
    with pytest.raises(InvalidArgumentError, match=r"of shape \(3, 6\) that allows something in every row, got bool"):
        agent.predict(np.zeros((3, 16)), action_masks=np.zeros((3, N_ITEMS), bool))
    with pytest.raises(InvalidArgumentError, match="must be at least 1"):
        type(TINY[name])(hidden_size=0)


def test_in_a_fresh_process_they_are_the_same(agents, tmp_path):
    pytest.importorskip("sb3_contrib")
    for name in CONFIGS:
        agents(name).save(tmp_path / Path(name).name)
    np.save(tmp_path / "interests.npy", interests())
    code = (
        "import sys, numpy as np; from pathlib import Path; from rlrec import AgentPolicy\n"
        "folder = Path(sys.argv[1]); seen = np.load(folder / 'interests.npy')\n"
        "agents = {name: AgentPolicy.load(folder / name) for name in sys.argv[2:]}\n"
        "np.savez(folder / 'probs.npz', **{name: agent.action_probs(seen) for name, agent in agents.items()})\n"
        "assert 'stable_baselines3' not in sys.modules, 'serving an agent needs no SB3'\n"
    )
    names = [Path(name).name for name in CONFIGS]
    subprocess.run([sys.executable, "-c", code, str(tmp_path), *names], check=True, timeout=120)
    with np.load(tmp_path / "probs.npz") as found:
        for name in CONFIGS:
            assert np.array_equal(found[Path(name).name], agents(name).action_probs(interests())), name


class VectorsOf(VectorWrapper):
    """A world of two items, at two corners, that is answered with vectors."""

    def __init__(self, world: BoredomWorld) -> None:
        super().__init__(world)
        nearest = NearestItems(np.eye(2))
        self.actions = Actions(world.num_envs, 1, 2, staged=False, nearest=nearest)
        self.single_action_space = self.actions.single_space
        self.action_space = batch_space(self.single_action_space, world.num_envs)

    def step(self, actions: np.ndarray) -> Any:
        return self.env.step(self.actions.slates(actions, None, None)[:, 0])


@pytest.mark.learning
@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "agents/slate_q"])
def test_it_learns_to_wait_for_the_favourite_to_be_fresh(name):
    needs(name)
    config = BOREDOM[name]
    if isinstance(config, OFFLINE):
        world = BoredomWorld(200)
        sizes = {"temperature": config.temperature, "hidden_size": config.hidden_size}
        network = (PlainTwoHeadNetwork if isinstance(config, SQNConfig) else PlainQNetwork)(1, 2, **sizes)
        steps = logged(world, lambda observation: np.full((len(observation), 2), 0.5), 100)
        agent = train_logged_q(None, steps, config, network=network, show_progress=False)
    elif isinstance(config, ContinuousConfig):
        agent = train_agent(VectorsOf(BoredomWorld(16)), config, show_progress=False)
    else:
        agent = train_agent(BoredomWorld(16 if isinstance(config, DQNConfig) else 64), config, show_progress=False)
    world = BoredomWorld(1)

    def best(observation: Any) -> np.ndarray:
        return np.eye(2)[agent.action_probs(observation).argmax(axis=1)]

    assert world.value(best) / world.optimum > 0.95
    assert world.value(agent.action_probs) / world.optimum > 0.95
    assert world.greedy / world.optimum < 0.75
