"""RecBole atomic files: ``NAME.inter`` with optional ``NAME.item`` and ``NAME.user``, typed headers, tab-separated.

Checked against MovieLens 100K as RecBole ships it. Rows with a ``rating`` and no ``event`` are events "rating".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from rlrec.core.errors import DataError
from rlrec.data.log import EVENT
from rlrec.data.readers.base import Block, RawLog, ReadOptions, canonical_frame, rename_map
from rlrec.data.readers.delimited import cut_blocks, read_table

_VALUE_NAMES = ("rating", "label")


def detect_recbole(path: Path) -> bool:
    """Return whether a path is an ``.inter`` file or a folder with exactly one."""
    return path.suffix == ".inter" or (path.is_dir() and len(list(path.glob("*.inter"))) == 1)


def read_recbole(path: Path, options: ReadOptions) -> RawLog:
    """Read the three atomic files of one data set."""
    inter = path if path.is_file() else next(path.glob("*.inter"), None)
    if inter is None:
        raise DataError(f"{str(path)!r} holds no .inter file; give a folder of RecBole atomic files")
    raw = RawLog(name=inter.stem, blocks=_blocks(inter, options))
    raw.items, raw.users = _table(inter.with_suffix(".item")), _table(inter.with_suffix(".user"))
    return raw


def _blocks(path: Path, options: ReadOptions) -> Iterator[Block]:
    tabbed = ReadOptions(delimiter="\t", quote=None, encoding=options.encoding, policy=options.policy)
    for names, block in cut_blocks(path, tabbed):
        frame = block.frame.rename(dict(zip(names, map(_plain, names), strict=True)))
        value = next((name for name in _VALUE_NAMES if name in frame.columns and "value" not in frame.columns), None)
        columns = {**({"value": value} if value else {}), **options.columns}
        rows = canonical_frame(frame, rename_map(frame.columns, columns, repr(str(path))))
        if EVENT not in rows.columns and columns.get("value") == "rating":
            rows = rows.with_columns(pl.lit("rating").alias(EVENT))
        yield block._replace(frame=rows)


def _table(path: Path) -> pl.DataFrame | None:
    if not path.is_file():
        return None
    frame = read_table(path, delimiter="\t", quote=None)
    return frame.rename({name: _plain(name) for name in frame.columns})


def _plain(name: str) -> str:
    return name.split(":")[0]
