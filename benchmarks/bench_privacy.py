"""What differential privacy of whole users costs the LSTM: nats and hit@10 on eshop2008 by epsilon.

A small LSTM, one epoch, the same for all: trained as usual (and calibrated), with each user's gradient clipped and no
noise, and with the noise that spends epsilon 8 and 3 at delta 1e-5. The noise comes from the seed, so that a run can be
repeated; a model to be given away would draw it from the system.

    python benchmarks/bench_privacy.py --json --out benchmarks/results
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from record import record

import rlrec
from rlrec.core.artifacts import write_json
from rlrec.core.config import config_to_dict
from rlrec.data.log import InteractionLog
from rlrec.models.checkpoint import fingerprint
from rlrec.models.config import LSTMConfig, PrivacyConfig
from rlrec.models.privacy import noise_for
from rlrec.models.recommender import Recommender

EPSILONS = (8.0, 3.0)
_USERS = 256  # in a step
_PRIVATE: dict[str, Any] = {"optimizer": "adam", "learning_rate": 0.01, "dropout": 0.0, "input_dropout": 0.0}


def measure(quick: bool, seed: int, kept: Path | None = None, only: str | None = None) -> dict[str, Any]:
    """Fit and judge every row, or ``only`` one beside those that lie in ``kept``."""
    train, valid, test = rlrec.split_by_time(rlrec.load_log("builtin:eshop2008"))
    if quick:
        sequences = train.sequences()
        train = train.select(np.isin(train.user, np.unique(sequences.user)[: 2 * _USERS]))
    usual = LSTMConfig(embedding_size=32, hidden_size=64, n_epochs=1)
    n_users = len(np.unique(train.user))
    steps = usual.n_epochs * max(round(n_users / _USERS), 1)
    clip = PrivacyConfig(users=_USERS, noise=0.0, clip=0.1, secret=False)
    configs = {"as usual": usual, "clipped, no noise": replace(usual, **_PRIVATE, privacy=clip)}
    for epsilon in EPSILONS:
        noise = noise_for(epsilon, sample_rate=_USERS / n_users, steps=steps)
        configs[f"epsilon {epsilon:g}"] = replace(usual, **_PRIVATE, privacy=replace(clip, noise=noise))
    rows: dict[str, Any] = {
        "markov": _judged(rlrec.MarkovModel.fit(train), test),
        "popularity": _judged(rlrec.PopularityModel.fit(train), test),
    }
    for name, config in configs.items():
        path = (
            None
            if kept is None
            else kept / f"{fingerprint(name, config_to_dict(config), seed, train.sha256)[:16]}.json"
        )
        if path is not None and path.is_file():
            rows[name] = json.loads(path.read_text(encoding="utf-8"))
        elif only is None or name == only:
            rows[name] = _fitted(config, train, valid, test, seed)
            print(name, rows[name], flush=True)
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_json(path, rows[name])
    return {"rows": rows, "n_users": n_users, "users_a_step": _USERS, "steps": steps, "delta": clip.delta}


def _fitted(
    config: LSTMConfig, train: InteractionLog, valid: InteractionLog, test: InteractionLog, seed: int
) -> dict[str, Any]:
    began = time.process_time()
    model = rlrec.LSTMModel.fit(train, valid=valid, config=config, seed=seed, show_progress=False)
    cost = {"cpu_seconds": time.process_time() - began}
    spent = model.privacy
    private = {} if spent is None else {"epsilon": spent.epsilon, "noise": spent.noise}
    return _judged(model, test) | private | cost


def _judged(model: Recommender, test: InteractionLog) -> dict[str, Any]:
    ranked = rlrec.evaluate_ranking(model, test)
    return {"nats": None if ranked.nll is None else float(ranked.nll.mean()), "hit@10": float(ranked.hit.mean())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--quick", action="store_true", help="an epoch over a thousand users; records nothing")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", type=Path, help="folder that keeps what rows gave, for a later run")
    parser.add_argument("--only", help="fit this row alone, beside those that --models holds")
    parser.add_argument("--out", type=Path, help="folder for the record")
    options = parser.parse_args()
    results = measure(options.quick, options.seed, options.models, options.only)
    if options.out is not None and not options.quick:
        record("models-privacy", {"privacy": results}, options.out, seed=options.seed)
    if options.json:
        print(json.dumps(results, allow_nan=False))


if __name__ == "__main__":
    main()
