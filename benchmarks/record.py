"""What goes with a benchmark's numbers: the command, the commit, versions, the machine and the time."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rlrec.core.artifacts import package_versions, write_json


def record(name: str, results: dict[str, Any], folder: Path, *, seed: int) -> Path:
    """Write ``folder/NAME.json`` and return its path."""
    path = folder / f"{name}.json"
    write_json(
        path,
        {
            "benchmark": name,
            "results": results,
            "seed": seed,
            "command": ["python", *map(_relative, sys.argv)],
            "commit": _commit(),
            "versions": package_versions(),
            "machine": {"processor": _processor(), "cores": os.cpu_count(), "system": platform.system()},
            "utc": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )
    return path


def _relative(argument: str) -> str:
    """Return an argument without the folders of this machine."""
    return Path(argument).name if Path(argument).is_absolute() else argument


def _commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    return done.stdout.strip() if done.returncode == 0 else None


def _processor() -> str:
    """Return the processor's name; ``platform.processor`` is empty on Linux."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
