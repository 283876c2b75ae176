"""How far simulated people resemble real ones: `rlrec fidelity` on eshop2008 and ml-100k, with three members each.

    python benchmarks/bench_fidelity.py --out benchmarks/results   # fits, compares, records; some ten CPU-minutes
    python benchmarks/bench_fidelity.py --quick                    # one epoch on eshop2008, records nothing
    python benchmarks/bench_fidelity.py --table                    # the guide's table, from the record

Both logs are split by time, in the shares of ``rlrec fit``. ml-100k is read from ``--data``, or left out.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from model_sets import SETS, BenchSet
from record import record

from rlrec.cli.app import main as rlrec
from rlrec.data.splits import split_by_time
from rlrec.models.lstm import LSTMModel

NAMES = ("eshop2008", "ml-100k")
RECORD = Path(__file__).parent / "results" / "fidelity.json"
_ROWS = {
    "session_length_mean": "mean length",
    "repeat_rate": "share of repeated items",
    "session_length_wasserstein": "lengths, Wasserstein distance",
    "item_jsd": "item popularity, JSD",
    "transition_jsd": "transitions, JSD",
    "gap_jsd": "times between behaviours, JSD",
    "c2st_auc": "boosted trees telling them from real, AUC",
}
_COLUMNS = ("real", "simulated", "train_vs_real", "real_vs_real")


def measured(chosen: BenchSet, source: str, log: Any, folder: Path, n_members: int, *, quick: bool) -> dict[str, Any]:
    """Fit the members on a log, where ``folder`` does not hold them, and return what the verb says of the first."""
    train, valid, _ = split_by_time(log)
    fits = [folder / str(seed) for seed in range(n_members)]
    for seed, fit in enumerate(fits):
        if not fit.exists():
            model = LSTMModel.fit(train, valid=valid, config=chosen.lstm(quick=quick), seed=seed, show_progress=False)
            model.save(fit)
    others = ["--members", *map(str, fits[1:])] if n_members > 1 else []
    arguments = ["fidelity", str(fits[0]), source, "--out", str(folder / "out"), *others]
    code = rlrec([*arguments, "--n-users", "100"] if quick else arguments)
    if code:
        raise SystemExit(code)
    summary = json.loads((folder / "out" / "summary.json").read_text(encoding="utf-8"))
    keys = ("requirements", "heads", "test_nll", "kappa_sweep", "doubt", "satiation", "verdict")
    return {"fidelity": summary["simulator"]["fidelity"], **{key: summary[key] for key in keys}}


def table(results: dict[str, Any]) -> str:
    """Return the guide's table and what was asked, as Markdown."""
    lines = []
    for name, found in results.items():
        lines += [f"**{name}**. {found['verdict']}\n", "| | real | simulated | training sessions | real against real |"]
        lines += ["|---|---|---|---|---|"]
        for key, words in _ROWS.items():
            row = found["fidelity"].get(key, {})
            lines.append(f"| {words} | {' | '.join(_cell(row.get(column)) for column in _COLUMNS)} |")
        lines += ["", "| asked | measured | limit | |", "|---|---|---|---|"]
        for asked in found["requirements"]:
            met = "met" if asked["met"] else "**missed**"
            limit = asked["limit"].replace(", the distance of real sessions of a neighbouring period", "")
            lines.append(f"| {asked['what']} | {asked['measured']:.4g} | {limit} | {met} |")
        lines += ["", *_doubt(found), ""]
    return "\n".join(lines)


def _doubt(found: dict[str, Any]) -> list[str]:
    doubt, satiation = found["doubt"], found["satiation"]
    kappas = [point["kappa"] for point in next(iter(found["kappa_sweep"].values()))]
    lines = ["| clicks per session at κ = | " + " | ".join(f"{kappa:g}" for kappa in kappas) + " |"]
    lines += ["|---|" + "---|" * len(kappas)]
    for name, points in found["kappa_sweep"].items():
        lines.append(f"| {name} | " + " | ".join(f"{point['value']:.3g}" for point in points) + " |")
    told = satiation.get("note") or f"{satiation['value']:.2f} [{satiation['low']:.2f}, {satiation['high']:.2f}] nats"
    sentences = []
    if doubt is not None:
        sentences.append(
            f"{doubt['members']} members (seeds) disagree by {doubt['disagreement']:.3f} about a click of chance "
            f"{doubt['click_chance']:.3f}; the worst rank correlation of two members over the three policies is "
            f"{doubt['worst_rank_correlation']:.2f}."
        )
    return [*lines, "", " ".join([*sentences, f"Satiation fitted to the validation part: {told}."])]


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("value")
    return "" if value is None else f"{value:.4g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one epoch on eshop2008; records nothing")
    parser.add_argument("--out", type=Path, help="folder for the record")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with research/")
    parser.add_argument("--members", type=int, default=3, help="fits of each log, by seed")
    parser.add_argument("--fits", type=Path, help="folder of fits, LOG/SEED: read where they are, else kept there")
    parser.add_argument("--table", action="store_true", help="print the guide's table from the record")
    arguments = parser.parse_args()
    if arguments.table:
        print(table(json.loads(RECORD.read_text(encoding="utf-8"))["results"]))
        return
    results, n_members = {}, 2 if arguments.quick else arguments.members
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES[:1] if arguments.quick else NAMES:
            log = SETS[name].load(arguments.data)
            if log is None:
                print(f"{name} is not under {arguments.data}; left out")
                continue
            source = SETS[name].source
            source = source if source.startswith("builtin:") else str(arguments.data / source)
            kept = (arguments.fits or Path(folder)) / name
            results[name] = measured(SETS[name], source, log, kept, n_members, quick=arguments.quick)
    print(table(results))
    if arguments.out is not None and not arguments.quick:
        print(f"record: {record('fidelity', results, arguments.out, seed=0).name}")


if __name__ == "__main__":
    main()
