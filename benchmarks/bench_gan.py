"""The sequence GAN beside its control: detectors, resemblance, use, privacy, speed, augmentation.

The set is MovieLens 100k in windows of 20, split by users, from ``--data`` (a folder in any layout that `load_log`
reads); without it only the embedded shop log is measured. CPU seconds are of this process, torch on one thread.

    python benchmarks/bench_gan.py --json --data ml-100k --out benchmarks/results
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from gan_measures import Measures
from record import record
from scipy import stats

import rlrec
from rlrec.data.log import InteractionLog
from rlrec.evaluation.fidelity import Comparison
from rlrec.gan.augmentation import AugmentationConfig, compare_arms
from rlrec.gan.knobs import fit_sampling
from rlrec.gan.sampling_config import SamplingConfig

WINDOW = 20
MODEL = rlrec.LSTMConfig(embedding_size=64, hidden_size=96, batch_tokens=640, n_epochs=8)
GAN = rlrec.GANConfig(
    n_rounds=24, n_warmup=8, check_every=8, detector_sequences=500, sequences_per_round=128, n_batches=2
)
QUICK_MODEL = replace(MODEL, hidden_size=32, n_epochs=1)
QUICK_GAN = replace(GAN, n_rounds=4, n_warmup=2, check_every=2, detector_sequences=60)
SMALL = AugmentationConfig(
    shares=(1.0, 4.0),
    model=rlrec.LSTMConfig(embedding_size=48, hidden_size=64, n_epochs=8, batch_tokens=640),
)


def windows(log: InteractionLog, length: int = WINDOW) -> InteractionLog:
    """Cut each user into windows of ``length`` behaviours, a session each; what is left over is dropped."""
    counts = np.bincount(log.user, minlength=log.n_users)
    place = np.arange(log.n_events) - (np.cumsum(counts) - counts)[log.user]
    window = np.unique(log.user.astype(np.int64) * (log.n_events + 1) + place // length, return_inverse=True)[1]
    whole = place < (counts // length * length)[log.user]
    return replace(log, session=window.astype(np.int32)).select(whole, name=f"{log.name} in windows of {length}")


def measure(parts: tuple[InteractionLog, ...], seed: int, quick: bool) -> dict[str, Any]:
    """Train a GAN and its control and measure both, and the plain start without fitted knobs."""
    train, valid, _ = parts
    model, config = (QUICK_MODEL, QUICK_GAN) if quick else (MODEL, GAN)
    begun = time.process_time()
    init = rlrec.LSTMModel.fit(train, valid=valid, config=model, seed=seed, show_progress=False)
    mle_seconds = time.process_time() - begun
    gan = rlrec.SequenceGAN.fit(train, init=init, valid=valid, config=config, seed=seed, show_progress=False)
    seconds = time.process_time() - begun
    real = [part.sequences() for part in parts]
    n = min(len(real[0]), 600 if quick else 3_000)
    arms = {"model": gan.kept, "adversarial": "adversarial", "control": "control"}
    sets = {name: gan.draw(n, seed=seed + 1, arm=arm) for name, arm in arms.items()}
    sets["mle_plain"] = gan.draw(n, seed=seed + 1, arm="init", sampling=SamplingConfig())
    found = Measures(parts, Comparison.of(*parts, seed=seed, max_n=1_500), seed)
    use = found.usefulness(sets)
    generators = {"model": gan.model, "adversarial": gan.adversarial, "control": gan.control, "mle_plain": init}
    table = {
        name: found.detectors(s) | found.resemblance(s) | {"tstr_trtr": use[name]} | found.privacy(s, generators[name])
        for name, s in sets.items()
    }
    table["real"] = found.detectors(real[1]) | found.resemblance(real[1])
    begun = time.process_time()
    n_timed = 500 if quick else 2_000
    gan.draw(n_timed, seed=seed + 2)
    return {
        "kept": gan.kept,
        "valid_auc": gan.record.auc,
        "train_cpu_s": seconds,
        "mle_cpu_s": mle_seconds,
        "sequences_per_cpu_s": n_timed / (time.process_time() - begun),
        "table": table,
    }


def augmentation(log: InteractionLog, sizes: tuple[int, ...], seeds: int) -> dict[str, Any]:
    """Return the gain of the gated synthetic arm over nothing, by number of training users, and the other arms."""
    rows = {}
    for size in sizes:
        runs = [_augment_once(log, size, seed) for seed in range(seeds if size <= 100 else min(seeds, 2))]
        base = np.array([run["nothing"] for run in runs])
        row = {name: _interval(np.array([run[name] for run in runs]) / base - 1) for name in runs[0] if name != "gate"}
        rows[str(size)] = row["synthetic"] | {"arms": row, "gate": [run["gate"] for run in runs]}
    return rows


def _augment_once(log: InteractionLog, size: int, seed: int) -> dict[str, Any]:
    train, valid, test = rlrec.split_by_user(log, valid=0.1, test=0.2, seed=seed)
    users = np.unique(train.user)
    few = np.random.default_rng(seed).permutation(users)[:size]
    train = train.select(np.isin(train.user, few))
    near = np.random.default_rng(seed).permutation(np.unique(valid.user))[: max(size // 4, 20)]
    valid = valid.select(np.isin(valid.user, near))  # nobody with N users has many more to validate with
    real = train.sequences()
    n = round(max(SMALL.shares) * len(real))
    lstm = rlrec.LSTMModel.fit(train, valid=valid, config=SMALL.model, seed=seed, show_progress=False)
    markov = rlrec.MarkovModel.fit(train)
    synthetic = {}
    for name, model in {"lstm": lstm, "markov": markov}.items():
        knobs = fit_sampling(model, real, valid.sequences(), seed=seed, max_length=2 * WINDOW)
        synthetic[name] = rlrec.generate_sequences(model, n, seed=seed, max_length=2 * WINDOW, sampling=knobs)
    result = compare_arms(train, valid, test, synthetic, config=SMALL, seed=seed)
    return {name: e.value for name, e in result.test_ndcg.items()} | {"gate": f"{result.chosen} x {result.share:g}"}


def _interval(values: np.ndarray) -> dict[str, float]:
    n = len(values)
    error = 0.0 if n < 2 else float(stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n))
    mean = float(values.mean())
    return {"value": mean, "low": mean - error, "high": mean + error, "seeds": len(values)}


def line(results: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers that a reader looks for first."""
    if not results["sets"]:
        return {"augmentation": results["augmentation"]}
    main = next(iter(results["sets"].values()))
    table, wanted = main["table"], ("cluster_jsd_ratio", "coverage", "new_bigram_gap", "tstr_trtr", "mia_black")
    wanted = (*wanted, "mia_white", "copied_5grams")

    def short(name: str) -> dict[str, Any]:
        row = table[name]
        return {"auc_gbdt": row["auc_gbdt"]["value"], "auc_gru": row["auc_gru"]["value"]} | {k: row[k] for k in wanted}

    real = {name: table["real"][f"auc_{name}"]["value"] for name in ("gbdt", "gru", "logistic")}
    speed = {name: main[name] for name in ("kept", "train_cpu_s", "sequences_per_cpu_s")}
    arms = {name: short(name) for name in ("control", "adversarial", "mle_plain")}
    return speed | short("model") | {"auc_real": real} | arms | {"augmentation": results["augmentation"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="MovieLens 100k, any layout that load_log reads")
    parser.add_argument("--quick", action="store_true", help="run small; nothing is recorded")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--out", type=Path, help="folder for the record")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sizes", type=int, nargs="*", default=[50, 100, 200, 400])
    parser.add_argument("--seeds", type=int, default=5, help="of the augmentation with at most 100 users")
    parser.add_argument("--augmentation-only", action="store_true", help="leave out everything else")
    parser.add_argument("--no-shop", action="store_true", help="leave out the embedded shop log")
    options = parser.parse_args()
    results: dict[str, Any] = {"sets": {}, "augmentation": {}}
    if options.data is not None:
        films = windows(rlrec.load_log(options.data))
        if not options.augmentation_only:
            parts = rlrec.split_by_user(films, valid=0.1, test=0.2, seed=options.seed)
            results["sets"][films.name] = measure(parts, options.seed, options.quick)
        sizes = (50,) if options.quick else tuple(options.sizes)
        results["augmentation"] = augmentation(films, sizes, 1 if options.quick else options.seeds)
    if options.data is None or not (options.quick or options.no_shop or options.augmentation_only):
        shop = rlrec.load_log("builtin:eshop2008")
        results["sets"]["eshop2008"] = measure(rlrec.split_by_time(shop), options.seed, options.quick)
    if options.out is not None and not options.quick:
        name = "bench_gan_augmentation" if options.augmentation_only else "bench_gan"
        print(record(name, results | {"line": line(results)}, options.out, seed=options.seed))
    print(json.dumps(line(results)) if options.json else json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
