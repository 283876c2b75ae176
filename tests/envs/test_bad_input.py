"""Every bad input gets its sentence, from the vector environment and from the single one."""

import numpy as np
import pytest

from rlrec.core.errors import InvalidArgumentError, InvalidSlateError, NotReadyError
from rlrec.envs.config import SimulatorConfig
from rlrec.envs.single import RecommendationEnv
from rlrec.envs.vector import make_vec
from tests.small import cycle_model

BAD_ACTIONS = [
    (np.zeros(3, int), 1, r"actions must be an integer array of shape \(4,\).* got int64 \(3,\)"),
    (np.zeros(4), 1, r"got float64 \(4,\); pass item indices from catalog.index_of\(ids\)"),
    (np.full(4, np.nan), 1, r"got float64 \(4,\)"),
    (np.full(4, 6), 1, r"slates must hold item indices in 0\.\.5, got 6"),
    (np.full(4, -1), 1, r"slates must hold item indices in 0\.\.5, got -1"),
    (np.zeros((4, 2), int), 2, r"a slate must not show an item twice, row 0 is \[0, 0\]"),
    (np.zeros((4, 3), int), 2, r"of shape \(4, 2\) \(num_envs=4, slate_size=2\), got int64 \(4, 3\)"),
]


@pytest.mark.parametrize(("actions", "slate_size", "sentence"), BAD_ACTIONS)
def test_bad_actions_get_a_sentence(actions, slate_size, sentence):
    env = make_vec(cycle_model(), num_envs=4, slate_size=slate_size)
    env.reset(seed=0)
    with pytest.raises(InvalidSlateError, match=sentence):
        env.step(actions)


BAD_SINGLE_ACTIONS = [
    (np.array([0]), 1, r"actions must be an integer array of shape \(1,\).* got int64 \(1, 1\)"),
    (1.0, 1, r"got float64 \(1,\); pass item indices"),
    (float("nan"), 1, r"got float64 \(1,\)"),
    (6, 1, r"slates must hold item indices in 0\.\.5, got 6"),
    (-1, 1, r"slates must hold item indices in 0\.\.5, got -1"),
    (np.array([0, 0]), 2, r"a slate must not show an item twice, row 0 is \[0, 0\]"),
    (np.array([0, 1, 2]), 2, r"of shape \(1, 2\).* got int64 \(1, 3\)"),
    (0, 2, r"of shape \(1, 2\).* got int64 \(1,\)"),
]


@pytest.mark.parametrize("observation", [("interest",), ("history",)])
@pytest.mark.parametrize(("action", "slate_size", "sentence"), BAD_SINGLE_ACTIONS)
def test_bad_actions_of_one_user_get_a_sentence(action, slate_size, sentence, observation):
    env = RecommendationEnv(cycle_model(), slate_size=slate_size, observation=observation)
    env.reset(seed=0)
    with pytest.raises(InvalidSlateError, match=sentence):
        env.step(action)


BAD_OPTIONS = [
    ({"num_envs": 0}, "num_envs must be at least 1, got 0"),
    ({"window": 0}, "window must be at least 1, got 0"),
    ({"slate_size": 7}, r"slate_size must lie in 1\.\.6 \(the catalogue\), got 7"),
    ({"slate_size": 0}, r"slate_size must lie in 1\.\.6"),
    ({"observation": ("mood",)}, r"observation must name different parts of interest, .* got \('mood',\)"),
    ({"observation": ()}, "observation must name different parts"),
    ({"observation": ("mask", "mask")}, "observation must name different parts"),
    ({"observation": ("candidates",)}, "there is no retriever to propose them"),
]


@pytest.mark.parametrize(("options", "sentence"), BAD_OPTIONS)
def test_bad_options_get_a_sentence(options, sentence):
    with pytest.raises(InvalidArgumentError, match=sentence):
        make_vec(cycle_model(), **({"num_envs": 2} | options))


BAD_RESETS = [
    ({"seed": [1, 2]}, "seed must be one integer: users have their own streams"),
    ({"options": {"users": np.array([1])}}, r"must be an integer array of shape \(2,\), got int64 \(1,\)"),
    ({"options": {"users": np.array([1.0, 2.0])}}, r"got float64 \(2,\)"),
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD_RESETS)
def test_bad_resets_get_a_sentence(arguments, sentence):
    with pytest.raises(InvalidArgumentError, match=sentence):
        make_vec(cycle_model(), num_envs=2).reset(**arguments)


BAD_CONFIGS = [
    {"kappa": 0.0},
    {"kappa": 1.5},
    {"kappa": float("nan")},
    {"organic_rate": -0.1},
    {"impatience": -1.0},
    {"max_streak": -1},
    {"horizon": 0},
    {"n_sampled_items": 1},
    {"satiation": -0.5},
    {"satiation": float("nan")},
    {"satiation_decay": 0.0},
    {"horizon_days": 0.0},
    {"horizon_days": float("nan")},
    {"episode": "life"},
]


@pytest.mark.parametrize("settings", BAD_CONFIGS, ids=str)
def test_bad_settings_are_refused_by_name(settings):
    with pytest.raises(InvalidArgumentError, match=next(iter(settings))):
        SimulatorConfig(**settings)


@pytest.mark.parametrize("observation", [("interest",), ("history",)])
def test_a_step_after_the_end_gets_a_sentence(observation):
    env = RecommendationEnv(cycle_model(), config=SimulatorConfig(horizon=1), observation=observation)
    env.reset(seed=0)
    env.step(0)
    with pytest.raises(NotReadyError, match=r"the episode is over or never began; call reset\(\) before step\(\)"):
        env.step(0)
