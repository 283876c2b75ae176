"""Small logs for tests, drawn from a seed."""

import numpy as np
import pandas as pd

from rlrec.data.log import InteractionLog


def random_frame(n_rows: int = 200, n_users: int = 12, n_items: int = 9, *, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "user_id": [f"u{i}" for i in rng.integers(n_users, size=n_rows)],
            "item_id": rng.integers(100, 100 + n_items, size=n_rows),
            "timestamp": rng.integers(1_600_000_000, 1_600_100_000, size=n_rows),
            "event": rng.choice(["click", "buy"], size=n_rows),
            "value": rng.normal(size=n_rows).round(3),
        }
    )


def random_log(n_rows: int = 200, *, sessions: bool = False, seed: int = 0) -> InteractionLog:
    frame = random_frame(n_rows, seed=seed)
    if sessions:
        frame = frame.sort_values(["user_id", "timestamp"], kind="stable", ignore_index=True)
        frame["session_id"] = frame["user_id"] + "/" + (frame.index // 3).astype(str)
    return InteractionLog.from_pandas(frame)
