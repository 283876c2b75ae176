"""The policy gradient: log probabilities equal stepping, returns equal hand arithmetic, the gradient points right."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rlrec.gan.arms import Arm
from rlrec.gan.choosing import ItemChoice
from rlrec.gan.policy_gradient import decision_log_probs, discounted_returns, policy_loss
from rlrec.gan.sampling import generate_sequences
from rlrec.gan.sampling_config import SamplingConfig
from rlrec.models.base import BehaviourBatch
from tests.small import cycle_model


@torch.no_grad()
def stepped_log_probs(model, padded, row: int) -> tuple[list[float], list[float]]:
    """The same by stepping one sequence at a time."""
    batch = BehaviourBatch.from_padded(padded)
    state = model.initial_state(1)
    heads, choices, ends = model.heads(state), [], []
    for t in range(int(padded.length[row])):
        step = type(batch.at(t))(*(column[row : row + 1] for column in batch.at(t)))
        choice = heads.item_log_probs()[0, step.item[0]]
        if t:
            choice = choice + heads.gap_probs()[0, step.gap[0]].log()
        choices.append(float(choice))
        heads, state = model.step(step, state)
        last = t == padded.length[row] - 1
        if not last or padded.ended[row]:
            end = float(heads.end_probs()[0])
            ends.append(float(np.log(end if last else 1 - end)))
    return choices, ends


def test_log_probabilities_of_decisions_equal_stepping():
    model = cycle_model()
    sample = generate_sequences(model, 6, seed=1, max_length=5)
    assert not sample.ended.all(), "a cut sequence belongs to the test"
    padded = sample.pad(np.arange(6))
    decisions = decision_log_probs(model, padded, SamplingConfig())
    by_hand = [stepped_log_probs(model, padded, row) for row in range(6)]
    choices, ends = (np.concatenate([pair[i] for pair in by_hand]) for i in range(2))
    assert np.allclose(decisions.choice.detach(), choices, atol=1e-5)
    assert np.allclose(decisions.going_on.detach(), ends, atol=1e-5)


@torch.no_grad()
def test_log_probabilities_under_the_knobs_are_those_that_sampling_used():
    model = cycle_model()
    knobs = SamplingConfig(temperature=1.4, first_temperature=0.7, repeat_factor=0.25, immediate_factor=3.0)
    padded = generate_sequences(model, 5, seed=1, max_length=12, sampling=knobs).pad(np.arange(5))
    batch = BehaviourBatch.from_padded(padded)
    by_hand = []
    for row in range(5):
        choice, state = ItemChoice(knobs, model.n_items, 1, model.device), model.initial_state(1)
        heads = model.heads(state)
        for t in range(int(padded.length[row])):
            step = type(batch.at(t))(*(column[row : row + 1] for column in batch.at(t)))
            weights = choice.weights(heads.item_log_probs())[0]
            by_hand.append(float((weights[step.item[0]] / weights.sum()).log()))
            if t:
                by_hand[-1] += float(heads.gap_probs()[0, step.gap[0]].log())
            choice.took(step.item)
            heads, state = model.step(step, state)
    assert np.allclose(decision_log_probs(model, padded, knobs).choice, by_hand, atol=1e-5)


def test_returns_by_hand():
    returns = discounted_returns(torch.tensor([[1.0, 2.0, 4.0]]), 0.5)
    assert returns.tolist() == [[1 + 0.5 * (2 + 0.5 * 4), 2 + 0.5 * 4, 4]]


@pytest.mark.parametrize("wanted", ["short", "long"])
def test_reward_for_the_end_shortens_and_for_the_rest_lengthens(wanted):
    arm = Arm.start(cycle_model(), 3e-3)
    before = generate_sequences(arm.model, 400, seed=5, max_length=30).lengths.mean()
    for round_ in range(25):
        sample = generate_sequences(arm.model, 64, seed=round_, max_length=30)
        padded = sample.pad(np.arange(64))
        rewards = torch.zeros(64, padded.item.shape[1] + 1)
        rewards[torch.arange(64), torch.from_numpy(padded.length)] = 1.0 if wanted == "short" else -1.0
        arm.step(policy_loss(arm.model, padded, rewards, gamma=0.5), clip_norm=5.0)
    after = generate_sequences(arm.model, 400, seed=5, max_length=30).lengths.mean()
    assert after < 0.8 * before if wanted == "short" else after > 1.25 * before
