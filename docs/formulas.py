"""Formulas and references of docstrings, for the site.

``:math:`x``` and ``.. math::`` become MathML, which a browser draws by itself; ``.. [1] Author`` an item
of a list.
"""

from __future__ import annotations

import re
import textwrap
from xml.etree.ElementTree import Element

from latex2mathml.converter import convert
from markdown import Extension, Markdown
from markdown.inlinepatterns import InlineProcessor
from markdown.preprocessors import Preprocessor
from mkdocs.config.defaults import MkDocsConfig

INLINE = r":math:`([^`]+)`"
_INDENTED = r"(?:\n(?:(?P=indent) +[^\n]*| *(?=\n)))*"
BLOCK = re.compile(rf"^(?P<indent> *)\.\. math::(?P<formula>[^\n]*{_INDENTED})", re.MULTILINE)
CITATION = re.compile(r"^( *)\.\. \[(\d+)\] ", re.MULTILINE)


def _mathml(formula: str, display: str) -> str:
    return convert(" ".join(formula.split()).replace(r"\big", "").replace(r"\Big", ""), display=display)


class _Inline(InlineProcessor):
    """``:math:`x```, before backticks become code."""

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[Element | str, int, int]:  # noqa: N802
        return self.md.htmlStash.store(_mathml(m.group(1), "inline")), m.start(0), m.end(0)


class _Blocks(Preprocessor):
    """``.. math::`` and what is indented under it; ``.. [1]``."""

    def run(self, lines: list[str]) -> list[str]:
        def stored(match: re.Match[str]) -> str:
            formula = textwrap.dedent(match["formula"])
            return f"\n{match['indent']}{self.md.htmlStash.store(_mathml(formula, 'block'))}\n"

        return CITATION.sub(r"\1- [\2] ", BLOCK.sub(stored, "\n".join(lines))).split("\n")


class _Formulas(Extension):
    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        """Put both in."""
        md.preprocessors.register(_Blocks(md), "math_blocks", 24)  # after fenced code, at 25
        md.inlinePatterns.register(_Inline(INLINE, md), "math_inline", 195)  # before backticks, at 190


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the extension to those of every page and docstring (a hook of mkdocs)."""
    config.markdown_extensions.append(_Formulas())
    return config
