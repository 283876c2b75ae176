"""Times obp on arrays that `bench_ope.py` saved; runs in obp's own environment and prints one line of JSON.

obp 0.5.7 installs there with ``--no-deps --ignore-requires-python`` beside numpy < 2, pandas < 3, scikit-learn, scipy,
tqdm, matplotlib, seaborn and torch.
"""

import json
import sys
import time
import warnings

import numpy as np

warnings.filterwarnings("ignore")
from obp.ope import (  # noqa: E402
    DoublyRobust,
    InverseProbabilityWeighting,
    SelfNormalizedInverseProbabilityWeighting,
    SlateRewardInteractionIPS,
    SlateStandardIPS,
)

SLOW = ("snips_interval", "sips", "rips")  # seconds each: one repeat after the first call


def best(call, repeats):
    call()
    seconds = []
    for _ in range(repeats):
        began = time.process_time()
        value = call()
        seconds.append(time.process_time() - began)
    return min(seconds), value


def main(path, repeats):
    data = dict(np.load(path))
    bandit = {
        "reward": data["reward"],
        "action": data["action"],
        "pscore": data["behavior_prob"],
        "action_dist": data["target"][:, :, None],
        "position": np.zeros(len(data["action"]), int),
    }
    q = data["q"][:, :, None]
    slate = {"slate_id": data["slate_id"], "reward": data["slate_reward"], "position": data["position"]}
    sips = slate | {"pscore": data["slate_behavior"], "evaluation_policy_pscore": data["slate_target"]}
    rips = slate | {
        "pscore_cascade": data["cascade_behavior"],
        "evaluation_policy_pscore_cascade": data["cascade_target"],
    }
    snips = SelfNormalizedInverseProbabilityWeighting()
    calls = {
        "ips": lambda: InverseProbabilityWeighting().estimate_policy_value(**bandit),
        "snips": lambda: snips.estimate_policy_value(**bandit),
        "dr": lambda: DoublyRobust().estimate_policy_value(estimated_rewards_by_reg_model=q, **bandit),
        "sips": lambda: SlateStandardIPS(len_list=5).estimate_policy_value(**sips),
        "rips": lambda: SlateRewardInteractionIPS(len_list=5).estimate_policy_value(**rips),
        "snips_interval": lambda: snips.estimate_interval(**bandit, n_bootstrap_samples=200, random_state=0)["mean"],
    }
    found = {name: best(call, 1 if name in SLOW else repeats) for name, call in calls.items()}
    print(json.dumps({name: [seconds, float(value)] for name, (seconds, value) in found.items()}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
