"""Synthetic users: sample them, ask how real they look and what they copied, and whether they help as training data.

It takes some minutes; with ``--quick`` seconds, and the numbers mean little.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import rlrec
from rlrec.evaluation.fidelity import copied_share, item_jsd, transition_jsd
from rlrec.evaluation.utility import pick_sessions

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="train for seconds")
quick = parser.parse_args().quick

log = rlrec.load_log("builtin:eshop2008")
train, valid, test = rlrec.split_by_time(log, valid=0.1, test=0.1)
config = rlrec.LSTMConfig(n_epochs=1, hidden_size=32) if quick else rlrec.LSTMConfig()
model = rlrec.LSTMModel.fit(train, valid=valid, config=config, seed=0)

# The adversary's worth is the difference to a control: the same LSTM, as many further steps, without an adversary.
short = rlrec.GANConfig(n_rounds=4, n_warmup=2, check_every=2, detector_sequences=200)
gan = rlrec.SequenceGAN.fit(train, init=model, valid=valid, config=short if quick else rlrec.GANConfig(), seed=0)
print(gan.kept_sentence)

synthetic = gan.sample(n_users=500 if quick else 5_000, seed=0)
path = Path(tempfile.mkdtemp()) / "synthetic.parquet"
synthetic.to_parquet(path)
print(synthetic, "written to", path.name)

# A distance means nothing alone: the second number is that between two periods of real people.
made, real, earlier = synthetic.sequences(), test.sequences(), valid.sequences()
print("item popularity, JSD: ", round(item_jsd(made, real), 4), "; real and real:", round(item_jsd(earlier, real), 4))
print("transitions, JSD:     ", round(transition_jsd(made, real), 4), "; real and real:",
      round(transition_jsd(earlier, real), 4))  # fmt: skip
print("copied from training: ", copied_share(made, train.sequences()))
print("real people copy, too:", copied_share(real, train.sequences()))

# Augmentation: where little real data is there, do synthetic people help? Often they do not; measure it.
few = pick_sessions(train, 200 if quick else 1_000, seed=0)
for name, source in (("few real sessions", few), ("synthetic sessions", synthetic)):
    markov = rlrec.MarkovModel.fit(source)
    print(f"Markov chain of {name}: NDCG@10", rlrec.evaluate_ranking(markov, test, k=10).estimate("ndcg"))
