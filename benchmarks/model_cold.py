"""Items that no training row has, and people of whom little is known: the cold part of bench_models.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from model_sets import SETS, BenchSet

import rlrec
from rlrec.data.log import InteractionLog
from rlrec.evaluation.gains import expected_gains
from rlrec.models.config import LSTMConfig
from rlrec.models.prefixes import prefixes, target_rows
from rlrec.models.recommender import Recommender


def cold_items(
    chosen: BenchSet, data: Path, quick: bool, *, share: float = 0.1, seed: int = 0
) -> dict[str, Any] | None:
    """Hide a tenth of the items from training; return hit@10 on them, over the full catalogue and among themselves."""
    log = chosen.load(data)
    if log is None or not log.catalog.features.dense[0].shape[1]:
        return None
    train, valid, test = chosen.split(log)
    hidden = np.random.default_rng(seed).choice(log.n_items, max(int(share * log.n_items), 1), replace=False)
    train = train.select(~np.isin(train.item, hidden))
    settings = chosen.config | {"n_epochs": 1 if quick else 8}  # enough to compare towers, not to be the best
    common: dict[str, Any] = {"valid": valid, "show_progress": False, "seed": seed}
    common["valid_targets"] = chosen.targets
    models: dict[str, Recommender] = {
        "lstm with features": rlrec.LSTMModel.fit(train, config=LSTMConfig(**settings, id_dropout=0.2), **common),
        "lstm without": rlrec.LSTMModel.fit(train, config=LSTMConfig(**settings, use_features=False), **common),
        "content": rlrec.ContentModel.fit(train),
        "popularity": rlrec.PopularityModel.fit(train),
    }
    rows = _cold_rows(test, hidden)
    n, n_cold = log.n_items, len(hidden)
    result = {name: _cold_hits(model, test, rows, hidden) for name, model in models.items()}
    return {
        "models": result,
        "random": {"hit@10": 10 / n, "hit@10_among_cold": min(10 / n_cold, 1.0)},
        "n_targets": len(rows),
        "n_cold": n_cold,
    }


def _cold_rows(test: InteractionLog, hidden: np.ndarray) -> np.ndarray:
    """Return every cold behaviour that follows another; the last ones alone would be too few."""
    sequences = test.sequences()
    rows = target_rows(sequences)
    return rows[np.isin(sequences.item[rows], hidden)]


def _cold_hits(model: Recommender, test: InteractionLog, rows: np.ndarray, hidden: np.ndarray) -> dict[str, float]:
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), 3_000)).astype(int)]
    histories, target = prefixes(test.sequences(), rows)
    scores = model.scores(histories)
    order = np.sort(hidden)
    full = expected_gains(scores, torch.from_numpy(target), 10)["hit"].mean()
    among = expected_gains(scores[:, order], torch.from_numpy(np.searchsorted(order, target)), 10)["hit"].mean()
    return {"hit@10": float(full), "hit@10_among_cold": float(among)}


def cold_users(data: Path) -> dict[str, Any] | None:
    """Hold out a tenth of ml-100k's users; return nats and hit@10 of their first behaviours by how many came before."""
    log = SETS["ml-100k"].load(data)
    if log is None or log.user_features is None:
        return None
    train, valid, test = rlrec.split_by_user(log)
    ngram = rlrec.NGramModel.fit(train)
    newcomers = rlrec.NewcomerModel.fit(train, ngram, valid=valid)
    models: dict[str, Recommender] = {
        "popularity": rlrec.PopularityModel.fit(train),
        "ngram": ngram,
        "newcomers": newcomers,
    }
    sequences = test.sequences()
    table = {}
    for n_before in (0, 1, 3, 10):
        rows = sequences.offsets[:-1][sequences.lengths > n_before] + n_before
        histories, target = prefixes(sequences, rows)
        table[str(n_before)] = {name: _first_steps(model.scores(histories), target) for name, model in models.items()}
    return {
        "group": newcomers.feature,
        "patience": newcomers.config.patience,
        "after": table,
        "n_users": len(sequences),
    }


def _first_steps(scores: torch.Tensor, target: np.ndarray) -> dict[str, float]:
    wanted = torch.from_numpy(target)
    nats = -scores.gather(1, wanted.unsqueeze(1)).mean()
    return {"nats": float(nats), "hit@10": float(expected_gains(scores, wanted, 10)["hit"].mean())}
