"""Adversarial user modelling on eshop2008, over seeds, each beside its control.

Three questions:

simulator  Fine-tuned against a discriminator (the model as the simulator runs it, without sampling knobs), are its free
           sessions nearer to held-out users than before, and than after as many steps of maximum likelihood?
reward     Does an agent whose simulated rewards are weighted by realism earn more on held-out users than one trained as
           long without? They are users of a simulator fitted on the test period; it is no world.
ranking    Does the order of policies built on synthetic users hold on held-out ones, beside that of policies built on
           real users of the training period?

    python benchmarks/bench_adversarial.py --json --out benchmarks/results
    python benchmarks/bench_adversarial.py --json --out benchmarks/results --merge A.json B.json   # a seed each
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from gan_measures import interval, over_seeds
from record import record

import rlrec
from rlrec.agents.baselines import GreedyPolicy
from rlrec.agents.config import PPOConfig
from rlrec.agents.training import train_agent
from rlrec.cli.policy_ranking import rank_policies
from rlrec.data.log import InteractionLog
from rlrec.envs.rewards import EventReward
from rlrec.envs.vector import make_vec
from rlrec.evaluation.fidelity import Comparison
from rlrec.evaluation.ranking import evaluate_ranking
from rlrec.evaluation.rollout import evaluate_policies
from rlrec.evaluation.simulated_sessions import simulated_sessions
from rlrec.gan.realism import RealismJudge, RealismWeighted
from rlrec.gan.sampling import generate_sequences

SEEDS = (111, 112, 113)  # fresh
MODEL = rlrec.LSTMConfig(embedding_size=64, hidden_size=96, batch_tokens=640, n_epochs=6)
GAN = rlrec.GANConfig(
    n_rounds=24, n_warmup=8, check_every=8, detector_sequences=1_000, sequences_per_round=128, n_batches=2
)
N_STEPS = 65_536  # of each agent: a third of the default, which is what fits
_VALUES = ("session_length_wasserstein", "item_jsd", "transition_jsd", "gap_jsd")
_AUCS = ("c2st_auc", "c2st_auc_logistic", "c2st_auc_gru")


def simulator(
    parts: tuple[InteractionLog, ...], init: rlrec.LSTMModel, seed: int, *, quick: bool
) -> tuple[dict[str, dict[str, float]], rlrec.SequenceGAN]:
    """Return the distances of each arm's free sessions to held-out ones, and the GAN."""
    train, valid, test = parts
    config = replace(GAN, sampling="plain")
    if quick:
        config = replace(config, n_rounds=4, n_warmup=2, check_every=2, detector_sequences=60)
    gan = rlrec.SequenceGAN.fit(train, init=init, valid=valid, config=config, seed=seed, show_progress=False)
    compared = Comparison.of(train, valid, test, seed=seed, max_n=300 if quick else 1_500)
    table = {}
    for name, model in gan.arms.items():
        found = compared.distances(generate_sequences(model, len(test.sequences()), seed=seed + 1))
        row = {key: float(found[key]) for key in _VALUES} | {key: float(found[key]["value"]) for key in _AUCS}
        table[name] = row | {"test_nll": evaluate_ranking(model, test).summary()["test_nll"]}
    real = compared.distances(valid.sequences())
    table["real"] = {key: float(real[key]) for key in _VALUES} | {key: float(real[key]["value"]) for key in _AUCS}
    table["kept"] = table[gan.kept]
    return table, gan


def reward(
    parts: tuple[InteractionLog, ...], home: rlrec.LSTMModel, judge: rlrec.LSTMModel, seed: int, *, quick: bool
) -> dict[str, dict[str, float]]:
    """Return what agents with and without the weight earn at home and on held-out users."""
    config, n_users = PPOConfig(total_steps=2_048 if quick else N_STEPS), 100 if quick else 2_000
    plain = train_agent(make_vec(home, num_envs=256, seed=seed), config, seed=seed, show_progress=False)
    served = simulated_sessions(make_vec(home, num_envs=256), plain, n_users=n_users, seed=seed + 2)
    realism = RealismJudge.fit(parts[0].sequences(), served, home.n_items, seed=seed)
    clicks = EventReward((1.0,) * home.n_events)
    weighted = {"clicks": (1.0, RealismWeighted(clicks, realism))}
    people = make_vec(home, num_envs=256, seed=seed, rewards=weighted)
    policies = {
        "greedy": GreedyPolicy(home),
        "plain": plain,
        "realistic": train_agent(people, config, seed=seed, show_progress=False),
    }
    rows: dict[str, dict[str, float]] = {name: {} for name in policies}
    rows["realistic"] |= {"judge_auc": realism.auc}
    for where, model in {"home": home, "held_out": judge}.items():
        env = make_vec(model, num_envs=256, observer=home)
        found = evaluate_policies(policies, env, n_users=n_users, seed=seed + 1, show_progress=False)
        for name in policies:
            rows[name][where] = found.estimate(name).value
        rows["realistic"][f"{where}_over_plain"] = found.paired("realistic", "plain").value
        rows["plain"][f"{where}_over_greedy"] = found.paired("plain", "greedy").value
        rows["realistic"][f"{where}_over_greedy"] = found.paired("realistic", "greedy").value
    return rows


def run(log: InteractionLog, seed: int, *, quick: bool) -> dict[str, Any]:
    """Answer the three questions once."""
    parts = rlrec.split_by_time(log)
    config = replace(MODEL, hidden_size=32, n_epochs=1) if quick else MODEL
    begun = time.process_time()
    init = rlrec.LSTMModel.fit(parts[0], valid=parts[1], config=config, seed=seed, show_progress=False)
    judge = rlrec.LSTMModel.fit(parts[2], valid=parts[1], config=config, seed=seed + 1, show_progress=False)
    table, gan = simulator(parts, init, seed, quick=quick)
    rewards = reward(parts, init, judge, seed, quick=quick)
    fitted = rlrec.SequenceGAN.fit(
        parts[0],
        init=init,
        valid=parts[1],
        config=replace(gan.config, sampling="fitted"),
        seed=seed,
        show_progress=False,
    )
    synthetic = fitted.sample(len(parts[0].sequences()), seed=seed + 1)
    steps, n_users = (1_024, 100) if quick else (N_STEPS // 2, 1_000)
    ranked = rank_policies(synthetic, parts[0], parts[2], n_steps=steps, n_users=n_users, seed=seed)
    return {
        "seed": seed,
        "kept": gan.kept,
        "kept_for_the_ranking": fitted.kept,
        "valid_auc": gan.record.auc,
        "simulator": table,
        "reward": rewards,
        "ranking": {name: found.to_dict() | {"words": found.sentence} for name, found in ranked.items()},
        "cpu_s": time.process_time() - begun,
    }


def summed_up(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return means over seeds with their intervals, and each run."""
    return {
        "simulator": over_seeds([run["simulator"] for run in runs]),
        "reward": over_seeds([run["reward"] for run in runs]),
        "tau": {name: interval([run["ranking"][name]["tau"] for run in runs]) for name in ("synthetic", "real")},
        "runs": runs,
    }


def line(results: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers that a reader looks for first."""
    kept = ("c2st_auc", "c2st_auc_gru", "transition_jsd")
    arms = {
        arm: {name: results["simulator"][arm][name]["value"] for name in kept}
        for arm in ("init", "control", "adversarial", "real")
    }
    gains = {name: cell for name, cell in results["reward"]["realistic"].items() if name.startswith("held_out_over")}
    return {"simulator": arms, "realism_reward": gains, "tau": results["tau"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="run small; nothing is recorded")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--out", type=Path, help="folder for the record, written anew after each seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--merge", type=Path, nargs="+", help="records of single seeds to put together instead")
    options = parser.parse_args()
    if options.merge:
        found = [json.loads(path.read_text(encoding="utf-8"))["results"]["runs"] for path in options.merge]
        results = summed_up([run for runs in found for run in runs])
        print(record("bench_adversarial", results | {"line": line(results)}, options.out, seed=SEEDS[0]))
        print(json.dumps(line(results)))
        return
    log = rlrec.load_log("builtin:eshop2008")
    runs: list[dict[str, Any]] = []
    for seed in options.seeds[:1] if options.quick else options.seeds:
        runs.append(run(log, seed, quick=options.quick))
        results = summed_up(runs)
        if options.out is not None and not options.quick:
            print(record("bench_adversarial", results | {"line": line(results)}, options.out, seed=options.seeds[0]))
    print(json.dumps(line(results)) if options.json else json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
