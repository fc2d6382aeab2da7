"""A small web server on this machine in, what fetch brings home after stops, damages and wrong checksums out."""

import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from espnet2.data_prep.download import fetch
from espnet2.utils.errors import UserError


class Server(ThreadingHTTPServer):
    """Serves `files`; `cut` bytes are all that one answer gives; notes the ranges that were asked for."""

    files: dict[str, bytes]
    cut: int | None = None
    knows_ranges = True
    validators: dict[str, str]  # headers of every answer
    asked: list[str]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        requested_range = self.headers.get("Range", "")
        self.server.asked.append(requested_range)
        body = self.server.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        same = self.headers.get("If-Range", "") in ("", *self.server.validators.values())
        start = int(requested_range[len("bytes=") : -1]) if requested_range and self.server.knows_ranges and same else 0
        if start and start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        for name, value in self.server.validators.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[start:][: self.server.cut])
        self.close_connection = True

    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        server.files, server.asked, server.validators = {}, [], {}
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def address(server: Server, name: str) -> str:
    return f"http://127.0.0.1:{server.server_port}/{name}"


def tar(name: str = "corpus/a.txt") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = 5
        archive.addfile(member, io.BytesIO(b"audio"))
    return stream.getvalue()


def test_an_archive_is_fetched_verified_and_unpacked_once(server: Server, tmp_path: Path) -> None:
    server.files["/a%20b.tar.gz"] = tar()
    md5 = hashlib.md5(server.files["/a%20b.tar.gz"]).hexdigest()
    for _ in range(2):
        assert fetch(address(server, "a%20b.tar.gz"), tmp_path, md5=md5) == tmp_path
        assert (tmp_path / "corpus" / "a.txt").read_bytes() == b"audio"
        (tmp_path / "a b.tar.gz").unlink(missing_ok=True)  # an archive may go when it is unpacked
    assert server.asked == [""]


def test_a_zip_is_unpacked(server: Server, tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("corpus/a.txt", "audio")
    server.files["/a.zip"] = stream.getvalue()
    fetch(address(server, "a.zip"), tmp_path)
    assert (tmp_path / "corpus" / "a.txt").read_bytes() == b"audio"


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_download_that_broke_off_goes_on(server: Server, tmp_path: Path, knows_ranges: bool) -> None:
    body = bytes(range(256)) * 20
    server.files["/a.bin"], server.cut, server.knows_ranges = body, 1000, knows_ranges
    with pytest.raises(UserError, match=r"run again to go on with .*a\.bin\.partial"):
        fetch(address(server, "a.bin"), tmp_path, unpack=False)
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin.partial"]
    server.cut = None
    path = fetch(address(server, "a.bin"), tmp_path, sha256=hashlib.sha256(body).hexdigest(), unpack=False)
    assert path.read_bytes() == body and server.asked == ["", "bytes=1000-"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


DATE = "Mon, 05 Jan 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("before", "after", "asked"),
    [
        ({"ETag": '"1"'}, {"ETag": '"1"'}, "bytes=1000-"),
        ({"ETag": '"1"'}, {"ETag": '"2"'}, "bytes=1000-"),  # asked for, and answered with the whole
        ({"Last-Modified": DATE}, {"Last-Modified": DATE}, "bytes=1000-"),
        ({"Last-Modified": DATE}, {"Last-Modified": DATE.replace("10:", "11:")}, "bytes=1000-"),
        ({"ETag": 'W/"1"'}, {"ETag": 'W/"1"'}, ""),  # says nothing about bytes
        ({}, {}, ""),
    ],
)
def test_halves_of_two_files_are_never_joined(server: Server, tmp_path: Path, before, after, asked) -> None:
    server.files["/a.bin"], server.cut, server.validators = bytes(range(256)) * 20, 1000, before
    with pytest.raises(UserError, match="run again to go on"):
        fetch(address(server, "a.bin"), tmp_path, unpack=False)
    server.cut, server.validators = None, after
    if before != after:
        server.files["/a.bin"] = bytes(range(255, -1, -1)) * 20
    path = fetch(address(server, "a.bin"), tmp_path, unpack=False)
    assert path.read_bytes() == server.files["/a.bin"] and server.asked == ["", asked]
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("unpack", [False, True])
def test_an_archive_that_lies_there_is_verified_and_left(server: Server, tmp_path: Path, unpack: bool) -> None:
    for kind in ("sha256", "md5"):
        (tmp_path / "a.tar.gz").write_bytes(tar("other.txt"))
        with pytest.raises(UserError, match=f"{kind} is .*move it away and run again"):
            digest = hashlib.new(kind, tar()[:50]).hexdigest()
            fetch(address(server, "a.tar.gz"), tmp_path, unpack=unpack, **{kind: digest})
        assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"] and not server.asked
    digest = hashlib.sha256((tmp_path / "a.tar.gz").read_bytes()).hexdigest()
    fetch(address(server, "a.tar.gz"), tmp_path, sha256=digest.upper(), unpack=unpack)
    assert (tmp_path / "other.txt").exists() == unpack and not server.asked


def test_a_whole_partial_file_is_only_verified(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = b"abc"
    (tmp_path / "a.bin.partial").write_bytes(b"abc")
    assert fetch(address(server, "a.bin"), tmp_path, unpack=False).read_bytes() == b"abc"


def test_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = b"abc"
    with pytest.raises(UserError, match="expected 0000; the download was removed"):
        fetch(address(server, "a.bin"), tmp_path, sha256="0000", unpack=False)
    assert not list(tmp_path.iterdir())


def test_without_a_checksum_the_log_says_so(server: Server, tmp_path: Path, capsys) -> None:
    server.files["/a.bin"] = b"abc"
    fetch(address(server, "a.bin"), tmp_path, unpack=False)
    assert "not verified" in capsys.readouterr().out


@pytest.mark.parametrize("body", [tar()[:60], b"<html>", tar("../outside")], ids=["cut", "html", "outside"])
def test_a_damaged_archive_is_one_message(server: Server, tmp_path: Path, body: bytes) -> None:
    server.files["/a.tar.gz"] = body
    with pytest.raises(UserError, match="cannot be unpacked"):
        fetch(address(server, "a.tar.gz"), tmp_path / "to")
    assert not (tmp_path / "to" / ".a.tar.gz.unpacked").exists() and not (tmp_path / "outside").exists()


def test_what_is_not_there_names_the_way_by_hand(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"404 Not Found; fetch it by hand and put it beside .*a\.bin"):
        fetch(address(server, "a.bin"), tmp_path)
