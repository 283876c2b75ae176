"""Print the tables of docs/guide/models.md from the records of bench_models.py.

python benchmarks/model_tables.py benchmarks/results
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

_RECBOLE = {"GRU4Rec": "ratio_recbole_gru4rec", "SASRec": "ratio_recbole_sasrec"}
_COLUMNS = ("hit@10", "ndcg@10", "masked_hit@10", "masked_ndcg@10", "nats")


def cell(row: dict[str, Any], key: str) -> str:
    """Return a mean and, over several seeds, its standard deviation."""
    if row.get(key) is None:
        return "–"
    spread = row.get(f"{key}_sd")
    digits = 3 if key == "nats" else 4
    return f"{row[key]:.{digits}f}" + (f" ± {spread:.{digits}f}" if spread else "")


def quality(name: str, result: dict[str, Any]) -> str:
    """Return one set's table."""
    head = f"**{name}**: {result['n_targets']:,} targets; LSTM and hybrid over {result['seeds']} seed(s).\n\n"
    if "best" in result:
        taken = ", ".join(f"{name} ({result['best'].count(name)})" for name in dict.fromkeys(result["best"]))
        head += f"Row best: what validation chose, seed by seed: {taken}.\n\n"
    lines = ["| model | hit@10 | NDCG@10 | masked hit@10 | masked NDCG@10 | nats |", "|---|---|---|---|---|---|"]
    for model, row in result["rows"].items():
        lines.append(f"| {model} | " + " | ".join(cell(row, key) for key in _COLUMNS) + " |")
    lstm = result["rows"]["lstm"]
    error = f"One standard error of hit@10 over users is {lstm['hit@10_error']:.4f}; "
    cost = f"an LSTM took {lstm['cpu_seconds']:.0f} CPU seconds.\n"
    return head + "\n".join(lines) + "\n\n" + error + cost


def cold(name: str, result: dict[str, Any]) -> str:
    """Return one set's cold items."""
    random, places = result["random"], result["places_kept"]
    kept = [f"hit@10_{n}_kept" for n in places]
    head = (
        f"**{name}**: {result['n_cold']} items hidden from training, {result['n_sets']} times over; "
        f"{result['n_targets']:,} targets. Means, with their multiple of chance in each hidden set.\n\n"
    )
    columns = ["hit@10", *kept, "hit@10_among_cold"]
    titles = ["hit@10, full catalogue", *(f"{n} of 10 places kept" for n in places), "among the hidden"]
    titles += ["all behaviours, hit@10", *(f"with {n} kept" for n in places)]
    lines = ["| model | " + " | ".join(titles) + " |", "|---" * (1 + len(titles)) + "|"]
    for model, row in result["models"].items():
        cells = [_times(row, column, random) for column in columns]
        cells += [f"{row[f'all_{column}']:.4f}" for column in ("hit@10", *kept)]
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
    blind = [f"{random[column]:.4f} ({random[column] / _chance(column, random):.1f})" for column in columns]
    lines.append("| random | " + " | ".join(blind + ["–"] * (1 + len(kept))) + " |")
    return head + "\n".join(lines) + "\n"


def _times(row: dict[str, Any], column: str, random: dict[str, float]) -> str:
    """Return a mean and, set by set, how many times chance."""
    times = (value / _chance(column, random) for value in row[f"{column}_sets"])
    return f"{row[column]:.4f} ({', '.join(f'{value:.1f}' for value in times)})"


def _chance(column: str, random: dict[str, float]) -> float:
    """Return what ten places over all items have, also where places are kept; among the hidden, over those."""
    return random["hit@10_among_cold" if column == "hit@10_among_cold" else "hit@10"]


def users(result: dict[str, Any]) -> str:
    """Return the cold users of ml-100k."""
    head = (
        f"**{result['n_users']} users of ml-100k**, grouped by {result['group']}, patience {result['patience']:g}.\n\n"
    )
    names = list(next(iter(result["after"].values())))
    lines = ["| behaviours before | " + " | ".join(f"{n}: nats / hit@10" for n in names) + " |"]
    lines.append("|---|" + "---|" * len(names))
    for n, row in result["after"].items():
        lines.append(f"| {n} | " + " | ".join(f"{row[m]['nats']:.3f} / {row[m]['hit@10']:.4f}" for m in names) + " |")
    return head + "\n".join(lines) + "\n"


def private(result: dict[str, Any]) -> str:
    """Return what privacy costs."""
    head = (
        f"**Private training on eshop2008**: {result['n_users']:,} users, {result['users_a_step']} expected in a step, "
        f"{result['steps']} steps, delta {result['delta']:g}.\n\n"
    )
    lines = ["| model | epsilon | noise | nats | hit@10 | CPU s |", "|---|---|---|---|---|---|"]
    for name, row in result["rows"].items():
        spent = [f"{row[key]:.2f}" if row.get(key) else "–" for key in ("epsilon", "noise")]
        cost = f"{row['cpu_seconds']:.0f}" if "cpu_seconds" in row else "–"
        lines.append(f"| {name} | {' | '.join(spent)} | {row['nats']:.3f} | {row['hit@10']:.4f} | {cost} |")
    return head + "\n".join(lines) + "\n"


def rate(measured: dict[str, Any]) -> str:
    """Return a training speed in words."""
    return f"{measured['targets_per_cpu_s']:,.0f} targets/CPU s, {measured['gemm_share']:.0%} of the GEMM rate"


def ratios(results: dict[str, Any], key: str) -> str:
    """Return how many times as fast as RecBole we train, in both settings."""
    if results[key] is None:
        return "–"
    return f"{results[key]:.0f} fast, {results['accurate'][key]:.0f} accurate"


def peak(results: dict[str, Any], key: str) -> str:
    """Return the peak memory of RecBole's training."""
    found = results["recbole"][key]
    return "–" if found is None else f"{found['peak_mb']:,.0f} MB, at {found['targets_per_cpu_s']:,.0f} targets/CPU s"


def until(runs: list[dict[str, Any]]) -> str:
    """Return how long each run took until it was as good as it had to be."""
    seconds = [
        f"not reached ({run['ndcg@10']:.4f})" if run["cpu_seconds"] is None else f"{run['cpu_seconds']:.0f}"
        for run in runs
    ]
    return ", ".join(seconds) + " CPU s"


def speed(results: dict[str, Any], processor: str) -> str:
    """Return training, inference and memory."""
    times = results["time_to_accuracy"] or {}  # runs by setting
    rows = {
        "training, fast setting": rate(results),
        "training, accurate setting": rate(results["accurate"]),
        **{f"the same, times {model} of RecBole": ratios(results, key) for model, key in _RECBOLE.items()},
        **{f"to a validation NDCG@10 of 0.069, {name} setting": until(found) for name, found in times.items()},
        "100,000 items (sampled) against 3,000 (full)": f"{results['sampled_softmax_slowdown']:.2f} times slower",
        "one user, one event, top 10 of 3,400 items": f"{results['one_user_ms']:.2f} ms, median",
        "`recommend`, 10,000 items": f"{results['recommend_gemm_share']:.0%} of the GEMM rate",
        "peak memory of a process that trains, accurate setting": f"{results['peak_mb']:,.0f} MB",
        **{f"the same, {model} of RecBole": peak(results, key) for model, key in _RECBOLE.items()},
    }
    lines = ["| what | measured |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]
    return f"**Speed**, ml-100k, one thread of {processor}.\n\n" + "\n".join(lines) + "\n"


def main() -> None:
    for path in sorted(Path(sys.argv[1]).glob("models-*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        results = record["results"]
        print(f"<!-- {path.name}: commit {record['commit'][:12]} -->\n")
        for name, result in results.get("quality", {}).items():
            print(quality(name, result))
        for name, result in results.get("cold_items", {}).items():
            print(cold(name, result))
        if "targets_per_cpu_s" in results:
            print(speed(results, record["machine"]["processor"]))
        if "privacy" in results:
            print(private(results["privacy"]))
        if "cold_users" in results:
            print(users(results["cold_users"]))


if __name__ == "__main__":
    main()
