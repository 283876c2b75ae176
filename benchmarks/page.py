"""Write docs/benchmarks.md from the records in benchmarks/results/; with ``--check``, say whether it is up to date.

Every figure stands in a record that a benchmark wrote, with its command, commit and machine; nothing is typed by hand.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PAGE = HERE.parent / "docs" / "benchmarks.md"
INTRODUCTION = """# Benchmarks

`make bench` runs every benchmark and writes its record to `benchmarks/results/`; `make bench-page` writes this page
from those records. `make bench-quick` runs them small, to see that they run, and records nothing. A null means that
the tool compared with was not installed.
"""
NOTHING = "\nNothing has been recorded yet.\n"
_MAX_COLUMNS = 8


def main() -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if the page is out of date")
    check = parser.parse_args().check
    text = page(sorted(RESULTS.glob("*.json")))
    if check:
        return 0 if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text else 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


def page(paths: list[Path]) -> str:
    """Return the page of these records."""
    records = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return INTRODUCTION + ("".join(map(section, records)) or NOTHING)


def section(record: dict[str, Any]) -> str:
    """Return one benchmark's part: where it comes from, then its figures."""
    machine = record.get("machine", {})
    known = {
        f"`{' '.join(record.get('command', []))}`": True,
        f"commit `{record.get('commit')}`": True,
        record.get("utc", "")[:10]: "utc" in record,
        f"seed {record.get('seed')}": True,
        machine.get("processor"): "processor" in machine,
        f"{machine.get('cores')} cores": "cores" in machine,
    }
    lines = [f"\n## {record['benchmark']}\n", ", ".join(fact for fact, stated in known.items() if stated) + ".\n"]
    plain, tables = split(record.get("results", {}))
    if plain:
        lines.append(table(["figure", "value"], [[f"`{name}`", cell(value)] for name, value in plain]))
    for name, rows in tables:
        lines += [f"\n### {name}\n", "\n\n".join(laid_out(name, rows))]
    return "\n".join(lines) + "\n"


def laid_out(name: str, rows: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yield a table of rows as one or more that fit a page: turned on its side where it is wide and short."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    if len(columns) > _MAX_COLUMNS >= len(rows):
        rows, columns = {column: {key: row.get(column) for key, row in rows.items()} for column in columns}, list(rows)
    for begin in range(0, len(columns), _MAX_COLUMNS):
        part = columns[begin : begin + _MAX_COLUMNS]
        yield table([name, *part], [[f"`{key}`", *(cell(row.get(one)) for one in part)] for key, row in rows.items()])


def split(results: dict[str, Any]) -> tuple[list[tuple[str, Any]], list[tuple[str, dict[str, Any]]]]:
    """Part the results into plain figures and tables: a mapping of mappings, or a list of mappings."""
    plain: list[tuple[str, Any]] = []
    tables: list[tuple[str, dict[str, Any]]] = []
    for name, value in results.items():
        rows = dict(enumerate_rows(value))
        if rows and all(isinstance(row, dict) for row in rows.values()):
            tables.append((name, {key: dict(flat(row)) for key, row in rows.items()}))
        else:
            plain += list(flat({name: value}))
    return plain, tables


def enumerate_rows(value: Any) -> Iterator[tuple[str, Any]]:
    """Return the rows of what may be a table, by name or by number."""
    if isinstance(value, dict):
        yield from ((str(key), row) for key, row in value.items())
    elif isinstance(value, list):
        yield from ((str(number), row) for number, row in enumerate(value, 1))


def flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Return nested mappings, and lists of them by number, as (dotted name, value)."""
    for name, value in values.items():
        is_rows = isinstance(value, list) and value and all(isinstance(row, dict) for row in value)
        if isinstance(value, dict) or is_rows:
            yield from flat(dict(enumerate_rows(value)), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def cell(value: Any) -> str:
    """Write a value for a table."""
    if value is None:
        return "null"
    if isinstance(value, bool) or not isinstance(value, int | float):
        text = ", ".join(map(cell, value)) if isinstance(value, list) else str(value)
        return text.replace("|", "\\|")
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def table(columns: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    head = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return "\n".join(head + [f"| {' | '.join(row)} |" for row in rows])


if __name__ == "__main__":
    raise SystemExit(main())
