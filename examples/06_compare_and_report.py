"""Fit, train, judge in two simulators, and write the page that says what came out: one HTML file.

It takes some minutes; with ``--quick`` seconds, and the numbers mean little.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import rlrec
from rlrec.evaluation.report import write_report
from rlrec.evaluation.report_details import ReportDetails

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="train for seconds")
parser.add_argument("--out", type=Path, default=None, help="folder for report.html")
options = parser.parse_args()
quick, folder = options.quick, options.out or Path(tempfile.mkdtemp())

log = rlrec.load_log("builtin:eshop2008")
train, valid, test = rlrec.split_by_time(log, valid=0.1, test=0.1)
config = rlrec.LSTMConfig(n_epochs=1, hidden_size=32) if quick else rlrec.LSTMConfig()
model = rlrec.LSTMModel.fit(train, valid=valid, config=config, seed=0)
later = rlrec.LSTMModel.fit(test, valid=valid, config=config, seed=1)  # of a period that nothing trains on
markov = rlrec.MarkovModel.fit(train)
scores = {
    name: rlrec.evaluate_ranking(m, test, k=10).summary() for name, m in {"lstm": model, "markov": markov}.items()
}

home = rlrec.make_vec(model, num_envs=256, seed=0)
away = rlrec.make_vec(later, num_envs=256, observer=model, seed=0)
agent = rlrec.train_agent(home, rlrec.PPOConfig(total_steps=8_192 if quick else 200_000), seed=0)
policies = {
    "random": rlrec.RandomPolicy(model.n_items),
    "popular": rlrec.PopularPolicy(model.space.item_counts),
    "markov": rlrec.GreedyPolicy(markov),
    "greedy": rlrec.GreedyPolicy(model),
    "ppo": agent,
}
n_users = 200 if quick else 2_000
at_home = rlrec.evaluate_policies(policies, home, n_users=n_users, seed=1)
held_out = rlrec.evaluate_policies(policies, away, n_users=n_users, seed=1)
print(held_out.table())

# The report shows what stands in this mapping and nothing else; a part that is missing leaves its section out.
rows = {
    name: {
        "return": at_home.estimate(name).to_dict(),
        "heldout_return": held_out.estimate(name).to_dict(),
        "paired_vs_greedy": at_home.paired(name, "greedy").to_dict(),
        "heldout_paired_vs_greedy": held_out.paired(name, "greedy").to_dict(),
        "coverage": at_home.estimate(name, "coverage").to_dict(),
    }
    for name in policies
}
data = {"name": log.name, "n_users": log.n_users, "n_items": log.n_items, "n_events": log.n_events}
summary = {"data": data, "models": scores, "policies": rows, "seed": 0}
page = write_report(summary, ReportDetails(valid_nll=model.record.valid_nll), folder / "report.html")
print("open", page)
