"""Downloads that can be cut off: resumed where they stopped, checked, unpacked whole or not at all.

Nothing here runs by itself: no other part of rlrec asks the network for anything. Tested against a server on the own
machine that cuts the connection, sends wrong bytes, has no such file; and against a full disk.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import shutil
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.core.progress import progress
from rlrec.data.download_sets import REMOTE_SETS, RemoteSet

_CHUNK = 1 << 20
_TRIES = 4
"""Times that a broken connection is taken up again before we give up (chosen here)."""
_TIMEOUT = 30.0
"""Seconds of silence after which a connection counts as broken."""


def download_log(
    name: str | RemoteSet,
    folder: str | Path,
    *,
    accept_licence: bool = False,
    show_progress: bool | None = None,
    wait: float = 1.0,
) -> Path:
    """Fetch a public log into ``folder/NAME`` and return that folder, for `rlrec.load_log`.

    A download that was cut off is resumed by the next call; one that is there already is not fetched again. The
    archive stays beside the folder.

    Parameters
    ----------
    name : str or RemoteSet
        A name of `rlrec.data.download_sets.REMOTE_SETS`.
    folder : path
        Where archives and logs are kept.
    accept_licence : bool
        You have read the terms and keep to them; needed for restricted sets.
    show_progress : bool, optional
        Show a bar; by default on a terminal.
    wait : float
        Seconds before a broken connection is tried again, doubled each time.

    Raises
    ------
    InvalidArgumentError
        If there is no such name, or the terms are not accepted.
    DataError
        If the file cannot be fetched whole, does not fit on the disk, or is not what was published.
    """
    remote = REMOTE_SETS.get(name) if isinstance(name, str) else name
    if remote is None:
        raise InvalidArgumentError(f"there is no public log {name!r} to download; there are: {', '.join(REMOTE_SETS)}")
    if remote.restricted and not accept_licence:
        raise InvalidArgumentError(
            f"{remote.name} has terms to accept: {remote.licence}. Read them at {remote.homepage}, then say "
            "accept_licence=True (--accept-licence)"
        )
    folder = Path(folder)
    target = folder / remote.name
    if target.is_dir():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / remote.file_name
    if not archive.is_file():
        part = archive.with_name(archive.name + ".part")
        _fetch(remote, part, show_progress, wait)
        _check_sum(remote, part)
        part.replace(archive)
    _unpack(archive, target)
    return target


def checksum(path: Path, kind: str) -> str:
    """Return the hash of a file, in hexadecimal.

    Examples
    --------
    >>> import os
    >>> checksum(Path(os.devnull), "md5")
    'd41d8cd98f00b204e9800998ecf8427e'
    """
    digest = hashlib.new(kind, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()


def _fetch(remote: RemoteSet, part: Path, show_progress: bool | None, wait: float) -> None:
    """Bring ``part`` to the full length, taking a broken connection up again."""
    reason = ""
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(wait * 2 ** (attempt - 1))
        try:
            if _fetch_once(remote, part, show_progress):
                return
            reason = "the connection was cut"
        except urllib.error.HTTPError as error:
            with error:
                if error.code < 500:
                    raise DataError(
                        f"{remote.url} answers {error.code} {error.reason}: it is not there any more, or not for "
                        f"everybody; look at {remote.homepage}"
                    ) from error
                reason = f"the server answers {error.code} {error.reason}"
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            reason = str(getattr(error, "reason", error))
    done = part.stat().st_size if part.is_file() else 0
    raise DataError(
        f"{remote.url} could not be fetched, {reason} after {done:,} bytes in {_TRIES} tries; call again to resume"
    )


def _fetch_once(remote: RemoteSet, part: Path, show_progress: bool | None) -> bool:
    """Add what the server sends to ``part``; return whether it is all there."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(remote.url, headers={"User-Agent": "rlrec", "Accept-Encoding": "identity"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    with _open(request, have) as response:
        if response is None:
            return True  # the server has nothing beyond what we have
        resumed = response.status == 206
        length = response.headers.get("Content-Length")
        total = None if length is None else int(length) + (have if resumed else 0)
        _check_space(part.parent, None if total is None else total - (have if resumed else 0), remote)
        bar: Any = progress(description=remote.name, total=total, unit="B", show=show_progress)
        with bar, _disk(remote, part), part.open("ab" if resumed else "wb") as file:
            bar.update(have if resumed else 0)
            while block := _read(response):
                file.write(block)
                bar.update(len(block))
    size = part.stat().st_size
    return size == total if total is not None else remote.size in (None, size)


@contextlib.contextmanager
def _open(request: urllib.request.Request, have: int) -> Iterator[Any]:
    """Open a URL; None where the range that is asked for begins at the end of the file."""
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        size = error.headers.get("Content-Range", "").rpartition("/")[2]
        if error.code != 416 or size != str(have):
            raise
        error.close()
        yield None
        return
    with response:
        yield response


def _read(response: IO[bytes]) -> bytes:
    """Return the next block; what came before a cut is kept."""
    try:
        return response.read(_CHUNK)
    except http.client.IncompleteRead as cut:
        return cut.partial


@contextlib.contextmanager
def _disk(remote: RemoteSet, part: Path) -> Iterator[None]:
    """Turn a full disk into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DataError(
            f"the disk is full: {str(part.parent)!r} has no room for {remote.file_name}; make room and call again to "
            "resume, or choose another folder"
        ) from error


def _check_space(folder: Path, needed: int | None, remote: RemoteSet) -> None:
    free = shutil.disk_usage(folder).free
    if needed is not None and needed > free:
        raise DataError(
            f"the disk is too small: {remote.file_name} needs {needed:,} more bytes and {str(folder)!r} has {free:,}; "
            "make room, or choose another folder"
        )


def _check_sum(remote: RemoteSet, part: Path) -> None:
    """Remove and refuse a file that is not the published one."""
    size = part.stat().st_size
    if remote.size is not None and size != remote.size:
        part.unlink()
        raise DataError(
            f"{remote.file_name} has {size:,} bytes where {remote.size:,} were published; it was removed: the "
            f"publisher may have changed it, look at {remote.homepage}"
        )
    if remote.checksum is None:
        return
    kind, _, expected = remote.checksum.partition(":")
    found = checksum(part, kind)
    if found != expected:
        part.unlink()
        raise DataError(
            f"{remote.file_name} has the {kind} {found} where {expected} was published; it was removed: it is damaged, "
            f"or the publisher changed it, look at {remote.homepage}"
        )


def _unpack(archive: Path, target: Path) -> None:
    """Unpack beside the target and rename; the one folder that an archive may hold is left out of the path."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as scratch:
        inside = Path(scratch) / "all"
        inside.mkdir()
        try:
            if tarfile.is_tarfile(archive):
                with tarfile.open(archive) as tar:
                    tar.extractall(inside, filter="data")
            else:
                with zipfile.ZipFile(archive) as zipped:
                    zipped.extractall(inside)  # zipfile takes ".." and absolute paths out of the names
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise DataError(f"{str(archive)!r} cannot be unpacked: {error}; remove it and call again") from error
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise DataError(
                f"the disk is full: {str(archive)!r} cannot be unpacked; make room and call again"
            ) from error
        _clean(inside)
        entries = list(inside.iterdir())
        whole = entries[0] if len(entries) == 1 and entries[0].is_dir() else inside
        whole.replace(target)


def _clean(folder: Path) -> None:
    """Remove what macOS puts into archives."""
    shutil.rmtree(folder / "__MACOSX", ignore_errors=True)
