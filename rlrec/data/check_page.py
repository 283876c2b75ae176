"""`LogCheck` as one HTML page that opens offline: numbers, warnings, and two plots drawn as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from rlrec.core.artifacts import atomic_path
from rlrec.data.check import LogCheck

_WIDTH, _HEIGHT, _MARGIN = 640, 220, 44
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "table{border-collapse:collapse}th{text-align:left;font-weight:500;padding-right:2rem}td{text-align:right}"
    ".warning{border-left:4px solid #d97a1e;padding-left:.8rem;margin:.8rem 0}svg{width:100%;height:auto}"
)


def write_check_page(check: LogCheck, path: str | Path) -> None:
    """Write the page; a kill leaves the old file or the new one."""
    with atomic_path(path) as temporary:
        temporary.write_text(check_page(check), encoding="utf-8")


def check_page(check: LogCheck) -> str:
    """Return the page as HTML."""
    rows = [
        ("events", f"{check.n_events:,}"),
        ("users", f"{check.n_users:,}"),
        ("items with events", f"{check.n_items:,}"),
        ("items in the catalogue", f"{check.n_items_in_catalog:,}"),
        ("sequences", f"{check.n_sequences:,}"),
        ("density", f"{check.density:.4%}"),
        ("repeats", f"{check.repeat_share:.1%}"),
        ("ties in time", f"{check.tie_share:.1%}"),
        ("share of the most popular tenth of the items", f"{check.top_tenth_share:.0%}"),
        *((f"event “{name}”", f"{n:,}") for name, n in check.events.items()),
        *((f"sequence length, {name}", f"{value:g}") for name, value in check.sequence_lengths.items()),
    ]
    table = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    warnings = "".join(
        f'<p class="warning"><b>{escape(warning.code)}</b>: {escape(warning.sentence)}</p>'
        for warning in check.warnings
    )
    lengths = _bars(check.lengths[1:], "Sequences by length", "length (the last bar: 100 and more)")
    popularity = _curve(check.popularity, "Events of an item by its rank", "rank, of the items with events")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(check.name)}</title>'
        f"<style>{_STYLE}</style><h1>{escape(check.name)}</h1>{warnings or '<p>No warnings.</p>'}"
        f"<table>{table}</table><h2>Sequence length</h2>{lengths}<h2>Popularity</h2>{popularity}</html>\n"
    )


def _bars(counts: Sequence[int], title: str, label: str) -> str:
    top = max(counts, default=0)
    if not top:
        return "<p>No sequences.</p>"
    width = (_WIDTH - 2 * _MARGIN) / len(counts)
    height = _HEIGHT - 2 * _MARGIN
    bars = "".join(
        f'<rect x="{_MARGIN + i * width:.1f}" y="{_HEIGHT - _MARGIN - n / top * height:.1f}" '
        f'width="{max(width - 0.5, 0.5):.1f}" height="{n / top * height:.1f}" fill="#2f86d6"/>'
        for i, n in enumerate(counts)
    )
    return _figure(bars, title, label, low="1", high=str(len(counts)), top=f"{top:,}")


def _curve(counts: Sequence[int], title: str, label: str) -> str:
    """Draw counts on logarithmic axes, where a power law is a straight line."""
    shown = [(math.log(i + 1), math.log(n)) for i, n in enumerate(counts) if n > 0]
    if not shown:
        return "<p>No items.</p>"
    right, high = max(shown[-1][0], 1e-9), max(max(y for _, y in shown), 1e-9)
    width, height = (_WIDTH - 2 * _MARGIN) / right, (_HEIGHT - 2 * _MARGIN) / high
    points = " ".join(f"{_MARGIN + x * width:.1f},{_HEIGHT - _MARGIN - y * height:.1f}" for x, y in shown)
    line = f'<polyline points="{points}" fill="none" stroke="#2f86d6" stroke-width="2"/>'
    return _figure(line, title, label + ", both axes logarithmic", low="first", high="last", top=f"{max(counts):,}")


def _figure(body: str, title: str, label: str, *, low: str, high: str, top: str) -> str:
    base, right = _HEIGHT - _MARGIN, _WIDTH - _MARGIN
    text = 'font-size="12" fill="currentColor"'
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"><title>{escape(title)}</title>{body}'
        f'<line x1="{_MARGIN}" y1="{base}" x2="{right}" y2="{base}" stroke="currentColor"/>'
        f'<text x="{_MARGIN}" y="{base + 16}" {text}>{low}</text>'
        f'<text x="{right}" y="{base + 16}" text-anchor="end" {text}>{high}</text>'
        f'<text x="{_WIDTH // 2}" y="{base + 32}" text-anchor="middle" {text}>{escape(label)}</text>'
        f'<text x="{_MARGIN}" y="{_MARGIN - 10}" {text}>{top}</text></svg>'
    )
