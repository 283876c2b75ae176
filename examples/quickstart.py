"""The whole of rlrec in a page: learn users from a log, train a policy on simulated ones, judge it.

It takes some minutes. With ``--quick``, as `make examples` runs it, it takes seconds and the numbers mean little.
"""

from __future__ import annotations

import argparse

import rlrec

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="train for seconds only, to see that it runs")
quick = parser.parse_args().quick

# A log: who did what when. Yours is a CSV or Parquet file with user_id, item_id and timestamp.
log = rlrec.load_log("builtin:eshop2008")
train, valid, test = rlrec.split_by_time(log, valid=0.1, test=0.1)
print(log)

# People, as an LSTM that says what comes next.
config = rlrec.LSTMConfig(n_epochs=1, hidden_size=32) if quick else rlrec.LSTMConfig()
model = rlrec.LSTMModel.fit(train, valid=valid, config=config, seed=0)
print("after A13 and A16, likely next:", ", ".join(model.recommend([["A13", "A16"]], k=3)[0]))
print("ranking the test period:", rlrec.evaluate_ranking(model, test).summary())

# A simulator of them, as a Gymnasium environment, and an agent that practises on it.
env = rlrec.make_vec(model, num_envs=256, seed=0)  # slate_size=1; slates too
policy = rlrec.train_agent(env, rlrec.PPOConfig(total_steps=16_384 if quick else 200_000), seed=0)
print("after A13 and A16, the agent shows:", ", ".join(policy.recommend([["A13", "A16"]], k=3)[0]))

# The agent beside what it has to beat: all serve the same simulated people, so differences have narrow intervals.
policies = {
    "ppo": policy,
    "popular": rlrec.PopularPolicy(model.space.item_counts),
    "greedy": rlrec.GreedyPolicy(model),
}
n_users = 200 if quick else 2_000
results = rlrec.evaluate_policies(policies, env, n_users=n_users, seed=1)
print(results.table())
print("ppo minus greedy, at home:", results.paired("ppo", "greedy"))

# A number from the agent's own simulator alone means nothing: ask a second one, of a period that nobody trained on.
later = rlrec.LSTMModel.fit(test, valid=valid, config=config, seed=1)
elsewhere = rlrec.make_vec(later, num_envs=256, observer=model, seed=0)
results = rlrec.evaluate_policies(policies, elsewhere, n_users=n_users, seed=1)
print("ppo minus greedy, held out:", results.paired("ppo", "greedy"))

# A generator trained against a discriminator, its equal-step control beside it, and a log of people who do not exist.
short = rlrec.GANConfig(n_rounds=4, n_warmup=2, check_every=2, detector_sequences=200)
gan = rlrec.SequenceGAN.fit(train, init=model, valid=valid, config=short if quick else rlrec.GANConfig(), seed=0)
print(gan.kept_sentence)
synthetic = gan.sample(n_users=5_000, seed=0)
print(synthetic)
