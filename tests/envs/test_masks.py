"""What may be shown: never what is blocked or was touched, and always something."""

import numpy as np
import pytest

from rlrec.core.errors import InvalidArgumentError, InvalidSlateError, NotReadyError
from rlrec.envs.vector import make_vec
from tests.small import N_ITEMS, cycle_model


def test_what_was_touched_is_masked_until_the_user_leaves():
    env = make_vec(cycle_model(), num_envs=8, hide_seen=True, observation=("history", "mask"), window=50)
    observation, _ = env.reset(seed=0)
    for _ in range(15):
        mask = env.action_masks()
        assert np.array_equal(observation["mask"], mask)
        for row in range(8):
            touched = set((observation["history"][row][observation["history"][row] > 0] - 1).tolist())
            allowed = set(np.flatnonzero(mask[row]).tolist())
            assert allowed == (set(range(N_ITEMS)) - touched or set(range(N_ITEMS)))
        observation, *_ = env.step(mask.argmax(axis=1))


def test_blocked_items_are_refused_with_a_sentence():
    blocked = np.zeros(N_ITEMS, bool)
    blocked[2] = True
    env = make_vec(cycle_model(), num_envs=3, blocked=blocked)
    with pytest.raises(NotReadyError, match="call reset"):
        env.action_masks()
    env.reset(seed=0)
    assert not env.action_masks()[:, 2].any()
    with pytest.raises(InvalidSlateError, match="row 1 shows item 2, which is masked"):
        env.step(np.array([0, 2, 1]))
    env.step(np.array([0, 3, 1]))


def test_where_too_little_is_left_everything_may_be_shown():
    blocked = np.ones(N_ITEMS, bool)
    blocked[:2] = False
    env = make_vec(cycle_model(), num_envs=3, slate_size=3, blocked=blocked)
    env.reset(seed=0)
    assert env.action_masks().all()
    env.step(np.tile([3, 4, 5], (3, 1)))


def test_a_wrong_mask_gets_a_sentence():
    with pytest.raises(
        InvalidArgumentError, match=r"blocked must be a boolean array of shape \(6,\) that leaves some item"
    ):
        make_vec(cycle_model(), num_envs=2, blocked=np.ones(N_ITEMS, bool))
