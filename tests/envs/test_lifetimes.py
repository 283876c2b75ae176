"""Lifetimes: visits end and people come back as the gap head says, and days add up to the horizon."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import chisquare

from rlrec.agents.baselines import PopularPolicy
from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.core.random import CounterRng
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import N_GAPS, gap_bucket
from rlrec.envs.config import SimulatorConfig
from rlrec.envs.endings import come_back
from rlrec.envs.returns import DAY, GapHead, LogReturns
from rlrec.envs.rewards import EventReward, ReturnSoon
from rlrec.envs.simulator import UserSimulator
from rlrec.envs.single import RecommendationEnv
from rlrec.envs.vector import RecommendationVectorEnv, make_vec
from rlrec.evaluation.collect import collect
from rlrec.models.counting import MarkovModel
from rlrec.testing.vector_env import check_vector_env
from tests.small import N_ITEMS, cycle_log, cycle_model

LIFETIME = SimulatorConfig(episode="lifetime", horizon_days=10.0, impatience=0.0)


def visits_log() -> InteractionLog:
    """Whole histories: visits of three clicks, two days apart."""
    rows = []
    for user in range(60):
        time = 1000.0 * user
        for visit in range(4):
            rows += [(user, f"i{(user + visit + t) % N_ITEMS}", time + 2 * t) for t in range(3)]
            time += 2 * DAY
    return InteractionLog.from_pandas(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]))


def histories_model() -> MarkovModel:
    return MarkovModel.fit(visits_log())


def simple_returns(never: float = 0.2) -> LogReturns:
    weights = np.zeros(N_GAPS)
    weights[gap_bucket(np.array([2 * DAY]))] = 1
    return LogReturns(weights, never)


def test_a_visit_ends_with_a_long_gap_or_the_history():
    heads = histories_model().heads(histories_model().encode(histories_model().histories([["i0"], ["i1", "i2"]])))
    end, long = heads.end_probs().double(), heads.gap_probs()[..., GapHead().n_gaps :].double().sum(-1)
    torch.testing.assert_close(GapHead().hazard(heads), end + (1 - end) * long)
    assert GapHead(1_800.0).n_gaps == gap_bucket(np.array([3_600.0]))[0]


def test_times_away_are_drawn_as_the_gap_head_says():
    model, n = histories_model(), 40_000
    heads = model.heads(model.encode(model.histories([["i0", "i1"]])).select(torch.zeros(n, dtype=torch.int64)))
    days = GapHead().seconds(heads, np.random.default_rng(0).random((n, 2))) / DAY
    end = heads.end_probs()[0].item()
    assert np.isinf(days).mean() == pytest.approx(end / GapHead().hazard(heads)[0].item(), abs=0.01)
    back = days[np.isfinite(days)]
    tail = heads.gap_probs()[0, GapHead().n_gaps :].double().numpy()
    observed = np.bincount(gap_bucket(back * DAY) - GapHead().n_gaps, minlength=len(tail))
    likely = tail * len(back) / tail.sum() > 5
    expected = tail[likely] / tail[likely].sum() * observed[likely].sum()
    assert likely.sum() == 1 or chisquare(observed[likely], expected).pvalue > 0.001
    assert np.median(back) == pytest.approx(np.sqrt(1 * 3), rel=0.1), "two days lie in the bucket from one to three"


def test_a_logs_returns_are_counted():
    rows = [("a", 0.0, 1), ("a", 10.0, 1), ("a", 2 * DAY, 2), ("b", 0.0, 3), ("c", 89 * DAY, 4), ("d", 90 * DAY, 5)]
    frame = pd.DataFrame(rows, columns=["user_id", "timestamp", "session_id"]).assign(item_id="x")
    got = LogReturns.of(InteractionLog.from_pandas(frame))
    assert got.never == pytest.approx(2 / 3), "a's second and b's only visit were the last; of c and d nobody knows"
    assert got.weights[gap_bucket(np.array([2 * DAY - 10]))[0]] == 1
    days = got.seconds(None, np.random.default_rng(0).random((9_000, 2))) / DAY
    assert np.isinf(days).mean() == pytest.approx(2 / 3, abs=0.02)
    assert ((days[np.isfinite(days)] > 1) & (days[np.isfinite(days)] < 3)).all()
    with pytest.raises(DataError, match="nobody in the log has two sessions"):
        LogReturns.of(cycle_log())
    with pytest.raises(DataError, match="no sessions to return to; its models read whole histories, so use GapHead"):
        LogReturns.of(visits_log())


@pytest.mark.parametrize("returns", [None, simple_returns()])
def test_days_add_up_and_end_the_episode(returns):
    model = histories_model() if returns is None else cycle_model()
    env = RecommendationVectorEnv(UserSimulator(model, LIFETIME, returns=returns), 64)
    env.reset(seed=0)
    day, visit = np.zeros(64), np.zeros(64, int)
    n_cut = n_lost = n_back = 0
    for step in range(60):
        _, _, terminated, truncated, infos = env.step(np.full(64, step % N_ITEMS))
        away, over = infos["days_away"], terminated | truncated
        assert np.array_equal(terminated, np.isposinf(away))
        assert np.array_equal(truncated, np.isfinite(away) & (day + away > 10))
        day = np.where(over, 0, day + np.where(np.isfinite(away), away, 0))
        visit = np.where(over, 0, visit + np.isfinite(away))
        np.testing.assert_allclose(infos["day"], day)
        assert np.array_equal(infos["visit"], visit)
        n_cut, n_lost, n_back = n_cut + truncated.sum(), n_lost + terminated.sum(), n_back + (visit > 0).sum()
    assert min(n_cut, n_lost, n_back) > 5


def test_who_comes_back_starts_afresh_where_models_know_sessions_only():
    simulator = UserSimulator(cycle_model(), LIFETIME, returns=simple_returns(never=0.0))
    env = RecommendationVectorEnv(simulator, 32, observation=("interest", "history"))
    env.reset(seed=0)
    back = 0
    for step in range(20):
        observation, _, terminated, truncated, infos = env.step(np.full(32, step % N_ITEMS))
        for row in np.flatnonzero(np.isfinite(infos["days_away"]) & ~terminated & ~truncated):
            last = observation["history"][row, 0] - 1
            own = cycle_model().encode(cycle_model().histories([[f"i{last}"]]))
            np.testing.assert_allclose(observation["interest"][row], cycle_model().interest(own)[0].detach(), atol=1e-5)
            assert (observation["history"][row] > 0).sum() > 1, "what is known of a user is kept"
            back += 1
    assert back > 10


def test_who_comes_back_goes_on_where_the_model_knows_histories():
    simulator, rng = UserSimulator(histories_model(), LIFETIME), CounterRng(1)
    state, _ = simulator.reset(np.arange(20), rng=rng)
    days, back, opening = come_back(simulator, state, rng=rng)
    assert np.isfinite(days).any()
    assert (opening.length == 1).all()
    expected = simulator.model.read(opening, state.memory)
    for mine, theirs in zip(back.memory.tensors, expected.tensors, strict=True):
        torch.testing.assert_close(mine, theirs)
    assert (back.visit == 1).all()
    finite = np.isfinite(days)
    assert np.array_equal(opening.gap[:, 0].numpy()[finite], gap_bucket(days[finite] * DAY))


def test_gaps_within_a_visit_are_short():
    env = RecommendationVectorEnv(UserSimulator(histories_model(), LIFETIME), 32)
    env.reset(seed=0)
    gaps = np.concatenate([env.step(np.zeros(32, int))[4]["gap"] for _ in range(20)])
    assert gaps.max() < GapHead().n_gaps


@pytest.mark.parametrize("observer", [None, "markov"])
def test_a_user_depends_on_nobody_else(observer):
    people = UserSimulator(cycle_model(), LIFETIME, returns=simple_returns())
    watcher = None if observer is None else MarkovModel.fit(cycle_log())
    env = RecommendationVectorEnv(people, 4, observer=watcher, hide_seen=False)
    check_vector_env(env, n_steps=80)


def test_logs_of_lifetimes_can_be_collected():
    env = RecommendationVectorEnv(UserSimulator(cycle_model(), LIFETIME, returns=simple_returns()), 8)
    episodes = collect(env, PopularPolicy(cycle_log().item_counts), n_users=30)
    session = collect(make_vec(cycle_model(), num_envs=8), PopularPolicy(cycle_log().item_counts), n_users=30)
    assert episodes.lengths.mean() > 1.5 * session.lengths.mean()
    assert 0 < episodes.terminated.mean() < 1


def test_coming_back_soon_is_a_reward():
    terms = {"clicks": (1.0, EventReward((1.0,))), "soon": (2.0, ReturnSoon(scale_days=2.0))}
    env = RecommendationVectorEnv(UserSimulator(cycle_model(), LIFETIME, returns=simple_returns()), 64, rewards=terms)
    env.reset(seed=0)
    for _ in range(5):
        _, rewards, _, _, infos = env.step(np.zeros(64, int))
        away, soon = infos["days_away"], infos["reward_terms"][:, 1]
        assert (soon[np.isnan(away)] == 0).all()
        assert (soon[np.isposinf(away)] == 0).all()
        back = np.isfinite(away)
        np.testing.assert_allclose(soon[back], 2 / (2 + away[back]))
        np.testing.assert_allclose(rewards, infos["reward_terms"] @ [1.0, 2.0])
    plain = make_vec(cycle_model(), num_envs=2, rewards=terms)
    plain.reset(seed=0)
    with pytest.raises(InvalidArgumentError, match="ReturnSoon needs users who come back"):
        plain.step(np.zeros(2, int))


def test_the_single_environment_and_sentences():
    env = RecommendationEnv(UserSimulator(cycle_model(), LIFETIME, returns=simple_returns()))
    env.reset(seed=0)
    over, infos = False, []
    while not over:
        *_, terminated, truncated, info = env.step(0)
        over = terminated or truncated
        infos.append(info)
    assert {"days_away", "visit", "day"} <= set(infos[0])
    assert not np.isnan(infos[-1]["days_away"])
    with pytest.raises(InvalidArgumentError, match=r"fitted on single sessions; pass returns=LogReturns\.of\(log\)"):
        UserSimulator(MarkovModel.fit(cycle_log()), LIFETIME)
    with pytest.raises(InvalidArgumentError, match="episode must be one of"):
        SimulatorConfig(episode="life")
