"""One person in NumPy is the same person as in torch, step by step, whatever the architecture it knows."""

import numpy as np
import pandas as pd
import pytest
import torch

from rlrec.core.random import CounterRng
from rlrec.data.log import InteractionLog
from rlrec.envs.alone import Alone
from rlrec.envs.arrivals import Cold, Prefixes
from rlrec.envs.config import SimulatorConfig
from rlrec.envs.ensemble import EnsembleModel
from rlrec.envs.simulator import UserSimulator
from rlrec.envs.single import RecommendationEnv
from rlrec.envs.solo import SoloSimulator, can_be_solo
from rlrec.envs.vector import RecommendationVectorEnv, make_vec
from rlrec.models.base import BehaviourSpace
from rlrec.models.calibration import Calibration
from rlrec.models.config import LSTMConfig
from rlrec.models.counting import MarkovModel
from rlrec.models.lstm import LSTMModel
from tests.small import N_ITEMS, cycle_log, cycle_model

SHOP = 300


def shop_model(**config) -> LSTMModel:
    """An untrained model of three kinds of events with uneven heads and a calibration that moves everything."""
    rng = np.random.default_rng(0)
    item = np.concatenate([np.arange(SHOP), rng.integers(0, SHOP, 600)])
    event = rng.choice(["view", "cart", "buy"], len(item))
    frame = pd.DataFrame({"user_id": np.arange(len(item)) // 9, "item_id": item, "event": event})
    log = InteractionLog.from_pandas(frame)
    network = LSTMModel.build_network(log, LSTMConfig(embedding_size=12, hidden_size=20, **config), seed=0)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)) * 0.3)
        network.end_head.bias.fill_(-2.0)
    calibration = Calibration(
        item_scale=0.8,
        first_scale=1.3,
        end_scale=0.9,
        end_shift=-0.2,
        event_scale=1.2,
        event_shift=(0.1, -0.4, 0.3),
        gap_scale=0.7,
    )
    return LSTMModel(network, BehaviourSpace.of(log), calibration)


WORLDS = {
    "plain": ({}, {}),
    "two layers": ({"n_layers": 2}, {}),
    "sampled and corrected": ({}, {"n_sampled_items": 60}),
    "nobody browses": ({}, {"organic_rate": 0.0}),
    "half browse, quick to anger": ({}, {"organic_rate": 0.5, "impatience": 0.5, "max_streak": 3}),
}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("arrivals", [None, Cold()])
def test_it_is_the_same_person(world, arrivals):
    architecture, rules = WORLDS[world]
    people = UserSimulator(shop_model(**architecture), SimulatorConfig(kappa=0.01, **rules), arrivals=arrivals)
    solo, rng, draw = SoloSimulator(people), CounterRng(4), np.random.default_rng(1)
    for key in range(12):
        state, _ = people.reset(np.array([key]), rng=rng)
        solo.arrive(key, rng)
        for _ in range(8):
            np.testing.assert_allclose(solo.interest, people.model.interest(state.memory)[0].detach(), atol=1e-5)
            slate = draw.permutation(SHOP)[:5]
            wanted, state = people.respond(state, slate[None], rng=rng)
            got = solo.respond(slate, rng)
            for name, column in wanted._asdict().items():
                np.testing.assert_allclose(getattr(got, name), column, atol=1e-5, err_msg=name)
                assert getattr(got, name).shape == column.shape


def test_people_who_come_with_a_history_have_it():
    people = UserSimulator(cycle_model(), arrivals=Prefixes(cycle_log().sequences(), min_length=2, max_length=5))
    solo, rng = SoloSimulator(people), CounterRng(0)
    for key in range(10):
        state, _ = people.reset(np.array([key]), rng=rng)
        solo.arrive(key, rng)
        np.testing.assert_allclose(solo.interest, people.model.interest(state.memory)[0].detach(), atol=1e-5)


def test_extreme_weights_do_not_overflow():
    model = shop_model()
    with torch.no_grad():
        model.network.lstm.weight_hh_l0.mul_(1e4)
        model.network.end_head.bias.fill_(-1e4)
    people = UserSimulator(model)
    solo, rng = SoloSimulator(people), CounterRng(0)
    solo.arrive(0, rng)
    for _ in range(5):
        responses = solo.respond(np.array([1, 2]), rng)
    assert np.isfinite(responses.click_probs).all()
    assert 0 <= responses.leave_probs[0] < 1e-8


def test_only_what_it_knows_is_served_by_it():
    assert can_be_solo(UserSimulator(cycle_model()))
    for model in (MarkovModel.fit(cycle_log()), EnsembleModel([cycle_model(), cycle_model(1)]), shop_model(cell="gru")):
        assert not can_be_solo(UserSimulator(model))
    assert not can_be_solo(UserSimulator(shop_model(layer_norm=True)))
    assert Alone.suits(make_vec(cycle_model()))
    blocked = np.arange(N_ITEMS) == 1
    for options in (
        {"hide_seen": True},
        {"blocked": blocked},
        {"observer": cycle_model(1)},
        {"observation": ("mask",)},
    ):
        assert not Alone.suits(make_vec(cycle_model(), **options))


@pytest.mark.parametrize("observation", [("interest",), ("history",)])
def test_the_population_goes_on_and_users_can_be_asked_for(observation):
    env = RecommendationEnv(cycle_model(), observation=observation, seed=3)
    met = []
    for _ in range(4):
        met.append(env.reset()[1]["user"])
        over = False
        while not over:
            over = any(env.step(0)[2:4])
    assert met == [0, 1, 2, 3]
    assert env.reset(options={"user": 17})[1] == {"user": 17}
    asked = env.reset(seed=3, options={"user": 17})[0]
    rows, _ = RecommendationVectorEnv(cycle_model(), 1, observation=observation).reset(
        seed=3, options={"users": np.array([17])}
    )
    np.testing.assert_allclose(asked, rows[0], atol=1e-5)
