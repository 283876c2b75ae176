"""One line for each user, ``user item item item``, as S3-Rec has it; and ``user item`` pairs, as SASRec has them.

Checked against the documentation of both. Fields stand apart by spaces or tabs; the order in the file is the time. In
the format "item-lines" a line holds items only, and its number, from 0, is the user.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from rlrec.core.errors import DataError
from rlrec.data.log import ITEM_ID, USER_ID
from rlrec.data.readers.base import Block, RawLog, ReadOptions
from rlrec.data.readers.text import open_bytes, text_blocks

_NO_ITEMS = "line with a user and no items"
_LINE = re.compile(rb"\s*[^\s,;|:]+( +[^\s,;|:]+)+\s*")
_USER_AND_ITEMS = (pl.col("words").list.first().alias(USER_ID), pl.col("words").list.slice(1).alias(ITEM_ID))
_LINE_AND_ITEMS = (pl.col("row").cast(pl.Int64).alias(USER_ID), pl.col("words").alias(ITEM_ID))


def detect_sequence_lines(path: Path) -> bool:
    """Return whether the first line of a text file is words between spaces, with no other delimiter and no header."""
    if not path.is_file() or not {".txt", ".seq", ".inp"} & set(path.suffixes):
        return False
    with open_bytes(path) as file:
        line = file.readline(1 << 16)
    return _LINE.fullmatch(line) is not None and b"_id" not in line


def read_sequence_lines(path: Path, options: ReadOptions) -> RawLog:
    """Read lines of a user and their items in order."""
    return RawLog(name=path.stem, blocks=_blocks(path, options, users=True))


def read_item_lines(path: Path, options: ReadOptions) -> RawLog:
    """Read lines of items in order; the user is the line."""
    return RawLog(name=path.stem, blocks=_blocks(path, options, users=False))


def never(path: Path) -> bool:
    """Return False: nothing tells a line of items from one that begins with a user."""
    return False


def _blocks(path: Path, options: ReadOptions, *, users: bool) -> Iterator[Block]:
    n_before, any_rows = 0, False
    replace_bad = options.policy.bad_encoding == "replace"
    for text in text_blocks(path, encoding=options.encoding, quote=None, replace_bad=replace_bad):
        lines = pl.Series("line", text.data.decode().removesuffix("\n").split("\n")).str.strip_chars()
        words = lines.str.replace_all(r"[ \t\r]+", " ").str.split(" ")
        frame = pl.DataFrame({"words": words}).with_row_index("row", offset=n_before)
        n_before += len(lines)
        frame = frame.filter(lines.str.len_bytes() > 0)
        pairs = frame.select(_USER_AND_ITEMS if users else _LINE_AND_ITEMS)
        empty = int((pairs[ITEM_ID].list.len() == 0).sum())
        pairs = pairs.filter(pl.col(ITEM_ID).list.len() > 0)
        any_rows = any_rows or frame.height > 0
        fixed = {"bytes replaced": text.n_replaced} if text.n_replaced else {}
        yield Block(pairs.explode(ITEM_ID), {_NO_ITEMS: empty} if empty else {}, fixed)
    if not any_rows:
        raise DataError(f"{str(path)!r} is empty; give a file with one user on each line")
