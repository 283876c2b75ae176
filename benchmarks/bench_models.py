"""The sequence model's speed, memory and quality beside its baselines; the table of docs/guide/models.md.

Quality is over the full catalogue, seen items left in and, beside it, masked. CPU seconds are of this process, torch on
one thread. RecBole is not run here: its ratios are null.

    python benchmarks/bench_models.py --json --sets eshop2008 ml-100k --seeds 3 --out benchmarks/results
    python benchmarks/bench_models.py --sets --no-speed --out benchmarks/results   # cold users alone
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from model_sets import SETS, BenchSet
from record import record

import rlrec
from rlrec.core.artifacts import write_json
from rlrec.core.config import config_to_dict
from rlrec.data.log import InteractionLog
from rlrec.evaluation.gains import expected_gains
from rlrec.evaluation.ranking import RankingResult
from rlrec.models.checkpoint import fingerprint
from rlrec.models.config import LSTMConfig
from rlrec.models.negatives import NegativeSampler, count_of_negatives
from rlrec.models.optimizers import make_optimizers
from rlrec.models.prefixes import prefixes, target_rows
from rlrec.models.recommender import Recommender
from rlrec.models.training import _train_epoch

FAST = {"hidden_size": 128, "embedding_size": 128, "batch_tokens": 8_000, "optimizer": "adam", "learning_rate": 0.003}


# ---- quality ---------------------------------------------------------------------------------------------------------


def measure_set(
    chosen: BenchSet, data: Path, seeds: int, quick: bool, kept: Path | None = None
) -> dict[str, Any] | None:
    """Return every model's metrics on one set, means and standard deviations over seeds."""
    log = chosen.load(data)
    if log is None:
        return None
    train, valid, test = chosen.split(log)
    known = valid if chosen.last_out else train  # what the models that need no validation may count
    baselines: dict[str, Recommender] = {
        "popularity": rlrec.PopularityModel.fit(known),
        "markov": rlrec.MarkovModel.fit(known),
        "ngram": rlrec.NGramModel.fit(known),
        "item_knn": rlrec.ItemKNNModel.fit(known),
        "user_knn": rlrec.UserKNNModel.fit(known),
    }
    if len(log.catalog.features):
        baselines["content"] = rlrec.ContentModel.fit(known)
    baselines |= _factorization(known)
    rows = {name: _metrics(model, test, chosen) for name, model in baselines.items()}
    runs = [_run_seed(chosen, (train, valid, test), seed, quick, kept) for seed in range(seeds)]
    rows |= {name: _over_seeds([run[name] for run in runs]) for name in runs[0]}
    return {"rows": rows, **_headline(rows), "seeds": seeds, "n_targets": int(rows["markov"]["n"])}


def _factorization(log: InteractionLog) -> dict[str, Recommender]:
    try:
        return {"factorization": rlrec.FactorizationModel.fit(log)}
    except ImportError:
        return {}


def _run_seed(
    chosen: BenchSet,
    parts: tuple[InteractionLog, InteractionLog, InteractionLog],
    seed: int,
    quick: bool,
    kept: Path | None,
) -> dict[str, dict[str, float]]:
    train, valid, test = parts
    lstm, learned = _lstm(chosen, train, valid, seed, quick, kept)
    vote: dict[str, Recommender] = {
        "lstm": lstm,
        "markov": rlrec.MarkovModel.fit(train),
        "ngram": rlrec.NGramModel.fit(train),
        "item_knn": rlrec.ItemKNNModel.fit(train),
    }
    hybrid = rlrec.HybridModel.fit(vote, valid, last_only=chosen.last_out)
    return {"lstm": _metrics(lstm, test, chosen) | learned, "hybrid": _metrics(hybrid, test, chosen)}


def _lstm(
    chosen: BenchSet, train: InteractionLog, valid: InteractionLog, seed: int, quick: bool, kept: Path | None
) -> tuple[rlrec.LSTMModel, dict[str, float]]:
    """Fit the LSTM, or take up the one that the same fit left in ``kept`` with what it cost then."""
    config = chosen.lstm(quick=quick)
    name = fingerprint(config_to_dict(config), seed, chosen.targets, [train.sha256, valid.sha256])[:16]
    folder = None if kept is None else kept / f"{chosen.name}-{name}"
    if folder is not None and (folder / "cost.json").is_file():
        return rlrec.LSTMModel.load(folder), json.loads((folder / "cost.json").read_text(encoding="utf-8"))
    began = time.process_time()
    lstm = rlrec.LSTMModel.fit(
        train,
        valid=valid,
        config=config,
        seed=seed,
        show_progress=False,
        valid_targets="last" if chosen.last_out else "all",
    )
    seconds = time.process_time() - began
    assert lstm.record is not None
    cost = {"cpu_seconds": seconds, "best_epoch": lstm.record.best_epoch, "valid_nll": min(lstm.record.valid_nll)}
    print(f"{chosen.name}, seed {seed}: {cost}", flush=True)
    if folder is not None:
        lstm.save(folder)
        write_json(folder / "cost.json", cost)
    return lstm, cost


def _metrics(model: Recommender, test: InteractionLog, chosen: BenchSet) -> dict[str, float]:
    seen_in = rlrec.evaluate_ranking(model, test, targets=chosen.targets)  # type: ignore[arg-type]
    masked = rlrec.evaluate_ranking(model, test, targets=chosen.targets, exclude_seen=True)  # type: ignore[arg-type]
    return {
        "hit@10": float(seen_in.hit.mean()),
        "ndcg@10": float(seen_in.ndcg.mean()),
        "masked_hit@10": float(masked.hit.mean()),
        "masked_ndcg@10": float(masked.ndcg.mean()),
        "nats": math.nan if seen_in.nll is None else float(seen_in.nll.mean()),
        "coverage@10": seen_in.coverage,
        "hit@10_error": _error(seen_in),
        "n": len(seen_in.hit),
    }


def _error(result: RankingResult) -> float:
    estimate = result.estimate("hit")
    return (estimate.high - estimate.low) / (2 * 1.96)


def _over_seeds(runs: list[dict[str, float]]) -> dict[str, float]:
    names = list(runs[0])
    means = {name: float(np.mean([run[name] for run in runs])) for name in names}
    spread = (
        {f"{name}_sd": float(np.std([run[name] for run in runs], ddof=1)) for name in names} if len(runs) > 1 else {}
    )
    return means | spread


def _headline(rows: dict[str, dict[str, float]]) -> dict[str, float]:
    lstm = rows["lstm"]
    keys = ("hit@10", "ndcg@10", "masked_hit@10", "masked_ndcg@10")
    return {key: lstm[key] for key in keys} | {"nats_below_markov": rows["markov"]["nats"] - lstm["nats"]}


# ---- cold start ------------------------------------------------------------------------------------------------------


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


# ---- speed -----------------------------------------------------------------------------------------------------------


def training_speed(log: InteractionLog, config: LSTMConfig, *, n_epochs: int = 1) -> dict[str, float]:
    """Return targets per CPU second of training alone, and the share of the machine's GEMM rate that it reaches."""
    torch.set_num_threads(1)
    sequences = log.sequences()
    network = rlrec.LSTMModel.build_network(log, config, 0)
    n_negatives = count_of_negatives(config.n_negatives, log.n_items)
    sampler = NegativeSampler(log.item_counts, n_negatives) if n_negatives else None
    network.item_embedding.sparse = sampler is not None
    optimizers, rng = make_optimizers(network, config), np.random.default_rng(0)
    with torch.sparse.check_sparse_tensor_invariants(enable=False):
        began = time.process_time()
        for _ in range(n_epochs):
            _train_epoch(network, sequences, optimizers, rng, sampler)
    rate = sequences.n_events * n_epochs / (time.process_time() - began)
    return {"targets_per_cpu_s": rate, "gemm_share": rate * _flops(config, n_negatives or log.n_items) / gemm_rate()}


def _flops(config: LSTMConfig, n_scored: int) -> float:
    """Return multiplications and additions of one target, forward and backward (twice the forward)."""
    size, hidden = config.embedding_size, config.hidden_size
    cell = 2 * (size + hidden) * 4 * hidden
    return 3.0 * (cell + 2 * hidden * size + 2 * size * n_scored)


def gemm_rate() -> float:
    """Return floating-point operations per CPU second of a large single-precision product on one thread."""
    torch.set_num_threads(1)
    left, right = torch.randn(1_024, 1_024), torch.randn(1_024, 1_024)
    times = []
    for _ in range(8):
        began = time.process_time()
        _ = left @ right
        times.append(time.process_time() - began)
    return 2 * 1_024**3 / min(times)


def synthetic_log(n_items: int, n_rows: int = 100_000) -> InteractionLog:
    """Return histories of 100 over a catalogue with Zipf's popularity."""
    rng = np.random.default_rng(0)
    weights = 1 / np.arange(1, n_items + 1)
    frame = pd.DataFrame(
        {"user_id": np.arange(n_rows) // 100, "item_id": rng.choice(n_items, n_rows, p=weights / weights.sum())}
    )
    return InteractionLog.from_pandas(frame, items=pd.DataFrame({"item_id": np.arange(n_items)}))


def sampled_slowdown(n_rows: int) -> float:
    """Return how many times slower 100,000 items train, sampled, than 3,000, also as the config decides."""
    logs = (synthetic_log(n, n_rows) for n in (3_000, 100_000))
    rates = [training_speed(log, LSTMConfig(**FAST))["targets_per_cpu_s"] for log in logs]
    return rates[0] / rates[1]


def one_user_ms(n_items: int = 3_400) -> float:
    """Return the median milliseconds from one user's new event to their top 10."""
    torch.set_num_threads(1)
    log = synthetic_log(n_items, 4_000)
    network = rlrec.LSTMModel.build_network(log, LSTMConfig(**FAST), 0)
    model = rlrec.LSTMModel(network, rlrec.models.base.BehaviourSpace.of(log))
    state, token = model.initial_state(1), rlrec.models.base.BehaviourStep(*(torch.zeros(1, dtype=torch.int64),) * 3)
    times = []
    for _ in range(300):
        began = time.perf_counter()
        heads, state = model.step(token, state)
        heads.item_log_probs().topk(10)
        times.append(time.perf_counter() - began)
    return float(np.median(times) * 1e3)


def recommend_share(n_users: int, n_items: int = 10_000) -> float:
    """Return the share of the GEMM rate at which `recommend` scores many users."""
    log = synthetic_log(n_items, 100 * 50)
    model = rlrec.LSTMModel(
        rlrec.LSTMModel.build_network(log, LSTMConfig(**FAST), 0), rlrec.models.base.BehaviourSpace.of(log)
    )
    one = log.sequences().tail(1)
    many = one.select(np.resize(np.arange(len(one)), n_users))
    began = time.process_time()
    model.recommend(many, 10)
    flops = 2.0 * n_users * n_items * model.config.embedding_size
    return flops / (time.process_time() - began) / gemm_rate()


# ---- the record ------------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with research/")
    parser.add_argument("--quick", action="store_true", help="one epoch, one seed, eshop2008; records nothing")
    parser.add_argument("--no-speed", action="store_true", help="quality only")
    parser.add_argument("--no-cold", action="store_true", help="leave the cold start out")
    parser.add_argument("--models", type=Path, help="folder that keeps the LSTMs, so that a later run need not refit")
    parser.add_argument("--out", type=Path, help="folder for the record")
    options = parser.parse_args()
    results = measure(options)
    if options.out is not None and not options.quick:
        record(f"models-{'-'.join(options.sets) or 'cold-users'}", results, options.out, seed=0)
    if options.json:
        print(json.dumps({key: results[key] for key in LINE}, allow_nan=False))


LINE = (
    "targets_per_cpu_s",
    "ratio_recbole_gru4rec",
    "ratio_recbole_sasrec",
    "gemm_share",
    "peak_mb",
    "sampled_softmax_slowdown",
    "one_user_ms",
    "quality",
)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run what was asked for and return the results."""
    sets, seeds = (["eshop2008"], 1) if options.quick else (options.sets, options.seeds)
    quality, cold = {}, {}
    for name in sets:
        quality[name] = measure_set(SETS[name], options.data, seeds, options.quick, options.models)
        print_table(name, quality[name])
        if not (options.no_cold or options.quick) and name in ("ml-100k", "eshop2008"):
            cold[name] = cold_items(SETS[name], options.data, options.quick)
            print(f"cold items, {name}: {json.dumps(cold[name])}")
    peak = (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024
    )  # before the synthetic catalogues of the speed part
    users = cold_users(options.data) if not sets else None
    if users is not None:
        print(f"cold users: {json.dumps(users)}")
    results = {
        "seeds": list(range(seeds)),
        "ratio_recbole_gru4rec": None,
        "ratio_recbole_sasrec": None,
        "peak_mb": peak,
        "quality": _without_nan(quality),
        "cold_items": cold,
        "cold_users": users,
    }
    return results | speed(options)


def speed(options: argparse.Namespace) -> dict[str, Any]:
    """Return the speed part of the results; null where it was not asked for."""
    keys = ("targets_per_cpu_s", "gemm_share", "sampled_softmax_slowdown", "one_user_ms", "recommend_gemm_share")
    if options.no_speed:
        return dict.fromkeys(keys)
    log = SETS["ml-100k"].load(options.data) or SETS["eshop2008"].load(options.data)
    assert log is not None
    fast = training_speed(log, LSTMConfig(**FAST))
    accurate = training_speed(log, SETS["ml-100k"].lstm(quick=False))
    print(f"training, fast: {fast}; accurate: {accurate}")
    return {
        **fast,
        "accurate": accurate,
        "sampled_softmax_slowdown": sampled_slowdown(10_000 if options.quick else 100_000),
        "one_user_ms": one_user_ms(),
        "recommend_gemm_share": recommend_share(2_000 if options.quick else 20_000),
    }


def print_table(name: str, result: dict[str, Any] | None) -> None:
    if result is None:
        print(f"{name}: not in the data folder")
        return
    print(f"\n{name}: {result['n_targets']} targets, {result['seeds']} seeds")
    print(f"{'model':14} {'hit@10':>8} {'ndcg@10':>8} {'masked':>8} {'masked':>8} {'nats':>8} {'CPU s':>8}")
    for model, row in result["rows"].items():
        values = [row[key] for key in ("hit@10", "ndcg@10", "masked_hit@10", "masked_ndcg@10", "nats")]
        print(
            f"{model:14} " + " ".join(f"{value:8.4f}" for value in values) + f" {row.get('cpu_seconds', math.nan):8.0f}"
        )


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


if __name__ == "__main__":
    main()
