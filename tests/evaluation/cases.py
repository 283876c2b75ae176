"""Where the shared fixtures are: beside the checkout, and absent from an installed package."""

import json
from pathlib import Path
from typing import Any

import pytest

CASES = Path(__file__).resolve().parents[2].parent / "shared" / "ope_cases"


def load_case(name: str) -> dict[str, Any]:
    """Return a fixture, or skip where the folder is not there."""
    path = CASES / f"{name}.json"
    if not path.exists():
        pytest.skip(f"{path.name} is not beside this checkout")
    return json.loads(path.read_text())
