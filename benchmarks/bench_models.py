"""The sequence model's speed, memory and quality beside its baselines; the table of docs/guide/models.md.

Quality is over the full catalogue, seen items left in and, beside it, masked. CPU seconds are of this process, torch on
one thread. RecBole runs in an environment of its own (`recbole_worker.py`), on ml-100k; without it its ratios are null.
``best`` is what `rlrec fit` would choose on the validation part, seed by seed.

    python benchmarks/bench_models.py --json --sets eshop2008 ml-100k --seeds 3 --out benchmarks/results
    python benchmarks/bench_models.py --sets ml-100k --seeds 5 --recbole-python RECBOLE/bin/python --out ...
    python benchmarks/bench_models.py --sets --no-speed --out benchmarks/results   # cold users alone
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from model_cold import cold_items, cold_users
from model_sets import SETS, BenchSet
from model_speed import own_peak_mb, speed
from record import record

import rlrec
from rlrec.core.artifacts import write_json
from rlrec.core.config import config_to_dict
from rlrec.data.log import InteractionLog
from rlrec.evaluation.ranking import RankingResult
from rlrec.models.checkpoint import fingerprint
from rlrec.models.recommender import Recommender
from rlrec.models.selection import blend_and_choose

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
    chosen_there: dict[str, Any] = {"valid": valid, "last_only": chosen.last_out}
    # What validation chooses is then counted again on all that is known.
    ngram = rlrec.NGramModel.fit(train, **chosen_there).config
    item_knn = rlrec.ItemKNNModel.fit(train, **chosen_there).config
    user_knn = rlrec.UserKNNModel.fit(train, **chosen_there).config
    baselines: dict[str, Recommender] = {
        "popularity": rlrec.PopularityModel.fit(known),
        "markov": rlrec.MarkovModel.fit(known),
        "ngram": rlrec.NGramModel.fit(known, config=ngram),
        "item_knn": rlrec.ItemKNNModel.fit(known, config=item_knn),
        "user_knn": rlrec.UserKNNModel.fit(known, config=user_knn),
    }
    if len(log.catalog.features):
        baselines["content"] = rlrec.ContentModel.fit(known)
    baselines |= _factorization(known)
    rows = {name: _metrics(model, test, chosen) for name, model in baselines.items()}
    runs = [_run_seed(chosen, (train, valid, test), seed, quick, kept) for seed in range(seeds)]
    rows |= {name: _over_seeds([measured[name] for measured, _ in runs]) for name in runs[0][0]}
    return {
        "rows": rows,
        **_headline(rows),
        "best": [name for _, name in runs],
        "strength": ngram.strength,
        "decay": {"item_knn": item_knn.decay, "user_knn": user_knn.decay},
        "seeds": seeds,
        "n_targets": int(rows["markov"]["n"]),
    }


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
) -> tuple[dict[str, dict[str, float]], str]:
    """Return the metrics of the LSTM, the hybrid and what validation chose, and the name of that."""
    train, valid, test = parts
    lstm, learned = _lstm(chosen, train, valid, seed, quick, kept)
    there: dict[str, Any] = {"valid": valid, "last_only": chosen.last_out}
    models: dict[str, Recommender] = {
        "lstm": lstm,
        "markov": rlrec.MarkovModel.fit(train),
        "ngram": rlrec.NGramModel.fit(train, **there),
        "item_knn": rlrec.ItemKNNModel.fit(train, **there),
        "popularity": rlrec.PopularityModel.fit(train),
    }
    hybrid, choice = blend_and_choose(models, valid, last_only=chosen.last_out)
    measured = {"lstm": _metrics(lstm, test, chosen) | learned, "hybrid": _metrics(hybrid, test, chosen)}
    best = measured.get(choice.name) or _metrics(models[choice.name], test, chosen)
    return measured | {"best": {key: best[key] for key in measured["hybrid"]}}, choice.name


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
    parser.add_argument("--hidden-sets", type=int, nargs="+", default=[0, 1, 2], help="seeds of the hidden items")
    parser.add_argument("--only-cold", action="store_true", help="of the sets, the cold items alone")
    parser.add_argument("--recbole-python", help="the python of an environment that has RecBole; left out: null")
    parser.add_argument("--models", type=Path, help="folder that keeps LSTMs and hidden sets, for a later run")
    parser.add_argument("--out", type=Path, help="folder for the record")
    options = parser.parse_args()
    results = measure(options)
    if options.out is not None and not options.quick:
        for name, part in parts(results).items():
            record(f"models-{name}", part, options.out, seed=0)
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
        if not options.only_cold:
            quality[name] = measure_set(SETS[name], options.data, seeds, options.quick, options.models)
            print_table(name, quality[name])
        if not (options.no_cold or options.quick) and name in ("ml-100k", "eshop2008"):
            cold[name] = cold_items(
                SETS[name], options.data, options.quick, sets=options.hidden_sets, kept=options.models
            )
            print(f"cold items, {name}: {json.dumps(cold[name])}")
    peak = own_peak_mb()  # before the synthetic catalogues of the speed part
    users = cold_users(options.data) if not sets else None
    if users is not None:
        print(f"cold users: {json.dumps(users)}")
    results = {
        "seeds": list(range(seeds)),
        "whole_process_peak_mb": peak,
        "quality": _without_nan(quality),
        "cold_items": cold,
        "cold_users": users,
    }
    return results | speed(options)


def parts(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return a record for every set, cold part and the speed, so that a run of one leaves the others alone."""
    found = {name: {"quality": {name: result}} for name, result in results["quality"].items() if result is not None}
    for name, result in results["cold_items"].items():
        if result is not None:
            found[f"cold-{name}"] = {"cold_items": {name: result}}
    if results["cold_users"] is not None:
        found["cold-users"] = {"cold_users": results["cold_users"]}
    if results["targets_per_cpu_s"] is not None:
        found["speed"] = {key: value for key, value in results.items() if key not in NOT_SPEED}
    return found


NOT_SPEED = ("seeds", "quality", "cold_items", "cold_users")


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
