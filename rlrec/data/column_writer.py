"""One ``.npy`` column written part by part, without the whole in memory."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class ColumnWriter:
    """Appends to a one-dimensional ``.npy`` file; its length may turn out smaller than announced.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     writer = ColumnWriter(Path(folder) / "x.npy", np.int32, 1000)
    ...     writer.write(np.array([1, 2]))
    ...     writer.close()
    ...     np.load(Path(folder) / "x.npy").tolist()
    [1, 2]
    """

    def __init__(self, path: Path, dtype: Any, most: int) -> None:
        self._dtype = np.dtype(dtype)
        self._n_rows = 0
        self._path = path
        self._header = _header(self._dtype, most)
        path.write_bytes(self._header)

    def write(self, values: NDArray[Any]) -> None:
        """Add values."""
        with self._path.open("ab") as file:
            file.write(np.ascontiguousarray(values, self._dtype).data)
        self._n_rows += len(values)

    def close(self) -> None:
        """Write the true length into the header."""
        header = _header(self._dtype, self._n_rows)
        assert len(header) == len(self._header)  # NumPy pads headers so that they can grow in place
        with self._path.open("r+b") as file:
            file.write(header)


def _header(dtype: np.dtype[Any], n_rows: int) -> bytes:
    buffer = io.BytesIO()
    described = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(buffer, {"shape": (n_rows,), "fortran_order": False, "descr": described})
    return buffer.getvalue()
