"""The benchmarks page comes from the records, all of it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "page.py"


@pytest.fixture(scope="module")
def program():
    spec = importlib.util.spec_from_file_location("benchmarks_page", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_record_becomes_a_section(program, tmp_path):
    sets = {"x": {"hit": 0.5}, "y": {"ndcg": 0.25}}
    results = {"speed": 12_345.6, "obp_ratio": None, "nested": {"a": 1}, "sets": sets}
    record = {
        "benchmark": "ope",
        "results": results,
        "seed": 3,
        "command": ["python", "bench_ope.py"],
        "commit": "abc",
        "utc": "2026-01-02T03:04:05+00:00",
        "machine": {"processor": "a processor", "cores": 2},
    }
    path = tmp_path / "ope.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    text = program.page([path])
    assert "`python bench_ope.py`, commit `abc`, 2026-01-02, seed 3, a processor, 2 cores." in text
    assert "| `speed` | 12,346 |" in text
    assert "| `obp_ratio` | null |" in text
    assert "| `nested.a` | 1 |" in text
    assert "| `x` | 0.5 | null |" in text


def test_a_wide_table_loses_no_figure(program):
    short = {"a": {f"m{i}": i + 0.5 for i in range(20)}, "b": {f"m{i}": i + 0.25 for i in range(20)}}
    (turned,) = program.laid_out("sets", short)
    assert turned.splitlines()[0] == "| sets | a | b |"
    assert "| `m19` | 19.5 | 19.25 |" in turned
    long = {f"r{j}": {f"m{i}": 100 * j + i + 0.5 for i in range(20)} for j in range(9)}
    parts = list(program.laid_out("sets", long))
    assert len(parts) == 3
    cells = " ".join(parts)
    assert all(f"| {100 * j + i + 0.5:.4g} |" in cells for j in range(9) for i in range(20))


def test_without_records_the_page_says_so(program):
    assert program.page([]).endswith("Nothing has been recorded yet.\n")


def test_every_kept_record_has_its_section(program):
    kept = sorted(program.RESULTS.glob("*.json"))
    assert kept
    text = program.page(kept)
    for path in kept:
        assert f"\n## {json.loads(path.read_text(encoding='utf-8'))['benchmark']}\n" in text
    assert "None" not in text
