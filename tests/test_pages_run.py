"""Every command of the documentation is run as it stands there, page by page, in a folder that has its files.

`make test-pages` runs this; it takes as long as a reader who types everything. What cannot run without a network, or is
a `make` target itself, is named in `ELSEWHERE` with what runs it instead.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rlrec
from tests.pages import console_lines

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ELSEWHERE = {
    "make": "the target itself",
    "pip install": "CONTRIBUTING.md, before a release; `make` installs the same extras",
    "rlrec data download": "tests/data/test_download.py, from a server of its own",
    "python benchmarks/": "make bench-quick",
    "torchrun": "tests/models/test_parallel.py, with a script of its own",
}


def lines_of(page: Path) -> list[str]:
    """Return the commands in the page's console blocks."""
    return [shlex.join(words) for words in console_lines(page)]


def runnable(page: Path) -> list[str]:
    """Return the commands that this file runs."""
    return [line for line in lines_of(page) if not line.startswith(tuple(ELSEWHERE))]


def prepare(folder: Path) -> None:
    """Write the files that the pages speak of."""
    shutil.copy(ROOT / "docs" / "assets" / "teeladen.csv", folder)
    clicks = rlrec.load_log("builtin:eshop2008").to_pandas()
    people = clicks["user_id"].unique()
    clicks = clicks[clicks["user_id"].isin({*people[::10], people[6]})]  # few of them, over the whole period
    clicks.to_csv(folder / "clicks.csv", index=False)
    names = {"user_id": "customer", "item_id": "sku", "timestamp": "bought_at"}
    clicks[list(names)].rename(columns=names).to_csv(folder / "orders.csv", index=False)
    (folder / "doctor.toml").write_text("", encoding="utf-8")


def test_every_command_is_run_here_or_said_to_be_run_elsewhere():
    others = [line for page in PAGES for line in lines_of(page) if line not in runnable(page)]
    assert others
    for line in others:
        assert any(line.startswith(start) for start in ELSEWHERE), line
    assert sum(len(runnable(page)) for page in PAGES) > 30


@pytest.mark.pages
@pytest.mark.parametrize("page", [page for page in PAGES if runnable(page)], ids=lambda page: page.stem)
def test_the_commands_of_a_page_run(page, tmp_path, monkeypatch):
    prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    for line in runnable(page):
        program, *args = shlex.split(line)
        assert program == "rlrec", line
        done = subprocess.run([sys.executable, "-m", program, *args], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
