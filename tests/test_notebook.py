"""The notebook of the whole loop is the quickstart, run."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def maker():
    spec = importlib.util.spec_from_file_location("make_notebook", ROOT / "docs" / "make_notebook.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_its_cells_are_the_program(maker):
    notebook = json.loads(maker.NOTEBOOK.read_text(encoding="utf-8"))
    code = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    wanted = [code for _, code in maker.cells_of(maker.PROGRAM.read_text(encoding="utf-8"))]
    assert code == wanted, "examples/quickstart.py has changed: make notebook"
    assert len(code) > 6
    for part in code:
        compile(part, "cell", "exec")


def test_it_was_run_to_the_end(maker):
    notebook = json.loads(maker.NOTEBOOK.read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert all(maker.printed(cell) for cell in cells[1:])
    assert not [output for cell in cells for output in cell["outputs"] if output["output_type"] == "error"]


def test_the_page_is_the_notebook(maker):
    notebook = json.loads(maker.NOTEBOOK.read_text(encoding="utf-8"))
    assert maker.PAGE.read_text(encoding="utf-8") == maker.page_of(notebook)
