"""Downloads against a server on this machine: whole, cut, wrong, absent, and with a full disk."""

import hashlib
import http.server
import io
import os
import tarfile
import threading
import zipfile
from collections import namedtuple

import pytest

from rlrec.core.errors import DataError, InvalidArgumentError
from rlrec.data import download
from rlrec.data.download import download_log
from rlrec.data.download_sets import REMOTE_SETS, RemoteSet
from rlrec.data.load import load_log


def archive(kind="zip"):
    """MovieLens latest in three rows, in a folder of its own, and enough noise to be cut."""
    files = {
        "ml-x/ratings.csv": b"userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n",
        "ml-x/movies.csv": b"movieId,title,genres\n31,Minds,Drama\n",
        "ml-x/noise.bin": os.urandom(300_000),
    }
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as zipped:
            for name, data in files.items():
                zipped.writestr(name, data)
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves ``server.files``; sends at most ``server.limit`` bytes at a time, and honours ranges if told to."""

    def do_GET(self):
        server = self.server
        server.requests.append((self.path, self.headers.get("Range")))
        if server.failures:
            self.send_error(server.failures.pop())
            return
        data = server.files.get(self.path)
        if data is None:
            self.send_error(404)
            return
        begin = 0
        if server.ranges and self.headers.get("Range"):
            begin = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            if begin >= len(data):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(data)}")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        self.wfile.write(data[begin : begin + server.limit])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.files, running.requests, running.failures = {}, [], []
        running.limit, running.ranges = 1 << 30, True
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def remote(server, data, **changes):
    name = changes.pop("file", "ml-x.zip")
    server.files[f"/{name}"] = data
    known = {
        "name": "ml-x",
        "url": f"http://127.0.0.1:{server.server_port}/{name}",
        "homepage": "the homepage",
        "licence": "a licence",
        "restricted": False,
        "size": len(data),
        "checksum": "sha256:" + hashlib.sha256(data).hexdigest(),
    }
    return RemoteSet(**(known | changes))


def fetch(remote_set, folder, **options):
    return download_log(remote_set, folder, show_progress=False, wait=0.0, **options)


@pytest.mark.parametrize(("kind", "name"), [("zip", "ml-x.zip"), ("tar", "ml-x.tar.gz")])
def test_a_set_is_fetched_checked_unpacked_and_loaded(server, tmp_path, kind, name):
    folder = fetch(remote(server, archive(kind), file=name), tmp_path)
    assert folder == tmp_path / "ml-x"
    assert load_log(folder).n_events == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["ml-x", name])
    fetch(remote(server, b"", file=name), tmp_path)  # there already: nothing is asked for
    assert len(server.requests) == 1


def test_a_cut_connection_is_taken_up_where_it_broke(server, tmp_path):
    data = archive()
    server.limit = len(data) // 3 + 1
    folder = fetch(remote(server, data), tmp_path)
    assert load_log(folder).n_events == 1
    ranges = [asked for _, asked in server.requests]
    assert ranges == [None, f"bytes={server.limit}-", f"bytes={2 * server.limit}-"]


def test_a_connection_that_breaks_too_often_is_said_and_resumed_by_the_next_call(server, tmp_path):
    data = archive()
    server.limit = len(data) // 6
    whole = remote(server, data)
    with pytest.raises(DataError, match=r"the connection was cut after .* bytes in 4 tries; call again to resume"):
        fetch(whole, tmp_path)
    assert (tmp_path / "ml-x.zip.part").stat().st_size == 4 * server.limit
    assert not (tmp_path / "ml-x").exists()
    server.limit = 1 << 30
    assert load_log(fetch(whole, tmp_path)).n_events == 1
    assert server.requests[-1][1] == f"bytes={4 * (len(data) // 6)}-"


def test_a_server_without_ranges_sends_all_of_it_again(server, tmp_path):
    server.ranges = False
    data = archive()
    (tmp_path / "ml-x.zip.part").write_bytes(data[:1000])
    assert load_log(fetch(remote(server, data), tmp_path)).n_events == 1


def test_a_part_that_is_the_whole_is_not_fetched_again(server, tmp_path):
    data = archive()
    (tmp_path / "ml-x.zip.part").write_bytes(data)
    assert load_log(fetch(remote(server, data), tmp_path)).n_events == 1


def test_a_part_of_another_file_is_found_by_its_sum_and_removed(server, tmp_path):
    data = archive()
    (tmp_path / "ml-x.zip.part").write_bytes(b"x" * 1000)
    with pytest.raises(DataError, match="it was removed"):
        fetch(remote(server, data), tmp_path)
    assert load_log(fetch(remote(server, data), tmp_path)).n_events == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"checksum": "md5:" + "0" * 32}, "has the md5 .* where 0{32} was published; it was removed: it is damaged"),
        ({"size": 7}, r"has 300,\d+ bytes where 7 were published; it was removed"),
    ],
)
def test_wrong_bytes_are_refused_and_removed(server, tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        fetch(remote(server, archive(), **change), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_is_said_at_once(server, tmp_path):
    with pytest.raises(DataError, match="answers 404 Not Found: it is not there any more, or not for everybody; look"):
        fetch(remote(server, archive(), url=f"http://127.0.0.1:{server.server_port}/gone.zip"), tmp_path)
    assert len(server.requests) == 1


def test_a_server_in_trouble_is_asked_again(server, tmp_path):
    server.failures = [503, 500]
    assert load_log(fetch(remote(server, archive()), tmp_path)).n_events == 1
    assert len(server.requests) == 3


def test_no_server_at_all_is_said(server, tmp_path):
    with pytest.raises(DataError, match=r"could not be fetched, .*refused.* after 0 bytes in 4 tries"):
        fetch(remote(server, archive(), url="http://127.0.0.1:9/ml-x.zip"), tmp_path)


def test_a_full_disk_is_said_before_and_while_writing(server, tmp_path, monkeypatch):
    data = archive()
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr(download.shutil, "disk_usage", lambda folder: usage(10, 9, 1))
        with pytest.raises(DataError, match=rf"the disk is too small: ml-x.zip needs {len(data):,} more bytes and"):
            fetch(remote(server, data), tmp_path)
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no device that is always full")
    (tmp_path / "ml-x.zip.part").symlink_to("/dev/full")
    with pytest.raises(DataError, match=r"the disk is full: .* has no room for ml-x.zip; make room and call again"):
        fetch(remote(server, data), tmp_path)
    assert not (tmp_path / "ml-x").exists()


def test_an_archive_that_is_none_is_said(server, tmp_path):
    with pytest.raises(DataError, match=r"cannot be unpacked: File is not a zip file; remove it and call again"):
        fetch(remote(server, b"<html>please log in</html>"), tmp_path)
    assert not (tmp_path / "ml-x").exists()


def test_an_archive_cannot_write_outside_its_folder(server, tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo("../../evil.txt")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"evil"))
    with pytest.raises(DataError, match="cannot be unpacked"):
        fetch(remote(server, buffer.getvalue(), file="ml-x.tar.gz"), tmp_path)
    assert not list(tmp_path.parent.rglob("evil.txt"))


def test_terms_must_be_accepted_before_anything_is_asked_for(server, tmp_path):
    closed = remote(server, archive(), restricted=True)
    with pytest.raises(InvalidArgumentError, match=r"ml-x has terms to accept: a licence\. Read them at the homepage"):
        fetch(closed, tmp_path)
    assert server.requests == []
    assert fetch(closed, tmp_path, accept_licence=True).is_dir()


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path):
    with pytest.raises(InvalidArgumentError, match="there is no public log 'ml-7' to download; there are: ml-100k, ml"):
        download_log("ml-7", tmp_path)


def test_the_registry_is_whole():
    for name, known in REMOTE_SETS.items():
        assert known.name == name
        assert known.url.startswith("https://")
        assert known.licence
        if known.checksum:
            kind, _, digest = known.checksum.partition(":")
            assert len(digest) == hashlib.new(kind).digest_size * 2
