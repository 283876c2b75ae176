"""Feed random and mutated bytes to every reader and loader for some minutes: ``make fuzz MINUTES=5``.

Whatever comes in, a reader gives a log or an `RlrecError`; anything else is a find, which is shrunk and printed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlrec.core.artifacts import MANIFEST, load_artifact, read_json, save_artifact
from rlrec.core.config import load_config
from rlrec.core.errors import RlrecError
from rlrec.data.load import load_log
from rlrec.data.store import open_log, save_log
from rlrec.models.config import LSTMConfig
from tests.small import cycle_log

ENDINGS = (".csv", ".tsv", ".txt", ".jsonl", ".parquet", ".arrow", ".inter", ".csv.gz", ".db")
SEED = b"user_id,item_id,timestamp,event\nu1,a,1,click\nu1,b,2,view\nu2,a,2024-01-02 03:04:05,click\n"
LINES = st.lists(st.lists(st.text(max_size=8), min_size=1, max_size=5).map(",".join), max_size=6).map("\n".join)
_LONGEST = 10_000  # characters of a message
Check = Callable[[bytes], None]


@st.composite
def mutated(draw: st.DrawFn, seed: bytes) -> bytes:
    """Cut a piece out of good bytes and put other bytes there."""
    begin = draw(st.integers(0, len(seed)))
    end = draw(st.integers(begin, len(seed)))
    return seed[:begin] + draw(st.binary(max_size=16)) + seed[end:]


def contents(seed: bytes) -> st.SearchStrategy[bytes]:
    """Return noise, lines that look like a table, and mutations of a good file."""
    table = LINES.map(lambda text: (SEED.split(b"\n")[0].decode() + "\n" + text).encode(errors="replace"))
    return st.one_of(st.binary(max_size=256), table, mutated(seed))


def targets(folder: Path) -> dict[str, tuple[bytes, Check]]:
    """Return, by name, good bytes to start from and what reads them."""
    found: dict[str, tuple[bytes, Check]] = {}
    for ending in ENDINGS:
        found[ending] = (SEED, reader(folder / f"log{ending}", load_log))
    save_artifact(folder / "model", kind="x", config={}, content={}, arrays={}, catalog_sha256=None)
    save_log(cycle_log(20), folder / "stored")
    (folder / "config.toml").write_text("hidden_size = 3\n")
    for path, load in (
        (folder / "model" / MANIFEST, lambda path: load_artifact(path.parent)),
        (next((folder / "model").glob("*.safetensors")), lambda path: load_artifact(path.parent)),
        (folder / "stored" / MANIFEST, lambda path: open_log(path.parent)),
        (next((folder / "stored").rglob("item.npy")), lambda path: open_log(folder / "stored").item_counts),
        (
            next((folder / "stored").rglob("items.ids.arrow")),
            lambda path: open_log(folder / "stored").catalog.ids,
        ),
        (folder / "config.toml", lambda path: load_config(LSTMConfig, path)),
        (folder / "some.json", read_json),
    ):
        good = path.read_bytes() if path.exists() else json.dumps({"a": [1]}).encode()
        found[f"{path.parent.name}/{path.name}"] = (good, reader(path, load))
    return found


def reader(path: Path, load: Callable[[Path], object]) -> Check:
    """Return a check of one target."""
    return lambda data: reads(path, data, load)


def reads(path: Path, data: bytes, load: Callable[[Path], object]) -> None:
    """Write the bytes and load them; an `RlrecError` is an answer too."""
    good = path.read_bytes() if path.exists() else None
    path.write_bytes(data)
    try:
        load(path)
    except RlrecError as error:
        if len(str(error)) > _LONGEST:
            raise AssertionError(f"a message of {len(str(error))} characters") from error
    finally:  # one target's damage must not reach another
        path.unlink() if good is None else path.write_bytes(good)


def main() -> int:
    """Go round the targets until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--examples", type=int, default=100, help="inputs of a target before the next one's turn")
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    tried, finds = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        everything = targets(Path(folder))
        while time.monotonic() < end and everything:
            for name, (good, check) in list(everything.items()):
                quiet = settings(
                    max_examples=options.examples, deadline=None, database=None, suppress_health_check=list(HealthCheck)
                )
                try:
                    quiet(given(contents(good))(check))()
                except Exception as error:  # noqa: BLE001  (a find is whatever it is)
                    finds += 1
                    print(
                        f"FIND in {name}: {type(error).__name__}: {str(error)[:300]}", *getattr(error, "__notes__", [])
                    )
                    del everything[name]
                tried += options.examples
                if time.monotonic() > end:
                    break
    print(f"about {tried:,} inputs, {finds} finds")
    return 1 if finds else 0


if __name__ == "__main__":
    raise SystemExit(main())
