"""Off-policy estimators: time beside obp's, memory of a policy given as a callable, roll-outs, and coverage.

    python benchmarks/bench_ope.py --obp-python OBP/bin/python --out benchmarks/results

Times are CPU seconds, the least of several calls. Ours include the interval and the support gate, obp's is the bare
value; ``*_ratio`` leaves out what is read and checked once for all estimators on a log, ``*_ratio_with_reading`` has
it. ``--json`` ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from record import record

from rlrec.evaluation.logged import LoggedBatch
from rlrec.evaluation.ope import dr, ips, rips, sg_ips, sips, sndr, snips
from rlrec.evaluation.problem import Problem
from rlrec.evaluation.q_model import fit_q
from rlrec.evaluation.target import Target
from rlrec.evaluation.terms import RatioTerms
from rlrec.testing.bandit_world import BanditWorld, study_coverage

SETTINGS = {
    "moderate base rate": BanditWorld(),
    "high base rate": BanditWorld(base=3.0),
    "moderate base rate, far target": BanditWorld(away=1.2),
    "high base rate, far target": BanditWorld(base=3.0, away=1.2),
}
"""ESS/n is 0.86 near and 0.39 far."""


def least(call: Callable[[], Any], repeats: int) -> float:
    """Return the least CPU seconds of several calls."""
    seconds = []
    for _ in range(repeats):
        began = time.process_time()
        call()
        seconds.append(time.process_time() - began)
    return min(seconds)


@dataclass(frozen=True)
class Call:
    """What is timed: reading the arrays, and judging what was read."""

    read: Callable[[], tuple[Any, ...]]
    judge: Callable[..., Any]

    def best(self, repeats: int) -> tuple[float, float, float]:
        """Return the least CPU seconds of judging, the same with reading, and the value."""
        inputs = self.read()
        value = self.judge(*inputs).value
        alone = least(lambda: self.judge(*inputs), repeats)
        return alone, least(lambda: self.judge(*self.read()), repeats), value


def arrays(n: int, n_slates: int) -> dict[str, np.ndarray]:
    """Draw a bandit log (n, 10) and slates (n_slates, 5)."""
    rng = np.random.default_rng(0)
    behavior, target = rng.dirichlet(np.full(10, 5.0), (2, n))
    action = (behavior.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    q = np.tile(0.2 + 0.05 * np.arange(10), (n, 1))
    own, other = rng.uniform(0.1, 0.9, (2, n_slates, 5))
    cascade = np.cumprod(own, axis=1), np.cumprod(other, axis=1)
    return {
        "action": action,
        "reward": (rng.random(n) < q[0, action]).astype(float),
        "behavior_prob": behavior[np.arange(n), action],
        "target": target,
        "q": q,
        "slate_id": np.repeat(np.arange(n_slates), 5),
        "position": np.tile(np.arange(5), n_slates),
        "slate_reward": (rng.random(n_slates * 5) < 0.3).astype(float),
        "cascade_behavior": cascade[0].ravel(),
        "cascade_target": cascade[1].ravel(),
        "slate_behavior": np.repeat(cascade[0][:, -1], 5),
        "slate_target": np.repeat(cascade[1][:, -1], 5),
    }


def calls(data: dict[str, np.ndarray]) -> dict[str, Call]:
    """Return what is timed of ours, by estimator: each judgement has an interval and a support gate."""

    def rows() -> tuple[LoggedBatch, Target]:
        log = LoggedBatch(action=data["action"], reward=data["reward"], behavior_prob=data["behavior_prob"])
        return log, Target.of(log, data["target"])

    def slates(probability: str) -> tuple[LoggedBatch, Target]:
        log = LoggedBatch(
            action=np.zeros_like(data["position"]),
            reward=data["slate_reward"],
            episode=data["slate_id"],
            position=data["position"],
            behavior_prob=data[f"{probability}_behavior"],
        )
        return log, data[f"{probability}_target"]

    return {
        "ips": Call(rows, ips),
        "ips_value": Call(rows, lambda log, target: _terms(log, target, self_normalised=False)),
        "snips_value": Call(rows, lambda log, target: _terms(log, target, self_normalised=True)),
        "snips": Call(rows, snips),
        "dr": Call(rows, lambda log, target: dr(log, target, q=data["q"])),
        "sips": Call(lambda: slates("slate"), sips),
        "rips": Call(lambda: slates("cascade"), rips),
    }


def _terms(log: LoggedBatch, target: Target, *, self_normalised: bool) -> RatioTerms:
    """Return what the value is read off, without interval and support gate: as much as obp does."""
    problem = Problem.of(log, target, None)
    return problem.rows(problem.weights * log.reward, problem.weights if self_normalised else None)


def ratios(obp_python: str | None, quick: bool) -> dict[str, float | None]:
    """Return obp's time over ours, by estimator, without and with reading; None without obp. Values must agree."""
    n, n_slates, repeats = (10_000, 2_000, 2) if quick else (100_000, 20_000, 200)
    data = arrays(n, n_slates)
    mine = {name: call.best(repeats) for name, call in calls(data).items()}
    mine["snips_interval"] = mine["snips"]
    for name, (alone, whole, _) in mine.items():
        print(f"{name:16} {1000 * alone:8.2f} ms, with reading {1000 * whole:8.2f} ms")
    keys = {name: (f"{name}_ratio", f"{name}_ratio_with_reading") for name in mine}
    if obp_python is None:
        return {key: None for both in keys.values() for key in both}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "arrays.npz"
        np.savez(path, **data)
        worker = Path(__file__).with_name("obp_worker.py")
        command = [obp_python, str(worker), str(path), str(repeats)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    theirs = json.loads(done.stdout.splitlines()[-1])
    theirs |= {f"{name}_value": theirs[name] for name in ("ips", "snips")}
    found: dict[str, float | None] = {}
    for name, (seconds, value) in theirs.items():
        if name != "snips_interval" and abs(value - mine[name][2]) > 1e-9:
            raise SystemExit(f"{name}: obp says {value}, we say {mine[name][2]}")
        for key, own in zip(keys[name], mine[name], strict=False):
            found[key] = round(seconds / own, 2)
    return found


def callable_peak_mb(quick: bool) -> float:
    """Return the most memory that IPS-type estimators take on 100,000 rows with a policy over 1,000 items."""
    n, n_items = (10_000 if quick else 100_000), 1_000
    rng = np.random.default_rng(0)
    theta = rng.normal(size=(8, n_items)) * 0.2

    def policy(context: np.ndarray) -> np.ndarray:
        scores = np.exp(context @ theta)
        return scores / scores.sum(axis=1, keepdims=True)

    log = LoggedBatch(
        action=rng.integers(n_items, size=n),
        reward=rng.random(n),
        behavior_prob=np.full(n, 1 / n_items),
        context=rng.normal(size=(n, 8)),
    )
    peaks = []
    for estimator in (ips, snips, sg_ips):
        tracemalloc.start()
        estimator(log, policy)
        peaks.append(tracemalloc.get_traced_memory()[1] / 1e6)
        tracemalloc.stop()
    return round(max(peaks), 1)


def rollout_share(quick: bool) -> float:
    """Return the speed of judging five policies over that of the bare simulator, in user-steps per CPU second."""
    from rlrec.agents.baselines import GreedyPolicy, PopularPolicy, RandomPolicy
    from rlrec.data.load import load_log
    from rlrec.envs.vector import make_vec
    from rlrec.evaluation.rollout import evaluate_policies
    from rlrec.models.config import LSTMConfig
    from rlrec.models.counting import MarkovModel
    from rlrec.models.lstm import LSTMModel

    log = load_log("builtin:eshop2008")
    people = LSTMModel.fit(log, config=LSTMConfig(n_epochs=1), seed=0)
    env = make_vec(people, num_envs=1000)
    policies = {
        "random": RandomPolicy(people.n_items),
        "popular": PopularPolicy(people.space.item_counts),
        "greedy": GreedyPolicy(people),
        "warm": GreedyPolicy(people, temperature=2.0),
        "markov": GreedyPolicy(MarkovModel.fit(log)),
    }
    n_users = 1_000 if quick else 10_000
    shares = []
    for _ in range(1 if quick else 3):
        began = time.process_time()
        results = evaluate_policies(policies, env, n_users=n_users)
        judged = sum(int(r.session_length.sum()) for r in results.rollouts.values()) / (time.process_time() - began)
        shares.append(judged / _bare_speed(env, 20 if quick else 100))
    return round(sorted(shares)[len(shares) // 2], 3)


def _bare_speed(env: Any, n_steps: int) -> float:
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(env.n_items, size=(n_steps, env.num_envs))
    began = time.process_time()
    for action in actions:
        env.step(action)
    return n_steps * env.num_envs / (time.process_time() - began)


def coverage(quick: bool) -> dict[str, dict[str, dict[str, float]]]:
    """Return coverage, width over the ideal and z, by setting and estimator."""
    last: dict[str, Any] = {}

    def shared(log: LoggedBatch, probs: np.ndarray) -> tuple[Target, Any]:
        """Read and fit once for both estimators that use a model."""
        if last.get("log") is not log:
            target = Target.of(log, probs)
            last.update(log=log, found=(target, fit_q(log, target)))
        found: tuple[Target, Any] = last["found"]
        return found

    def with_model(estimator: Callable[..., Any], log: LoggedBatch, probs: np.ndarray) -> Any:
        target, q = shared(log, probs)
        return estimator(log, target, q=q)

    estimators = {
        "ips": ips,
        "snips": snips,
        "dr": lambda log, probs: with_model(dr, log, probs),
        "sndr": lambda log, probs: with_model(sndr, log, probs),
    }
    n_logs = 50 if quick else 2_000
    return {
        setting: {name: row.to_dict() for name, row in study_coverage(world, estimators, n_logs=n_logs).items()}
        for setting, world in SETTINGS.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="run small and record nothing")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--out", type=Path, help="folder for the record")
    parser.add_argument("--obp-python", help="the python of an environment that has obp; left out, ratios are null")
    given = parser.parse_args()
    found: dict[str, Any] = ratios(given.obp_python, given.quick)
    found["callable_peak_mb"] = callable_peak_mb(given.quick)
    found["rollout_share"] = rollout_share(given.quick)
    found["coverage"] = coverage(given.quick)
    for name, value in found.items():
        if name != "coverage":
            print(f"{name:22} {value}")
    for setting, rows in found["coverage"].items():
        for name, row in rows.items():
            print(f"{setting:32} {name:6} {row}")
    if given.out is not None and not given.quick:
        record("ope", found, given.out, seed=0)
    if given.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
