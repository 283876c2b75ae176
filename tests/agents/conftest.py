"""A tiny user model on a log of short sessions that walk round a ring of items."""

import numpy as np
import pandas as pd
import pytest

from rlrec.data.log import InteractionLog
from rlrec.envs.vector import RecommendationVectorEnv
from rlrec.models.config import LSTMConfig
from rlrec.models.lstm import LSTMModel

N_ITEMS = 12


def ring_log(n_users: int = 80, seed: int = 0) -> InteractionLog:
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(n_users):
        item, time = int(rng.integers(N_ITEMS)), 1_600_000_000 + user * 10_000
        for step in range(int(rng.integers(2, 8))):
            rows.append({"user_id": user, "item_id": item, "timestamp": time + 60 * step})
            item = (item + int(rng.integers(1, 3))) % N_ITEMS
    return InteractionLog.from_pandas(pd.DataFrame(rows))


@pytest.fixture(scope="session")
def model() -> LSTMModel:
    config = LSTMConfig(embedding_size=8, hidden_size=10, n_epochs=2, use_features=False)
    return LSTMModel.fit(ring_log(), valid=ring_log(20, seed=1), config=config, seed=0)


@pytest.fixture
def env(model: LSTMModel) -> RecommendationVectorEnv:
    return RecommendationVectorEnv(model, 8)
