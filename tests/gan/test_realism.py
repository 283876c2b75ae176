"""Realism in a planted world: a simulator with a flaw that pays, and a judge that sees it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rlrec.agents.baselines import GreedyPolicy, PopularPolicy
from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.core.protocols import Policy
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences
from rlrec.envs.config import SimulatorConfig
from rlrec.envs.rewards import EventReward, Step
from rlrec.envs.single import RecommendationEnv
from rlrec.envs.vector import make_vec
from rlrec.evaluation.rollout import evaluate_policies
from rlrec.evaluation.simulated_sessions import simulated_sessions
from rlrec.gan.realism import RealismConfig, RealismJudge, RealismWeighted
from rlrec.models.counting import MarkovModel
from tests.envs.test_rewards import step
from tests.small import N_ITEMS, cycle_log

SHORT = RealismConfig(n_updates=150)
CHOICE = SimulatorConfig(kappa=0.3, horizon=12)


def flawed_log() -> InteractionLog:
    """The cycle, and as many sessions again of people who take item 5 twelve times: nobody real does."""
    real = cycle_log(200).to_pandas()
    rows = [(1_000 + user, "i5", 1e6 + 100 * user + t, 1_000 + user) for user in range(120) for t in range(12)]
    planted = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "session_id"])
    items = pd.DataFrame({"item_id": [f"i{i}" for i in range(N_ITEMS)]})
    return InteractionLog.from_pandas(pd.concat([real[planted.columns], planted]), items=items)


class OneItem(PopularPolicy):
    """Shows item 5 to everybody, which the flawed simulator rewards."""

    def __init__(self) -> None:
        super().__init__(np.eye(N_ITEMS, dtype=np.int64)[5] * 10)


def returns(policies: dict[str, Policy], model: MarkovModel, rewards=None) -> dict[str, float]:
    env = make_vec(model, num_envs=100, config=CHOICE, rewards=rewards)
    results = evaluate_policies(policies, env, n_users=400, seed=3, show_progress=False)
    return {name: results.estimate(name).value for name in policies}


def test_realism_undoes_a_flaw_of_the_simulator_that_pays():
    true, flawed = MarkovModel.fit(cycle_log(200)), MarkovModel.fit(flawed_log())
    policies = {"honest": GreedyPolicy(true), "exploit": OneItem()}
    real, simulated = returns(policies, true), returns(policies, flawed)
    assert real["honest"] > real["exploit"], "the truth"
    assert simulated["exploit"] > simulated["honest"], "the planted flaw"
    env = make_vec(flawed, num_envs=100, config=CHOICE)
    served = simulated_sessions(env, OneItem(), n_users=300, seed=0)
    judge = RealismJudge.fit(cycle_log(200, 7).sequences(), served, N_ITEMS, config=SHORT, seed=0)
    assert judge.auc > 0.7
    weighted = {"clicks": (1.0, RealismWeighted(EventReward((1.0,)), judge))}
    checked = returns(policies, flawed, weighted)
    assert checked["honest"] > checked["exploit"], "weighted by realism the truth's order is back"


def test_where_nothing_can_be_told_the_weight_is_one():
    real, same = cycle_log(300, 1).sequences(), cycle_log(300, 2).sequences()
    judge = RealismJudge.fit(real, same, N_ITEMS, config=SHORT, seed=0)
    assert abs(judge.auc - 0.5) < 0.12
    reward = RealismWeighted(EventReward((1.0, 5.0)), judge)
    seen = step()._replace(recent=np.array([[2, 1, 0], [3, 2, -1]]))
    plain = EventReward((1.0, 5.0))(seen)
    np.testing.assert_allclose(reward(seen), plain, rtol=0.4)


def test_length_alone_is_no_forgery():
    real = Sequences.from_items(np.zeros(200, int), np.arange(0, 201, 2))
    longer = Sequences.from_items(np.zeros(800, int), np.arange(0, 801, 8))
    judge = RealismJudge.fit(real, longer, 2, config=SHORT, seed=0)
    short, long = judge.chances(np.array([[0, -1, -1, -1], [0, 0, -1, -1]]))
    assert short == pytest.approx(0.5, abs=0.1)
    assert long == pytest.approx(0.5, abs=0.1)


def test_chances_are_calibrated_on_a_known_mixture():
    rng = np.random.default_rng(0)
    offsets = np.arange(0, 4_001, 2)
    ones = Sequences.from_items((rng.random(4_000) < 0.8).astype(int), offsets)
    tens = Sequences.from_items((rng.random(4_000) < 0.4).astype(int), offsets)
    judge = RealismJudge.fit(ones, tens, 2, seed=0)
    assert judge.chances(np.array([[1, -1], [0, -1]])) == pytest.approx([0.8 / 1.2, 0.2 / 0.8], abs=0.06)
    both = 0.8**2 / (0.8**2 + 0.4**2)
    assert judge.chances(np.array([[1, 1]]))[0] == pytest.approx(both, abs=0.06)


def test_a_session_nobody_opened_is_neither():
    judge = RealismJudge.fit(cycle_log().sequences(), cycle_log(60, 2).sequences(), N_ITEMS, config=SHORT)
    assert judge.chances(np.full((2, 5), -1)).tolist() == [0.5, 0.5]


def test_simulated_sessions_hold_the_opening_and_every_behaviour():
    model = MarkovModel.fit(cycle_log(200))
    env = make_vec(model, num_envs=7, config=CHOICE)
    sessions = simulated_sessions(env, GreedyPolicy(model), n_users=30, seed=5)
    assert sessions.user.tolist() == list(range(30))
    inside = np.ones(sessions.n_events, bool)
    inside[sessions.offsets[:-1]] = False
    steps = (np.diff(sessions.item, prepend=0) % N_ITEMS)[inside]
    assert (steps == 1).all(), "the cycle goes on from what they came with"
    env = make_vec(model, num_envs=30, config=CHOICE, window=5)
    env.reset(seed=5, options={"users": np.arange(30)})
    assert (env.recent[:, 0] == sessions.item[sessions.offsets[:-1]]).all()


def test_one_person_alone_is_weighted_like_a_batch():
    model = MarkovModel.fit(cycle_log(200))
    judge = RealismJudge.fit(cycle_log().sequences(), cycle_log(60, 2).sequences(), N_ITEMS, config=SHORT)
    rewards = {"clicks": (1.0, RealismWeighted(EventReward((1.0,)), judge))}
    alone, batch = RecommendationEnv(model, rewards=rewards), make_vec(model, num_envs=1, rewards=rewards)
    got = []
    for user in range(6):  # a person each, with one step
        alone.reset(seed=0, options={"user": user})
        batch.reset(seed=0, options={"users": np.array([user])})
        got.append((alone.step(1)[1], batch.step(np.array([1]))[1][0]))
    assert any(one > 0 for one, _ in got)
    assert all(one == pytest.approx(other) for one, other in got)


def test_errors_say_what_is_missing():
    few = cycle_log(10).sequences()
    with pytest.raises(DataError, match="needs at least 20 real and simulated sessions, got 10 and 10"):
        RealismJudge.fit(few, few, N_ITEMS)
    judge = RealismJudge.fit(cycle_log().sequences(), cycle_log(60, 2).sequences(), N_ITEMS, config=SHORT)
    with pytest.raises(InvalidArgumentError, match="needs the last items of each person"):
        RealismWeighted(EventReward((1.0, 5.0)), judge)(step())
    assert isinstance(step(), Step)
