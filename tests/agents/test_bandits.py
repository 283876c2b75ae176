"""Bandits: ridge regression by hand, and what they find where nobody leaves."""

import numpy as np
import pytest

from rlrec.agents.bandits import LinUCBPolicy, ThompsonPolicy, play_bandit
from rlrec.core.errors import InvalidArgumentError
from rlrec.testing.oracles import LeaveWorld


def test_beliefs_are_ridge_regression():
    rng = np.random.default_rng(0)
    policy = LinUCBPolicy(3, 4, alpha=0.7, ridge=2.0)
    x, actions, rewards = rng.normal(size=(50, 4)).astype(np.float32), rng.integers(0, 3, 50), rng.random(50)
    for part in np.array_split(np.arange(50), 3):  # in batches, and items repeat inside one
        policy.update(x[part], actions[part], rewards[part])
    query = rng.normal(size=(5, 4)).astype(np.float32)
    for item in range(3):
        own = x[actions == item].astype(float)
        a = 2.0 * np.eye(4) + own.T @ own
        theta = np.linalg.solve(a, own.T @ rewards[actions == item])
        width = np.sqrt(np.einsum("bd,de,be->b", query, np.linalg.inv(a), query))
        np.testing.assert_allclose(policy.logits(query)[:, item], query @ theta + 0.7 * width, rtol=1e-6)


@pytest.mark.parametrize("kind", [LinUCBPolicy, ThompsonPolicy])
def test_they_find_what_each_type_clicks_most(kind):
    world = LeaveWorld(64, n_items=6, n_types=3, leaving=False, horizon=5)
    policy = kind(6, 3, alpha=1.0)
    means = play_bandit(world, policy, 150)
    best, _ = policy.predict(world.observations(), deterministic=True)
    assert best.tolist() == world.click_probs.argmax(axis=1).tolist()
    assert means[-50:].mean() > 0.9 * world.click_probs.max(axis=1).mean()
    assert means[-50:].mean() > means[:5].mean()


def test_thompson_draws_and_repeats_with_its_seed():
    first, second = (ThompsonPolicy(5, 2, seed=3, slate_size=2) for _ in range(2))
    observation = np.ones((40, 2), np.float32)
    a, b = first.predict(observation)[0], second.predict(observation)[0]
    assert np.array_equal(a, b)
    assert len(np.unique(a)) > 2
    assert (a[:, 0] != a[:, 1]).all()
    with pytest.raises(InvalidArgumentError, match="interest vectors of shape \\(n, 2\\)"):
        first.predict(np.ones((4, 3)))
