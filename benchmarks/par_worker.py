"""Trains SDV's PAR and samples from it, in an environment of its own; prints one line of JSON.

    python par_worker.py REAL.npz MOST CPU_SECONDS N SEED OUT.npz

REAL.npz holds ``offsets``, ``item``, ``event`` and ``gap`` as `Sequences` has them, all codes; each column that varies
becomes a categorical one of PAR. An epoch of PAR costs the square of the number of sequences (each one's slice of the
likelihood has a gradient as large as the whole batch), so it learns from MOST of them, drawn by SEED. One epoch is
timed first, and the training gets as many as fit into CPU_SECONDS (PAR's own default is 128). OUT.npz gets N sampled
sequences, one after another as PAR samples them. SDV's `PARSynthesizer` wraps this model, which deepecho holds; it
installs beside torch 2.13 (`pip install deepecho`).
"""

import json
import sys
import time
import warnings

warnings.filterwarnings("ignore")
import numpy as np  # noqa: E402
import torch  # noqa: E402
from deepecho import PARModel  # noqa: E402


def fitted(sequences, n_columns, n_epochs, seed):
    """Return a trained model and its CPU seconds."""
    torch.manual_seed(seed)
    model = PARModel(epochs=n_epochs, cuda=False, verbose=False)
    began = time.process_time()
    model.fit_sequences(sequences, context_types=[], data_types=["categorical"] * n_columns)
    return model, time.process_time() - began


def main(real, most, cpu_seconds, n, seed, out):
    torch.set_num_threads(1)
    with np.load(real) as found:
        offsets = found["offsets"]
        columns = {name: found[name] for name in ("item", "event", "gap") if len(np.unique(found[name])) > 1}
    parts = {name: np.split(column, offsets[1:-1]) for name, column in columns.items()}
    filled = np.flatnonzero(np.diff(offsets) > 0)
    rows = np.random.default_rng(seed).permutation(filled)[:most]
    sequences = [{"context": [], "data": [parts[name][row].tolist() for name in columns]} for row in rows]
    fitted(sequences, len(columns), 1, seed)  # what is slow once only
    seconds = [fitted(sequences, len(columns), n_epochs, seed)[1] for n_epochs in (1, 3)]
    epoch = max((seconds[1] - seconds[0]) / 2, seconds[0] / 10)  # the rest turns sequences into tensors
    n_epochs = max(int((cpu_seconds - seconds[0]) / epoch), 1)
    model, train_seconds = fitted(sequences, len(columns), n_epochs, seed)
    began = time.process_time()
    drawn = [model.sample_sequence([]) for _ in range(n)]
    sampling_seconds = time.process_time() - began
    sampled = {name: np.concatenate([row[place] for row in drawn]) for place, name in enumerate(columns)}
    np.savez(out, offsets=np.cumsum([0, *(len(row[0]) for row in drawn)]), **sampled)
    result = {
        "sequences": len(rows),
        "epochs": n_epochs,
        "train_cpu_s": train_seconds,
        "sequences_per_cpu_s": n / sampling_seconds,
    }
    print(json.dumps(result | {"loss": [float(loss) for loss in model.loss_values["Loss"].iloc[[0, -1]]]}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]), sys.argv[6])
