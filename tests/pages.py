"""What the pages of the documentation tell a reader to type."""

from __future__ import annotations

import re
import shlex
from pathlib import Path


def console_lines(page: Path) -> list[list[str]]:
    """Return the words of each command in the page's console blocks, comments cut; a backslash joins lines."""
    blocks = re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [words for words in (shlex.split(line, comments=True) for line in lines) if words]
