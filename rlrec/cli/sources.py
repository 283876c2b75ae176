"""What the verbs that read somebody's own log ask about it; the fields are the options of `rlrec.load_log`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from rlrec.cli.command import BaseCommand
from rlrec.core.errors import InvalidArgumentError
from rlrec.data.cleaning_policy import CleaningPolicy

if TYPE_CHECKING:
    from rlrec.data.log import InteractionLog


@dataclass(frozen=True, kw_only=True)
class SourceCommand(BaseCommand):
    """A verb that reads a log."""

    log: tyro.conf.Positional[str]
    """"builtin:eshop2008", "builtin:online_retail", or a file or folder with a behaviour log."""
    columns: tuple[str, ...] = ()
    """What your columns are called, such as user_id=customer item_id=sku timestamp=bought_at."""
    rename_events: tuple[str, ...] = ()
    """Event types to rename, such as addtocart=cart."""
    items: Path | None = None
    """Table of item features, with a column item_id."""
    users: Path | None = None
    """Table of user features, with a column user_id."""
    format: str | None = None
    """Name of the layout, where it is not recognised: csv, parquet, jsonl, sequences, item-lines, movielens, ..."""
    delimiter: str | None = None
    """Between the fields of a text file; found by itself where it is a comma, tab, semicolon, bar or "::"."""
    header: tuple[str, ...] = ()
    """Names of the columns of a text file that has none in its first row."""
    encoding: str = "utf-8"
    """Encoding of a text file, such as cp1252."""
    query: str | None = None
    """SQL whose rows are the log; in a CSV or Parquet file the table is called log."""
    strict: bool = False
    """Refuse a log with any fault in a row, instead of leaving the row out and saying so."""
    policy: CleaningPolicy = field(default_factory=CleaningPolicy)
    """What to do with each fault."""

    def options(self) -> dict[str, Any]:
        """Return the options of `rlrec.load_log`."""
        if self.strict and self.policy != CleaningPolicy():
            raise InvalidArgumentError("give --strict or --policy options, not both")
        return {
            "columns": pairs("columns", self.columns),
            "events": pairs("rename_events", self.rename_events) or None,
            "items": self.items,
            "users": self.users,
            "format": self.format,
            "delimiter": self.delimiter,
            "header": self.header or True,
            "encoding": self.encoding,
            "query": self.query,
            "strict": self.strict,
            "policy": None if self.strict else self.policy,
        }

    def load(self) -> InteractionLog:
        """Load the log."""
        from rlrec.data.load import load_log

        return load_log(self.log, **self.options())


def pairs(name: str, given: tuple[str, ...]) -> dict[str, str]:
    """Return NAME=VALUE texts as a dict."""
    for text in given:
        if not all(text.partition("=")):
            flag = f"--{name.replace('_', '-')}"
            raise InvalidArgumentError(f"{name} must be pairs NAME=VALUE, got {text!r}; such as {flag} a=b c=d")
    return dict(text.split("=", 1) for text in given)
