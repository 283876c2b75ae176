"""A ranking that holds, and one that turns round, in worlds whose order is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rlrec.agents.baselines import GreedyPolicy, PopularPolicy, RandomPolicy
from rlrec.core.errors import InvalidArgumentError
from rlrec.data.log import InteractionLog
from rlrec.envs.config import SimulatorConfig
from rlrec.envs.vector import make_vec
from rlrec.evaluation.policy_transfer import policy_transfer
from rlrec.models.counting import MarkovModel
from tests.small import N_ITEMS, cycle_log

CHOICE = SimulatorConfig(kappa=0.3, horizon=12)


def backwards() -> MarkovModel:
    """People who walk the cycle the other way."""
    frame = cycle_log(200).to_pandas()
    frame["item_id"] = [f"i{(N_ITEMS - int(item[1:])) % N_ITEMS}" for item in frame.item_id]
    items = pd.DataFrame({"item_id": [f"i{i}" for i in range(N_ITEMS)]})
    return MarkovModel.fit(InteractionLog.from_pandas(frame, items=items))


def test_the_order_holds_on_people_of_the_same_kind():
    model = MarkovModel.fit(cycle_log(200))
    policies = {"random": RandomPolicy(N_ITEMS), "greedy": GreedyPolicy(model)}
    home = make_vec(model, num_envs=50, config=CHOICE)
    away = make_vec(MarkovModel.fit(cycle_log(200, 5)), num_envs=50, config=CHOICE)
    found = policy_transfer(policies, home, away, n_users=200)
    assert (found.tau, found.flips) == (1.0, ())
    assert "no pair turns round; best first elsewhere: greedy, random" in found.sentence


def test_a_pair_that_turns_round_is_named():
    forth, back = MarkovModel.fit(cycle_log(200)), backwards()
    policies = {"forth": GreedyPolicy(forth), "popular": PopularPolicy(np.arange(N_ITEMS)), "back": GreedyPolicy(back)}
    rules = {"num_envs": 50, "config": CHOICE}
    found = policy_transfer(policies, make_vec(forth, **rules), make_vec(back, **rules), n_users=200)
    assert found.tau < 0
    flips = {(flip.better, flip.worse): flip for flip in found.flips}
    assert flips["forth", "back"].clear
    assert "forth over back turns round, clearly" in found.sentence
    plain = found.to_dict()
    assert plain["tau"] == found.tau
    assert {"better", "worse", "clear", "home", "elsewhere"} == set(plain["flips"][0])


def test_one_policy_is_no_ranking():
    env = make_vec(MarkovModel.fit(cycle_log()), num_envs=2)
    with pytest.raises(InvalidArgumentError, match="needs at least two policies, got random"):
        policy_transfer({"random": RandomPolicy(N_ITEMS)}, env, env)
