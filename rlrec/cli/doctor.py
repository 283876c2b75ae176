"""``rlrec doctor``: what this installation is made of, what it runs on, and what is missing."""

from __future__ import annotations

import json
import os
import platform
import re
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from rlrec.cli.command import BaseCommand
from rlrec.core.artifacts import write_json

_REQUIREMENT = re.compile(r"^(?P<name>[\w.-]+)[^;]*(?:;.*extra == ['\"](?P<extra>[\w-]+)['\"])?")
REPORT_FILE = "doctor.json"


@dataclass(frozen=True, kw_only=True)
class Command(BaseCommand):
    """Print versions, device and threads, and which packages are missing and how to install them.

    Exit code 1 if a package that rlrec cannot do without is missing. Nothing here is random: the seed has no effect.
    With --out the report also goes to FOLDER/doctor.json.
    """

    json: bool = False
    """Print JSON, for a bug report or a script."""


def run(command: Command) -> int:
    """Print the report; 0 if everything required is there, else 1."""
    report = examine()
    print(json.dumps(report, indent=2) if command.json else as_text(report))
    if command.out is not None:
        write_json(command.out / REPORT_FILE, report)
    return 1 if report["missing"] else 0


def examine() -> dict[str, Any]:
    """Return the report as plain values."""
    needed = requirements()
    return {
        "rlrec": metadata.version("rlrec"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": _usable_cpus(),
        **_torch_report(),
        "packages": {name: installed_version(name) for name in needed[""]},
        "missing": [name for name in needed[""] if installed_version(name) is None],
        "extras": {
            extra: [name for name in names if installed_version(name) is None]
            for extra, names in needed.items()
            if extra
        },
    }


def requirements() -> dict[str, list[str]]:
    """Return package names by extra, ``""`` for those always needed, as the installed rlrec declares them."""
    found: dict[str, list[str]] = {"": []}
    for line in metadata.requires("rlrec") or []:
        match = _REQUIREMENT.match(line)
        if match and match["name"] != "rlrec":
            found.setdefault(match["extra"] or "", []).append(match["name"])
    return found


def installed_version(name: str) -> str | None:
    """Return the version of a package, or None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def as_text(report: dict[str, Any]) -> str:
    """Lay the report out for a reader."""
    facts = ("rlrec", "python", "platform", "cpus", "device", "threads")
    lines = [f"{name:<20} {report[name]}" for name in facts]
    lines += ["", "packages"]
    lines += [f"  {name:<18} {version or 'MISSING'}" for name, version in report["packages"].items()]
    lines += ["", "extras"]
    for extra, missing in report["extras"].items():
        state = f"missing {', '.join(missing)}; pip install 'rlrec[{extra}]'" if missing else "complete"
        lines.append(f"  {extra:<18} {state}")
    if report["missing"]:
        lines += ["", f"Missing packages: {', '.join(report['missing'])}; pip install --force-reinstall rlrec"]
    return "\n".join(lines)


def _torch_report() -> dict[str, Any]:
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a shared library that it needs is not there
        return {"device": f"none: torch cannot be imported ({error})", "threads": 0}
    if torch.cuda.is_available():
        device = f"cuda ({torch.cuda.get_device_name()})"
    elif torch.backends.mps.is_available():
        device = "mps"
    else:
        device = "cpu"
    return {"device": device, "threads": torch.get_num_threads()}


def _usable_cpus() -> int:
    """Return the cores that this process may use, which in a container are fewer than the machine has."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1
