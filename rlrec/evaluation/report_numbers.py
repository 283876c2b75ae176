"""How a report writes numbers, and how it reads them out of ``summary.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_GROUPS = {"control", "gan", "mle", "real", "real_vs_real", "simulated", "train_vs_real"}


def number_text(value: Any) -> str:
    """Write a number for a reader: whole numbers with thousands apart, others with up to four digits that count.

    Examples
    --------
    >>> number_text(165474), number_text(3.80481), number_text(0.00012), number_text(None)
    ('165,474', '3.805', '0.00012', '–')
    """
    if value is None or isinstance(value, bool) or not isinstance(value, int | float):
        return "–" if value is None else str(value)
    if not math.isfinite(value):
        return "–"
    if isinstance(value, int) or (value == int(value) and abs(value) >= 1_000):
        return f"{int(value):,}"
    if abs(value) >= 1_000:
        return f"{value:,.0f}"
    text = f"{value:.4g}" if abs(value) >= 1e-3 or value == 0 else f"{value:.2g}"
    return text.replace("-", "\N{MINUS SIGN}") if "e" not in text else text


def interval_text(estimate: Mapping[str, Any]) -> str:
    """Write ``[low, high]`` of an estimate, or nothing where it has no interval."""
    if estimate.get("low") is None or estimate.get("high") is None:
        return ""
    return f"[{number_text(estimate['low'])}, {number_text(estimate['high'])}]"


def point(cell: Any) -> float | None:
    """Return the number in a cell: a plain number, or the value of an estimate."""
    if isinstance(cell, Mapping):
        cell = cell.get("value")
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        return None
    return float(cell) if math.isfinite(cell) else None


def bounds(cell: Any) -> tuple[float, float] | None:
    """Return the interval of an estimate; None for a plain number."""
    if not isinstance(cell, Mapping):
        return None
    low, high = point(cell.get("low")), point(cell.get("high"))
    return None if low is None or high is None else (low, high)


def by_metric(part: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return metric -> column -> cell, whichever of the two is outside in ``part``.

    A metric that is a single number stands in the column ``value``.

    Examples
    --------
    >>> by_metric({"item_jsd": {"gan": 0.1, "mle": 0.2}, "trtr_ndcg@10": 0.4})
    {'item_jsd': {'gan': 0.1, 'mle': 0.2}, 'trtr_ndcg@10': {'value': 0.4}}
    >>> by_metric({"gan": {"item_jsd": 0.1}, "mle": {"item_jsd": 0.2}})
    {'item_jsd': {'gan': 0.1, 'mle': 0.2}}
    """
    if part and set(part) <= _GROUPS:
        metrics: dict[str, dict[str, Any]] = {}
        for column, cells in part.items():
            for name, cell in cells.items():
                metrics.setdefault(name, {})[column] = cell
        return metrics
    return {name: dict(cell) if _is_row(cell) else {"value": cell} for name, cell in part.items()}


def _is_row(cell: Any) -> bool:
    return isinstance(cell, Mapping) and not {"low", "high"} <= cell.keys()
