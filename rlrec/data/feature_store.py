"""Feature tables on disk: arrays as ``.npy``, text and labels as Arrow, the kinds in the manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rlrec.core.errors import ArtifactError
from rlrec.data.features import Categorical, Feature, FeatureTable, MultiCategorical, Numeric, Text, Vectors


def save_features(table: FeatureTable | None, folder: Path) -> dict[str, Any] | None:
    """Write a table under ``folder`` and return what `load_features` needs to know."""
    if table is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    columns = [
        {"name": name, "kind": _save(column, folder, f"{position:04d}")}
        for position, (name, column) in enumerate(table.items())
    ]
    return {"n_rows": table.n_rows, "columns": columns}


def load_features(folder: Path, stored: dict[str, Any] | None) -> FeatureTable | None:
    """Read a table back; damage is an `ArtifactError`."""
    if stored is None:
        return None
    try:
        columns = {
            column["name"]: _load(column["kind"], folder, f"{position:04d}")
            for position, column in enumerate(stored["columns"])
        }
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise ArtifactError(
            f"the features in {str(folder)!r} are damaged: {str(error)[:200]}; save the log again"
        ) from error
    return FeatureTable(columns, stored["n_rows"])


def _save(column: Feature, folder: Path, stem: str) -> str:
    if isinstance(column, Numeric | Vectors):
        np.save(folder / f"{stem}.npy", column.values)
    elif isinstance(column, Text):
        _write_texts(column.values.tolist(), folder / f"{stem}.arrow")
    else:
        np.save(folder / f"{stem}.npy", column.codes)
        _write_texts(list(column.labels), folder / f"{stem}.arrow")
        if isinstance(column, MultiCategorical):
            np.save(folder / f"{stem}.offsets.npy", column.offsets)
    return type(column).__name__


def _load(kind: str, folder: Path, stem: str) -> Feature:
    if kind == "Text":
        return Text(np.array(_read_texts(folder / f"{stem}.arrow"), dtype=object))
    array: NDArray[Any] = np.load(folder / f"{stem}.npy", allow_pickle=False)
    if kind == "Numeric":
        return Numeric(array)
    if kind == "Vectors":
        return Vectors(array)
    labels = tuple(_read_texts(folder / f"{stem}.arrow"))
    if kind == "Categorical":
        return Categorical(array, labels)
    if kind == "MultiCategorical":
        return MultiCategorical(np.load(folder / f"{stem}.offsets.npy", allow_pickle=False), array, labels)
    raise KeyError(f"unknown kind of feature {kind!r}")


def _write_texts(texts: list[str], path: Path) -> None:
    pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}).write_ipc(path)


def _read_texts(path: Path) -> list[str]:
    return pl.read_ipc(path)["text"].to_list()
