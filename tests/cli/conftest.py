"""A verb made for the tests, and the real program in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import tyro

from rlrec.cli import verbs
from rlrec.cli.command import BaseCommand


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Settings of the model."""

    hidden_size: int = 128
    """Units (chosen here)."""
    sizes: tuple[int, ...] = (1, 2)
    """Sizes."""

    def __post_init__(self) -> None:
        if self.hidden_size < 1:
            raise ValueError(f"hidden_size must be above 0, got {self.hidden_size}")


@dataclass(frozen=True, kw_only=True)
class FakeCommand(BaseCommand):
    """Pretend to fit a model."""

    log: tyro.conf.Positional[str]
    """The log to read."""
    out: Path = Path("runs/fit")
    """Folder for the model."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """The model."""
    quick: bool = False
    """Do less."""


class FakeVerb:
    """Stands in the table as ``fit``; remembers its commands and does what ``behaviour`` says."""

    def __init__(self) -> None:
        self.commands: list[FakeCommand] = []
        self.behaviour: Any = lambda: 0

    def run(self, command: FakeCommand) -> int:
        self.commands.append(command)
        return self.behaviour()


@pytest.fixture
def fake_verb(monkeypatch) -> FakeVerb:
    fake = FakeVerb()
    module = ModuleType("fake_fit")
    module.Command, module.run = FakeCommand, fake.run
    monkeypatch.setitem(sys.modules, "fake_fit", module)
    for name in set(verbs.VERBS) - {"doctor"}:  # so that messages that list the verbs stay the same as more are added
        monkeypatch.delitem(verbs.VERBS, name)
    monkeypatch.setitem(verbs.VERBS, "fit", verbs.Verb("fake_fit", "pretend to fit"))
    return fake


@pytest.fixture
def rlrec():
    """Run ``rlrec`` in a new process."""

    def call(*args: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "rlrec", *args]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **kwargs)

    return call
