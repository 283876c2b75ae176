"""The sequence GAN beside its controls, over seeds: detectors, resemblance, use, privacy, speed; and augmentation.

``--data`` is what `load_log` reads. A log without sessions whose people do one thing only (MovieLens) is cut into
windows of 20 and split by users; one with several events (online_retail) is split by users, a sequence each; one with
sessions (eshop2008) by time. Every seed draws its own split of users, and none was looked at while the knobs and
the guide were designed. CPU seconds are of this process, torch on one thread.

    python benchmarks/bench_gan.py --json --data ml-100k --out benchmarks/results
    python benchmarks/bench_gan.py --json --data builtin:eshop2008 --seeds 101 --out benchmarks/results
    python benchmarks/bench_gan.py --json --data ml-100k --augmentation --out benchmarks/results

With ``--par-python`` SDV's PAR (`par_worker.py`, in an environment of its own) stands beside ours, without it null;
with ``--par-only``, too, it stands beside the maximum-likelihood start alone, on the first seed.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from gan_measures import Measures, interval, over_seeds
from gan_others import beside, costs, par, par_alone
from record import record

import rlrec
from rlrec.data.log import InteractionLog
from rlrec.gan.augmentation import AugmentationConfig, compare_arms
from rlrec.gan.knobs import fit_sampling
from rlrec.gan.sampling_config import SamplingConfig

WINDOW = 20
SEEDS = (101, 102, 103)  # fresh: the knobs were designed on the split of seed 0, the guide on that of seed 7
MODEL = rlrec.LSTMConfig(embedding_size=64, hidden_size=96, batch_tokens=640, n_epochs=8)
GAN = rlrec.GANConfig(
    n_rounds=24, n_warmup=8, check_every=8, detector_sequences=500, sequences_per_round=128, n_batches=2
)
VARIANTS: dict[str, dict[str, Any]] = {
    "rollout": {"reward": "rollout"},
    "gumbel": {"reward": "gumbel"},
    "conv": {"discriminator": "conv"},
}
QUICK_MODEL = replace(MODEL, hidden_size=32, n_epochs=1)
QUICK_GAN = replace(GAN, n_rounds=4, n_warmup=2, check_every=2, detector_sequences=60)
AUGMENTATION = rlrec.LSTMConfig(embedding_size=48, hidden_size=64, n_epochs=8, batch_tokens=640)
MAX_USERS = 1_500  # of logs split by users: what fits into minutes


def windows(log: InteractionLog, length: int = WINDOW) -> InteractionLog:
    """Cut each user into windows of ``length`` behaviours, a session each; what is left over is dropped."""
    counts = np.bincount(log.user, minlength=log.n_users)
    place = np.arange(log.n_events) - (np.cumsum(counts) - counts)[log.user]
    window = np.unique(log.user.astype(np.int64) * (log.n_events + 1) + place // length, return_inverse=True)[1]
    whole = place < (counts // length * length)[log.user]
    return replace(log, session=window.astype(np.int32)).select(whole, name=f"{log.name} in windows of {length}")


def split(log: InteractionLog, seed: int) -> tuple[InteractionLog, InteractionLog, InteractionLog]:
    """Split as the module's first lines say."""
    if log.session is not None and not log.name.endswith(f"windows of {WINDOW}"):
        return rlrec.split_by_time(log, valid=0.1, test=0.1)
    return rlrec.split_by_user(log, valid=0.2, test=0.2, seed=seed)  # equal parts: real against real at equal n


def prepare(log: InteractionLog) -> InteractionLog:
    """Cut windows where there are neither sessions nor events; leave out users beyond what fits into minutes."""
    if log.session is not None:
        return log
    if log.n_event_types == 1:
        return windows(log)
    kept = np.random.default_rng(0).permutation(log.n_users)[:MAX_USERS]
    return log.select(np.isin(log.user, kept), name=log.name)


def run(
    log: InteractionLog, seed: int, *, quick: bool, variants: bool, par_python: str | None = None
) -> dict[str, Any]:
    """Train a GAN and its control on one split and measure every arm."""
    parts = split(log, seed)
    train, valid, _ = parts
    model, config = (QUICK_MODEL, QUICK_GAN) if quick else (MODEL, GAN)
    model = replace(model, value_weight=0.0 if log.value is None or log.n_event_types == 1 else 0.1)
    begun = time.process_time()
    init = rlrec.LSTMModel.fit(train, valid=valid, config=model, seed=seed, show_progress=False)
    mle_seconds = time.process_time() - begun
    gan = rlrec.SequenceGAN.fit(train, init=init, valid=valid, config=config, seed=seed, show_progress=False)
    seconds = time.process_time() - begun
    trial = gan.fit_guide(train, valid, seed=seed)
    n = min(len(train.sequences()), 600 if quick else 3_000)
    sets = {name: gan.draw(n, seed=seed + 1, arm=name) for name in ("adversarial", "control", "init")}
    sets["mle_plain"] = gan.draw(n, seed=seed + 1, arm="init", sampling=SamplingConfig())
    guided = gan.draw_resampled(n, seed=seed + 1, accepted_only=False)
    found = Measures(parts, seed, 300 if quick else 1_000)
    use = found.usefulness({name: sets[name] for name in ("adversarial", "control")})
    table = {name: found.look(sequences) for name, sequences in sets.items()}
    for name, ratio in use.items():
        table[name] |= {"tstr_trtr": ratio} | found.privacy(sets[name], gan.arms[name])
    table["mle_knobs"] = table.pop("init")
    table["mle_knobs"] |= found.privacy(sets["init"], init)
    table["kept"] = table[{"init": "mle_knobs"}.get(gan.kept, gan.kept)]
    table["resampled"] = found.look(guided.sequences) | {"ess_share": guided.ess_share}
    table["real"] = found.look(parts[1].sequences())
    table["twins"] = found.twins(sets["adversarial"], gan.draw(n, seed=seed + 3, arm="adversarial"))
    begun = time.process_time()
    n_timed = 500 if quick else 2_000
    gan.draw(n_timed, seed=seed + 2)
    speed = n_timed / (time.process_time() - begun)
    if variants:
        table |= measure_variants(parts, init, config, found, n, seed)
    other = par(par_python, train.sequences(), seed=seed, quick=quick)
    if other is not None:
        table |= beside(found, {"par": other[0], "kept": gan.draw(n, seed=seed + 1), "real": parts[1].sequences()})
    return {
        "seed": seed,
        "n": found.n,
        "kept": gan.kept,
        "valid_auc": gan.record.auc,
        "guide": {"accepted": trial.accepted, "gru_before": trial.auc_before, "gru_after": trial.auc_after},
        "train_cpu_s": seconds,
        "mle_cpu_s": mle_seconds,
        "sequences_per_cpu_s": speed,
        "par": None if other is None else other[1],
        "table": table,
    }


def measure_variants(
    parts: tuple[InteractionLog, ...], init: Any, config: rlrec.GANConfig, found: Measures, n: int, seed: int
) -> dict[str, dict[str, float]]:
    """Return what the other ways to teach a generator reach, each beside its own control."""
    rows = {}
    for name, settings in VARIANTS.items():
        begun = time.process_time()
        gan = rlrec.SequenceGAN.fit(
            parts[0], init=init, valid=parts[1], config=replace(config, **settings), seed=seed, show_progress=False
        )
        seconds = time.process_time() - begun
        rows[name] = found.look(gan.draw(n, seed=seed + 1, arm="adversarial")) | {"gan_cpu_s": seconds}
        rows[f"{name}_control"] = found.look(gan.draw(n, seed=seed + 1, arm="control"))
    return rows


def summed_up(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the runs, and each row's means over seeds with their intervals."""
    plain = ("train_cpu_s", "mle_cpu_s", "sequences_per_cpu_s")
    return {
        "table": over_seeds([run["table"] for run in runs]),
        "speed": {name: interval([run[name] for run in runs]) for name in plain},
        "par": costs(runs),
        "runs": [{name: value for name, value in run.items() if name != "table"} for run in runs],
    }


def augmentation(log: InteractionLog, sizes: tuple[int, ...], seeds: tuple[int, ...]) -> dict[str, Any]:
    """Return what each arm gains over nothing, by number of training users."""
    rows = {}
    for size in sizes:
        runs = [_augment_once(log, size, seed) for seed in seeds]
        base = np.array([run["nothing"] for run in runs])
        arms = [name for name in runs[0] if name not in ("gates", "nothing")]
        row = {name: interval(np.array([run[name] for run in runs]) / base - 1) for name in arms}
        over = interval(np.array([run["synthetic"] / run["more_epochs"] for run in runs]) - 1)
        rows[str(size)] = row["synthetic"] | {
            "arms": row,
            "over_more_epochs": over,
            "nothing_ndcg": interval(base),
            "gates": [run["gates"] for run in runs],
        }
    return rows


def _augment_once(log: InteractionLog, size: int, seed: int) -> dict[str, Any]:
    train, valid, test = rlrec.split_by_user(log, valid=0.1, test=0.2, seed=seed)
    users = np.unique(train.user)
    few = np.random.default_rng(seed).permutation(users)[:size]
    train = train.select(np.isin(train.user, few))
    config = AugmentationConfig(shares=(1.0, 3.0) if size <= 100 else (1.0,), model=AUGMENTATION)
    near = np.random.default_rng(seed).permutation(np.unique(valid.user))[: max(size // 4, 20)]
    valid = valid.select(np.isin(valid.user, near))  # nobody with N users has many more to validate with
    real = train.sequences()
    n = round(max(config.shares) * len(real))
    lstm = rlrec.LSTMModel.fit(train, valid=valid, config=config.model, seed=seed, show_progress=False)
    markov = rlrec.MarkovModel.fit(train)
    synthetic = {}
    for name, model in {"lstm": lstm, "markov": markov}.items():
        knobs = fit_sampling(model, real, valid.sequences(), seed=seed, max_length=2 * WINDOW)
        synthetic[name] = rlrec.generate_sequences(model, n, seed=seed, max_length=2 * WINDOW, sampling=knobs)
    result = compare_arms(train, valid, test, synthetic, config=config, seed=seed)
    return {name: found.value for name, found in result.test_ndcg.items()} | {"gates": result.gates}


def line(results: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers that a reader looks for first, of the set that was measured."""
    if "table" not in results:
        return {"augmentation": results["augmentation"]}
    table, speed = results["table"], results["speed"]
    wanted = (
        *("auc_gbdt", "auc_gru", "cluster_jsd_ratio", "coverage", "new_bigram_gap", "tstr_trtr"),
        *("mia_black", "mia_white", "copied_5grams"),
    )

    def short(row: str) -> dict[str, float]:
        return {name: table[row][name]["value"] for name in wanted if name in table[row]}

    real = {name: table["real"][f"auc_{name}"]["value"] for name in ("gbdt", "gru", "logistic")}
    fast = {name: speed[name]["value"] for name in ("train_cpu_s", "sequences_per_cpu_s")}
    others = [name for name in table if name not in ("kept", "real")]
    speed_of_par = None if results["par"] is None else results["par"]["sequences_per_cpu_s"]["value"]
    return (
        fast
        | short("kept")
        | {"auc_real": real, "par_sequences_per_cpu_s": speed_of_par}
        | {name: short(name) for name in others}
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="builtin:eshop2008", help="what load_log reads")
    parser.add_argument("--quick", action="store_true", help="run small; nothing is recorded")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--out", type=Path, help="folder for the record, written anew after each seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--variants", type=int, default=1, help="seeds with the other rewards and discriminators")
    parser.add_argument("--par-python", help="the python of an environment that has deepecho; left out: null")
    parser.add_argument("--par-only", action="store_true", help="only PAR, beside the start and real sequences")
    parser.add_argument("--augmentation", action="store_true", help="the augmentation table instead")
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 100, 200, 400], help="its training users")
    options = parser.parse_args()
    log = rlrec.load_log(options.data)
    label = log.name.removeprefix("builtin:")
    log, seeds = prepare(log), options.seeds[:1] if options.quick else options.seeds
    if options.par_only:
        found = par_alone(split(log, seeds[0]), MODEL, options.par_python, seed=seeds[0], quick=options.quick)
        if options.out is not None and not options.quick:
            record(f"bench_gan-{label}-par", found, options.out, seed=seeds[0])
        print(json.dumps(found))
        return
    runs: list[dict[str, Any]] = []
    results: dict[str, Any] = {"data": log.name}
    for step in (options.sizes[:1] if options.quick else options.sizes) if options.augmentation else seeds:
        if options.augmentation:
            done = results.get("augmentation", {}) | augmentation(log, (step,), tuple(seeds))
            results["augmentation"] = done
        else:
            first = len(runs) < options.variants
            runs.append(run(log, step, quick=options.quick, variants=first, par_python=options.par_python))
            results |= summed_up(runs)
        if options.out is not None and not options.quick:
            name = f"bench_gan-{label}" + ("-augmentation" if options.augmentation else "")
            print(record(name, results | {"line": line(results)}, options.out, seed=seeds[0]), flush=True)
    print(json.dumps(line(results)) if options.json else json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
