"""Every error rlrec raises on purpose.

Each is also the builtin that a caller would expect, so ``except ValueError`` keeps working:

    RlrecError
    ├── InvalidArgumentError    (ValueError)     an argument has the wrong value or shape
    │   └── InvalidSlateError                    a slate names items that cannot be shown
    ├── InvalidTypeError        (TypeError)      an argument has the wrong type
    ├── UnknownIdError          (KeyError)       an id is in no vocabulary
    ├── ConfigError             (ValueError)     a config file or flag cannot be used
    ├── DataError               (ValueError)     a log or table cannot be used
    │   └── MissingPropensityError               a log lacks the probabilities that a method needs
    ├── ArtifactError           (ValueError)     a saved model, policy or run cannot be loaded
    │   ├── ArtifactNotFoundError (FileNotFoundError)
    │   └── CatalogMismatchError                 an artifact belongs to another catalogue
    ├── NotReadyError           (RuntimeError)   a call came too early (step before reset)
    ├── CollapseError           (RuntimeError)   training went wrong and was stopped
    ├── ConformanceError        (AssertionError) a part breaks a law that all of its kind obey
    └── MissingExtraError       (ImportError)    an optional dependency is not installed

A message is a sentence: the argument, what was expected, what was given, what to do.
"""

from __future__ import annotations


class RlrecError(Exception):
    """Base of all errors raised on purpose by rlrec."""


class InvalidArgumentError(RlrecError, ValueError):
    """An argument has a value or a shape that cannot be used."""


class InvalidSlateError(InvalidArgumentError):
    """A slate has the wrong shape or type, repeats an item, or names one that does not exist."""


class InvalidTypeError(RlrecError, TypeError):
    """An argument has a type that cannot be used."""


class UnknownIdError(RlrecError, KeyError):
    """An external id is not in the vocabulary."""

    def __str__(self) -> str:
        """Print the sentence, where ``KeyError`` would print its repr."""
        return str(self.args[0]) if self.args else ""


class ConfigError(RlrecError, ValueError):
    """A configuration file, table or flag cannot be used."""


class DataError(RlrecError, ValueError):
    """A log or a table cannot be used as it is."""


class MissingPropensityError(DataError):
    """A method needs logged behaviour probabilities and the log has none."""


class ArtifactError(RlrecError, ValueError):
    """A saved artifact is damaged, of another kind, or from another version."""


class ArtifactNotFoundError(ArtifactError, FileNotFoundError):
    """There is no artifact at this path."""


class CatalogMismatchError(ArtifactError):
    """An artifact was made for another catalogue of items."""


class NotReadyError(RlrecError, RuntimeError):
    """A method was called before the call that it depends on."""


class CollapseError(RlrecError, RuntimeError):
    """Training degenerated (collapsed generator, non-finite loss) and was stopped."""


class ConformanceError(RlrecError, AssertionError):
    """A model, an environment or a policy breaks a law that all of its kind obey; raised by `rlrec.testing`."""


class MissingExtraError(RlrecError, ImportError):
    """A feature needs a package that is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}; install it with: pip install 'rlrec[{extra}]'")
