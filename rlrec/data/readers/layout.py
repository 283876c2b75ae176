"""What the readers of published CSV layouts share: default columns that the caller may override, and files in a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from rlrec.core.errors import DataError
from rlrec.data.readers.base import Block, ReadOptions, canonical_frame, rename_map
from rlrec.data.readers.delimited import cut_blocks, read_table
from rlrec.data.readers.text import open_bytes

PACKED = ("", ".gz", ".bz2", ".xz")
"""Endings that may follow that of a file."""


def find(folder: Path, *names: str) -> Path | None:
    """Return the first of these files that a folder has, packed or not."""
    return next(
        (folder / f"{name}{end}" for name in names for end in PACKED if (folder / f"{name}{end}").is_file()), None
    )


def require(folder: Path, *names: str, layout: str) -> Path:
    """Return the first of these files, or raise a `DataError` that names them."""
    path = find(folder, *names)
    if path is None:
        raise DataError(f"{str(folder)!r} holds no {' or '.join(names)}; give the folder of {layout}")
    return path


def header_of(path: Path) -> list[str]:
    """Return the fields of the first line of a comma-separated file."""
    with open_bytes(path) as file:
        line = file.readline(1 << 16)
    return [name.strip().strip('"') for name in line.decode("utf-8-sig", "replace").split(",")]


def layout_blocks(
    paths: Sequence[Path],
    defaults: Mapping[str, str],
    options: ReadOptions,
    *,
    prepare: Callable[[pl.DataFrame], pl.DataFrame] | None = None,
) -> Iterator[Block]:
    """Yield the rows of delimited files of one layout.

    Parameters
    ----------
    defaults : mapping
        Canonical name -> name in the files, for those that the caller's ``options.columns`` does not name.
    prepare : callable, optional
        Adds columns to the text of a block before the columns are chosen.
    """
    for path in paths:
        for _, block in cut_blocks(path, options):
            frame = block.frame if prepare is None else prepare(block.frame)
            present = {ours: theirs for ours, theirs in defaults.items() if theirs in frame.columns}
            names = rename_map(frame.columns, {**present, **options.columns}, repr(str(path)))
            yield block._replace(frame=canonical_frame(frame, names))


def layout_options(options: ReadOptions, **changes: object) -> ReadOptions:
    """Return the caller's options with what the layout knows of its own text."""
    return replace(options, **changes)  # type: ignore[arg-type]


def side_table(path: Path | None, key: str, their_key: str, *, drop: Sequence[str] = ()) -> pl.DataFrame | None:
    """Read an item or user table whose id has another name; the first row of an id counts."""
    if path is None:
        return None
    table = read_table(path)
    if their_key not in table.columns:
        raise DataError(f"{str(path)!r} has no column {their_key!r}; it has: {', '.join(table.columns)}")
    table = table.rename({their_key: key}).drop(drop, strict=False)
    return table.unique(subset=key, keep="first", maintain_order=True)
