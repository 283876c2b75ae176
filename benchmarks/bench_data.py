"""Size and speed of `rlrec.data`: CSV and Parquet to the log on disk, opening it, and batching sequences for training.

A log of 20 million rows, 1 million users and 100,000 items is generated; ids are text (``u85062``), as in most logs of
shops. Each step runs in a process of its own, on one thread, and reports its own CPU time and peak memory. The pandas
side does what it takes to get the same arrays: ``read_csv`` (or ``read_parquet``, with pyarrow or fastparquet),
``sort_values`` by user and time, and ``factorize`` of users, items and events. Where pyarrow is installed pandas keeps
text in it, and is some two times faster. With ``--integer-ids`` the ids are whole numbers, which
pandas reads and sorts several times faster than text.

    python benchmarks/bench_data.py --json [--quick] [--integer-ids] [--out benchmarks/results]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

THREADS = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
N_ROWS, N_ROWS_QUICK, N_ITEMS, ROWS_PER_USER = 20_000_000, 2_000_000, 100_000, 20
BLOCK = 1_000_000


def generating(folder: Path) -> dict[str, Any]:
    """Write the log that ``folder/wanted.json`` asks for, as CSV and Parquet."""
    wanted = json.loads((folder / "wanted.json").read_text())
    _generate(folder, **wanted)
    return {"rows": wanted["n_rows"]}


def _generate(folder: Path, n_rows: int, integer_ids: bool) -> None:
    """Write in the order of time, block by block."""
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(0)
    parts = folder / "log.parquet"
    parts.mkdir()
    with (folder / "log.csv").open("wb") as file:
        for begin in range(0, n_rows, BLOCK):
            n = min(BLOCK, n_rows - begin)
            frame = pl.DataFrame(
                {
                    "user_id": rng.integers(n_rows // ROWS_PER_USER, size=n),
                    "item_id": (N_ITEMS * rng.random(n) ** 3).astype(np.int64),
                    "timestamp": 1_600_000_000 + begin + np.sort(rng.integers(n, size=n)),
                    "event": np.array(["click", "cart", "purchase"])[rng.choice(3, size=n, p=[0.9, 0.07, 0.03])],
                }
            )
            if not integer_ids:
                text = [
                    pl.lit(letter) + pl.col(name).cast(pl.String)
                    for letter, name in (("u", "user_id"), ("p", "item_id"))
                ]
                frame = frame.with_columns(text[0].alias("user_id"), text[1].alias("item_id"))
            frame.write_csv(file, include_header=begin == 0)
            frame.write_parquet(parts / f"part-{begin // BLOCK:04}.parquet")


def pandas_csv(folder: Path) -> dict[str, Any]:
    """Read CSV, sort and factorize with pandas."""
    import pandas as pd

    return measured(lambda: _sorted_codes(pd.read_csv(folder / "log.csv")))


def pandas_parquet(folder: Path) -> dict[str, Any]:
    """Read Parquet, sort and factorize with pandas."""
    import pandas as pd

    return measured(lambda: _sorted_codes(pd.read_parquet(folder / "log.parquet")))


def _sorted_codes(frame: Any) -> int:
    import pandas as pd

    frame = frame.sort_values(["user_id", "timestamp"])
    codes = [pd.factorize(frame[name])[0] for name in ("user_id", "item_id", "event")]
    return len(codes[0])


def ours_csv(folder: Path) -> dict[str, Any]:
    """Ingest the CSV."""
    return _ingest(folder, "log.csv", "from-csv")


def ours_parquet(folder: Path) -> dict[str, Any]:
    """Ingest the Parquet folder."""
    return _ingest(folder, "log.parquet", "from-parquet")


def _ingest(folder: Path, source: str, target: str) -> dict[str, Any]:
    from rlrec.data.ingest import ingest_log

    return measured(lambda: ingest_log(folder / source, folder / target, show_progress=False).n_events)


def opening(folder: Path) -> dict[str, Any]:
    """Open the log; the memory is what opening adds to that of the imported package."""
    from rlrec.data.store import open_log

    before = _resident_mb()
    began = time.perf_counter()
    log = open_log(folder / "from-csv")
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "rss_mb": _resident_mb() - before, "rows": log.n_events}


def batching(folder: Path) -> dict[str, Any]:
    """Cut the log into sequences and go through one shuffled epoch of padded batches."""
    import numpy as np

    from rlrec.data.store import open_log

    log = open_log(folder / "from-csv")

    def epoch() -> int:
        sequences = log.sequences()
        batches = sequences.batches(n_tokens=16_384, rng=np.random.default_rng(0))
        return sum(int(sequences.pad(index).length.sum()) for index in batches)

    return measured(epoch)


def measured(action: Any) -> dict[str, Any]:
    """Return CPU seconds, wall seconds, peak memory and the rows that the action reports."""
    cpu, wall = time.process_time(), time.perf_counter()
    rows = action()
    return {
        "cpu_s": time.process_time() - cpu,
        "wall_s": time.perf_counter() - wall,
        "peak_mb": _peak_mb(),
        "rows": rows,
    }


def _resident_mb() -> float:
    """Return the memory that is resident now (Linux; elsewhere the peak)."""
    status = Path("/proc/self/statm")
    if not status.is_file():
        return _peak_mb()
    return int(status.read_text().split()[1]) * resource.getpagesize() / 2**20


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


STEPS = {
    step.__name__: step for step in (generating, pandas_csv, ours_csv, pandas_parquet, ours_parquet, opening, batching)
}


def run_step(name: str, folder: Path) -> dict[str, Any] | None:
    """Run one step in a new process; None where a package that it needs is not installed."""
    command = [sys.executable, __file__, "--step", name, "--folder", str(folder)]
    done = subprocess.run(command, env=os.environ | THREADS, capture_output=True, text=True, check=False)
    if done.returncode and name == "pandas_parquet" and "ImportError" in done.stderr:
        print("pandas reads no Parquet without fastparquet or pyarrow: pip install fastparquet", file=sys.stderr)
        return None
    if done.returncode:
        raise SystemExit(f"the step {name} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"{name:<15} {', '.join(f'{key} {value:,.3f}' for key, value in result.items())}", file=sys.stderr)
    return result


def summary(results: dict[str, dict[str, Any] | None], n_rows: int) -> dict[str, float | None]:
    """Return the numbers of the last line."""
    for name, result in results.items():
        if result is not None and result["rows"] != n_rows:
            raise SystemExit(f"the step {name} gave {result['rows']} rows of {n_rows}")

    def ratio(theirs: str, ours: str) -> float | None:
        one, two = results[theirs], results[ours]
        return None if one is None or two is None else one["cpu_s"] / two["cpu_s"]

    csv, opened, batched = results["ours_csv"], results["opening"], results["batching"]
    assert csv is not None
    assert opened is not None
    assert batched is not None
    return {
        "csv_cpu_ratio_pandas": ratio("pandas_csv", "ours_csv"),
        "csv_peak_mb": csv["peak_mb"],
        "parquet_cpu_ratio_pandas": ratio("pandas_parquet", "ours_parquet"),
        "open_seconds": opened["seconds"],
        "open_rss_mb": opened["rss_mb"],
        "batch_events_per_cpu_s": n_rows / batched["cpu_s"],
    }


def main() -> None:
    """Generate, measure, print; with ``--out`` write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--quick", action="store_true", help=f"{N_ROWS_QUICK:,} rows; nothing is recorded")
    parser.add_argument("--integer-ids", action="store_true", help="ids are whole numbers")
    parser.add_argument("--out", type=Path, help="folder for the record")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        print(json.dumps(STEPS[arguments.step](arguments.folder)))
        return
    n_rows = N_ROWS_QUICK if arguments.quick else N_ROWS
    with tempfile.TemporaryDirectory() as scratch:
        wanted = {"n_rows": n_rows, "integer_ids": arguments.integer_ids}
        (Path(scratch) / "wanted.json").write_text(json.dumps(wanted))
        results = {name: run_step(name, Path(scratch)) for name in STEPS}
    numbers = summary(results, n_rows)
    if arguments.out is not None and not arguments.quick:
        from record import record  # imports rlrec, whose cost would stand in the steps' memory

        name = "bench_data_integer_ids" if arguments.integer_ids else "bench_data"
        record(name, {**numbers, "rows": n_rows, "steps": results}, arguments.out, seed=0)
    print(json.dumps(numbers) if arguments.json else "\n".join(f"{key}: {value}" for key, value in numbers.items()))


if __name__ == "__main__":
    main()
