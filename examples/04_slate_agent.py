"""An agent that shows five items at a time, judged beside the greedy slate at home and in a second simulator.

It takes some minutes; with ``--quick`` seconds, and the numbers mean little.
"""

from __future__ import annotations

import argparse

import rlrec

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="train for seconds")
quick = parser.parse_args().quick
SLATE_SIZE = 5

log = rlrec.load_log("builtin:eshop2008")
train, valid, test = rlrec.split_by_time(log, valid=0.1, test=0.1)
config = rlrec.LSTMConfig(n_epochs=1, hidden_size=32) if quick else rlrec.LSTMConfig()
model = rlrec.LSTMModel.fit(train, valid=valid, config=config, seed=0)
later = rlrec.LSTMModel.fit(test, valid=valid, config=config, seed=1)

# kappa says how readily people pass over what they are shown. The log cannot tell it, so it is declared.
people = rlrec.SimulatorConfig(kappa=0.1, horizon=20 if quick else 50)
home = rlrec.make_vec(model, num_envs=128, slate_size=SLATE_SIZE, config=people, seed=0)
away = rlrec.make_vec(later, num_envs=128, slate_size=SLATE_SIZE, config=people, observer=model, seed=0)

agent = rlrec.train_agent(home, rlrec.PPOConfig(total_steps=8_192 if quick else 200_000), seed=0)
print("after A13 and A16, the slate:", agent.recommend([["A13", "A16"]], k=SLATE_SIZE)[0])

policies = {
    "random": rlrec.RandomPolicy(model.n_items, SLATE_SIZE),
    "popular": rlrec.PopularPolicy(model.space.item_counts, SLATE_SIZE),
    "greedy": rlrec.GreedyPolicy(model, SLATE_SIZE),
    "ppo": agent,
}
n_users = 200 if quick else 2_000
for place, env in (("at home", home), ("held out", away)):
    results = rlrec.evaluate_policies(policies, env, n_users=n_users, seed=1)
    print(f"\n{place}\n{results.table()}")
    print("ppo minus greedy:", results.paired("ppo", "greedy"))
