"""Simulated users in plain Gymnasium code, and an agent straight from stable-baselines3.

It takes a minute; with ``--quick`` seconds.
"""

from __future__ import annotations

import argparse

import gymnasium
import numpy as np
from stable_baselines3 import PPO

import rlrec
from rlrec.agents.sb3 import SB3VecEnv
from rlrec.envs.registration import ENV_ID, register

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="train for seconds")
quick = parser.parse_args().quick

log = rlrec.load_log("builtin:eshop2008")
train, valid, test = rlrec.split_by_time(log, valid=0.1, test=0.1)
config = rlrec.LSTMConfig(n_epochs=1, hidden_size=32) if quick else rlrec.LSTMConfig()
model = rlrec.LSTMModel.fit(train, valid=valid, config=config, seed=0)

# One person, the loop that Gymnasium's manual shows. `terminated`: they left. `truncated`: the horizon came.
register()
env = gymnasium.make(ENV_ID, model=model)
observation, info = env.reset(seed=7)
clicks, over = 0, False
while not over:
    observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    clicks += info["clicked_item"] >= 0
    over = terminated or truncated
print("one session of random items:", clicks, "clicks")

# Many people in one array step: this is the fast way, and the same seed meets the same people.
people = rlrec.make_vec(model, num_envs=64, seed=0)
people.reset(seed=0)
total = np.zeros(people.num_envs)
for _ in range(20):
    observations, rewards, terminated, truncated, infos = people.step(people.action_space.sample())
    total += rewards
print("20 random items for each of 64 people: mean reward", total.mean().round(3))

# Any SB3 algorithm that takes a discrete action runs on it. Its policy knows nothing of the user model at first, so
# it needs far more steps than `rlrec.train_agent`, whose policy starts as that model.
agent = PPO("MlpPolicy", SB3VecEnv(people), n_steps=32, batch_size=512, seed=0, device="cpu")
agent.learn(4_096 if quick else 100_000)
policies = {"sb3 ppo": agent, "random": rlrec.RandomPolicy(model.n_items), "greedy": rlrec.GreedyPolicy(model)}
results = rlrec.evaluate_policies(policies, people, n_users=200 if quick else 1_000, seed=1)
print(results.table())
