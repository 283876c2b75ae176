"""The tree is the one drawn in the module, and every message is a sentence."""

from __future__ import annotations

import builtins
import re

import pytest

from rlrec.core import errors
from rlrec.core.errors import ArtifactNotFoundError, MissingExtraError, RlrecError, UnknownIdError

DRAWN = re.compile(r"^\s+(?P<bars>[│├└][│├└─ ]*)(?P<name>\w+Error)(?: +\((?P<builtin>\w+)\))?", re.M)


def drawn_tree() -> dict[str, tuple[str, str | None]]:
    """Read the docstring's picture: name -> (parent, builtin)."""
    tree, parent = {}, "RlrecError"
    for match in DRAWN.finditer(errors.__doc__ or ""):
        nested = "│" in match["bars"]
        tree[match["name"]] = (parent if nested else "RlrecError", match["builtin"])
        parent = parent if nested else match["name"]
    return tree


def test_the_picture_names_every_error():
    defined = {name for name, value in vars(errors).items() if isinstance(value, type) and value is not RlrecError}
    assert set(drawn_tree()) == defined


@pytest.mark.parametrize(("name", "parent", "builtin"), [(n, p, b) for n, (p, b) in drawn_tree().items()])
def test_each_error_is_its_parent_and_its_builtin(name, parent, builtin):
    error = getattr(errors, name)
    assert getattr(errors, parent) in error.__bases__
    if builtin is not None:
        assert issubclass(error, getattr(builtins, builtin))


def test_unknown_id_prints_its_sentence_and_not_a_repr():
    sentence = "item_id 'x' is not in the catalogue of 3 items"
    assert str(UnknownIdError(sentence)) == sentence
    assert str(KeyError(sentence)) != sentence  # what a plain KeyError would have done
    assert str(UnknownIdError()) == ""


def test_artifact_not_found_prints_its_sentence():
    assert str(ArtifactNotFoundError("'runs/x' does not exist")) == "'runs/x' does not exist"


def test_missing_extra_says_how_to_get_it():
    error = MissingExtraError("duckdb", "sql", "reading a DuckDB table")
    assert str(error) == "reading a DuckDB table needs the package 'duckdb'; install it with: pip install 'rlrec[sql]'"
    with pytest.raises(ImportError, match="duckdb"):
        raise error
