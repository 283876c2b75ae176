"""Hashes of columns that tell where one text ends and the next begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def text_bytes(texts: Sequence[str]) -> bytes:
    """Return the texts as bytes, their lengths first: no two different lists give the same bytes."""
    lengths = np.fromiter(map(len, texts), "<i8", len(texts))
    return lengths.tobytes() + "".join(texts).encode("utf-8", "surrogatepass")


def array_bytes(array: NDArray[Any]) -> bytes:
    """Return the type and the values of an array as bytes; every NaN counts as the same one."""
    if array.dtype.kind == "f":
        array = np.where(np.isnan(array), np.array(np.nan, array.dtype), array)
    return array.dtype.str.encode() + np.ascontiguousarray(array).tobytes()
