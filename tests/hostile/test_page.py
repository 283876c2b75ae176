"""The page that counts the hostile files counts what is here."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "robustness.md"


def test_the_table_counts_the_cases():
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-o", "addopts="]
    files = [str(path) for path in sorted(Path(__file__).parent.glob("test_*.py")) if path.name != Path(__file__).name]
    out = subprocess.run([*collect, *files], capture_output=True, text=True, check=True, cwd=PAGE.parents[2]).stdout
    table = PAGE.read_text(encoding="utf-8").split("`make fuzz`")[0]
    tried, survived = zip(*re.findall(r"\| (\d+) \| (\d+) \|\n", table), strict=True)
    assert sum(map(int, tried)) == out.count("::test_")
    assert survived == tried
