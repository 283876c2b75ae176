"""Every foreseen failure is one line and an exit code; ``--help`` imports nothing heavy."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
from importlib import metadata

import pytest

from rlrec.cli import verbs
from rlrec.cli.app import help_text, main, one_line, split_global_options
from rlrec.cli.command import BaseCommand
from rlrec.core.errors import DataError, RlrecError, UnknownIdError


@pytest.fixture(autouse=True)
def _restore_logging():
    level = logging.getLogger("rlrec").level
    yield
    logging.getLogger("rlrec").setLevel(level)


def raising(error: BaseException):
    def behaviour() -> int:
        raise error

    return behaviour


# In this process


@pytest.mark.parametrize("args", [[], ["--help"], ["-h"]])
def test_help_names_every_verb_with_its_summary(args, capsys):
    assert main(args) == 0
    printed = capsys.readouterr()
    assert printed.out == help_text() + "\n"
    assert printed.err == ""
    for name, verb in verbs.VERBS.items():
        assert f"  {name}" in printed.out
        assert verb.summary in printed.out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"rlrec {metadata.version('rlrec')}\n"


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["docter"], "there is no verb 'docter'; did you mean 'doctor'?"),
        (["xyz"], "there is no verb 'xyz'; the verbs are doctor, fit"),
        (["--nope"], "there is no option '--nope' before the verb; see: rlrec --help"),
        (["--print-completion"], "--print-completion takes one of bash, zsh, fish, got ''"),
        (["--print-completion", "tcl"], "--print-completion takes one of bash, zsh, fish, got 'tcl'"),
        (
            ["fit", "x", "--sed", "3"],
            "unrecognized options: --sed, 3; perhaps you meant --seed INT; see: rlrec fit --help",
        ),
        (["fit", "x", "y"], "unrecognized options: y; see: rlrec fit --help"),
        (["fit"], "missing from rlrec fit: STR The log to read. (required); see: rlrec fit --help"),
        (
            ["fit", "x", "--seed", "a"],
            "cannot use --seed: invalid literal for int() with base 10: 'a'; see: rlrec fit --help",
        ),
        (["fit", "x", "--seed"], "missing value for argument '--seed'. Expected 1 values.; see: rlrec fit --help"),
        (
            ["fit", "x", "--model.hidden-size", "0"],
            "cannot use model: hidden_size must be above 0, got 0; see: rlrec fit --help",
        ),
        (["fit", "x", "--config", "none.toml"], "config file 'none.toml' does not exist"),
    ],
)
def test_a_bad_line_is_one_sentence_and_code_2(args, sentence, fake_verb, capsys):
    assert main(args) == 2
    printed = capsys.readouterr()
    assert printed.err == f"rlrec: error: {sentence}\n"
    assert printed.out == ""
    assert fake_verb.commands == []


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (DataError("the log has no column 'item_id'"), "the log has no column 'item_id'"),
        (DataError("two\nlines"), "two lines"),
        (UnknownIdError("item_id 'x' is unknown"), "item_id 'x' is unknown"),
        (RlrecError(), "RlrecError"),
        (FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "a.csv"), "'a.csv': no such file or directory"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "w.bin"), "'w.bin': no space left on device"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS)), "read-only file system"),
        (OSError("the parquet file ends early"), "the parquet file ends early"),
    ],
)
def test_a_foreseen_failure_is_one_line_and_code_2(error, line, fake_verb, capsys):
    fake_verb.behaviour = raising(error)
    assert main(["fit", "log.csv"]) == 2
    assert capsys.readouterr().err == f"rlrec: error: {line}\n"
    assert one_line(error) == line


@pytest.mark.parametrize("args", [["--debug", "fit", "x"], ["fit", "x", "--debug"]])
def test_debug_lets_the_traceback_through(args, fake_verb):
    fake_verb.behaviour = raising(DataError("bad"))
    with pytest.raises(DataError, match="bad"):
        main(args)


def test_a_bug_is_not_dressed_up_as_bad_input(fake_verb):
    fake_verb.behaviour = raising(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        main(["fit", "x"])


def test_an_interrupt_says_that_nothing_is_half_written(fake_verb, capsys):
    fake_verb.behaviour = raising(KeyboardInterrupt())
    assert main(["fit", "x"]) == 130
    assert capsys.readouterr().err == "rlrec: interrupted; nothing half-written was left\n"


def test_the_verbs_own_code_is_returned(fake_verb):
    fake_verb.behaviour = lambda: 1
    assert main(["fit", "x"]) == 1


@pytest.mark.parametrize(
    ("args", "debug", "verbosity", "rest"),
    [
        (["fit", "x"], False, 0, ["fit", "x"]),
        (["-v", "fit", "x"], False, 1, ["fit", "x"]),
        (["fit", "-v", "x", "--verbose"], False, 2, ["fit", "x"]),
        (["fit", "-vv", "--debug"], True, 2, ["fit"]),
        (["fit", "--", "-v", "--debug"], False, 0, ["fit", "--", "-v", "--debug"]),
    ],
)
def test_global_flags_stand_anywhere_before_a_double_dash(args, debug, verbosity, rest):
    options, left = split_global_options(args)
    assert (options.debug, options.verbosity, left) == (debug, verbosity, rest)


@pytest.mark.parametrize(("flags", "level"), [([], "WARNING"), (["-v"], "INFO"), (["-vv"], "DEBUG")])
def test_verbose_sets_our_level_and_no_one_elses(flags, level, fake_verb):
    others = logging.getLogger("matplotlib").getEffectiveLevel()
    main(["fit", "x", *flags])
    assert logging.getLogger("rlrec.models").getEffectiveLevel() == getattr(logging, level)
    assert logging.getLogger("matplotlib").getEffectiveLevel() == others


def test_the_completion_script_knows_verbs_and_flags(fake_verb, capsys):
    assert main(["--print-completion", "bash"]) == 0
    script = capsys.readouterr().out
    for word in ("doctor", "fit", "--model.hidden-size", "--json"):
        assert word in script
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


@pytest.mark.parametrize("name", verbs.VERBS)
def test_each_verb_in_the_table_keeps_the_convention(name, capsys):
    module = verbs.load_verb(name)
    assert issubclass(module.Command, BaseCommand)
    assert module.Command.__dataclass_params__.frozen
    assert callable(module.run)
    assert main([name, "--help"]) == 0
    printed = capsys.readouterr().out
    for flag in ("--seed", "--out", "--config"):
        assert flag in printed
    assert "\x1b[" not in printed  # no colour off the terminal


# In a process of its own


def test_exit_codes_of_the_process(rlrec, tmp_path):
    assert rlrec("--help").returncode == 0
    failed = rlrec("doctor", "--seed", "many")
    assert failed.returncode == 2
    assert failed.stdout == ""
    assert failed.stderr.count("\n") == 1
    assert failed.stderr.startswith("rlrec: error: cannot use --seed")
    blocked = tmp_path / "file"
    blocked.write_text("")
    failed = rlrec("doctor", "--out", str(blocked / "sub"))
    assert failed.returncode == 2
    assert failed.stderr.startswith(f"rlrec: error: '{blocked}")
    assert failed.stderr.count("\n") == 1
    shown = rlrec("--debug", "doctor", "--config", str(tmp_path / "none.toml"))
    assert shown.returncode == 1
    assert "Traceback" in shown.stderr


WITHOUT_TORCH = """
import sys
{statement}
heavy = [name for name in ("torch", "gymnasium", "pandas", "polars", "tyro") if name in sys.modules]
sys.exit(f"imported {{heavy}}" if heavy else 0)
"""


@pytest.mark.parametrize(
    "statement", ["import rlrec", "from rlrec.cli.app import main; main(['--help'])", "import rlrec.__main__"]
)
def test_import_and_help_load_nothing_heavy(statement):
    code = WITHOUT_TORCH.format(statement=statement)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("args", [["--help"], ["doctor", "--help"], ["doctor"]])
def test_a_closed_pipe_is_silent(args):
    reader, writer = os.pipe()
    os.close(reader)  # nobody reads: the first write meets a closed pipe
    command = [sys.executable, "-m", "rlrec", *args]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_reaches_the_user_as_one_line():
    code = (
        "import os, signal, sys\n"
        "import rlrec.cli.doctor as doctor\n"
        "doctor.examine = lambda: os.kill(os.getpid(), signal.SIGINT)\n"
        "from rlrec.cli.app import main\n"
        "sys.exit(main(['doctor']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr == "rlrec: interrupted; nothing half-written was left\n"
