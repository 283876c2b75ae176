"""The sets that bench_models.py measures on: how each is split, and the settings chosen on its validation part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rlrec
from rlrec.data.log import InteractionLog
from rlrec.models.config import LSTMConfig


@dataclass(frozen=True, kw_only=True)
class BenchSet:
    """A log, its split, and the LSTM's settings there."""

    name: str
    source: str
    """``builtin:NAME``, or a path under the data folder."""
    last_out: bool
    """Leave-last-out; else by time, whole sessions."""
    config: dict[str, Any] = field(default_factory=dict)

    def load(self, data: Path) -> InteractionLog | None:
        """Return the log, or None where the data folder does not hold it."""
        if self.source.startswith("builtin:"):
            return rlrec.load_log(self.source)
        path = data / self.source
        return rlrec.load_log(path) if path.exists() else None

    def split(self, log: InteractionLog) -> tuple[InteractionLog, InteractionLog, InteractionLog]:
        """Return train, validation and test."""
        split: Callable[..., Any] = rlrec.split_nested_last_out if self.last_out else rlrec.split_by_time
        parts: tuple[InteractionLog, InteractionLog, InteractionLog] = split(log)
        return parts

    @property
    def targets(self) -> str:
        """Which behaviours of the test part are predicted."""
        return "last" if self.last_out else "all"

    def lstm(self, *, quick: bool) -> LSTMConfig:
        """Return the settings, or one epoch of them."""
        return LSTMConfig(**(self.config | ({"n_epochs": 1} if quick else {})))


_FILMS = {
    "optimizer": "adamw",
    "learning_rate": 0.002,
    "weight_decay": 0.01,
    "embedding_size": 128,
    "hidden_size": 128,
    "dropout": 0.5,
    "input_dropout": 0.3,
    "batch_tokens": 2_000,
    "n_epochs": 40,
    "patience": 3,
    "precision": "bfloat16",
}
_BEAUTY = {  # short histories of rare items: what they are (category, brand) tells most, in many small steps
    "optimizer": "adagrad",
    "learning_rate": 0.05,
    "embedding_size": 192,
    "hidden_size": 192,
    "dropout": 0.5,
    "input_dropout": 0.3,
    "batch_tokens": 200,
    "n_epochs": 6,
    "patience": 2,
    "n_negatives": 2_000,
}
_MANY_FILMS = _FILMS | {
    "learning_rate": 0.005,
    "schedule": "one_cycle",
    "hidden_size": 192,
    "dropout": 0.2,
    "input_dropout": 0.1,
    "n_epochs": 12,
}

SETS: dict[str, BenchSet] = {
    chosen.name: chosen
    for chosen in (
        BenchSet(name="eshop2008", source="builtin:eshop2008", last_out=False),
        BenchSet(name="ml-100k", source="research/ml-100k-recbole", last_out=True, config=_FILMS),
        BenchSet(name="amazon_beauty", source="research/amazon_beauty_s3rec", last_out=True, config=_BEAUTY),
        BenchSet(name="yoochoose-100k", source="research/yoochoose-100k", last_out=False),
        BenchSet(name="ml-1m_sequences", source="research/ml-1m_sequences", last_out=True, config=_MANY_FILMS),
    )
}
