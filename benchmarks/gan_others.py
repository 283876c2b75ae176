"""SDV's PAR on what the sequence GAN was trained on, its detectors beside ours on as many sequences."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from gan_measures import Measures, interval

from rlrec.data.log import InteractionLog
from rlrec.data.sequences import Sequences
from rlrec.evaluation.detectors import FAMILIES
from rlrec.gan.knobs import fit_sampling
from rlrec.gan.sampling import generate_sequences
from rlrec.models.config import LSTMConfig
from rlrec.models.lstm import LSTMModel

CPU_SECONDS = 60.0  # of PAR's training, about what the GAN takes
MOST = 250  # sequences that it learns from: 2,750, all there are, took more than ten minutes an epoch
N = 300  # sequences that PAR samples: it gives few a second


def par(python: str | None, real: Sequences, *, seed: int, quick: bool) -> tuple[Sequences, dict[str, Any]] | None:
    """Return what PAR samples and what it cost, from the environment of ``python``; None where there is none."""
    if python is None:
        return None
    worker = str(Path(__file__).with_name("par_worker.py"))
    most, seconds, n = (40, 1.0, 30) if quick else (MOST, CPU_SECONDS, N)
    with tempfile.TemporaryDirectory() as folder:
        given, drawn = Path(folder) / "real.npz", Path(folder) / "drawn.npz"
        np.savez(given, offsets=real.offsets, item=real.item, event=real.event, gap=real.gap)
        command = [python, worker, str(given), str(most), str(seconds), str(n), str(seed), str(drawn)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={"OMP_NUM_THREADS": "1"})
        if done.returncode:
            raise SystemExit(f"PAR failed: {done.stderr.strip().splitlines()[-1]}")
        with np.load(drawn) as found:
            columns = {name: found[name] for name in found.files}
    return _sequences(columns), json.loads(done.stdout.strip().splitlines()[-1])


def _sequences(columns: dict[str, np.ndarray]) -> Sequences:
    offsets, item = columns["offsets"].astype(np.int64), columns["item"].astype(np.int32)
    n = len(offsets) - 1
    return Sequences(
        offsets=offsets,
        item=item,
        event=columns.get("event", np.zeros(len(item))).astype(np.int16),
        gap=columns.get("gap", np.zeros(len(item))).astype(np.int64),
        value=None,
        start=np.zeros(n),
        user=np.arange(n),
        ended=np.ones(n, np.bool_),
    )


def beside(found: Measures, sets: dict[str, Sequences]) -> dict[str, dict[str, float]]:
    """Return each set's detectors on as many sequences as the smallest has."""
    n = min(map(len, sets.values()))
    rows = {}
    for name, sequences in sets.items():
        few = sequences.select(np.arange(n))
        aucs = {f"auc_{family}": found.comparison.detector(found.real[2], few, family).auc for family in FAMILIES}
        rows[f"{name}_beside_par"] = aucs | {"n": float(n)}
    return rows


def costs(runs: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return PAR's costs, and how many times as many sequences a CPU second ours makes; means over seeds."""
    both = [(run["sequences_per_cpu_s"], run["par"]) for run in runs if run["par"] is not None]
    if not both:
        return None
    found = {name: interval([float(par[name]) for _, par in both]) for name in ("epochs", "train_cpu_s")}
    found["sequences_per_cpu_s"] = interval([par["sequences_per_cpu_s"] for _, par in both])
    return found | {"ratio": interval([ours / par["sequences_per_cpu_s"] for ours, par in both])}


def par_alone(
    parts: tuple[InteractionLog, ...], config: LSTMConfig, python: str, *, seed: int, quick: bool
) -> dict[str, Any]:
    """Return PAR beside the maximum-likelihood start with its knobs and beside real sequences, without a GAN."""
    train, valid, _ = parts
    begun = time.process_time()
    model = LSTMModel.fit(train, valid=valid, config=config, seed=seed, show_progress=False)
    knobs = fit_sampling(model, train.sequences(), valid.sequences(), seed=seed, max_length=100)
    seconds = time.process_time() - begun
    begun = time.process_time()
    drawn = generate_sequences(model, 1_000, seed=seed + 1, sampling=knobs)
    speed = 1_000 / (time.process_time() - begun)
    other = par(python, train.sequences(), seed=seed, quick=quick)
    assert other is not None
    sets = {"par": other[0], "start": drawn, "real": valid.sequences()}
    return {
        "seed": seed,
        "table": beside(Measures(parts, seed, 300 if quick else 1_000), sets),
        "par": other[1],
        "train_cpu_s": seconds,
        "sequences_per_cpu_s": speed,
        "ratio": speed / other[1]["sequences_per_cpu_s"],
    }
