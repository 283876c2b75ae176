"""Run examples/quickstart.py as a notebook: examples/whole_loop.ipynb, and the page docs/guide/whole_loop.md.

Each comment that starts a paragraph of the program becomes text, what follows it a cell. Needs nbclient and ipykernel,
which nothing else here does: ``pip install nbclient ipykernel``, then ``make notebook``. ``tests/test_notebook.py``
compares the cells with the program, so that neither goes its own way.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "examples" / "quickstart.py"
NOTEBOOK = ROOT / "examples" / "whole_loop.ipynb"
PAGE = ROOT / "docs" / "guide" / "whole_loop.md"
TITLE = """# The whole loop, run

`examples/quickstart.py` from top to bottom, with what it printed; the notebook is `examples/whole_loop.ipynb`, and
`make notebook` runs it again. One seed, one machine: read it for the calls, not for the numbers.
"""


def cells_of(program: str) -> list[tuple[str, str]]:
    """Return (text, code) of each part of a program; the command line of its beginning is left out."""
    body = program[program.index("# A log:") :]
    parts = re.split(r"\n\n(?=# )", body.strip())
    found = []
    for part in parts:
        comment, code = re.match(r"((?:# [^\n]*\n)+)(.*)", part + "\n", re.DOTALL).groups()  # type: ignore[union-attr]
        found.append((" ".join(line[2:] for line in comment.splitlines()), code.strip()))
    return [("", "import rlrec\n\nquick = False"), *found]


def notebook_of(cells: list[tuple[str, str]]) -> dict[str, Any]:
    """Return the notebook, not yet run."""
    found: list[dict[str, Any]] = [_cell("markdown", TITLE.strip())]
    for text, code in cells:
        found += [_cell("markdown", text)] if text else []
        found.append(_cell("code", code) | {"execution_count": None, "outputs": []})
    for number, cell in enumerate(found):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": found, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def _cell(kind: str, source: str) -> dict[str, Any]:
    return {"cell_type": kind, "metadata": {}, "source": source}


def printed(cell: dict[str, Any]) -> str:
    """Return what a cell printed; progress bars go to the error stream and are left out."""
    return "".join(
        "".join(output["text"]) for output in cell.get("outputs", []) if output.get("name") == "stdout"
    ).strip()


def page_of(notebook: dict[str, Any]) -> str:
    """Return the notebook as a page."""
    parts = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            parts.append(cell["source"])
            continue
        parts.append(f"```python\n{cell['source']}\n```")
        if text := printed(cell):
            parts.append(f"```text\n{text}\n```")
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Run the program in a kernel and write both."""
    import nbclient
    import nbformat

    notebook = nbformat.from_dict(notebook_of(cells_of(PROGRAM.read_text(encoding="utf-8"))))
    nbclient.NotebookClient(notebook, timeout=None).execute()
    for cell in notebook["cells"]:
        cell["metadata"] = {}  # the times of this run
        if cell["cell_type"] == "code":
            cell["outputs"] = [output for output in cell["outputs"] if output.get("name") == "stdout"]
    notebook["metadata"] = {"kernelspec": notebook["metadata"]["kernelspec"]}
    NOTEBOOK.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page_of(notebook), encoding="utf-8")


if __name__ == "__main__":
    main()
