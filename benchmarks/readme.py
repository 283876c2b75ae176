"""Write the results of a demo run into README.md: its picture, and the table between the two markers.

Run ``make demo`` first, then ``python benchmarks/readme.py runs/demo``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- results: python benchmarks/readme.py runs/demo -->", "<!-- end of results -->"
PICTURE = ROOT / "docs" / "assets" / "policies.svg"


def main() -> None:
    """Read the run folder, rewrite README.md and copy the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder that rlrec demo wrote")
    folder = parser.parse_args().run
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    readme = ROOT / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    text = f"{before}{BEGIN}\n{tables(summary)}\n{END}{after}"
    readme.write_text(text, encoding="utf-8")
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text((folder / "policies.svg").read_text(encoding="utf-8"), encoding="utf-8")


def tables(summary: dict[str, Any]) -> str:
    """Return the policies and the models as Markdown, with the sentence that says what they are."""
    versions, data = summary["versions"], summary["data"]
    note = (
        f"One run of `make demo`, seed {summary['seed']}, on {data['name']} ({data['n_events']:,} events), "
        f"torch {versions['torch']}. Return per session with 95 % intervals over simulated users; the last column is "
        "the paired difference to greedy in the held-out simulator."
    )
    policies = ["| policy | return, home | return, held out | vs greedy, held out |", "|---|---|---|---|"]
    for name, row in summary["policies"].items():
        cells = (row["return"], row["heldout_return"], row["heldout_paired_vs_greedy"])
        policies.append(f"| {name} | " + " | ".join(interval(cell) for cell in cells) + " |")
    models = ["| model | nats per next item | hit@10 | NDCG@10 |", "|---|---|---|---|"]
    for name, row in summary["models"].items():
        models.append(f"| {name} | {row['test_nll']:.3f} | {row['hit@10']:.3f} | {row['ndcg@10']:.3f} |")
    lead = "Next-item prediction on the latest tenth of the sessions:"
    return "\n".join([note, "", *policies, "", lead, "", *models, "", *beside_others()])


def beside_others() -> list[str]:
    """Return what was measured beside other tools, each in one run on one machine; from the records."""
    models, env, ope = (_results(name) for name in ("models-speed", "env", "ope"))
    par = _results("bench_gan-ml-100k-par")
    recbole = models["recbole"]
    rows = [
        (
            "training the sequence model, hidden 128, MovieLens 100k: targets a CPU-second",
            models["targets_per_cpu_s"],
            [
                ("RecBole GRU4Rec", recbole["ratio_recbole_gru4rec"]["targets_per_cpu_s"]),
                ("RecBole SASRec", recbole["ratio_recbole_sasrec"]["targets_per_cpu_s"]),
            ],
        ),
        (
            "simulated users, 1,000 items, slates of 10: user-steps a CPU-second",
            env["vector_1k_slate10"],
            [("SARDINE, not fitted on a log", env["sardine_1k_slate10"])],
        ),
        (
            "synthetic sequences of 20, MovieLens 100k: sequences a CPU-second",
            par["sequences_per_cpu_s"],
            [("DeepEcho PAR", par["par"]["sequences_per_cpu_s"])],
        ),
    ]
    lines = [
        "Beside other tools, on the same two shared cores ([all records](docs/benchmarks.md)):",
        "",
        "| what | rlrec | other tool | times |",
        "|---|---|---|---|",
    ]
    for what, ours, others in rows:
        for name, theirs in others:
            lines.append(f"| {what} | {ours:,.0f} | {name}: {theirs:,.0f} | {ours / theirs:.1f} |")
    for name, key in (
        ("IPS, the value alone", "ips_value_ratio"),
        ("IPS with interval and support gate", "ips_ratio"),
        ("doubly robust with both", "dr_ratio"),
        ("slates of 5, SIPS with both", "sips_ratio"),
    ):
        lines.append(f"| off-policy estimate: {name} | | obp 0.5.7, the value alone | {ope[key]:,.1f} |")
    return lines


def _results(name: str) -> dict[str, Any]:
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["results"]
    return found


def interval(cell: dict[str, float]) -> str:
    """Write a value and its interval."""
    return f"{cell['value']:.2f} [{cell['low']:.2f}, {cell['high']:.2f}]"


if __name__ == "__main__":
    main()
