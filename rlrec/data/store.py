"""A log on disk, one file for each column, memory-mapped when opened: opening costs the same for any size.

The columns go to a folder of their own, then the manifest that names it is renamed into place, then older columns are
removed. A kill at any moment leaves the old log or the new one, never a mixture.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from tokenize import TokenError
from types import TracebackType
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rlrec.core.artifacts import MANIFEST, package_versions, read_json, write_json
from rlrec.core.errors import ArtifactError, ArtifactNotFoundError, DataError, RlrecError
from rlrec.data.catalog import ItemCatalog
from rlrec.data.cleaning_report import CleaningReport
from rlrec.data.feature_store import load_features, save_features
from rlrec.data.log import COLUMN_TYPES, InteractionLog
from rlrec.data.vocabulary import Vocabulary

KIND = "data/log"
FORMAT_VERSION = 1


def is_stored_log(folder: str | Path) -> bool:
    """Return whether a folder was written by `save_log` or `ingest_log`."""
    manifest = Path(folder) / MANIFEST
    return manifest.is_file() and read_json(manifest).get("kind") == KIND


def save_log(log: InteractionLog, folder: str | Path) -> None:
    """Write a log with its ids, features, notes and account; `open_log` gives an equal one back.

    Examples
    --------
    >>> from rlrec.data.builtin import load_builtin
    >>> log = load_builtin("eshop2008")
    >>> folder = tempfile.mkdtemp()
    >>> save_log(log, folder)
    >>> open_log(folder) == log
    True
    """
    with LogWriter(folder) as writer:
        for name in COLUMN_TYPES:
            column = getattr(log, name)
            if column is not None:
                np.save(writer.data / f"{name}.npy", column)
        writer.commit(
            name=log.name,
            event_names=log.event_names,
            users=log.users,
            catalog=log.catalog,
            user_features=save_features(log.user_features, writer.data / "users"),
            item_features=save_features(log.catalog.features, writer.data / "items"),
            notes=dict(log.notes),
            cleaning=log.cleaning,
        )


def open_log(folder: str | Path) -> InteractionLog:
    """Open a log that `save_log` or `ingest_log` wrote; its columns are memory-mapped, its ids read when asked for.

    Raises
    ------
    ArtifactNotFoundError
        If there is no manifest, or a file that it names is missing.
    ArtifactError
        If the folder holds something else, or a file is damaged.
    """
    folder = Path(folder)
    if not (folder / MANIFEST).is_file():
        raise ArtifactNotFoundError(f"{str(folder)!r} holds no {MANIFEST}; give a folder that save_log wrote")
    manifest = read_json(folder / MANIFEST)
    try:
        _check(manifest, folder)
        return _open(manifest, folder / manifest["data"])
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        if isinstance(error, RlrecError):
            raise
        raise ArtifactError(
            f"{str(folder / MANIFEST)!r} is damaged: {type(error).__name__} {error}; load and save the log again"
        ) from error


def _open(manifest: dict[str, Any], data: Path) -> InteractionLog:
    """Return the log that a checked manifest describes, with its columns in ``data``."""
    cleaning = manifest["cleaning"]
    users = _open_ids(data, "users", manifest["users"])
    items = _open_ids(data, "items", manifest["items"])
    return InteractionLog(
        name=manifest["name"],
        event_names=tuple(manifest["event_names"]),
        users=users,
        catalog=ItemCatalog(items, load_features(data / "items", manifest["item_features"])),
        user_features=load_features(data / "users", manifest["user_features"]),
        notes=manifest["notes"],
        cleaning=None if cleaning is None else CleaningReport.from_dict(cleaning),
        **{name: map_array(data / f"{name}.npy") for name in manifest["columns"]},
    )


class LogWriter(AbstractContextManager["LogWriter"]):
    """Collects the columns of a log in a new folder ``data`` and makes them the log with `commit`.

    Left without a commit, it removes what was written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if self.folder.is_file():
            raise DataError(f"{str(self.folder)!r} is a file; give a folder for the log")
        if self.folder.is_dir() and not is_stored_log(self.folder) and _holds_others(self.folder):
            raise DataError(f"{str(self.folder)!r} holds other files; give a new folder or one that holds a log")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = Path(tempfile.mkdtemp(prefix="data-", dir=self.folder))
        self.data.chmod(0o755)

    def commit(
        self,
        *,
        name: str,
        event_names: tuple[str, ...],
        users: Vocabulary,
        catalog: ItemCatalog,
        user_features: Any,
        item_features: Any,
        notes: dict[str, str],
        cleaning: CleaningReport | None,
    ) -> None:
        """Write ids and manifest, and remove the columns of an older log."""
        manifest = {
            "format": FORMAT_VERSION,
            "kind": KIND,
            "versions": package_versions(),
            "data": self.data.name,
            "name": name,
            "columns": [column for column in COLUMN_TYPES if (self.data / f"{column}.npy").is_file()],
            "event_names": list(event_names),
            "users": _save_ids(users, self.data, "users"),
            "items": _save_ids(catalog.vocabulary, self.data, "items"),
            "user_features": user_features,
            "item_features": item_features,
            "notes": notes,
            "cleaning": None if cleaning is None else cleaning.to_dict(),
        }
        write_json(self.folder / MANIFEST, manifest)
        for stale in self.folder.glob("data-*"):
            if stale != self.data:
                shutil.rmtree(stale, ignore_errors=True)  # another process may still map it

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove the new columns unless they were committed."""
        manifest = self.folder / MANIFEST
        if not manifest.is_file() or read_json(manifest).get("data") != self.data.name:
            shutil.rmtree(self.data, ignore_errors=True)


def map_array(path: Path) -> NDArray[Any]:
    """Memory-map a ``.npy`` file, read-only; an empty one is read."""
    try:
        try:
            array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except ValueError:
            array = np.load(path, allow_pickle=False)  # the operating system maps no empty files
            if array.size:
                raise
    except FileNotFoundError:
        raise ArtifactNotFoundError(f"{str(path)!r} does not exist although the manifest names it") from None
    except (ValueError, EOFError, OSError, SyntaxError, TokenError) as error:  # the last two: a header beyond reading
        raise ArtifactError(f"{str(path)!r} is damaged: {error}; load and save the log again") from error
    return np.asarray(array)


def _holds_others(folder: Path) -> bool:
    """Return whether a folder holds more than what an interrupted `LogWriter` leaves."""
    return not all(path.name.startswith(("data-", f".{MANIFEST}")) for path in folder.iterdir())


def _check(manifest: Any, folder: Path) -> None:
    if not isinstance(manifest, dict) or manifest.get("kind") != KIND:
        raise ArtifactError(f"{str(folder)!r} holds no log, but a {manifest.get('kind', 'unknown thing')!r}")
    if manifest["format"] != FORMAT_VERSION:
        raise ArtifactError(
            f"{str(folder)!r} has log format {manifest['format']!r}, this rlrec reads {FORMAT_VERSION}; make it again"
        )
    data = manifest["data"]
    if not isinstance(data, str) or Path(data).name != data or not data.startswith("data-"):
        raise ArtifactError(f"{str(folder / MANIFEST)!r} names columns outside its own folder: {data!r}")
    unknown = set(manifest["columns"]) - COLUMN_TYPES.keys()
    if unknown:
        raise ArtifactError(f"{str(folder / MANIFEST)!r} names unknown columns: {', '.join(sorted(unknown))}")


def _save_ids(vocabulary: Vocabulary, data: Path, name: str) -> dict[str, Any]:
    """Write ids as int64, text, or text with a letter for the type where they are mixed or beyond 64 bits."""
    ids = vocabulary.ids
    if ids.dtype.kind == "i":
        kind = "int64"
        np.save(data / f"{name}.ids.npy", ids)
    else:
        kind = "text" if vocabulary.is_text else "tagged"
        texts = ids.tolist() if kind == "text" else [_tag(value) for value in ids.tolist()]
        pl.DataFrame({"id": pl.Series(texts, dtype=pl.String)}).write_ipc(data / f"{name}.ids.arrow")
    return {"kind": kind, "n": len(vocabulary), "sha256": vocabulary.sha256}


def _tag(value: Any) -> str:
    if type(value) is int:
        return f"i{value}"
    if type(value) is str:
        return f"s{value}"
    raise DataError(f"ids of type {type(value).__name__} cannot be saved, such as {value!r}; make them str or int")


def _untagged(text: str) -> Any:
    return int(text[1:]) if text[0] == "i" else text[1:]


def _open_ids(data: Path, name: str, stored: dict[str, Any]) -> Vocabulary:
    loaders: dict[str, Callable[[], NDArray[Any]]] = {
        "int64": partial(map_array, data / f"{name}.ids.npy"),
        "text": partial(_read_text_ids, data / f"{name}.ids.arrow", tagged=False),
        "tagged": partial(_read_text_ids, data / f"{name}.ids.arrow", tagged=True),
    }
    if stored["kind"] not in loaders:
        raise ArtifactError(f"{str(data)!r} has ids of the unknown kind {stored['kind']!r}; convert the log again")
    return Vocabulary.from_storage(loaders[stored["kind"]], stored["n"], stored["sha256"])


def _read_text_ids(path: Path, *, tagged: bool) -> NDArray[Any]:
    try:
        texts = pl.read_ipc(path)["id"]
    except FileNotFoundError:
        raise ArtifactNotFoundError(f"{str(path)!r} does not exist although the manifest names it") from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise ArtifactError(f"{str(path)!r} is damaged: {str(error)[:200]}; load and save the log again") from error
    whole = texts.dtype == pl.String and not texts.has_nulls()
    if not whole or (tagged and not texts.str.contains(r"^(?:s|i-?\d)").all()):
        raise ArtifactError(f"{str(path)!r} holds no ids as save_log writes them; load and save the log again")
    values = [_untagged(text) for text in texts.to_list()] if tagged else texts.to_list()
    ids = np.empty(len(values), dtype=object)
    ids[:] = values
    return ids
