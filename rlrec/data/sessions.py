"""Sessions from gaps: a user who is silent for longer than the gap comes back in a new session."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.data.check import has_clock
from rlrec.data.log import InteractionLog

SESSION_GAP = 1_800.0
"""Seconds of silence that end a session: 30 minutes, the convention of web analytics."""


def sessionise(log: InteractionLog, *, gap: float = SESSION_GAP) -> InteractionLog:
    """Return the log with sessions cut where a user was silent for more than ``gap`` seconds.

    Sessions that the log has are replaced. Rows, ids and order stay.

    Parameters
    ----------
    gap : float
        Seconds, above 0.

    Raises
    ------
    DataError
        If the log has no clock times, so that gaps mean nothing.

    Examples
    --------
    >>> import pandas as pd
    >>> day = 1_600_000_000
    >>> frame = pd.DataFrame({"user_id": [1, 1, 1, 2], "item_id": 7, "timestamp": [day, day + 60, day + 9000, day]})
    >>> sessionise(InteractionLog.from_pandas(frame)).session.tolist()
    [0, 0, 1, 2]
    """
    if not gap > 0:
        raise InvalidArgumentError(f"gap must be a number of seconds above 0, got {gap}")
    if not has_clock(log):
        raise DataError(f"{log.name!r} has no clock times, so no gap can end a session; give sessions as session_id")
    new = (np.diff(log.user) != 0) | (np.diff(log.timestamp) > gap)
    return replace(log, session=np.concatenate([[0], np.cumsum(new)]).astype(np.int32))
