"""Progress bars on a terminal, silence elsewhere, and metrics in files: ``metrics.jsonl`` and TensorBoard."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, cast

from tqdm import tqdm

from rlrec.core.artifacts import atomic_path

ItemT = TypeVar("ItemT")


def progress(
    iterable: Iterable[ItemT] | None = None,
    *,
    description: str,
    total: int | None = None,
    unit: str = "it",
    show: bool | None = None,
) -> tqdm[ItemT]:
    """Return a tqdm bar with rate and remaining time; it is silent when stderr is no terminal.

    Parameters
    ----------
    show : bool, optional
        Force the bar on or off; by default it follows the terminal.
    """
    visible = sys.stderr.isatty() if show is None else show
    return cast(
        "tqdm[ItemT]",
        tqdm(iterable, desc=description, total=total, unit=unit, disable=not visible, leave=False, smoothing=0.1),
    )


class MetricsWriter(AbstractContextManager["MetricsWriter"]):
    """Appends metrics to ``folder/metrics.jsonl`` and ``folder/tensorboard``; with no folder it writes nothing.

    A line is one JSON object: ``{"step": 3, "models/lstm/valid_nll": 3.81}``. Names are ``part/name`` and each is
    defined in ``docs/metrics.md``.
    """

    def __init__(self, folder: str | Path | None) -> None:
        self.folder = None if folder is None else Path(folder)
        self._file: Any = None
        self._board: Any = None

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Record ``values`` at ``step``; a value that is not finite is refused by JSON, so it is written as null."""
        if self.folder is None:
            return
        self._open()
        line = {"step": step, **{name: _finite(value) for name, value in values.items()}}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._board.add_scalar(name, float(value), step=step)

    def rewind(self, step: int, prefix: str) -> None:
        """Drop the lines of a part beyond ``step``: a kill came after they were written and before a checkpoint.

        TensorBoard keeps both and shows the later one.
        """
        path = None if self.folder is None else self.folder / "metrics.jsonl"
        if path is None or self._file is not None or not path.exists():
            return
        _drop_cut_line(path)
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not _is_beyond(json.loads(line), step, prefix)]
        if len(kept) < len(lines):
            with atomic_path(path) as temporary:
                temporary.write_text("".join(kept), encoding="utf-8")

    def close(self) -> None:
        """Flush and close the files."""
        file, board = self._file, self._board
        self._file = self._board = None
        for part in (file, board):
            if part is not None:  # an interrupt may come between opening the two
                part.close()

    def _open(self) -> None:
        if self._file is None:
            from tensorboard.summary import Writer  # 0.2 s of import, paid only by those who write

            assert self.folder is not None
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / "metrics.jsonl"
            _drop_cut_line(path)
            self._board = Writer(str(self.folder / "tensorboard"))
            self._file = path.open("a", encoding="utf-8")  # last: where it is open, the board is, too

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the files, whatever happened."""
        self.close()


def read_metrics(path: str | Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a ``metrics.jsonl``; a last line cut short by a kill is left out."""
    with Path(path).open(encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


def _is_beyond(record: Mapping[str, Any], step: int, prefix: str) -> bool:
    return record["step"] > step and any(name.startswith(prefix) for name in record)


def _drop_cut_line(path: Path) -> None:
    """Cut off what a kill left of a last line, so that the next record does not join it."""
    if path.exists():
        text = path.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            os.truncate(path, whole)


def _finite(value: float) -> float | None:
    value = float(value)
    return value if math.isfinite(value) else None
