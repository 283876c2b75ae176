"""A small world for tests: a cyclic log in which item i is followed by i + 1, and models fitted on it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from rlrec.data.log import InteractionLog
from rlrec.models.config import LSTMConfig
from rlrec.models.lstm import LSTMModel

N_ITEMS = 6


@cache
def cycle_log(n_sessions: int = 120, seed: int = 0) -> InteractionLog:
    """Sessions of 3 to 8 clicks; every click follows the cycle."""
    rng = np.random.default_rng(seed)
    rows = []
    for session in range(n_sessions):
        start, length = rng.integers(N_ITEMS), rng.integers(3, 9)
        rows += [(session, f"i{(start + t) % N_ITEMS}", session * 1000.0 + 2 * t, session) for t in range(length)]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "session_id"])
    return InteractionLog.from_pandas(frame, name="cycle")


@cache
def cycle_model(seed: int = 0) -> LSTMModel:
    """An LSTM that has learned the cycle."""
    config = LSTMConfig(embedding_size=8, hidden_size=16, dropout=0.0, input_dropout=0.0, n_epochs=12, batch_tokens=64)
    return LSTMModel.fit(cycle_log(), valid=cycle_log(40, seed=1), config=config, seed=seed, show_progress=False)
