"""A file gives defaults, a flag wins, and a required argument may come from either."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from rlrec.cli.app import main
from rlrec.cli.command import BaseCommand
from rlrec.cli.parsing import parse_command
from rlrec.core.config import dump_toml
from rlrec.core.errors import ConfigError, InvalidArgumentError
from tests.cli.conftest import FakeCommand, ModelConfig


def parse(*args: str) -> FakeCommand:
    return parse_command(FakeCommand, args, prog="rlrec fit")


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "fit.toml"
    path.write_text('seed = 5\nquick = true\nout = "there"\n[model]\nhidden_size = 64\n')
    return path


def test_defaults():
    assert parse("log.csv") == FakeCommand(log="log.csv")


def test_flags_reach_nested_configs():
    command = parse("log.csv", "--model.hidden-size", "3", "--model.sizes", "4", "5", "6", "--out", "here")
    assert command.model == ModelConfig(hidden_size=3, sizes=(4, 5, 6))
    assert command.out == Path("here")


@pytest.mark.parametrize("spelling", [["--config", "{}"], ["--config={}"]])
def test_a_file_gives_defaults(file, spelling):
    command = parse("log.csv", *[word.format(file) for word in spelling])
    assert command == FakeCommand(
        log="log.csv", seed=5, quick=True, out=Path("there"), config=file, model=ModelConfig(hidden_size=64)
    )
    assert type(command) is FakeCommand


def test_a_flag_wins_over_the_file_and_leaves_the_rest_of_its_table(file):
    command = parse("log.csv", "--config", str(file), "--seed", "9", "--model.sizes", "7", "--no-quick")
    assert (command.seed, command.quick, command.out) == (9, False, Path("there"))
    assert command.model == ModelConfig(hidden_size=64, sizes=(7,))


def test_a_required_argument_may_come_from_the_file(file):
    file.write_text('log = "from_file.csv"')
    assert parse("--config", str(file)).log == "from_file.csv"
    assert parse("from_line.csv", "--config", str(file)).log == "from_line.csv"


def test_a_required_argument_in_neither_is_missed(file):
    with pytest.raises(ConfigError, match=r"^missing from rlrec fit: STR"):
        parse("--config", str(file))


def test_a_command_written_to_a_run_folder_can_be_run_again(tmp_path):
    first = parse("log.csv", "--seed", "3", "--model.sizes", "9")
    path = tmp_path / "config.toml"
    path.write_text(dump_toml(first))
    again = parse("--config", str(path))
    assert (again.log, again.seed, again.out, again.model) == (first.log, first.seed, first.out, first.model)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("sed = 3", "{}: unknown key 'sed' for FakeCommand; did you mean 'seed'?"),
        ("[model]\nhidden = 3", "{}: model: unknown key 'hidden' for ModelConfig; did you mean 'hidden_size'?"),
        ("[model]\nhidden_size = 0", "{}: model: hidden_size must be above 0, got 0"),
        ('seed = "a"', "{}: seed must be int, got str 'a'"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_name(file, content, sentence, fake_verb, capsys):
    file.write_text(content)
    assert main(["fit", "log.csv", "--config", str(file)]) == 2
    assert capsys.readouterr().err == f"rlrec: error: {sentence.format(file)}\n"


@dataclass(frozen=True, kw_only=True)
class Checked(BaseCommand):
    """Checks itself across two fields."""

    low: int
    """Lower end."""
    high: int = 10
    """Upper end."""

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise InvalidArgumentError(f"low must not exceed high, got {self.low} > {self.high}")


def test_a_commands_own_check_sees_file_and_flags_together(file):
    file.write_text("high = 3")
    assert parse_command(Checked, ["--low", "2", "--config", str(file)], prog="rlrec x").high == 3
    with pytest.raises(ConfigError, match="low must not exceed high, got 7 > 3; see: rlrec x --help"):
        parse_command(Checked, ["--low", "7", "--config", str(file)], prog="rlrec x")


def test_config_without_a_value_is_refused():
    with pytest.raises(ConfigError, match="missing value for argument '--config'"):
        parse("log.csv", "--config")
