"""From arguments to a command: tyro reads the flags, a TOML file gives their defaults, a mistake becomes one sentence.

Checked against tyro 0.9.20 to 1.0.17.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import operator
import re
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from rlrec.cli.command import BaseCommand
from rlrec.core.config import config_from_dict, read_toml
from rlrec.core.errors import ConfigError

CommandT = TypeVar("CommandT", bound=BaseCommand)

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_SUGGESTION = "Perhaps you meant:"


def parse_command(cls: type[CommandT], args: Sequence[str], *, prog: str) -> CommandT:
    """Parse a verb's arguments.

    Parameters
    ----------
    cls : type
        The verb's ``Command``.
    args : sequence of str
        What follows the verb on the command line.
    prog : str
        The name that help and errors show, such as ``"rlrec fit"``.

    Raises
    ------
    ConfigError
        For an argument or a config file that cannot be used; one sentence.
    SystemExit
        With code 0, after ``--help`` was printed.
    """
    import tyro

    path = _config_path(args)
    default: Any = tyro.MISSING_NONPROP if path is None else _defaults_from_file(cls, path)
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            command: CommandT = tyro.cli(cls, args=list(args), default=default, prog=prog)
    except SystemExit as stop:
        if not stop.code:
            raise
        raise ConfigError(f"{_one_sentence(complaint.getvalue())}; see: {prog} --help") from None
    return command


def completion_script(commands: Mapping[str, type[BaseCommand]], shell: str) -> str:
    """Return the completion script of all the verbs for a shell (``"bash"``, ``"zsh"`` or ``"fish"``)."""
    import tyro

    options = [Annotated[cls, tyro.conf.subcommand(name)] for name, cls in commands.items()]
    union: Any = functools.reduce(operator.or_, options)
    script = io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(script):
        tyro.cli(union, prog="rlrec", args=["--tyro-print-completion", shell])
    return script.getvalue()


def _config_path(args: Sequence[str]) -> str | None:
    """Return the last ``--config`` value; one without a value is left for tyro to refuse."""
    path = None
    for index, arg in enumerate(args):
        if arg.startswith("--config="):
            path = arg.removeprefix("--config=")
        elif arg == "--config" and index + 1 < len(args):
            path = args[index + 1]
    return path


def _defaults_from_file(cls: type[CommandT], path: str) -> CommandT:
    """Return the command's defaults overlaid with the file's values; what neither gives, the flags must.

    It is made without calling the class, whose checks are for the command that tyro builds in the end.
    """
    values = config_from_dict(_with_optional_fields(cls), read_toml(path), where=path)
    defaults = object.__new__(cls)
    for field in dataclasses.fields(cls):
        object.__setattr__(defaults, field.name, getattr(values, field.name))
    return defaults


def _with_optional_fields(cls: type[CommandT]) -> type[CommandT]:
    """Return a subclass in which required fields default to tyro's MISSING, and which checks nothing itself."""
    import tyro

    hints = typing.get_type_hints(cls, include_extras=True)
    required = [
        (field.name, hints[field.name], dataclasses.field(default=tyro.MISSING))
        for field in dataclasses.fields(cls)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    unchecked = {"__post_init__": lambda self: None}
    partial = dataclasses.make_dataclass(
        cls.__name__, required, bases=(cls,), namespace=unchecked, frozen=True, kw_only=True
    )
    return typing.cast("type[CommandT]", partial)


def _one_sentence(box: str) -> str:
    """Take the first section of tyro's error box, and its suggestion where it has one."""
    sections: list[list[str]] = [[]]
    for line in _ANSI.sub("", box).splitlines()[1:]:  # the first holds the title
        text = line.strip().strip("│").strip()
        if text.strip("─-╰╯"):
            sections[-1].append(text)
        elif sections[-1]:
            sections.append([])
    message = " ".join(sections[0]) or "these arguments cannot be used"
    message = message.replace("Error parsing", "cannot use", 1)
    message = message[0].lower() + message[1:]
    message = message.removeprefix("cannot use Command: ")  # the class of a whole verb, a name that no user knows
    for section in sections[1:]:
        if section[:1] == [_SUGGESTION] and len(section) > 1:
            message += f"; perhaps you meant {section[1]}"
    return message
