"""What agents reach, what they cost, and what is left of it in simulators that they never saw.

    python benchmarks/bench_agents.py --parts worlds          # fractions of known optima
    python benchmarks/bench_agents.py --parts speed           # training steps per CPU-second, memory, milliseconds
    python benchmarks/bench_agents.py --parts uplift          # over greedy, at home and in later simulators; longest
    python benchmarks/bench_agents.py --parts log             # learned from a log alone
    python benchmarks/bench_agents.py --json --quick          # all parts, small; one line of JSON at the end

With ``--out FOLDER`` each part writes its record, ``agents-PART.json``; worlds and uplift one each world and log. One
torch thread; ratios are of CPU time in one run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent))
from agent_logs import log_lines, log_part
from agent_speed import speed_lines, speed_part
from agent_uplift import LOGS, SIMULATORS, uplift, uplift_lines
from agent_worlds import FRESH, HEADER, WORLDS, worlds_part
from record import record

PARTS = ("worlds", "speed", "uplift", "log")


def worlds_of(world: str, arguments: argparse.Namespace) -> dict[str, Any]:
    print(HEADER, flush=True)
    seeds = FRESH[: 1 if arguments.quick else arguments.seeds]
    return {"worlds": worlds_part(world, quick=arguments.quick, seeds=seeds), "seeds": list(seeds)}


def speed(arguments: argparse.Namespace) -> dict[str, Any]:
    found = speed_part(quick=arguments.quick)
    print("\n".join(speed_lines(found)), flush=True)
    return found


def uplift_of(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    table = uplift(name, n_seeds=1 if arguments.quick else arguments.seeds, quick=arguments.quick)
    print("\n".join(uplift_lines(name, table)), flush=True)
    return {"uplift_over_greedy": {name: headline(table)}} | {
        f"{name}, {where}": table["floors"][where] | {label: rows[where] for label, rows in table["agents"].items()}
        for where in SIMULATORS
    }


def headline(table: dict[str, Any]) -> dict[str, Any]:
    """Return the shares of greedy's return that the agent on an ensemble gains, at home and held out."""
    row = table["agents"]["ppo on an ensemble"]
    home, away = row["home"], row["test_gru"]
    shares = {name: home[f"share_{name}"] for name in ("value", "low", "high")}
    sizes = {name: table[name] for name in ("n_seeds", "n_users", "fit_cpu_s")} | {"train_cpu_s": row["cpu_s"]}
    return shares | {"heldout_value": away["share_value"], "heldout_low": away["share_low"]} | sizes


def logs(arguments: argparse.Namespace) -> dict[str, Any]:
    found = log_part(n_logs=1 if arguments.quick else min(arguments.seeds, 5), quick=arguments.quick)
    print("\n".join(log_lines(found)), flush=True)
    sizes = {name: value for name, value in found.items() if name != "ways"}
    return sizes | {"log": found["ways"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="everything small; records nothing")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--out", type=Path, help="folder for the records")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure")
    parser.add_argument("--logs", nargs="+", choices=LOGS, default=LOGS, help="logs of the part uplift")
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=WORLDS, help="worlds of the part worlds")
    parser.add_argument("--seeds", type=int, default=10, help="training seeds of uplift; log takes 5, worlds 3 at most")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, Any] = {}
    for name, run in runs(arguments).items():
        found = run()
        for key, value in found.items():  # logs share a table of headlines, worlds their table
            results[key] = results.get(key, {}) | value if key in ("uplift_over_greedy", "worlds") else value
        if arguments.out is not None and not arguments.quick:
            print(f"record: {record(f'agents-{name}', found, arguments.out, seed=0).name}", flush=True)
    if arguments.json:
        print(json.dumps(results))


def runs(arguments: argparse.Namespace) -> dict[str, Callable[[], dict[str, Any]]]:
    """Return what to measure, by the name of its record."""
    whole = {"speed": speed, "log": logs}
    chosen: dict[str, Callable[[], dict[str, Any]]] = {}
    for part in arguments.parts:
        if part == "uplift":
            chosen |= {f"uplift-{name}": partial(uplift_of, name, arguments) for name in arguments.logs}
        elif part == "worlds":
            chosen |= {f"worlds-{world}": partial(worlds_of, world, arguments) for world in arguments.worlds}
        else:
            chosen[part] = partial(whole[part], arguments)
    return chosen


if __name__ == "__main__":
    main()
