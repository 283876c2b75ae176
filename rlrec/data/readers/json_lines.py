"""JSON lines: one object for each row, any columns, ids kept digit for digit; a line that is no object is counted.

Checked against Python's ``json`` module in the tests. Numbers come out as the text that stands in the file, so an id
beyond 2**63 stays exact.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from rlrec.core.errors import DataError
from rlrec.data.readers.base import Block, RawLog, ReadOptions, canonical_frame, rename_map
from rlrec.data.readers.text import open_bytes, text_blocks

BAD_RECORD = "line is no JSON object"
_ENDINGS = (".jsonl", ".ndjson", ".json")
_LOOK_AHEAD = 1 << 18
"""Bytes from which the names of the columns are taken (chosen here: some hundred lines of a review)."""


def detect_json_lines(path: Path) -> bool:
    """Return whether a file ends like JSON lines and begins with an object."""
    return path.is_file() and bool(set(_ENDINGS) & set(path.suffixes)) and bool(first_names(path))


def read_json_lines(path: Path, options: ReadOptions) -> RawLog:
    """Read one file of JSON lines as a log."""
    return RawLog(name=path.stem.split(".")[0], blocks=_blocks(path, options))


def first_names(path: Path) -> list[str]:
    """Return the names of the keys in the first lines of a file, in the order of their appearance."""
    with open_bytes(path) as file:
        head = file.read(_LOOK_AHEAD).lstrip(b"\xef\xbb\xbf \r\n\t")
    if not head.startswith(b"{"):
        return []
    cut = head.rfind(b"\n") + 1
    text = (head[:cut] if cut else head).decode("utf-8", "replace")
    lines = _lines(text)
    objects = lines.filter(_is_object(lines))
    if not len(objects):
        return []
    try:
        return pl.read_ndjson(io.BytesIO("\n".join(objects).encode()), infer_schema_length=None).columns
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{str(path)!r} holds JSON whose keys cannot be read: {error}; repair the file") from error


def json_blocks(
    path: Path, schema: Mapping[str, Any], options: ReadOptions, shape: Callable[[pl.DataFrame], pl.DataFrame]
) -> Iterator[Block]:
    """Yield the objects of a file as rows of ``schema``, each block given its shape; what is no object is counted."""
    replace_bad = options.policy.bad_encoding == "replace"
    for text in text_blocks(path, encoding=options.encoding, quote=None, replace_bad=replace_bad):
        frame, n_bad = parse_objects(text.data, schema)
        fixed = {"bytes replaced": text.n_replaced} if text.n_replaced else {}
        yield Block(shape(frame), {BAD_RECORD: n_bad} if n_bad else {}, fixed)


def parse_objects(data: bytes, schema: Mapping[str, Any]) -> tuple[pl.DataFrame, int]:
    """Return the objects as rows, and how many lines are none; blank lines go uncounted."""
    lines = _lines(data.decode())
    n_lines = len(lines)
    opened = lines.str.starts_with("{")
    if opened.all():
        try:
            return _parse(lines, schema), 0
        except pl.exceptions.PolarsError:
            pass  # some line is broken: found below
    objects = lines.filter(_is_object(lines))
    try:
        return _parse(objects, schema), n_lines - len(objects)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"JSON lines hold a value of an unexpected type: {error}; repair the file") from error


def _parse(lines: pl.Series, schema: Mapping[str, Any]) -> pl.DataFrame:
    if not len(lines):
        return pl.DataFrame(schema=dict(schema))
    frame = pl.read_ndjson(io.BytesIO("\n".join(lines).encode()), schema=dict(schema))
    if frame.height != len(lines):
        raise pl.exceptions.ComputeError(f"{len(lines)} lines gave {frame.height} rows")
    return frame


def _lines(text: str) -> pl.Series:
    lines = pl.Series("line", text.split("\n"), dtype=pl.String).str.strip_chars()
    return lines.filter(lines.str.len_bytes() > 0)


def _is_object(lines: pl.Series) -> pl.Series:
    return lines.str.starts_with("{") & lines.str.json_path_match("$").is_not_null()


def _blocks(path: Path, options: ReadOptions) -> Iterator[Block]:
    found = first_names(path)
    if not found:
        raise DataError(f"{str(path)!r} does not begin with a JSON object; give one object for each line")
    names = rename_map(found, options.columns, repr(str(path)))
    yield from json_blocks(path, dict.fromkeys(found, pl.String), options, lambda frame: canonical_frame(frame, names))
