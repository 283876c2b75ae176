"""Converting a log takes memory for a block and a part of its users, not for the log."""

import subprocess
import sys

import numpy as np
import polars as pl
import pytest

CHILD = """
import sys
from pathlib import Path

from rlrec.data.ingest import ingest_log
from rlrec.data.load import load_log


def peak():  # not ru_maxrss, which starts from the parent's
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])


source, folder, way = sys.argv[1:]
begin = peak()
log = ingest_log(source, folder) if way == "ingest" else load_log(source)
print((peak() - begin) / 1024, len(log))
"""


def peak_mb(source, folder, way):
    """MiB that a process of its own needed on top of its imports."""
    command = [sys.executable, "-c", CHILD, str(source), str(folder), way]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    grown, rows = done.stdout.split()
    assert int(rows) == 2_000_000
    return float(grown)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_log_is_converted_in_a_fraction_of_the_memory_that_it_fills(tmp_path):
    rng = np.random.default_rng(0)
    n = 2_000_000
    pl.DataFrame(
        {
            "user_id": rng.integers(0, n // 20, n),
            "item_id": rng.zipf(1.3, n) % 50_000,
            "timestamp": np.sort(rng.integers(1_500_000_000, 1_600_000_000, n)),
        }
    ).write_parquet(tmp_path / "log.parquet", row_group_size=1 << 18)
    ingested, loaded = (peak_mb(tmp_path / "log.parquet", tmp_path / way, way) for way in ("ingest", "load"))
    assert ingested < loaded / 2, f"ingest_log took {ingested:.0f} MiB, load_log {loaded:.0f}"
