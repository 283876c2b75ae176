"""Artifacts on disk: a folder with ``manifest.json`` and safetensors weights. Nothing is ever unpickled.

The manifest is the commit point. Weights go to a file named by their own hash; then the manifest that names them is
renamed into place; then weights that no manifest names are removed. A kill at any moment leaves the old artifact or
the new one, never a mixture.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlrec.core.errors import ArtifactError, ArtifactNotFoundError, CatalogMismatchError

MANIFEST = "manifest.json"
FORMAT_VERSION = 1
_REPORTED_PACKAGES = ("rlrec", "torch", "gymnasium", "stable-baselines3", "numpy", "pandas", "polars")


def package_versions() -> dict[str, str]:
    """Return the versions that a result depends on: Python and the main packages."""
    versions = {"python": platform.python_version()}
    for name in _REPORTED_PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; it is renamed to ``path`` if the block ends well, else removed.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "note.txt"
    >>> with atomic_path(target) as temporary:
    ...     _ = temporary.write_text("whole or not at all")
    >>> target.read_text()
    'whole or not at all'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes private files; a user's file has the usual mode
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON atomically, keys in the order given; NaN and infinity are refused."""
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read JSON; a damaged file is an `ArtifactError` that names it."""
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactNotFoundError(f"{str(path)!r} does not exist") from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ArtifactError(f"{str(path)!r} is not valid JSON: {error}") from error


@dataclass(frozen=True)
class Artifact:
    """A loaded artifact: what it is, its settings, and its arrays by name."""

    kind: str
    """What it is, such as ``"models/lstm"``."""
    config: dict[str, Any]
    """The config that made it, as plain values."""
    content: dict[str, Any]
    """Further plain values that belong to it (calibration, vocabularies, metrics)."""
    arrays: dict[str, NDArray[Any]]
    """Weights by name."""
    catalog_sha256: str | None
    """Hash of the catalogue that it was made for."""
    versions: dict[str, str]
    """Package versions at the time of saving."""

    def check_catalog(self, sha256: str) -> None:
        """Raise `CatalogMismatchError` unless this artifact belongs to the catalogue with this hash."""
        if self.catalog_sha256 is not None and self.catalog_sha256 != sha256:
            raise CatalogMismatchError(
                f"this {self.kind} was made for catalogue {self.catalog_sha256[:12]}, the log has {sha256[:12]}; "
                "fit it again on this log, or load the log it was fitted on"
            )


def save_artifact(
    folder: str | Path,
    *,
    kind: str,
    config: Mapping[str, Any],
    content: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    catalog_sha256: str | None,
) -> None:
    """Write an artifact folder; see the module's first lines for what a kill leaves."""
    from safetensors.numpy import save

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    blob = save({name: np.asarray(array, order="C") for name, array in arrays.items()})
    digest = hashlib.sha256(blob).hexdigest()
    weights = f"weights-{digest[:16]}.safetensors"
    with atomic_path(folder / weights) as temporary:
        temporary.write_bytes(blob)
    manifest = {
        "format": FORMAT_VERSION,
        "kind": kind,
        "versions": package_versions(),
        "catalog_sha256": catalog_sha256,
        "weights": weights,
        "weights_sha256": digest,
        "config": dict(config),
        "content": dict(content),
    }
    try:
        write_json(folder / MANIFEST, manifest)
    finally:
        _remove_unnamed_weights(folder)


def _remove_unnamed_weights(folder: Path) -> None:
    """Remove the weights before, or, where the manifest was not written, the new ones."""
    named = read_json(folder / MANIFEST)["weights"] if (folder / MANIFEST).is_file() else None
    for stale in folder.glob("weights-*.safetensors"):
        if stale.name != named:
            stale.unlink()


@contextmanager
def artifact_parts(folder: str | Path, prefix: str) -> Iterator[Path]:
    """Yield a new sub-folder for artifacts that belong to the one in ``folder``, which the block saves last.

    Its manifest commits them: it must hold the sub-folder's name as ``content["parts"]``. Afterwards the parts that no
    manifest names are removed, the new ones if the block failed, else those before. Saved into one fixed sub-folder
    instead, a kill could leave new parts with an old manifest.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    parts = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
    parts.chmod(0o777 & ~_umask())  # mkdtemp makes private folders
    before = [path for path in folder.glob(f"{prefix}*") if path != parts]
    try:
        yield parts
    finally:
        committed = _committed_parts(folder) == parts.name
        for stale in before if committed else [parts]:
            shutil.rmtree(stale, ignore_errors=True)


def _committed_parts(folder: Path) -> str | None:
    """Return the parts that the manifest names; None where it names none, or cannot be read."""
    try:
        parts: str = read_json(folder / MANIFEST)["content"]["parts"]
    except (ArtifactError, KeyError, TypeError):
        return None
    return parts


def load_artifact(folder: str | Path, *, kind: str | None = None) -> Artifact:
    """Read an artifact folder.

    Raises
    ------
    ArtifactNotFoundError
        If there is no manifest.
    ArtifactError
        If it is of another kind or format, or its weights are damaged.
    """
    folder = Path(folder)
    if not (folder / MANIFEST).is_file():
        raise ArtifactNotFoundError(
            f"{str(folder)!r} holds no {MANIFEST}; give the folder that a fit or train command wrote"
        )
    manifest = read_json(folder / MANIFEST)
    _check_manifest(manifest, folder, kind)
    return Artifact(
        kind=manifest["kind"],
        config=manifest["config"],
        content=manifest["content"],
        arrays=_read_weights(folder, manifest),
        catalog_sha256=manifest["catalog_sha256"],
        versions=manifest["versions"],
    )


def _check_manifest(manifest: Any, folder: Path, kind: str | None) -> None:
    required = {
        "format",
        "kind",
        "versions",
        "catalog_sha256",
        "weights",
        "weights_sha256",
        "config",
        "content",
    }
    if not isinstance(manifest, dict) or not required <= manifest.keys():
        raise ArtifactError(f"{str(folder / MANIFEST)!r} is not an rlrec manifest; fit or train again")
    if manifest["format"] != FORMAT_VERSION:
        raise ArtifactError(
            f"{str(folder)!r} has artifact format {manifest['format']!r}, this rlrec reads {FORMAT_VERSION}; "
            "load it with the version that wrote it or make it again"
        )
    if kind is not None and manifest["kind"] != kind:
        raise ArtifactError(f"{str(folder)!r} holds a {manifest['kind']!r}, expected a {kind!r}")
    name = manifest["weights"]
    if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
        raise ArtifactError(f"{str(folder / MANIFEST)!r} names weights outside its own folder: {name!r}")


def _read_weights(folder: Path, manifest: dict[str, Any]) -> dict[str, NDArray[Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = folder / manifest["weights"]
    try:
        blob = path.read_bytes()
    except FileNotFoundError:
        raise ArtifactNotFoundError(f"{str(path)!r} does not exist although the manifest names it") from None
    if hashlib.sha256(blob).hexdigest() != manifest["weights_sha256"]:
        raise ArtifactError(f"{str(path)!r} is damaged (its hash is not the manifest's); make the artifact again")
    try:
        arrays: dict[str, NDArray[Any]] = load(blob)
    except SafetensorError as error:
        raise ArtifactError(f"{str(path)!r} is not a safetensors file: {error}") from error
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ArtifactError(f"{str(path)!r} holds values that are not finite in {name!r}; train again")
    return arrays


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
