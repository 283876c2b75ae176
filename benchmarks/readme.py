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
    return "\n".join([note, "", *policies, "", lead, "", *models])


def interval(cell: dict[str, float]) -> str:
    """Write a value and its interval."""
    return f"{cell['value']:.2f} [{cell['low']:.2f}, {cell['high']:.2f}]"


if __name__ == "__main__":
    main()
