"""The simulator and its Gymnasium shells: laws, the choice formula, boundaries, and sentences for bad input."""

from __future__ import annotations

import pickle

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers.vector import DictInfoToList
from scipy.stats import chisquare
from stable_baselines3.common.env_checker import check_env as check_env_sb3

from rlrec.core.errors import InvalidArgumentError, NotReadyError
from rlrec.core.random import CounterRng
from rlrec.envs.choice import choose, click_probs, kappa_for_click_rate
from rlrec.envs.config import SimulatorConfig
from rlrec.envs.registration import ENV_ID, register
from rlrec.envs.simulator import UserSimulator
from rlrec.envs.single import RecommendationEnv
from rlrec.envs.vector import make_vec
from rlrec.testing.vector_env import check_vector_env
from tests.small import N_ITEMS, cycle_model


def roll(env, n_steps=40, seed=5):
    """Return everything that fixed pseudo-random actions produce."""
    env.reset(seed=seed)
    actions = np.random.default_rng(0).integers(0, N_ITEMS, (n_steps, env.num_envs))
    return [env.step(action) for action in actions]


def test_click_frequencies_match_the_formula():
    probs = torch.tensor([[0.3, 0.05, 0.15]], dtype=torch.double)
    clicks = click_probs(probs, kappa=0.4)
    assert clicks[0, 0].item() == pytest.approx(0.3 / (0.5 + 0.4 * 0.5))
    n = 100_000
    position = choose(clicks.expand(n, 3).contiguous(), torch.from_numpy(np.random.default_rng(0).random(n))).numpy()
    observed = np.bincount(position + 1, minlength=4)
    expected = n * np.array([1 - clicks.sum().item(), *clicks[0].tolist()])
    assert chisquare(observed, expected).pvalue > 0.001


def test_kappa_gives_the_declared_click_rate():
    probs = np.random.default_rng(0).dirichlet(np.ones(8), 500)[:, :2]
    kappa = kappa_for_click_rate(probs, 0.6)
    assert click_probs(torch.from_numpy(probs), kappa).sum(-1).mean().item() == pytest.approx(0.6, abs=1e-4)
    with pytest.raises(InvalidArgumentError, match=r"a click rate of 0\.01 cannot be had"):
        kappa_for_click_rate(probs, 0.01)


def test_a_user_depends_on_nobody_else():
    simulator, rng = UserSimulator(cycle_model()), CounterRng(3)
    keys = np.arange(8)
    crowd, _ = simulator.reset(keys, rng=rng)
    alone, _ = simulator.reset(keys[5:6], rng=rng)
    for step in range(6):
        slates = (keys[:, None] + step) % N_ITEMS
        many, crowd = simulator.respond(crowd, slates, rng=rng)
        one, alone = simulator.respond(alone, slates[5:6], rng=rng)
        for column, own in zip(many, one, strict=True):
            np.testing.assert_allclose(column[5], own[0], atol=1e-5)
        torch.testing.assert_close(alone.memory.tensors[0][0], crowd.memory.tensors[0][5], rtol=1e-4, atol=1e-5)


def test_the_same_seed_is_bit_equal_and_another_is_not():
    first, second, other = (roll(make_vec(cycle_model(), num_envs=4), seed=seed) for seed in (5, 5, 6))
    for a, b in zip(first, second, strict=True):
        for x, y in zip(a[:4], b[:4], strict=True):
            assert np.array_equal(x, y)
    assert any(not np.array_equal(a[0], b[0]) for a, b in zip(first, other, strict=True))


def test_the_final_observation_belongs_to_the_user_who_left():
    env = make_vec(cycle_model(), num_envs=4)
    env.reset(seed=5)
    twin = UserSimulator(cycle_model())
    state, _ = twin.reset(np.arange(4), rng=CounterRng(5))
    actions = np.random.default_rng(0).integers(0, N_ITEMS, (60, 4))
    seen = 0
    for action in actions:
        observation, _, terminated, truncated, infos = env.step(action)
        _, state = twin.respond(state, action[:, None], rng=CounterRng(5))
        own = twin.model.interest(state.memory).detach().numpy()
        done = terminated | truncated
        for row in np.flatnonzero(done):
            assert np.allclose(infos["final_obs"][row], own[row], atol=1e-5)
            assert not np.allclose(observation[row], own[row], atol=1e-3)
            assert infos["user"][row] == state.key[row] + 4
            seen += 1
        if done.any():
            break
        assert np.allclose(observation, own, atol=1e-5)
    assert seen > 0


def test_leaving_terminates_and_the_horizon_truncates():
    never = make_vec(cycle_model(), num_envs=16, config=SimulatorConfig(horizon=2, impatience=0.0))
    never.reset(seed=0)
    _, _, terminated_1, truncated_1, _ = never.step(np.zeros(16, int))
    assert not truncated_1.any()
    _, _, terminated_2, truncated_2, _ = never.step(np.zeros(16, int))
    assert not (terminated_2 & truncated_2).any()
    assert truncated_2[~terminated_1].sum() + terminated_2[~terminated_1].sum() == (~terminated_1).sum()


@pytest.mark.parametrize("options", [{}, {"observation": ("history", "interest")}])
def test_the_single_env_is_a_row_of_the_vector_env(options):
    single, vector = RecommendationEnv(cycle_model(), **options), make_vec(cycle_model(), num_envs=1, **options)
    a, info = single.reset(seed=7)
    b, infos = vector.reset(seed=7)
    n_over = 0
    for action in np.random.default_rng(0).integers(0, N_ITEMS, 80).tolist():
        assert info["user"] == infos["user"][0]
        assert_same(a, b)
        one, many = single.step(action), vector.step(np.array([action]))
        assert one[1:4] == (many[1][0], many[2][0], many[3][0])
        last = many[4]["final_info"] if one[2] or one[3] else many[4]
        for name in ("clicked_item", "position", "item", "event", "gap", "reward_terms"):
            assert np.array_equal(one[4][name], last[name][0])
        (a, info), (b, infos) = (one[0], info), (many[0], many[4])
        if one[2] or one[3]:
            final = many[4]["final_obs"][0]
            assert_same(a, {part: value[None] for part, value in final.items()} if options else final[None])
            n_over += 1
            a, info = single.reset()
    assert n_over > 5


def assert_same(one, batch):
    """Compare an observation with row 0 of a batch of them."""
    pairs = [(one[part], batch[part]) for part in one] if isinstance(one, dict) else [(one, batch)]
    for mine, theirs in pairs:
        np.testing.assert_allclose(mine, theirs[0], atol=1e-5)


def test_the_checkers_of_gymnasium_and_sb3_pass():
    env = RecommendationEnv(cycle_model())
    check_env(env, skip_render_check=True)
    check_env_sb3(env)


def test_gymnasiums_wrapper_of_infos_finds_every_mask():
    env = DictInfoToList(make_vec(cycle_model(), num_envs=3, config=SimulatorConfig(horizon=2)))
    _, infos = env.reset(seed=0)
    assert [info["user"] for info in infos] == [0, 1, 2]
    for _ in range(2):
        *_, terminated, truncated, infos = env.step(np.zeros(3, int))
    for done, info in zip(terminated | truncated, infos, strict=True):
        assert ("final_obs" in info) == ("final_info" in info) == done
    assert infos[0]["final_info"]["user"] != infos[0]["user"]


def test_gymnasium_makes_both():
    register()
    register()
    assert gymnasium.make(ENV_ID, model=cycle_model()).reset(seed=1)[0].shape == (16,)
    vector = gymnasium.make_vec(ENV_ID, num_envs=3, model=cycle_model(), slate_size=2)
    assert vector.reset(seed=1)[0].shape == (3, 16)


def test_a_step_before_reset_gets_a_sentence():
    with pytest.raises(NotReadyError, match="step came before reset"):
        make_vec(cycle_model(), num_envs=2).step(np.zeros(2, int))
    with pytest.raises(NotReadyError, match="call reset"):
        RecommendationEnv(cycle_model()).step(0)


def test_ansi_tells_what_happened_and_why_somebody_left():
    env = RecommendationEnv(cycle_model(), slate_size=2, render_mode="ansi")
    register()
    check_env(gymnasium.make(ENV_ID, model=cycle_model(), render_mode="ansi").unwrapped)
    env.reset(seed=2)
    assert env.render() == "arrived"
    over = False
    while not over:
        _, _, terminated, truncated, _ = env.step(np.array([0, 1]))
        over = terminated or truncated
        assert env.render().startswith("shown i0 (")
    assert "then left (chance" in env.render()
    assert RecommendationEnv(cycle_model()).render() is None


def test_with_a_table_of_all_items_people_do_the_same():
    exact = roll(make_vec(cycle_model(), num_envs=16, slate_size=1))
    table = roll(make_vec(cycle_model(), num_envs=16, config=SimulatorConfig(n_sampled_items=N_ITEMS)))
    clicks = [(a[4]["position"] == b[4]["position"]).mean() for a, b in zip(exact, table, strict=True)]
    assert clicks[0] == 1
    assert exact[0][0].shape == table[0][0].shape


@pytest.mark.parametrize("options", [{}, {"hide_seen": False, "observation": ("interest", "history", "mask")}])
def test_our_checker_of_vector_environments_passes(options):
    check_vector_env(make_vec(cycle_model(), num_envs=4, config=SimulatorConfig(horizon=5), **options), n_steps=40)


def test_it_is_always_in_eval_mode_and_chances_are_probabilities():
    model = cycle_model()
    env = make_vec(model, num_envs=32, slate_size=3)
    env.reset(seed=0)
    env.step(np.tile([0, 2, 4], (32, 1)))
    _, responses = env.last_step
    assert not model.network.training
    assert (responses.click_probs >= 0).all()
    assert (responses.click_probs.sum(axis=1) <= 1 + 1e-9).all()
    assert ((responses.leave_probs >= 0) & (responses.leave_probs <= 1)).all()
    with pytest.raises(NotReadyError, match="recent came before reset"):
        _ = make_vec(model, num_envs=2).recent


def test_wrappers_async_and_specs():
    register()
    vector = gymnasium.make_vec(ENV_ID, num_envs=3, model=cycle_model())
    wrapped = gymnasium.wrappers.vector.RecordEpisodeStatistics(vector)
    wrapped.reset(seed=0)
    seen = [wrapped.step(np.zeros(3, int))[4] for _ in range(60)]
    assert any("episode" in infos for infos in seen)
    spec = gymnasium.make(ENV_ID, model=cycle_model(), slate_size=2).spec
    again = gymnasium.make(pickle.loads(pickle.dumps(spec)))
    assert again.action_space == gymnasium.spaces.MultiDiscrete([N_ITEMS] * 2)
    model = cycle_model()
    asynchronous = gymnasium.vector.AsyncVectorEnv([lambda: RecommendationEnv(model)] * 2, context="fork")
    observation, _ = asynchronous.reset(seed=5)
    own, _ = RecommendationEnv(model).reset(seed=5)
    np.testing.assert_allclose(observation[0], own, atol=1e-5)
    _, rewards, *_ = asynchronous.step(np.array([2, 2]))
    assert rewards.shape == (2,)
    asynchronous.close()


def test_an_agent_in_torch_sees_the_same_without_a_copy():
    plain, native = (make_vec(cycle_model(), num_envs=8, slate_size=2) for _ in range(2))
    plain.reset(seed=4)
    native.reset(seed=4)
    for step in range(25):
        slates = np.tile([step % N_ITEMS, (step + 1) % N_ITEMS], (8, 1))
        expected, got = plain.step(slates), native.step_torch(torch.from_numpy(slates))
        for mine, theirs in zip(expected[:4], got[:4], strict=True):
            np.testing.assert_allclose(theirs.numpy(), mine, rtol=1e-6)
        hidden = native._visible.memory.tensors[0]
        assert got[0].data_ptr() == hidden[:, -1].data_ptr()
        for row in np.flatnonzero(expected[2] | expected[3]):
            np.testing.assert_array_equal(got[4]["final_obs"][row], expected[4]["final_obs"][row])
    with pytest.raises(InvalidArgumentError, match="step_torch gives interest vectors only"):
        make_vec(cycle_model(), num_envs=2, observation=("history",)).step_torch(torch.zeros(2, dtype=torch.int64))
