"""What is kept of a training: the start unless something is surely better, and training itself is not touched."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlrec.agents.baselines import GreedyPolicy
from rlrec.agents.config import A2CConfig, DQNConfig, PPOConfig, SlateQConfig
from rlrec.agents.judge import Judge
from rlrec.agents.training import train_agent
from rlrec.core.errors import CollapseError, InvalidArgumentError
from rlrec.core.progress import read_metrics
from rlrec.envs.config import SimulatorConfig
from rlrec.envs.rewards import EventReward
from rlrec.envs.vector import make_vec
from rlrec.evaluation.rollout import evaluate_policies
from rlrec.models.config import LSTMConfig
from rlrec.models.counting import MarkovModel
from rlrec.models.lstm import LSTMModel
from tests.small import cycle_log, cycle_model

TINY = PPOConfig(total_steps=1_024, n_steps=16, batch_size=64, n_epochs=1)


def people(slate_size: int = 1):
    return make_vec(cycle_model(), num_envs=16, slate_size=slate_size)


def curve(folder) -> list[dict[str, float]]:
    return [*read_metrics(folder / "metrics.jsonl")]


def test_the_training_goes_on_as_if_nobody_looked(tmp_path):
    train_agent(people(), TINY, folder=tmp_path / "alone", show_progress=False)
    judge = Judge(people(), n_checks=3, n_users=40)
    train_agent(people(), TINY, folder=tmp_path / "judged", judge=judge, show_progress=False)
    assert curve(tmp_path / "alone") == curve(tmp_path / "judged")
    assert len(judge.checks) == 4


def test_an_agent_that_learns_the_wrong_thing_gives_back_the_start():
    weights = SimulatorConfig().rewards_for(cycle_model().space.event_names)
    shunned = make_vec(cycle_model(), num_envs=16, rewards={"clicks": (-1.0, EventReward(weights))})
    judge = Judge(people(), n_checks=2, n_users=60)
    config = replace(TINY, total_steps=16_384, learning_rate=0.02, alpha_init=0.2)  # it tries what it does not prefer
    agent = train_agent(shunned, config, judge=judge, show_progress=False)
    assert judge.checks[-1].gain.high < 0
    assert judge.kept.step == 0
    interests = cycle_model().interests(cycle_log().sequences())
    greedy, _ = GreedyPolicy(cycle_model()).predict(interests, deterministic=True)
    assert np.array_equal(agent.predict(interests, deterministic=True)[0], greedy)


def test_the_better_one_is_kept_and_earns_what_its_check_says():
    unlearned = LSTMModel.fit(cycle_log(), config=LSTMConfig(n_epochs=1, learning_rate=1e-6), show_progress=False)
    env = make_vec(MarkovModel.fit(cycle_log()), num_envs=32, observer=unlearned)
    judge = Judge(env, n_checks=4, n_users=100, seed=9)
    agent = train_agent(env, replace(TINY, total_steps=16_384, learning_rate=0.01), judge=judge, show_progress=False)
    assert judge.kept.step > 0
    assert judge.kept.gain.low > 0
    found = evaluate_policies({"agent": agent}, env, n_users=100, seed=9, show_progress=False)
    assert found["agent"].return_.mean() == pytest.approx(judge.kept.return_)
    assert judge.kept.return_ == max(check.return_ for check in judge.checks if check.gain.low > 0)


@pytest.mark.parametrize(
    "config",
    [
        A2CConfig(total_steps=1_024),
        DQNConfig(total_steps=1_024, learning_starts=256),
        SlateQConfig(total_steps=1_024, learning_starts=256),
    ],
)
def test_every_way_of_training_is_judged_at_even_distances(config):
    slates = 2 if isinstance(config, SlateQConfig) else 1
    judge = Judge(people(slates), n_checks=4, n_users=20)
    train_agent(people(slates), config, judge=judge, show_progress=False)
    steps = [check.step for check in judge.checks]
    assert steps[0] == 0
    assert steps[-1] == 1_024
    assert steps == pytest.approx([0, 256, 512, 768, 1_024], abs=128)


def test_a_collapse_is_told_though_the_start_could_be_given_back():
    judge = Judge(people(2), n_checks=2, n_users=20)
    config = SlateQConfig(total_steps=1_024, learning_starts=256, learning_rate=1e25)
    with pytest.raises(CollapseError, match="SlateQ's weights are no longer finite"):
        train_agent(people(2), config, judge=judge, show_progress=False)


def test_a_judge_needs_people_and_checks():
    with pytest.raises(InvalidArgumentError, match="n_checks"):
        Judge(people(), n_checks=0)
    with pytest.raises(InvalidArgumentError, match="n_users"):
        Judge(people(), n_users=1)
