"""Tables on the terminal: the same rows and words as the report's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rlrec.evaluation.report_tables import Table


def print_table(laid_out: Table) -> None:
    """Print a table; intervals stand behind their values."""
    from rich.console import Console
    from rich.table import Table as Drawn

    drawn = Drawn(title=laid_out.caption, box=None, padding=(0, 1, 0, 0))  # 80 columns hold every name
    for index, column in enumerate(laid_out.columns):
        drawn.add_column(column, justify="right" if index else "left")
    for name, cells in laid_out.rows:
        drawn.add_row(name, *(f"{cell.text} {cell.interval}".strip() for cell in cells))
    Console().print(drawn)
