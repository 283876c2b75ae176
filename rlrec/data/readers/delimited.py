"""CSV and TSV of any delimiter: columns by name, by position or by mapping; every record cut or counted.

Checked against Python's ``csv`` module in the tests. The fast way parses a block with Polars as it is; it is taken
where the delimiters in the block are as many as its records ask for, which together with Polars' refusal of long
records proves that no record is ragged. Anything else goes the careful way, which finds the ragged records by counting
delimiters outside quotes, with NumPy.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rlrec.core.errors import DataError
from rlrec.data.readers.base import CANONICAL, Block, RawLog, ReadOptions, canonical_frame, rename_map
from rlrec.data.readers.text import TextBlock, inside_quotes, record_ends, text_blocks

_DELIMITERS = (",", "\t", ";", "|")
RAGGED, REPEATED_HEADER = "ragged row (more or fewer fields than the header)", "repeated header"
_MOST_COLUMNS = 10_000  # of a log; the widest that is known has some hundred (chosen here)
_INNER = "\x1f"  # stands for a delimiter of several characters, which Polars cannot cut at


def read_delimited(path: Path, options: ReadOptions) -> RawLog:
    """Read one delimited file as a log."""
    return RawLog(name=path.stem.split(".")[0], blocks=_log_blocks(path, options))


def read_table(
    path: Path,
    *,
    delimiter: str | None = None,
    header: bool | tuple[str, ...] = True,
    encoding: str = "utf-8",
    quote: str | None = '"',
    infer: bool = True,
) -> pl.DataFrame:
    """Read a whole delimited file as a table, as item and user tables are; ragged rows are refused.

    Parameters
    ----------
    infer : bool
        Turn columns that hold only numbers into numbers.
    """
    options = ReadOptions(delimiter=delimiter, header=header, encoding=encoding, quote=quote)
    frames = []
    for names, block in cut_blocks(path, options):
        if block.dropped:
            raise DataError(
                f"{str(path)!r} has {sum(block.dropped.values())} rows with more or fewer fields than its "
                f"{len(names)} columns; repair it, or check the delimiter"
            )
        frames.append(block.frame)
    if not frames:
        raise DataError(f"{str(path)!r} holds no rows")
    frame = pl.concat(frames)
    return frame.select(_numbers_where_possible(frame[name]) for name in frame.columns) if infer else frame


def _numbers_where_possible(text: pl.Series) -> pl.Series:
    for dtype in (pl.Int64, pl.Float64):
        number = text.cast(dtype, strict=False)
        padded = (text.str.len_bytes() > 1) & text.str.starts_with("0") & ~text.str.contains(".", literal=True)
        if number.null_count() == text.null_count() and text.null_count() < len(text) and not padded.any():
            return number
    return text


def _log_blocks(path: Path, options: ReadOptions) -> Iterator[Block]:
    found: list[str] | None = None
    renames: dict[str, str] = {}
    for names, block in cut_blocks(path, options):
        if found is None:
            found = names
            renames = _renames(names, options, path)
        frame = canonical_frame(block.frame, renames)
        yield _without_headers(frame, renames, block) if options.header is True else block._replace(frame=frame)
    if found is None:
        raise DataError(f"{str(path)!r} is empty: no header, no rows; give a file with interactions")


def _renames(names: list[str], options: ReadOptions, path: Path) -> dict[str, str]:
    looks_like_data = options.header is True and any(_is_number(name) for name in names)
    if looks_like_data and not any(name in CANONICAL or name in options.columns.values() for name in names):
        raise DataError(
            f"{str(path)!r} seems to have no header: its first row is {', '.join(names[:6])}. Name the columns with "
            f"header=('user_id', 'item_id', ...), {len(names)} names in the order of the file"
        )
    return rename_map(names, options.columns, repr(str(path)))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _without_headers(frame: pl.DataFrame, renames: dict[str, str], block: Block) -> Block:
    """Drop rows that repeat the header."""
    repeated = pl.all_horizontal(pl.col(ours).eq_missing(pl.lit(theirs)) for theirs, ours in renames.items())
    first_theirs, first_ours = next(iter(renames.items()))
    if not (frame[first_ours] == first_theirs).any():  # one cheap column settles nearly every block
        return block._replace(frame=frame)
    kept = frame.filter(~repeated)
    n_repeated = frame.height - kept.height
    return Block(kept, {**block.dropped, **({REPEATED_HEADER: n_repeated} if n_repeated else {})}, block.fixed)


def cut_blocks(path: Path, options: ReadOptions) -> Iterator[tuple[list[str], Block]]:
    """Yield (column names, rows as text) for each block of the file."""
    names: list[str] | None = None
    delimiter = options.delimiter
    replace_bad = options.policy.bad_encoding == "replace"
    for text in text_blocks(path, encoding=options.encoding, quote=options.quote, replace_bad=replace_bad):
        data = text.data
        if names is None:
            first = _first_record(data, options.quote)
            delimiter = delimiter or sniff_delimiter(first.decode())
            names = _names(first, delimiter, options, path)
            if options.header is True:
                data = data[len(first) :]
        assert delimiter is not None
        yield names, _parse(TextBlock(data, text.n_replaced), names, delimiter, options.quote)


def _first_record(data: bytes, quote: str | None) -> bytes:
    ends = record_ends(data[: 1 << 20], quote)
    return data[: ends[0] + 1] if len(ends) else data


def sniff_delimiter(line: str) -> str:
    """Return the delimiter that occurs most often in a line; a comma where none does."""
    if "::" in line:
        return "::"
    return max(_DELIMITERS, key=lambda delimiter: (line.count(delimiter), delimiter == ","))


def _names(first: bytes, delimiter: str, options: ReadOptions, path: Path) -> list[str]:
    if first.count(delimiter.encode()) >= _MOST_COLUMNS:
        raise DataError(
            f"{str(path)!r} has more than {_MOST_COLUMNS:,} columns, so it is no log of one behaviour a row; give a "
            "file with user_id, item_id and timestamp"
        )
    if isinstance(options.header, tuple):
        names = list(options.header)
    else:
        inner = _INNER if len(delimiter) > 1 else delimiter
        line = first.decode().strip("\r\n").replace(delimiter, inner)
        quote = options.quote
        cut = [line.split(inner)] if quote is None else csv.reader([line], delimiter=inner, quotechar=quote)
        try:
            fields = next(iter(cut), [])
        except csv.Error as error:
            raise DataError(f"the first row of {str(path)!r} is no row of column names: {error}") from error
        names = [name.strip() for name in fields] if options.header else [str(i) for i in range(len(fields))]
    twice = next((name for name, n in Counter(names).items() if name and n > 1), None)
    if twice is not None:
        raise DataError(
            f"{str(path)!r} has the column {twice!r} twice; rename one, or name all columns with header=(...) "
            "after deleting the header row"
        )
    return [name or f"(column {i})" for i, name in enumerate(names)]


def _parse(text: TextBlock, names: list[str], delimiter: str, quote: str | None) -> Block:
    data = text.data
    if len(delimiter) > 1:
        data, delimiter = data.replace(delimiter.encode(), _INNER.encode()), _INNER
    fixed = {"bytes replaced": text.n_replaced} if text.n_replaced else {}
    if _counts_agree(data, len(names), delimiter, quote):
        try:
            return Block(_polars(data, names, delimiter, quote), {}, fixed)
        except (pl.exceptions.ComputeError, pl.exceptions.SchemaError):
            pass  # a long and a short record cancelled out: the careful way below finds and counts both
    data, n_ragged = _without_ragged(data, len(names), delimiter, quote)
    try:
        frame = _polars(data, names, delimiter, quote)
    except (pl.exceptions.ComputeError, pl.exceptions.SchemaError) as error:  # quotes that close nowhere, or too early
        reason = str(error).split("\n", 1)[0]  # what follows is advice on Polars
        raise DataError(
            f"a row cannot be cut into {len(names)} fields: {reason}; its quotes do not pair up: mend the row, or pass "
            "quote=None if quotes are ordinary characters in this file"
        ) from error
    return Block(frame, {RAGGED: n_ragged} if n_ragged else {}, fixed)


def _counts_agree(data: bytes, n_fields: int, delimiter: str, quote: str | None) -> bool:
    if not data.endswith(b"\n") or data.startswith((b"\n", b"\r")) or (quote is not None and quote.encode() in data):
        return False
    array = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(array == 10)
    after = array[ends[:-1] + 1]  # the byte that begins each record but the first
    if ((after == 10) | (after == 13)).any():  # a blank line
        return False
    return int(np.count_nonzero(array == ord(delimiter))) == (n_fields - 1) * len(ends)


def _without_ragged(data: bytes, n_fields: int, delimiter: str, quote: str | None) -> tuple[bytes, int]:
    """Return the records with the right number of fields, and how many had another number; blank lines go uncounted."""
    if not data:
        return data, 0
    data = data if data.endswith(b"\n") else data + b"\n"
    array = np.frombuffer(data, np.uint8)
    cuts = array == ord(delimiter)
    if quote is not None and quote.encode() in data:
        cuts &= ~inside_quotes(array, quote)
    ends = record_ends(data, quote)
    starts = np.concatenate([[0], ends[:-1] + 1])
    fields = np.diff(np.searchsorted(np.flatnonzero(cuts), np.append(starts, len(data)))) + 1  # (records,)
    blank = _blank(array, starts, ends)
    good = (fields == n_fields) & ~blank
    if good.all():
        return data, 0
    keep = np.repeat(good, ends - starts + 1)
    return array[keep].tobytes(), int((~good & ~blank).sum())


def _blank(array: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.bool_]:
    lengths = ends - starts
    first_is_return = array[np.minimum(starts, len(array) - 1)] == 13
    return np.asarray((lengths == 0) | ((lengths == 1) & first_is_return))


def _polars(data: bytes, names: list[str], delimiter: str, quote: str | None) -> pl.DataFrame:
    schema = dict.fromkeys(names, pl.String)
    if not data:
        return pl.DataFrame(schema=schema)
    try:
        return pl.read_csv(io.BytesIO(data), has_header=False, schema=schema, separator=delimiter, quote_char=quote)
    except pl.exceptions.NoDataError:
        return pl.DataFrame(schema=schema)
