"""Several models as one: each person follows one member, all watch, and disagreement is theirs."""

import numpy as np
import pytest
import torch

from rlrec.core.errors import ArtifactError, InvalidArgumentError
from rlrec.core.random import CounterRng
from rlrec.envs.choice import click_probs
from rlrec.envs.ensemble import EnsembleModel
from rlrec.envs.rewards import Doubt, EventReward
from rlrec.envs.simulator import UserSimulator
from rlrec.envs.vector import RecommendationVectorEnv
from rlrec.models.counting import MarkovModel
from tests.small import N_ITEMS, cycle_log, cycle_model


def ensemble() -> EnsembleModel:
    return EnsembleModel([cycle_model(), cycle_model(1), MarkovModel.fit(cycle_log())])


def test_each_person_behaves_as_its_own_member():
    model, rng, keys = ensemble(), CounterRng(0), np.arange(60)
    crowd = UserSimulator(model)
    state, _ = crowd.reset(keys, rng=rng)
    member = state.memory.tensors[0].numpy()
    assert set(member.tolist()) == {0, 1, 2}
    slates = (keys % N_ITEMS)[:, None]
    got, after = crowd.respond(state, slates, rng=rng)
    parts = model.split(state.memory)
    for number, own in enumerate(model.members):
        mine = member == number
        probs = own.heads(parts[number]).item_log_probs_of(torch.from_numpy(slates)).detach().double().exp()
        expected = click_probs(probs, crowd.config.kappa).numpy()
        np.testing.assert_allclose(got.click_probs[mine], expected[mine], atol=1e-6)
    assert after.memory.tensors[0].tolist() == member.tolist()


def test_disagreement_is_the_members_standard_deviation():
    model, rng = ensemble(), CounterRng(0)
    simulator = UserSimulator(model)
    state, _ = simulator.reset(np.arange(10), rng=rng)
    slates = np.zeros((10, 1), int)
    got, _ = simulator.respond(state, slates, rng=rng)
    each = [
        click_probs(own.heads(part).item_log_probs_of(torch.from_numpy(slates)).detach().double().exp(), 0.1).numpy()
        for own, part in zip(model.members, model.split(state.memory), strict=True)
    ]
    np.testing.assert_allclose(got.disagreement, np.std(np.concatenate(each, axis=1), axis=1), atol=1e-6)
    assert got.disagreement.max() > 0


def test_twins_agree_and_pessimism_costs_the_doubt():
    twins = EnsembleModel([cycle_model(), cycle_model()])
    env = RecommendationVectorEnv(twins, 8)
    env.reset(seed=0)
    assert env.step(np.zeros(8, int))[4]["disagreement"].max() < 1e-9
    terms = {"clicks": (1.0, EventReward((1.0,))), "doubt": (-2.0, Doubt())}
    env = RecommendationVectorEnv(ensemble(), 8, rewards=terms, observer=cycle_model())
    env.reset(seed=0)
    _, rewards, _, _, infos = env.step(np.zeros(8, int))
    np.testing.assert_allclose(rewards, (infos["clicked_item"] >= 0) - 2.0 * infos["disagreement"])


def test_scanning_equals_stepping_and_it_is_not_saved(tmp_path):
    model = ensemble()
    heads = model.heads(model.encode(model.histories([[], ["i0"], ["i0", "i1", "i2"]])))
    assert heads.item_log_probs().shape == (3, N_ITEMS)
    torch.testing.assert_close(heads.item_log_probs().exp().sum(-1), torch.ones(3))
    with pytest.raises(ArtifactError, match="save its members"):
        model.save(tmp_path)
    with pytest.raises(InvalidArgumentError, match="at least 2 models, got 1"):
        EnsembleModel([cycle_model()])
