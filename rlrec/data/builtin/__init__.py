"""The logs that come with the package, each with its licence notice."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from rlrec.core.errors import DataError
from rlrec.data.log import SESSION_ID, USER_ID, InteractionLog

_FOLDER = Path(__file__).parent
_CODES = ("category", "colour", "location", "page", "country")  # numbers that are names
_UNUSED = ("day_ts",)  # the day of the visit, which the timestamps hold
_SESSION_LOGS = {"eshop2008"}  # one user id is one visit, so the user is the session
BUILTIN_LOGS = ("eshop2008", "online_retail")
"""Names for ``load_log("builtin:NAME")``."""


def load_builtin(name: str) -> InteractionLog:
    """Load an embedded log.

    Parameters
    ----------
    name : {"eshop2008", "online_retail"}
        ``eshop2008``: clicks in an online clothes shop, 24,026 sessions, 217 items (CC BY 4.0).
        ``online_retail``: purchases and returns over a year, 4,310 customers, 1,000 items (CC0).
    """
    if name not in BUILTIN_LOGS:
        raise DataError(f"there is no builtin log {name!r}; there are: {', '.join(BUILTIN_LOGS)}")
    folder = _FOLDER / name
    interactions = pl.read_parquet(folder / "interactions.parquet")
    if name in _SESSION_LOGS:
        interactions = interactions.with_columns(pl.col(USER_ID).alias(SESSION_ID))
    log = InteractionLog.from_polars(
        interactions,
        items=_tidy(pl.read_parquet(folder / "items.parquet")),
        users=_tidy(pl.read_parquet(folder / "users.parquet")),
        name=f"builtin:{name}",
    )
    object.__setattr__(log, "notes", {"licence": (folder / "NOTICE.txt").read_text(encoding="utf-8").strip()})
    return log


def _tidy(frame: pl.DataFrame) -> pl.DataFrame:
    """Let coded columns be labels, and leave out a code whose name stands beside it."""
    unused = [c for c in frame.columns if c in _UNUSED or f"{c}_name" in frame.columns]
    return frame.drop(unused).with_columns(
        pl.col(c).cast(pl.String) for c in _CODES if c in frame.columns and c not in unused
    )
