"""Every public name has a docstring and an example that runs."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

import rlrec

EXAMPLES = Path(__file__).parents[1] / "docs" / "reference" / "examples.md"
NOT_HERE = {"FactorizationModel", "download_log"}  # an extra, the network: their own tests run them


def example_text() -> str:
    return "\n".join(re.findall(r"```pycon\n(.*?)```", EXAMPLES.read_text(encoding="utf-8"), flags=re.DOTALL))


@pytest.mark.parametrize("name", rlrec.__all__)
def test_a_public_name_has_a_docstring_and_an_example(name):
    text = getattr(rlrec, name).__doc__
    assert text
    assert not text.startswith(f"{name}(")  # a dataclass without a docstring of its own
    if name not in NOT_HERE:
        assert ">>>" in text or re.search(rf"rlrec\.{name}\b", example_text())


def test_the_examples_run():
    test = doctest.DocTestParser().get_doctest(example_text(), {}, "examples.md", str(EXAMPLES), 0)
    said: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=said.append)
    assert "".join(said) == ""
