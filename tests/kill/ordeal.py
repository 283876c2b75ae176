"""Kill every long verb, fill its disk, lock its folder, run it twice at once; then see what is left (`make test-kill`).

Each run is a process of its own, forked from one that has imported everything, so that a kill meets the verb and not
the imports. A try survives if whatever is on disk loads whole, and the same command, run again without trouble, ends
with the same result as a run that was never disturbed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rlrec.agents.training
import rlrec.cli.data_convert
import rlrec.evaluation.rollout
import rlrec.gan.quality  # noqa: F401  (everything is imported before the first fork)
from rlrec.cli.app import main
from rlrec.core.artifacts import MANIFEST, load_artifact, read_json
from rlrec.data.load import load_log
from rlrec.data.store import is_stored_log
from tests.small import cycle_log, cycle_model

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "robustness.md"
BEGIN, END = "<!-- kills: begin -->", "<!-- kills: end -->"
NOBODY = 65_534
OK, BAD_INPUT = 0, 2


@dataclass
class Verb:
    """A command line and what its result is."""

    name: str
    args: list[str]
    result: Callable[[Path], Any]
    is_file: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def weights_of(*parts: str) -> Callable[[Path], Any]:
    """Return the hash of an artifact's weights and its settings."""
    return lambda out: [
        load_artifact(out.joinpath(*parts)).config,
        read_json(out.joinpath(*parts, MANIFEST))["weights"],
    ]


def prepare(place: Path) -> None:
    """Write a small world: two logs and a model."""
    cycle_log(2_000).to_pandas().to_csv(place / "big.csv", index=False)
    cycle_log(300).to_pandas().to_csv(place / "log.csv", index=False)
    cycle_model().save(place / "model")


def verbs(place: Path) -> list[Verb]:
    """Return the verbs on the world that `prepare` wrote."""
    csv, model = str(place / "log.csv"), str(place / "model")
    fit = ["--lstm.n-epochs", "3", "--lstm.hidden-size", "8", "--lstm.embedding-size", "8", "--k", "3"]
    train = ["--num-envs", "16", "--agent.total-steps", "1024", "--agent.n-steps", "16"]
    gan = ["--gan.n-rounds", "6", "--gan.n-warmup", "2", "--gan.check-every", "2", "--gan.detector-sequences", "40"]
    gan += ["--gan.sequences-per-round", "32", "--n-probe", "40", "--init", model]
    return [
        Verb("data convert", ["data", "convert", str(place / "big.csv")], lambda out: load_log(out).sha256),
        Verb("fit", ["fit", csv, *fit], weights_of("models", "lstm")),
        Verb("train", ["train", model, *train], weights_of("policy")),
        Verb("evaluate", ["evaluate", model, "--n-users", "400"], policies_of),
        Verb("gan", ["gan", csv, *gan], weights_of("gan")),
        Verb("generate", ["generate", str(place / "gan"), "--n-users", "3000"], digest, is_file=True),
    ]


def policies_of(out: Path) -> Any:
    """Return the numbers of a judgement."""
    return read_json(out / "summary.json")["policies"]


def digest(path: Path) -> str:
    """Return the hash of a file that also loads as a log."""
    assert load_log(path).n_events > 0
    return hashlib.sha256(path.read_bytes()).hexdigest()


# ---- processes -------------------------------------------------------------------------------------------------------


def start(args: list[str], before: Callable[[], None] | None = None) -> int:
    """Run a command line in a forked process, silent; returns its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        if before is not None:
            before()
        code = main(args)
    finally:
        os._exit(code)


def wait(pid: int) -> int:
    """Return the exit code, or minus the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run(args: list[str], before: Callable[[], None] | None = None) -> int:
    """Run and wait."""
    return wait(start(args, before))


def in_child(work: Callable[[], Any]) -> Any:
    """Return what a function gives in a process of its own (polars must not run in the one that forks)."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            answer = {"value": work()}
        except BaseException as error:  # noqa: BLE001  (it goes to the parent)
            answer = {"error": f"{type(error).__name__}: {error}"}
        with os.fdopen(write, "w") as pipe:
            json.dump(answer, pipe, default=str)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    wait(pid)
    return json.loads(text)


# ---- ordeals ---------------------------------------------------------------------------------------------------------


def target(verb: Verb, folder: Path) -> Path:
    """Return what ``--out`` names."""
    return folder / "log.parquet" if verb.is_file else folder / "out"


def check_whole(verb: Verb, out: Path) -> None:
    """Load whatever is there."""
    if verb.is_file:
        if out.exists():
            digest(out)
        return
    for manifest in sorted(out.rglob(MANIFEST)):
        if is_stored_log(manifest.parent):
            load_log(manifest.parent)
        else:
            load_artifact(manifest.parent)
    for name in ("summary.json", "details.json"):
        if (out / name).exists():
            read_json(out / name)


def judge(verb: Verb, kind: str, out: Path, reference: Any, args: list[str], again: bool = True) -> None:
    """Count a try: what is left is whole, and the command run again gives the undisturbed result."""
    verb.counts[f"{kind} tried"] += 1
    found = in_child(lambda: check_whole(verb, out))
    if "error" in found:
        verb.failures.append(f"{kind}: what was left does not load: {found['error']}")
        return
    if again:
        code = run(args)
        found = in_child(lambda: verb.result(out))
        if code != OK or found != reference:
            verb.failures.append(
                f"{kind}: run again: exit code {code}, {found if 'error' in found else 'other result'}"
            )
            return
    verb.counts[f"{kind} survived"] += 1


def try_verb(verb: Verb, n_tries: int, rng: random.Random) -> None:
    """Put one verb through everything."""
    root = Path(tempfile.mkdtemp())
    try:
        undisturbed = target(verb, root / "reference")
        began = time.monotonic()
        assert run([*verb.args, "--out", str(undisturbed)]) == OK, verb.name
        seconds = time.monotonic() - began
        reference = in_child(lambda: verb.result(undisturbed))
        assert "value" in reference, reference
        older = target(verb, root / "older")
        assert run([*verb.args, "--seed", "9", "--out", str(older)]) == OK
        for number in range(n_tries):
            kill(verb, root / f"kill{number}", older if number % 2 else None, seconds, reference, rng)
        for number in range(max(n_tries // 4, 2)):
            fill(verb, root / f"full{number}", older if number % 2 else None, reference, rng)
        lock(verb, root / "locked")
        for number in range(max(n_tries // 4, 2)):
            twice(verb, root / f"twice{number}", reference, rng, seconds)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def prepared(verb: Verb, folder: Path, older: Path | None) -> Path:
    """Return the place to write to, holding an older result where there is one."""
    folder.mkdir(parents=True)
    out = target(verb, folder)
    if older is not None:
        (shutil.copy if verb.is_file else shutil.copytree)(older, out)
    return out


def kill(verb: Verb, folder: Path, older: Path | None, seconds: float, reference: Any, rng: random.Random) -> None:
    """SIGKILL at a random moment of the run."""
    out = prepared(verb, folder, older)
    args = [*verb.args, "--out", str(out)]
    pid = start(args)
    time.sleep(rng.uniform(0, seconds))
    os.kill(pid, signal.SIGKILL)
    wait(pid)
    judge(verb, "kill", out, reference, args)


def fill(verb: Verb, folder: Path, older: Path | None, reference: Any, rng: random.Random) -> None:
    """Refuse bytes beyond a random size of each file, as a full disk does in the middle of a write."""
    out = prepared(verb, folder, older)
    args = [*verb.args, "--out", str(out)]
    limit = int(2 ** rng.uniform(4, 14))
    code = run(args, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    if code not in (OK, BAD_INPUT):
        verb.failures.append(f"full: a limit of {limit} bytes ended with exit code {code}")
    judge(verb, "full", out, reference, args)


def lock(verb: Verb, folder: Path) -> None:
    """Give a folder that may not be written to."""
    folder.mkdir(parents=True)
    folder.chmod(0o555)
    for parent in (folder.parent, *folder.parents):
        if os.getuid() == 0 and str(parent).startswith(tempfile.gettempdir() + os.sep):
            parent.chmod(0o755)

    def drop() -> None:  # root may write anywhere; what is imported late must be there before its rights are gone
        if os.getuid() == 0:
            main([*verb.args, "--out", str(target(verb, folder.parent / "warm"))])
            os.setuid(NOBODY)

    code = run([*verb.args, "--out", str(target(verb, folder))], drop)
    verb.counts["locked tried"] += 1
    if code == BAD_INPUT and not list(folder.iterdir()):
        verb.counts["locked survived"] += 1
    else:
        verb.failures.append(f"locked: exit code {code}")


def twice(verb: Verb, folder: Path, reference: Any, rng: random.Random, seconds: float) -> None:
    """Start two runs into one folder, the second a moment later; at least one must end well, and the rest be whole."""
    out = prepared(verb, folder, None)
    args = [*verb.args, "--out", str(out)]
    first = start(args)
    time.sleep(rng.uniform(0, seconds / 2))
    codes = [wait(start(args)), wait(first)]
    if not set(codes) <= {OK, BAD_INPUT}:
        verb.failures.append(f"twice: exit codes {codes}")
    judge(verb, "twice", out, reference, args)


# ---- the table -------------------------------------------------------------------------------------------------------


def table(done: list[Verb], n_tries: int, seed: int) -> str:
    """Return what was tried and what survived, in Markdown."""
    kinds = {"kill": "SIGKILL", "full": "full disk", "locked": "read-only folder", "twice": "two runs at once"}
    lines = [f"| verb | {' | '.join(kinds.values())} |", "|---|" + "---|" * len(kinds)]
    for verb in done:
        cells = (f"{verb.counts[f'{kind} survived']} of {verb.counts[f'{kind} tried']}" for kind in kinds)
        lines.append(f"| `{verb.name}` | {' | '.join(cells)} |")
    return "\n".join([f"From `make test-kill TRIES={n_tries}`, seed {seed}: survived, of tried.", "", *lines])


def program() -> int:
    """Run, print, and write the table into the page where asked; 1 if anything did not survive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=20, help="kills of each verb; a quarter as many of the others")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--page", action="store_true", help="write the table into the documentation")
    parser.add_argument("--only", nargs="*", default=None, help="names of verbs")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        ready = in_child(lambda: prepare(Path(place)))
        assert "value" in ready, ready
        everything = {verb.name: verb for verb in verbs(Path(place))}
        assert run([*everything["gan"].args, "--out", str(Path(place) / "gan")]) == OK
        done = [verb for name, verb in everything.items() if options.only is None or name in options.only]
        for verb in done:
            try_verb(verb, options.tries, rng)
            print(verb.name, dict(verb.counts), *verb.failures, sep="\n  ", flush=True)
    text = table(done, options.tries, options.seed)
    print(text)
    if options.page:
        page = PAGE.read_text(encoding="utf-8")
        head, rest = page.split(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{rest.split(END)[1]}", encoding="utf-8")
    return 1 if any(verb.failures for verb in done) else 0


if __name__ == "__main__":
    raise SystemExit(program())
