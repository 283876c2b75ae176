"""Interest vectors with their ids: a table to keep, and the people whose interest is nearest.

Checked against cosines over all pairs (``tests/models/test_interests.py``).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rlrec.core.errors import InvalidArgumentError
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences
from rlrec.models.base import SequenceModel


def latest_sequences(log: InteractionLog) -> Sequences:
    """Return each user's last sequence (session, or whole history), in the order of their indices."""
    sequences = log.sequences()
    return sequences.select(np.flatnonzero(np.append(np.diff(sequences.user) != 0, [True] if len(sequences) else [])))


def interest_table(model: SequenceModel, log: InteractionLog) -> pl.DataFrame:
    """Return every user's interest vector after their last sequence: columns ``user_id`` and ``interest`` (D floats).

    Examples
    --------
    >>> import pandas as pd
    >>> from rlrec.models.counting import MarkovModel
    >>> log = InteractionLog.from_pandas(pd.DataFrame({"user_id": [7, 7, 9], "item_id": ["a", "b", "a"]}))
    >>> table = interest_table(MarkovModel.fit(log), log)
    >>> table["user_id"].to_list(), table["interest"].dtype
    ([7, 9], Array(Float32, shape=(2,)))
    """
    model.space.check_log(log)
    sequences = latest_sequences(log)
    vectors = model.interests(sequences)
    ids = log.users.ids[sequences.user].tolist()
    dtype = pl.Array(pl.Float32, model.interest_size)
    return pl.DataFrame({"user_id": ids, "interest": pl.Series("interest", vectors, dtype=dtype)})


def nearest_users(
    model: SequenceModel, log: InteractionLog, histories: Iterable[Iterable[Hashable]] | Sequences, k: int = 10
) -> NDArray[Any]:
    """Return the ``k`` users of a log whose interest is nearest to each history's by cosine, by raw id, (n, k).

    Raises
    ------
    InvalidArgumentError
        If k is not in 1..number of users with rows.
    """
    model.space.check_log(log)
    people = latest_sequences(log)
    if not 1 <= k <= len(people):
        raise InvalidArgumentError(f"k must lie in 1..{len(people)} (the users with rows), got {k}")
    near = _unit(model.interests(histories)) @ _unit(model.interests(people)).T  # (n, U)
    best = np.argsort(-near, axis=1, kind="stable")[:, :k]
    found: NDArray[Any] = log.users.ids[people.user[best]]
    return found


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1.0)).astype(np.float32)
