"""Satiation: off it is not there, on it follows its formula, and its strength comes back from simulated repeats."""

import numpy as np
import pandas as pd
import pytest
import torch

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.core.random import CounterRng
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences
from rlrec.envs.choice import click_probs
from rlrec.envs.config import SimulatorConfig
from rlrec.envs.satiation import Satiation, fatigue_weights
from rlrec.envs.satiation_fit import fit_satiation
from rlrec.envs.simulator import UserSimulator
from rlrec.envs.vector import RecommendationVectorEnv, make_vec
from rlrec.models.counting import MarkovModel
from rlrec.testing.vector_env import check_vector_env
from tests.small import N_ITEMS, cycle_log, cycle_model


def browse(strength: float, n: int = 1_500, n_steps: int = 12, groups=None, **config) -> np.ndarray:
    """Return what people without an order of their own find alone, (n, n_steps)."""
    simulator = UserSimulator(shuffled(), rules(strength, **config), groups=groups)
    rng = CounterRng(0)
    state, history = simulator.reset(np.arange(n), rng=rng)
    items = [history.item[:, 0].numpy()]
    for _ in range(n_steps):
        responses, state = simulator.respond(state, np.full((n, 1), RARE), rng=rng)  # which nobody wants
        items.append(responses.item)
    return np.stack(items, axis=1)


def rules(strength: float, **config) -> SimulatorConfig:
    return SimulatorConfig(satiation=strength, kappa=1.0, **config)


RARE = 11


def shuffled() -> MarkovModel:
    """A model of people who take any of 11 items after any other, and a twelfth once in a thousand times."""
    rng = np.random.default_rng(0)
    item = np.where(rng.random(6_000) < 0.001, RARE, rng.integers(0, RARE, 6_000))
    return MarkovModel.fit(
        InteractionLog.from_pandas(pd.DataFrame({"user_id": np.arange(6_000) // 20, "item_id": item}))
    )


def repeats(items: np.ndarray) -> float:
    return float((items[:, 1:] == items[:, :-1]).mean())


def test_off_it_is_bit_equal_and_keeps_no_state():
    def roll(config):
        env = make_vec(cycle_model(), num_envs=8, config=config)
        env.reset(seed=1)
        return [env.step(np.full(8, step % N_ITEMS)) for step in range(30)], env

    plain, _ = roll(SimulatorConfig())
    off, env = roll(SimulatorConfig(satiation=0.0, satiation_decay=0.5))
    assert env._state.had.shape == (8, 0)
    for a, b in zip(plain, off, strict=True):
        for x, y in zip(a[:4], b[:4], strict=True):
            assert np.array_equal(x, y)


def test_on_repeats_are_as_much_rarer_as_the_formula_says():
    before, after = repeats(browse(0.0)), repeats(browse(2.0, satiation_decay=0.01))
    share = before * np.exp(-2.0)
    assert after == pytest.approx(share / (1 - before + share), rel=0.1)


def test_what_is_shown_is_clicked_less_by_who_had_it():
    tired, fresh = (UserSimulator(cycle_model(), rules(strength)) for strength in (1.5, 0.0))
    rng, keys = CounterRng(2), np.arange(50)
    state, history = tired.reset(keys, rng=rng)
    last = history.item[:, 0].numpy()
    slates = np.stack([last, (last + 1) % N_ITEMS], axis=1)
    got, after = tired.respond(state, slates, rng=rng)
    plain, _ = fresh.respond(fresh.reset(keys, rng=rng)[0], slates, rng=rng)
    probs = tired.model.heads(state.memory).item_log_probs_of(torch.from_numpy(slates)).detach().double().exp()
    appeal = torch.tensor([np.exp(-1.5), 1.0]).expand(50, 2)
    np.testing.assert_allclose(got.click_probs, click_probs(probs, 1.0, appeal), atol=1e-6)
    assert (got.click_probs[:, 0] < plain.click_probs[:, 0]).all()
    acted = got.item >= 0
    assert (after.had[:, 0].numpy()[acted] == got.item[acted]).all()
    assert (after.had[:, 1].numpy()[acted] == last[acted]).all()


def test_fatigue_fades_and_spreads_over_a_category():
    tired = Satiation(1.0, 0.5, 4, groups=np.array([0, 0, 1, 1]))
    had = torch.tensor([[1, 0, 0, -1, -1, -1, -1], [-1] * 7])
    appeal = tired.appeal(had, torch.tensor([[0, 1, 2], [0, 1, 2]]))
    np.testing.assert_allclose(-np.log(appeal[0].numpy()), [0.75, 0.75, 1.0])
    assert (appeal[1] == 1).all()
    np.testing.assert_allclose(-np.log(tired.largest_appeal(had).numpy()), [0.75, 0.0])
    assert len(fatigue_weights(0.9)) == 44
    assert fatigue_weights(0.9)[-1] > 0.01 > 0.9 * fatigue_weights(0.9)[-1]
    assert len(fatigue_weights(1.0)) == 50


def test_a_partial_reset_clears_it():
    env = make_vec(cycle_model(), num_envs=6, config=SimulatorConfig(satiation=1.0, horizon=4))
    env.reset(seed=0)
    cleared = 0
    for _ in range(12):
        *_, terminated, truncated, _ = env.step(np.zeros(6, int))
        for row in np.flatnonzero(terminated | truncated):
            cleared += 1
            assert (env._state.had[row] >= 0).sum() == 1, "only the opening of the one who came"
            assert env._state.had[row, 0] == env.recent[row, 0]
    assert cleared > 5


def test_a_tired_user_depends_on_nobody_else_and_the_checker_passes():
    simulator, rng, keys = UserSimulator(cycle_model(), rules(3.0)), CounterRng(3), np.arange(8)
    crowd, alone = simulator.reset(keys, rng=rng)[0], simulator.reset(keys[5:6], rng=rng)[0]
    for step in range(6):
        slates = (keys[:, None] + step) % N_ITEMS
        many, crowd = simulator.respond(crowd, slates, rng=rng)
        one, alone = simulator.respond(alone, slates[5:6], rng=rng)
        for column, own in zip(many, one, strict=True):
            np.testing.assert_allclose(column[5], own[0], atol=1e-5)
    check_vector_env(make_vec(cycle_model(), num_envs=4, config=SimulatorConfig(satiation=2.0)), n_steps=40)


@pytest.mark.parametrize("groups", [None, np.arange(12) // 4])
@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_the_strength_comes_back_from_the_repeats_that_it_made(strength, groups):
    items = browse(strength, n=3_000, groups=groups)
    sequences = Sequences.from_items(items.ravel(), np.arange(0, items.size + 1, items.shape[1]))
    got = fit_satiation(shuffled(), sequences, groups=groups, max_sequences=3_000)
    assert got.value == pytest.approx(strength, rel=0.15)
    assert got.low < strength < got.high


def test_what_cannot_be_fitted_and_wrong_groups_get_a_sentence():
    once = Sequences.from_items(np.arange(6), np.array([0, 3, 6]))
    with pytest.raises(DataError, match="none of the 4 behaviours repeats anything, so no finite strength"):
        fit_satiation(MarkovModel.fit(cycle_log()), once)
    with pytest.raises(DataError, match="no sequence has two behaviours"):
        fit_satiation(MarkovModel.fit(cycle_log()), once.select(np.zeros(0, int)))
    with pytest.raises(InvalidArgumentError, match=r"groups must be a non-negative integer array of shape \(6,\)"):
        UserSimulator(cycle_model(), rules(1.0), groups=np.zeros(5, int))
    with pytest.raises(InvalidArgumentError, match="satiation"):
        SimulatorConfig(satiation=-1.0)


def test_candidates_and_ensembles_can_be_tired_of_too():
    env = RecommendationVectorEnv(UserSimulator(cycle_model(), rules(1.0), groups=np.arange(N_ITEMS) // 2), 4)
    env.reset(seed=0)
    assert env.step(np.zeros(4, int))[0].shape == (4, 16)
