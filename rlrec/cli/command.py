"""What every verb's command has: a seed, a place for results, and a config file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class BaseCommand:
    """Base of every verb's ``Command``; a subclass may give ``out`` a default, and says what goes there."""

    seed: int = 0
    """Seed of everything random; the same seed on the same machine gives the same numbers."""
    out: Path | None = None
    """Folder for the results."""
    config: Path | None = None
    """TOML file with values for these options; a flag on the command line wins over the file."""
