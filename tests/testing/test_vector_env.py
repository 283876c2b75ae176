"""`check_vector_env` passes environments that keep the laws, and names the law that a broken one breaks."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from rlrec.core.errors import ConformanceError, InvalidTypeError, RlrecError
from rlrec.envs.config import SimulatorConfig
from rlrec.envs.vector import make_vec
from rlrec.testing import check_vector_env
from tests.small import N_ITEMS, cycle_model

N_ENVS, N_STEPS = 3, 30


class Shop(VectorEnv):
    """A right one: each visitor has a taste, sees it beside its own clock, and leaves with chance 0.3 a step."""

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(self) -> None:
        self.num_envs = N_ENVS
        self.single_observation_space = spaces.Box(0.0, 100.0, (2,), np.float32)
        self.single_action_space = spaces.Discrete(4)
        self.observation_space = batch_space(self.single_observation_space, N_ENVS)
        self.action_space = batch_space(self.single_action_space, N_ENVS)

    def reset(self, *, seed=None, options=None):
        if seed is not None or not hasattr(self, "rngs"):
            self.rngs = [np.random.default_rng(None if seed is None else [seed, row]) for row in range(N_ENVS)]
        self.features = np.zeros((N_ENVS, 2), np.float32)
        self.arrive(range(N_ENVS))
        return self.features.copy(), {}

    def arrive(self, rows):
        for row in rows:
            self.features[row] = [self.rngs[row].random(), 0.0]

    def step(self, actions):
        self.features[:, 1] += 1
        rewards = (actions == 0) * self.features[:, 0].astype(np.float64)
        left = np.array([rng.random() < 0.3 for rng in self.rngs])
        infos = self.finals(left)
        self.arrive(np.flatnonzero(left))
        return self.features.copy(), rewards, left, np.zeros(N_ENVS, np.bool_), infos

    def finals(self, done):
        if not done.any():
            return {}
        final = np.full(N_ENVS, None, dtype=object)
        for row in np.flatnonzero(done):
            final[row] = self.features[row].copy()
        return {"final_obs": final, "_final_obs": done, "final_info": {}, "_final_info": done}


class IgnoresItsSeed(Shop):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=None)


class AlwaysTheSame(Shop):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=None if seed is None else 0)


class NextUsersFeatures(Shop):
    def step(self, actions):
        observation, rewards, terminated, truncated, infos = super().step(actions)
        for row in np.flatnonzero(terminated):
            infos["final_obs"][row] = observation[row]
        return observation, rewards, terminated, truncated, infos


class SharedStream(Shop):
    """One user's action moves the numbers that the next user gets."""

    def reset(self, *, seed=None, options=None):
        observation, infos = super().reset(seed=seed)
        self.rngs = [self.rngs[0]] * N_ENVS
        return observation, infos

    def step(self, actions):
        self.rngs[0].random(int(actions[1]))
        return super().step(actions)


class OwnBuffer(Shop):
    def step(self, actions):
        _, *rest = super().step(actions)
        return (self.features, *rest)


class Named(Shop):
    """The same with observations and actions by name."""

    def __init__(self) -> None:
        super().__init__()
        self.single_observation_space = spaces.Dict({"features": self.single_observation_space})
        self.single_action_space = spaces.Dict({"item": spaces.Discrete(4)})
        self.observation_space = batch_space(self.single_observation_space, N_ENVS)
        self.action_space = batch_space(self.single_action_space, N_ENVS)

    def reset(self, *, seed=None, options=None):
        features, infos = super().reset(seed=seed)
        return {"features": features}, infos

    def step(self, actions):
        features, *rest, infos = super().step(actions["item"])
        for row in np.flatnonzero(rest[1]):
            infos["final_obs"][row] = {"features": infos["final_obs"][row]}
        return {"features": features}, *rest, infos


class NamedNextUsersFeatures(Named):
    def step(self, actions):
        observation, *rest, infos = super().step(actions)
        for row in np.flatnonzero(rest[1]):
            infos["final_obs"][row] = {"features": observation["features"][row]}
        return observation, *rest, infos


def spoiled(**changes):
    """Return a `Shop` whose step returns something else in these places."""

    class Spoiled(Shop):
        def step(self, actions):
            names = ("observation", "rewards", "terminated", "truncated", "infos")
            returned = dict(zip(names, super().step(actions), strict=True))
            for name, change in changes.items():
                returned[name] = change(returned[name])
            return tuple(returned.values())

    return Spoiled()


def declaring(**attributes):
    env = Shop()
    for name, value in attributes.items():
        setattr(env, name, value)
    return env


def without_finals(infos):
    return {}


def finals_everywhere(infos):
    final = np.full(N_ENVS, None, dtype=object)
    return {"final_obs": final, "_final_obs": np.ones(N_ENVS, np.bool_)}


BROKEN = [
    (IgnoresItsSeed, r"reset\(seed=0\) twice, .* bit by bit, but observation at reset differs; draw every number"),
    (AlwaysTheSame, r"reset\(seed=0\) and reset\(seed=1\) gave the same run, so the seed is ignored"),
    (NextUsersFeatures, r"each of \d+ last observations .* equals the first observation of the next episode"),
    (NamedNextUsersFeatures, r"each of \d+ last observations .* equals the first observation of the next episode"),
    (SharedStream, r"row 0 changed at step \d+ when only the other rows' actions did; give each row"),
    (OwnBuffer, r"step 2 changed the observations that were returned before it; return a copy"),
    (
        lambda: spoiled(observation=lambda x: x[:, :1]),
        r"step 1: observations must lie in observation_space, Box.*, got float32 \(3, 1\)",
    ),
    (lambda: spoiled(observation=lambda x: x.astype(float)), r"step 1: observations .* got float64 \(3, 2\)"),
    (lambda: spoiled(observation=lambda x: x - 5), r"got float32 \(3, 2\) with values in \[-5, "),
    (
        lambda: spoiled(rewards=lambda x: x[:, None]),
        r"rewards must be a float array of shape \(3,\), got float64 \(3, 1",
    ),
    (lambda: spoiled(rewards=lambda x: x.astype(int)), r"rewards must be a float array .* got int64 \(3,\)"),
    (lambda: spoiled(rewards=list), r"rewards must be a float array .* got list"),
    (lambda: spoiled(rewards=lambda x: x + np.array([0, np.nan, 0])), "rewards must be finite, got nan in row 1"),
    (lambda: spoiled(terminated=lambda x: x.astype(int)), r"terminated must be a bool array .* got int64 \(3,\)"),
    (lambda: spoiled(truncated=lambda x: False), r"truncated must be a bool array .* got bool"),
    (lambda: spoiled(terminated=np.zeros_like, infos=without_finals), "no episode ended within 30 steps"),
    (lambda: spoiled(infos=without_finals), r"infos\['_final_obs'\] must be true where an episode ended, rows \["),
    (lambda: spoiled(infos=finals_everywhere), r"rows \[.*\], got rows \[0, 1, 2\]; add 'final_obs'"),
    (lambda: spoiled(infos=lambda x: []), "step 1: infos must be a dict, got list"),
    (lambda: spoiled(infos=lambda x: x | {"price": np.zeros(3)}), r"infos\['price'\] needs a mask infos\['_price'\]"),
    (
        lambda: spoiled(infos=lambda x: x | {"price": np.zeros(2), "_price": np.ones(3, np.bool_)}),
        r"infos\['price'\] must have one entry a row, 3, got float64 \(2,\)",
    ),
    (lambda: declaring(metadata={}), r"metadata\['autoreset_mode'\] must be a .*AutoresetMode, got None"),
    (
        lambda: declaring(metadata={"autoreset_mode": AutoresetMode.NEXT_STEP}),
        r"infos\['final_obs'\] belongs to AutoresetMode.SAME_STEP, but .* declares AutoresetMode.NEXT_STEP",
    ),
    (
        lambda: declaring(action_space=spaces.Discrete(4)),
        r"env.action_space must be the batch of 3 of single_action_space, MultiDiscrete.*, got Discrete\(4\)",
    ),
    (lambda: declaring(num_envs=0), "env.num_envs must be an int of at least 1, got 0"),
    (
        lambda: declaring(single_observation_space=None),
        "env.single_observation_space must be a gymnasium Space, got None",
    ),
]


@pytest.mark.parametrize(("make", "sentence"), BROKEN)
def test_a_broken_environment_gets_a_sentence(make, sentence):
    with pytest.raises(ConformanceError, match=sentence) as caught:
        check_vector_env(make(), n_steps=N_STEPS)
    assert isinstance(caught.value, RlrecError)
    assert isinstance(caught.value, AssertionError)


@pytest.mark.parametrize("make", [Shop, Named])
def test_the_environments_that_the_broken_ones_come_from_pass(make):
    check_vector_env(make(), n_steps=N_STEPS)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_gymnasiums_own_vector_environment_passes_in_every_mode(mode):
    env = gymnasium.make_vec("CartPole-v1", 3, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode})
    check_vector_env(env, n_steps=80)
    env.close()


def test_a_next_step_environment_must_not_act_on_the_restarting_step():
    class Restless(Shop):
        """Declares the next-step mode and restarts in the same step."""

        metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

        def step(self, actions):
            observation, rewards, terminated, truncated, _ = super().step(actions)
            return observation, rewards + 1, terminated, truncated, {}

    with pytest.raises(
        ConformanceError, match=r"the step after an end restarts the row with reward 0 and neither flag"
    ):
        check_vector_env(Restless(), n_steps=N_STEPS)


def test_a_masked_reset_must_leave_the_other_rows():
    class Forgetful(Shop):
        """Leaves restarting to the caller, and then restarts everybody."""

        metadata = {"autoreset_mode": AutoresetMode.DISABLED}  # noqa: RUF012

        def finals(self, done):
            return {}

    with pytest.raises(ConformanceError, match=r"must leave the rows outside the mask as they are; restart only those"):
        check_vector_env(Forgetful(), n_steps=N_STEPS)


def test_what_is_by_design_can_be_said():
    check_vector_env(SharedStream(), n_steps=N_STEPS, independent_rows=False)
    check_vector_env(AlwaysTheSame(), n_steps=N_STEPS, stochastic=False)


@pytest.mark.parametrize("slate_size", [1, 3])
@pytest.mark.parametrize("horizon", [3, 50])
def test_simulated_users_pass(slate_size, horizon):
    config = SimulatorConfig(horizon=horizon)
    env = make_vec(cycle_model(), num_envs=5, slate_size=slate_size, config=config)

    def slates(rng):
        drawn = rng.permuted(np.tile(np.arange(N_ITEMS), (5, 1)), axis=1)[:, :slate_size]
        return drawn[:, 0] if slate_size == 1 else drawn

    check_vector_env(env, n_steps=40, sample_actions=slates)


def test_another_kind_of_environment_is_refused():
    with pytest.raises(
        InvalidTypeError, match="env must be a gymnasium VectorEnv, got CartPoleEnv; make one with make_vec"
    ):
        check_vector_env(gymnasium.make("CartPole-v1").unwrapped)
