"""Training and inference speed, memory, and RecBole's beside: the speed part of bench_models.py."""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import resource
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from model_sets import SETS

import rlrec
from rlrec.core.progress import MetricsWriter
from rlrec.data.log import InteractionLog
from rlrec.models.base import BehaviourSpace, BehaviourStep
from rlrec.models.cold_items import set_cold_items
from rlrec.models.config import LSTMConfig
from rlrec.models.negatives import NegativeSampler, count_of_negatives
from rlrec.models.optimizers import make_optimizers
from rlrec.models.selection import ValidationTargets, mean_ndcg
from rlrec.models.training import _train_epoch, cut_long, train_network

FAST: dict[str, Any] = {  # items alone, as RecBole's models see them
    "hidden_size": 128,
    "embedding_size": 128,
    "batch_tokens": 4_000,
    "optimizer": "adam",
    "learning_rate": 0.003,
    "precision": "bfloat16",
    "use_features": False,
}
QUICK: dict[str, Any] = {  # beside the accurate setting: to a good model in few epochs
    "schedule": "one_cycle",
    "learning_rate": 0.008,
    "embedding_size": 96,
    "hidden_size": 96,
    "dropout": 0.3,
    "input_dropout": 0.1,
    "batch_tokens": 1_000,
    "n_epochs": 5,
}
GRU4REC_NDCG = 0.069  # validation NDCG@10 of RecBole's GRU4Rec on ml-100k, as measured for this project
RECBOLE = {"ratio_recbole_gru4rec": ("GRU4Rec", 8), "ratio_recbole_sasrec": ("SASRec", 4)}  # batches of 2,048 timed


def speed(options: argparse.Namespace) -> dict[str, Any]:
    """Return the speed part of the results; null where it was not asked for."""
    keys = ("targets_per_cpu_s", "gemm_share", "sampled_softmax_slowdown", "one_user_ms", "recommend_gemm_share")
    if options.no_speed:
        return dict.fromkeys((*keys, "peak_mb", *RECBOLE))
    films = SETS["ml-100k"].load(options.data)
    log = films or SETS["eshop2008"].load(options.data)
    assert log is not None
    accurate_config = SETS["ml-100k"].lstm(quick=False)
    fast, accurate = training_speed(log, LSTMConfig(**FAST)), training_speed(log, accurate_config)
    print(f"training, fast: {fast}; accurate: {accurate}")
    theirs = recbole(options.recbole_python if films else None, options.data)
    for ratio, found in theirs.items():
        if found is not None:
            accurate[ratio] = accurate["targets_per_cpu_s"] / found["targets_per_cpu_s"]
    print(f"RecBole: {theirs}")
    return {
        **fast,
        "accurate": accurate,
        "recbole": theirs,
        **{
            ratio: None if found is None else fast["targets_per_cpu_s"] / found["targets_per_cpu_s"]
            for ratio, found in theirs.items()
        },
        "peak_mb": training_peak_mb(accurate_config, options.data) if films else None,
        "time_to_accuracy": time_to_accuracy(options.data) if films and not options.quick else None,
        "sampled_softmax_slowdown": sampled_slowdown(10_000 if options.quick else 100_000),
        "one_user_ms": one_user_ms(),
        "recommend_gemm_share": recommend_share(2_000 if options.quick else 20_000),
    }


def training_speed(log: InteractionLog, config: LSTMConfig, *, n_epochs: int = 1) -> dict[str, float]:
    """Return targets per CPU second of training alone, and the share of the machine's GEMM rate that it reaches."""
    torch.set_num_threads(1)
    sequences = cut_long(log.sequences(), config.max_length)  # as `LSTMModel.fit` does
    network = rlrec.LSTMModel.build_network(log, config, 0)
    n_negatives = count_of_negatives(config.n_negatives, log.n_items)
    sampler = NegativeSampler(log.item_counts, n_negatives) if n_negatives else None
    network.item_embedding.sparse = sampler is not None
    optimizers, rng = make_optimizers(network, config), np.random.default_rng(0)
    with torch.sparse.check_sparse_tensor_invariants(enable=False):
        began = time.process_time()
        for _ in range(n_epochs):
            _train_epoch(network, sequences, optimizers, rng, sampler, epoch=1)
    rate = sequences.n_events * n_epochs / (time.process_time() - began)
    return {"targets_per_cpu_s": rate, "gemm_share": rate * _flops(config, n_negatives or log.n_items) / gemm_rate()}


def time_to_accuracy(data: Path, *, seeds: Sequence[int] = (0, 1, 2, 3, 4)) -> dict[str, Any]:
    """Return `seconds_to` RecBole's accuracy in the quick and the accurate setting, a run for each seed."""
    accurate = SETS["ml-100k"].lstm(quick=False)
    settings = {"quick": replace(accurate, **QUICK), "accurate": accurate}
    return {
        name: [seconds_to(GRU4REC_NDCG, config, data, seed=seed) for seed in (seeds if name == "quick" else seeds[:1])]
        for name, config in settings.items()
    }


def seconds_to(wanted: float, config: LSTMConfig, data: Path, *, seed: int = 0) -> dict[str, float | None]:
    """Return CPU seconds of training, its own validation loss included, until ml-100k's validation NDCG@10 is reached.

    Null if it never is. The time of the NDCG itself is left out.
    """
    log = SETS["ml-100k"].load(data)
    assert log is not None
    train, valid, _ = SETS["ml-100k"].split(log)
    network = rlrec.LSTMModel.build_network(train, config, seed)
    set_cold_items(network, train.item_counts)
    targets = ValidationTargets.of(valid, last_only=True)
    space, began, left_out = BehaviourSpace.of(train), time.process_time(), 0.0
    reached: dict[str, float | None] = {"cpu_seconds": None, "epoch": None, "ndcg@10": 0.0}

    def look(epoch: int, nats: float) -> None:
        nonlocal left_out
        stopped = time.process_time()
        ndcg = mean_ndcg(rlrec.LSTMModel(network, space), targets)
        left_out += time.process_time() - stopped
        reached["ndcg@10"] = max(reached["ndcg@10"] or 0.0, ndcg)
        if ndcg >= wanted:
            reached.update({"cpu_seconds": stopped - began - left_out, "epoch": epoch})
            raise StopIteration

    with contextlib.suppress(StopIteration):
        train_network(
            network,
            train.sequences(),
            valid.sequences(),
            seed=seed,
            metrics=MetricsWriter(None),
            show_progress=False,
            last_only=True,
            on_epoch=look,
        )
    return reached


def training_peak_mb(config: LSTMConfig, data: Path) -> float:
    """Return the peak memory of a process that loads ml-100k and trains an epoch, as RecBole's is measured."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(_train_alone, config, data).result()


def _train_alone(config: LSTMConfig, data: Path) -> float:
    log = SETS["ml-100k"].load(data)
    assert log is not None
    training_speed(log, config)
    return own_peak_mb()


def own_peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


def recbole(python: str | None, data: Path) -> dict[str, dict[str, float] | None]:
    """Return RecBole's targets per CPU second and peak memory by name of the ratio; None where it is absent."""
    if python is None:
        return dict.fromkeys(RECBOLE)
    worker = str(Path(__file__).with_name("recbole_worker.py"))
    found: dict[str, dict[str, float] | None] = {}
    for ratio, (model, n_batches) in RECBOLE.items():
        command = [python, worker, str(data / "research"), model, str(n_batches)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={"OMP_NUM_THREADS": "1"})
        if done.returncode:
            raise SystemExit(f"{model} of RecBole failed: {done.stderr.strip().splitlines()[-1]}")
        found[ratio] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


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
    model = rlrec.LSTMModel(network, BehaviourSpace.of(log))
    state, token = model.initial_state(1), BehaviourStep(*(torch.zeros(1, dtype=torch.int64),) * 3)
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
    model = rlrec.LSTMModel(rlrec.LSTMModel.build_network(log, LSTMConfig(**FAST), 0), BehaviourSpace.of(log))
    one = log.sequences().tail(1)
    many = one.select(np.resize(np.arange(len(one)), n_users))
    began = time.process_time()
    model.recommend(many, 10)
    flops = 2.0 * n_users * n_items * model.config.embedding_size
    return flops / (time.process_time() - began) / gemm_rate()
