"""The console script ``rlrec``: finds the verb, runs it, turns a foreseen failure into one line and exit code 2.

Exit codes: 0 done, 1 the verb says so, 2 bad input or a file that cannot be used, 130 interrupted.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata

from rlrec.cli.verbs import VERBS, load_verb
from rlrec.core.errors import InvalidArgumentError, RlrecError

EXIT_OK, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 0, 2, 130
SHELLS = ("bash", "zsh", "fish")


@dataclass(frozen=True, kw_only=True)
class GlobalOptions:
    """Flags that every verb understands, wherever they stand on the line."""

    debug: bool
    """Show the traceback of an error."""
    verbosity: int
    """0 warnings, 1 what is being done, 2 every detail."""


def main(args: Sequence[str] | None = None) -> int:
    """Run ``rlrec`` and return the exit code.

    Parameters
    ----------
    args : sequence of str, optional
        The arguments without the program's name; by default those of the process.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch loads: small batched steps were 13 times slower on two
    options, rest = split_global_options(sys.argv[1:] if args is None else args)
    _set_up_logging(options.verbosity)
    try:
        code = _dispatch(rest)
        sys.stdout.flush()  # here, so that a closed pipe is met inside the try
    except BrokenPipeError:
        return _leave_closed_pipe()
    except KeyboardInterrupt:
        print("rlrec: interrupted; nothing half-written was left", file=sys.stderr)
        return EXIT_INTERRUPTED
    except (RlrecError, OSError) as error:
        if options.debug:
            raise
        print(f"rlrec: error: {one_line(error)}", file=sys.stderr)
        return EXIT_BAD_INPUT
    return code


def split_global_options(args: Sequence[str]) -> tuple[GlobalOptions, list[str]]:
    """Take ``--debug``, ``-v``, ``-vv`` and ``--verbose`` out of the arguments, up to a ``--``."""
    end = args.index("--") if "--" in args else len(args)
    counts = {"--debug": 0, "-v": 1, "--verbose": 1, "-vv": 2}
    options = GlobalOptions(
        debug="--debug" in args[:end],
        verbosity=sum(counts.get(arg, 0) for arg in args[:end]),
    )
    return options, [arg for index, arg in enumerate(args) if index >= end or arg not in counts]


def help_text() -> str:
    """Return the text of ``rlrec --help``; it imports no verb."""
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {name:<{width}}  {verb.summary}" for name, verb in VERBS.items())
    return f"""usage: rlrec [-v] [--debug] VERB [ARGUMENTS]

Learn users from a behaviour log, train recommender policies on simulated ones, judge them, write synthetic logs.

verbs:
{verbs}

options, anywhere on the line:
  -v, --verbose  say what is being done; -vv for every detail
  --debug        show the traceback of an error

options, instead of a verb:
  -h, --help     print this; rlrec VERB --help prints a verb's own options
  --version      print the version
  --print-completion {{{",".join(SHELLS)}}}
                 print a script that completes verbs and flags; source it from the shell's start-up file"""


def one_line(error: BaseException) -> str:
    """Return what went wrong as one line; an `OSError` names its file and loses its number."""
    if isinstance(error, OSError) and error.strerror:
        reason = error.strerror[0].lower() + error.strerror[1:]
        return reason if error.filename is None else f"{os.fspath(error.filename)!r}: {reason}"
    return " ".join(str(error).split()) or type(error).__name__


def _dispatch(args: list[str]) -> int:
    first = args[0] if args else "--help"
    if first in ("-h", "--help"):
        print(help_text())
        return EXIT_OK
    if first == "--version":
        print(f"rlrec {metadata.version('rlrec')}")
        return EXIT_OK
    if first == "--print-completion":
        return _print_completion(args[1:])
    if first.startswith("-"):
        raise InvalidArgumentError(f"there is no option {first!r} before the verb; see: rlrec --help")
    two = " ".join(args[:2])
    return _run_verb(two, args[2:]) if len(args) > 1 and two in VERBS else _run_verb(first, args[1:])


def _run_verb(name: str, args: list[str]) -> int:
    from rlrec.cli.parsing import parse_command

    verb = load_verb(name)
    try:
        command = parse_command(verb.Command, args, prog=f"rlrec {name}")
    except SystemExit:  # help was printed; returning lets main meet a closed pipe
        return EXIT_OK
    code: int = verb.run(command)
    return code


def _print_completion(args: list[str]) -> int:
    from rlrec.cli.parsing import completion_script

    if len(args) != 1 or args[0] not in SHELLS:
        raise InvalidArgumentError(f"--print-completion takes one of {', '.join(SHELLS)}, got {' '.join(args)!r}")
    single = [name for name in VERBS if " " not in name]  # a shell completes word by word
    print(completion_script({name: load_verb(name).Command for name in single}, args[0]))
    return EXIT_OK


def _set_up_logging(verbosity: int) -> None:
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING, stream=sys.stderr)
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG)
    logging.getLogger("rlrec").setLevel(level)  # ours only: other packages' details drown it


def _leave_closed_pipe() -> int:
    """Point stdout at nothing, so that the interpreter's last flush is silent too; succeed, as nobody is reading."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
    return EXIT_OK
