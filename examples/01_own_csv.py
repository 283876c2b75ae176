"""Your own log: a CSV with other column names, mixed dates and faults, an account of every row, and a time split.

``--quick`` writes a smaller file; the whole takes seconds either way.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

import rlrec

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="a smaller file")
n_orders = 2_000 if parser.parse_args().quick else 20_000

# A file as a shop might export it. The column names are its own, and some rows are broken.
path = Path(tempfile.mkdtemp()) / "orders.csv"
rng = np.random.default_rng(0)
opening = datetime(2024, 3, 1)
with path.open("w", newline="", encoding="utf-8") as file:
    writer = csv.writer(file)
    writer.writerow(["customer", "sku", "bought_at", "what"])
    for order in range(n_orders):
        moment = opening + timedelta(minutes=7 * order + int(rng.integers(7)))
        sku = f"tea-{rng.zipf(1.6) % 40:02d}"
        writer.writerow([f"c{rng.integers(n_orders // 20)}", sku, moment.isoformat(sep=" "), "purchase"])
    writer.writerow(["", "tea-01", "2024-03-02 10:00:00", "purchase"])  # nobody bought it
    writer.writerow(["c3", "tea-02", "soon", "purchase"])  # no time

# Say once which column is which. Rows that cannot be used are left out and counted by reason.
names = {"user_id": "customer", "item_id": "sku", "timestamp": "bought_at", "event": "what"}
log = rlrec.load_log(path, columns=names)
print(log)
print(log.cleaning.summary())

# strict=True refuses a file with any fault instead.
try:
    rlrec.load_log(path, columns=names, strict=True)
except ValueError as error:
    print("strict:", error)

# Models are judged on what came later, so the split is by time.
train, valid, test = rlrec.split_by_time(log, valid=0.1, test=0.1)
print("train, valid, test:", train.n_events, valid.n_events, test.n_events)

# Nothing is lost on the way out.
log.to_parquet(path.with_suffix(".parquet"))
again = rlrec.load_log(path.with_suffix(".parquet"))
assert again.n_events == log.n_events
