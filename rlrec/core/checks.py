"""Argument checks that say which argument, what was expected and what was given."""

from __future__ import annotations

import math

from rlrec.core.errors import InvalidArgumentError


def check_positive(name: str, value: float) -> None:
    """Raise unless ``value`` is finite and above zero."""
    if not (math.isfinite(value) and value > 0):
        raise InvalidArgumentError(f"{name} must be above 0, got {value!r}")


def check_at_least(name: str, value: float, low: float) -> None:
    """Raise unless ``value >= low``."""
    if not value >= low:
        raise InvalidArgumentError(f"{name} must be at least {low}, got {value!r}")


def check_between(name: str, value: float, low: float, high: float) -> None:
    """Raise unless ``low <= value <= high``."""
    if not low <= value <= high:
        raise InvalidArgumentError(f"{name} must lie in [{low}, {high}], got {value!r}")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise InvalidArgumentError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
