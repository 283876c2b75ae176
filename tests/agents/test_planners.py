"""Planners find the best plan of the model by enumeration, look ahead where greedy does not, and obey masks."""

import itertools

import numpy as np
import pytest
import torch

from rlrec.agents.planners import BeamPolicy, CEMPolicy, Lives, Planner
from rlrec.core.errors import InvalidArgumentError
from rlrec.core.protocols import StochasticPolicy
from rlrec.envs.vector import make_vec
from tests.small import N_ITEMS, cycle_model

PARTS = ("interest", "history")


def planner(kind: type[Planner], **settings) -> Planner:
    return kind(cycle_model(), n_candidates=N_ITEMS, **settings)


def observe(n: int = 5, **options):
    env = make_vec(cycle_model(), num_envs=n, observation=PARTS, **options)
    return env, env.reset(seed=4)[0]


def enumerated(policy: Planner, observation) -> np.ndarray:
    """Return the worth of the best plan for each first item, by trying all of them."""
    memory = policy._read(observation)
    n = memory.batch_size
    best = np.full((n, N_ITEMS), -np.inf)
    with torch.no_grad():
        for plan in itertools.product(range(N_ITEMS), repeat=policy.horizon):
            lives = Lives(memory, torch.ones(n).double(), torch.zeros(n).double())
            for item in plan:
                lives = policy.imagine(lives, torch.full((n,), item))
            best[:, plan[0]] = np.maximum(best[:, plan[0]], policy.prospects(lives).numpy())
    return best


def test_a_wide_beam_is_enumeration():
    policy = planner(BeamPolicy, horizon=3, width=N_ITEMS**2)
    _, observation = observe()
    found = policy.logits(observation) * policy.temperature
    np.testing.assert_allclose(found, enumerated(policy, observation), rtol=1e-5)


def test_a_narrow_beam_and_cem_find_nearly_the_best_plan():
    _, observation = observe()
    best = enumerated(planner(BeamPolicy, horizon=3), observation)
    for policy in (planner(BeamPolicy, horizon=3), planner(CEMPolicy, horizon=3, n_plans=200, n_rounds=3)):
        chosen, _ = policy.predict(observation, deterministic=True)
        assert (best[np.arange(5), chosen] > 0.97 * best.max(axis=1)).all()


def test_the_worth_of_one_step_by_hand():
    policy = planner(BeamPolicy, horizon=1, kappa=0.2)
    _, observation = observe(1)
    model, memory = cycle_model(), policy._read(observation)
    with torch.no_grad():
        heads = model.heads(memory)
        p = heads.item_log_probs()[0, 3].exp().item()
        q = p / (p + 0.2 * (1 - p))
        after, _ = model.step(policy._likeliest(memory, torch.tensor([3])), memory)
        stays = q * (1 - after.end_probs().item()) + (1 - q) * (1 - heads.end_probs().item())
        top = after.item_log_probs().max().exp().item()
        tail = top / (top + 0.2 * (1 - top)) / max(after.end_probs().item(), 0.02)
    assert policy.logits(observation)[0, 3].item() * 0.05 == pytest.approx(q + stays * tail, rel=1e-5)


def test_the_history_is_read_as_the_observer_reads_it():
    env, observation = observe()
    for _ in range(6):
        observation, *_ = env.step(np.zeros(5, int))
    policy = planner(BeamPolicy)
    read = policy._read(observation)
    with torch.no_grad():
        ours = cycle_model().heads(read).item_log_probs().exp()
        own = cycle_model().heads(env._visible.memory).item_log_probs().exp()
    assert float((ours - own).abs().max()) < 0.05  # they differ by the gaps, which a history does not tell


@pytest.mark.parametrize("kind", [BeamPolicy, CEMPolicy])
def test_masks_are_obeyed_and_probabilities_sum_to_one(kind):
    env = make_vec(cycle_model(), num_envs=8, hide_seen=True, slate_size=2, observation=(*PARTS, "mask_bits"))
    observation, _ = env.reset(seed=1)
    policy = kind(cycle_model(), 2, n_candidates=3, horizon=2)
    assert isinstance(policy, StochasticPolicy)
    for _ in range(5):
        probs = policy.action_probs(observation)
        np.testing.assert_allclose(probs.sum(1), 1.0)
        assert (probs[~env.action_masks()] == 0).all()
        observation, *_ = env.step(policy.predict(observation)[0])


def test_bad_input_gets_a_sentence():
    with pytest.raises(InvalidArgumentError, match="a planner acts on histories: make the environment with"):
        BeamPolicy(cycle_model(), n_candidates=2).predict(np.zeros((1, 16), np.float32))
    with pytest.raises(InvalidArgumentError, match="horizon must be at least 1"):
        BeamPolicy(cycle_model(), horizon=0, n_candidates=2)
    with pytest.raises(InvalidArgumentError, match="n_elite"):
        CEMPolicy(cycle_model(), n_candidates=2, n_plans=4, n_elite=5)
