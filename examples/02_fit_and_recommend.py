"""Fit a model of what comes next, compare it with what it must beat, and recommend to people by their histories.

It takes some minutes; with ``--quick`` seconds, and the numbers mean little.
"""

from __future__ import annotations

import argparse
import tempfile

import rlrec

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="one short epoch")
quick = parser.parse_args().quick

log = rlrec.load_log("builtin:eshop2008")
train, valid, test = rlrec.split_by_time(log, valid=0.1, test=0.1)

config = rlrec.LSTMConfig(n_epochs=1, hidden_size=32) if quick else rlrec.LSTMConfig()
models = {
    "popularity": rlrec.PopularityModel.fit(train),
    "markov": rlrec.MarkovModel.fit(train),  # strong on sessions: a model that does not beat it adds nothing
    "lstm": rlrec.LSTMModel.fit(train, valid=valid, config=config, seed=0),
}
for name, model in models.items():
    scores = rlrec.evaluate_ranking(model, test, k=10).summary()
    print(f"{name:<12}", "  ".join(f"{metric} {value:.3f}" for metric, value in scores.items()))

# Histories are lists of your own ids, oldest first. An empty one is a person of whom nothing is known.
histories = [["A13", "A16"], ["B4"], []]
for history, items in zip(histories, models["lstm"].recommend(histories, k=5), strict=True):
    print(history, "->", ", ".join(items))

# A saved model is weights and JSON; loading runs no code from it.
folder = tempfile.mkdtemp()
models["lstm"].save(folder)
again = rlrec.LSTMModel.load(folder)
assert (again.recommend(histories, k=5) == models["lstm"].recommend(histories, k=5)).all()
print("saved and loaded, it recommends the same")
