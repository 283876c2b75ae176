"""The commands of the documentation run as they stand there, in order, in an empty folder."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path

import pytest

from rlrec.cli.app import main
from rlrec.cli.parsing import parse_command
from rlrec.cli.verbs import VERBS, load_verb
from tests.pages import console_lines

DOCS = Path(__file__).parents[1] / "docs"
TUTORIAL = DOCS / "guide" / "tutorial.md"
README = Path(__file__).parents[1] / "README.md"


def commands(page: Path) -> list[list[str]]:
    """Return the arguments of each ``rlrec`` line in the page's console blocks."""
    return [words[1:] for words in console_lines(page) if words[:1] == ["rlrec"]]


def test_the_tutorial_runs_on_the_hand_written_file(tmp_path, monkeypatch, capsys):
    shutil.copy(DOCS / "assets" / "teeladen.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    said = {}
    for args in commands(TUTORIAL):
        assert main(args) == 0, args
        said[args[0]] = said.get(args[0], "") + capsys.readouterr().out
    assert "87 rows read, 85 kept, 2 dropped" in said["data"]
    assert "the order tells" in said["data"]
    assert (tmp_path / "runs" / "judged" / "report.html").is_file()


@pytest.mark.parametrize("page", [README, *sorted(DOCS.rglob("*.md"))], ids=lambda page: page.name)
def test_every_command_in_the_docs_parses(page, tmp_path, monkeypatch):
    """Flags that a page names exist; other tests and `make` targets run the verbs."""
    monkeypatch.chdir(tmp_path)
    for args in commands(page):
        if "--config" in args or args[0].startswith("-") or "VERB" in args or "--help" in args:
            continue
        two = " ".join(args[:2])
        verb = two if two in VERBS else args[0]
        parse_command(load_verb(verb).Command, args[len(verb.split()) :], prog=f"rlrec {verb}")


PYTHON_BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in [README, *sorted(DOCS.rglob("*.md"))]
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL), 1)
]


@pytest.mark.parametrize("block", PYTHON_BLOCKS)
def test_a_page_of_python_names_what_exists(block):
    """Its syntax is right, what it imports can be imported, and every ``rlrec.name`` is a public one."""
    import importlib

    import rlrec

    tree = ast.parse(block)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "rlrec":
            module = importlib.import_module(node.module)
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "rlrec":
            assert node.attr in {
                *rlrec.__all__,
                "data",
                "models",
                "envs",
                "agents",
                "gan",
                "evaluation",
                "testing",
                "core",
            }


def test_there_are_pages_of_python():
    assert len(PYTHON_BLOCKS) > 10
