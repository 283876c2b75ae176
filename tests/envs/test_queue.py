"""Users who queue for free rows, and rows that are dropped: nobody does anything else for it."""

import numpy as np
import pytest

from rlrec.core.errors import NotReadyError
from rlrec.envs.config import SimulatorConfig
from rlrec.envs.vector import RecommendationVectorEnv
from rlrec.models.counting import MarkovModel
from tests.agents.conftest import ring_log


@pytest.fixture(scope="module")
def people():
    return MarkovModel.fit(ring_log())


def sessions(people, num_envs, narrow_at=None, **options):
    """Serve item key % 12 to everybody, and return each user's rewards in order."""
    env = RecommendationVectorEnv(people, num_envs, config=SimulatorConfig(horizon=6))
    _, infos = env.reset(seed=3, options=options)
    users, found, order = infos["user"], {}, list(infos["user"])
    for step in range(30):
        if step == narrow_at:
            kept = np.arange(0, len(users), 2)
            env, _ = env.narrowed(kept)
            users = users[kept]
        _, rewards, terminated, truncated, infos = env.step(users % 12)
        for user, reward in zip(users, rewards, strict=True):
            found.setdefault(int(user), []).append(float(reward))
        order += list(infos["user"][terminated | truncated])
        users = infos["user"]
    return found, order


def test_people_queue_in_order_and_do_the_same(people):
    fixed, _ = sessions(people, 5)
    queued, order = sessions(people, 5, in_order=True)
    assert order == list(range(len(order)))
    both = set(fixed) & set(queued)
    assert len(both) > 10
    for user in both:
        n = min(len(fixed[user]), len(queued[user]))
        assert fixed[user][:n] == queued[user][:n]


def test_those_who_are_kept_do_the_same(people):
    whole, _ = sessions(people, 8, in_order=True)
    narrowed, order = sessions(people, 8, narrow_at=4, in_order=True)
    assert order == sorted(order)
    for user in set(whole) & set(narrowed):
        n = min(len(whole[user]), len(narrowed[user]))
        assert whole[user][:n] == narrowed[user][:n]


def test_narrowing_before_reset_gets_a_sentence(people):
    with pytest.raises(NotReadyError, match="narrowed came before reset"):
        RecommendationVectorEnv(people, 4).narrowed(np.arange(2))
