"""Items that no training row has, and people of whom little is known: the cold part of bench_models.py."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from model_sets import SETS, BenchSet
from numpy.typing import NDArray
from torch import Tensor

import rlrec
from rlrec.core.artifacts import write_json
from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences
from rlrec.evaluation.gains import expected_gains
from rlrec.models.checkpoint import fingerprint
from rlrec.models.config import LSTMConfig
from rlrec.models.prefixes import prefixes, target_rows
from rlrec.models.recommender import Recommender

PLACES = (1, 3)  # of ten, that a list keeps for hidden items
_ROWS = 3_000  # behaviours judged, evenly spread


def cold_items(
    chosen: BenchSet, data: Path, quick: bool, *, sets: Sequence[int] = (0, 1, 2), kept: Path | None = None
) -> dict[str, Any] | None:
    """Hide a tenth of the items from training, once for each seed in ``sets``; return means and each set's figures.

    What a set gave lies in ``kept``, if given, so that the sets can be measured one after the other.
    """
    log = chosen.load(data)
    if log is None or not log.catalog.features.dense[0].shape[1]:
        return None
    runs = [_once(chosen, log, quick, seed, kept) for seed in sets]
    first = runs[0]
    return {
        "models": {name: _over_sets([run["models"][name] for run in runs]) for name in first["models"]},
        "random": first["random"],
        "places_kept": PLACES,
        "n_sets": len(sets),
        "n_targets": sum(run["n_targets"] for run in runs),
        "n_cold": first["n_cold"],
    }


def _once(chosen: BenchSet, log: InteractionLog, quick: bool, seed: int, kept: Path | None) -> dict[str, Any]:
    name = fingerprint(chosen.config, seed, quick, PLACES, log.sha256)[:16]
    path = None if kept is None else kept / f"cold-{chosen.name}-{name}.json"
    if path is not None and path.is_file():
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    found = _hidden_set(chosen, log, quick, seed)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, found)
    return found


def _hidden_set(chosen: BenchSet, log: InteractionLog, quick: bool, seed: int, share: float = 0.1) -> dict[str, Any]:
    train, valid, test = chosen.split(log)
    hidden = np.random.default_rng(seed).choice(log.n_items, max(int(share * log.n_items), 1), replace=False)
    train = train.select(~np.isin(train.item, hidden))
    # Eight epochs: enough to compare towers, not to be the best.
    config = LSTMConfig(**(chosen.config | {"n_epochs": 1 if quick else 8}), id_dropout=0.2)
    lstm = rlrec.LSTMModel.fit(
        train, valid=valid, config=config, seed=seed, show_progress=False, valid_targets=chosen.targets
    )
    models: dict[str, Recommender] = {
        "lstm": lstm,
        "content": rlrec.ContentModel.fit(train),
        "popularity": rlrec.PopularityModel.fit(train),
    }
    sequences = test.sequences()
    rows = target_rows(sequences)
    cold = rows[np.isin(sequences.item[rows], hidden)]  # the last behaviours alone would be too few
    n, n_cold = log.n_items, len(hidden)
    by_chance = {"hit@10": 10 / n, "hit@10_among_cold": min(10 / n_cold, 1.0)}
    by_chance |= {_kept(n_new): n_new / n_cold for n_new in PLACES}
    result = {
        name: _cold_hits(model, sequences, cold, hidden) | _all_hits(model, sequences, rows, hidden)
        for name, model in models.items()
    }
    print(f"{chosen.name}, hidden set {seed}: {result}", flush=True)
    return {"models": result, "random": by_chance, "n_targets": len(cold), "n_cold": n_cold}


def _over_sets(runs: list[dict[str, float]]) -> dict[str, Any]:
    """Return each figure's mean over the hidden sets, and the sets one by one."""
    means = {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
    return means | {f"{key}_sets": [run[key] for run in runs] for key in runs[0]}


def _cold_hits(
    model: Recommender, sequences: Sequences, rows: NDArray[np.int64], hidden: NDArray[np.int64]
) -> dict[str, float]:
    histories, target = _some(sequences, rows)
    scores, order = model.scores(histories), np.sort(hidden)
    among = expected_gains(scores[:, order], torch.from_numpy(np.searchsorted(order, target)), 10)["hit"].mean()
    return _hits(scores, torch.from_numpy(target), hidden) | {"hit@10_among_cold": float(among)}


def _all_hits(
    model: Recommender, sequences: Sequences, rows: NDArray[np.int64], hidden: NDArray[np.int64]
) -> dict[str, float]:
    """Return hit@10 over all behaviours, hidden items or not: what keeping places costs."""
    histories, target = _some(sequences, rows)
    hits = _hits(model.scores(histories), torch.from_numpy(target), hidden)
    return {f"all_{name}": value for name, value in hits.items()}


def _hits(scores: Tensor, wanted: Tensor, hidden: NDArray[np.int64]) -> dict[str, float]:
    """Return hit@10 over the full catalogue, and with places kept."""
    full = {"hit@10": float(expected_gains(scores, wanted, 10)["hit"].mean())}
    return full | {_kept(n_new): _hits_with_places(scores, wanted, hidden, n_new) for n_new in PLACES}


def _kept(n_new: int) -> str:
    return f"hit@10_{n_new}_kept"


def _hits_with_places(scores: Tensor, wanted: Tensor, hidden: NDArray[np.int64], n_new: int) -> float:
    """Return hit@10 of lists that keep their last ``n_new`` places for hidden items, ties among those in expectation.

    `Recommender.recommend` gives ties to the lower index, which in ml-100k is the better known film.
    """
    first = scores.topk(10 - n_new, dim=1).indices
    found = (first == wanted.unsqueeze(1)).any(1).double()
    new = torch.zeros(scores.shape[1], dtype=torch.bool)
    new[torch.from_numpy(hidden)] = True
    left = scores.masked_fill(~new, -torch.inf).scatter(1, first, -torch.inf)
    open_ = torch.nonzero(new[wanted] & (found == 0)).squeeze(1)
    if len(open_):
        found[open_] = torch.as_tensor(expected_gains(left[open_], wanted[open_], n_new)["hit"], dtype=torch.float64)
    return float(found.mean())


def _some(sequences: Sequences, rows: NDArray[np.int64]) -> tuple[Sequences, NDArray[np.int64]]:
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), _ROWS)).astype(int)]
    histories, target = prefixes(sequences, rows)
    return histories, target


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
