"""What we put on sb3-contrib: masks in bits, each row its own, and a sentence where the package is missing."""

import sys

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rlrec.agents.config import MaskablePPOConfig, QRDQNConfig
from rlrec.agents.exploration import random_actions
from rlrec.agents.q_networks import ResidualQNetwork, ResidualQuantileNetwork
from rlrec.agents.sb3 import SB3VecEnv
from rlrec.agents.training import train_agent
from rlrec.core.errors import MissingExtraError
from rlrec.envs.vector import make_vec
from tests.small import N_ITEMS, cycle_log, cycle_model


def test_masks_in_bits_are_contribs_masks_in_floats():
    contrib = pytest.importorskip("sb3_contrib.common.maskable.buffers")
    from rlrec.agents.masked_buffers import BitMaskBuffer

    shape = {"observation_space": spaces.Box(-1, 1, (3,)), "action_space": spaces.Discrete(11), "n_envs": 2}
    rng = np.random.default_rng(0)
    buffers = [kind(4, device="cpu", **shape) for kind in (BitMaskBuffer, contrib.MaskableRolloutBuffer)]
    for _ in range(4):
        masks = rng.random((2, 11)) < 0.5
        step = (rng.random((2, 3)), rng.integers(11, size=(2, 1)), rng.random(2), np.zeros(2))
        for buffer in buffers:
            buffer.add(*step, torch.zeros(2), torch.zeros(2), action_masks=masks)
    drawn = []
    for buffer in buffers:
        np.random.seed(0)  # noqa: NPY002
        drawn.append(list(buffer.get(3)))
    for bits, floats in zip(*drawn, strict=True):
        assert bits.action_masks.dtype == torch.bool
        assert torch.equal(bits.action_masks.float(), floats.action_masks)
        assert torch.equal(bits.actions, floats.actions)
        assert torch.equal(bits.observations, floats.observations)


def test_a_buffer_of_4096_steps_over_10000_items_keeps_5_mb_of_masks():
    pytest.importorskip("sb3_contrib")
    from rlrec.agents.masked_buffers import BitMaskBuffer

    buffer = BitMaskBuffer(16, spaces.Box(-1, 1, (3,)), spaces.Discrete(10_000), "cpu", n_envs=256)
    assert buffer.action_masks.nbytes == 4_096 * 1_250


def test_masks_need_not_be_seen_by_the_agent():
    pytest.importorskip("sb3_contrib")
    blocked = np.arange(N_ITEMS) % 2 == 0
    for slate_size in (1, 2):
        env = make_vec(cycle_model(), num_envs=8, blocked=blocked, hide_seen=True, slate_size=slate_size)
        config = MaskablePPOConfig(total_steps=256, n_steps=8, batch_size=32, n_epochs=1)
        train_agent(env, config, show_progress=False)  # the environment refuses masked items


def test_each_row_is_asked_for_its_own_mask():
    env = SB3VecEnv(make_vec(cycle_model(), num_envs=4, hide_seen=True))
    env.reset()
    env.step(np.array([0, 1, 2, 3]))
    assert np.array_equal(np.stack(env.env_method("action_masks")), env.env.action_masks())


def test_exploring_is_uniform_over_what_a_row_may_be_shown():
    masks = np.array([[0, 1, 0, 1, 1, 0], [1, 0, 0, 0, 0, 0]], np.int8)
    observation = {"mask": np.repeat(masks, 3_000, axis=0)}
    np.random.seed(0)  # noqa: NPY002
    actions = random_actions(observation, 6)
    assert (actions[3_000:] == 0).all()
    counts = np.bincount(actions[:3_000], minlength=6)
    assert counts[[0, 2, 5]].tolist() == [0, 0, 0]
    assert np.abs(counts[[1, 3, 4]] - 1_000).max() < 100  # four standard deviations
    free = random_actions(np.zeros((6_000, 2)), 6)
    assert np.abs(np.bincount(free) - 1_000).max() < 120


def test_quantiles_start_as_the_user_model_and_their_mean_is_q():
    interests = torch.from_numpy(cycle_model().interests(cycle_log().sequences()))
    sizes = {"temperature": 0.1, "rank": 4, "hidden_size": 8}
    network = ResidualQuantileNetwork(cycle_model(), n_quantiles=5, **sizes)
    plain = ResidualQNetwork(cycle_model(), **sizes)
    with torch.no_grad():
        quantiles = network.quantiles(interests)
        assert quantiles.shape == (len(interests), 5, N_ITEMS)
        torch.testing.assert_close(network.q_values(interests), quantiles.mean(1))
        assert torch.equal(network.q_values(interests).argmax(1), plain.q_values(interests).argmax(1))


@pytest.mark.parametrize(
    ("config", "name"), [(MaskablePPOConfig(total_steps=8), "MaskablePPO"), (QRDQNConfig(total_steps=8), "QR-DQN")]
)
def test_without_the_package_there_is_a_sentence(config, name, monkeypatch):
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    monkeypatch.delitem(sys.modules, "rlrec.agents.contrib", raising=False)
    with pytest.raises(MissingExtraError) as caught:
        train_agent(make_vec(cycle_model(), num_envs=4), config, show_progress=False)
    assert str(caught.value) == (
        f"{name} needs the package 'sb3-contrib'; install it with: pip install 'rlrec[contrib]'"
    )
