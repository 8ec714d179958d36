"""Downloads from a server on this machine that misbehaves in every way it is told to."""

import errno
import hashlib
import os
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from gipi.data import fetch as module
from gipi.data.fetch import cache_folder, fetch
from gipi.errors import DataError

BODY = np.random.default_rng(0).bytes(700_000)  # more than two pieces
SHA256 = hashlib.sha256(BODY).hexdigest()


@dataclass
class Server:
    """What the server is to do, and what it was asked."""

    address: str = ""
    break_off_at: list[int] = field(default_factory=list)  # bytes after which each of the first answers ends
    statuses: list[int] = field(default_factory=list)  # of the first answers
    knows_ranges: bool = True
    content_range: str = ""
    redirect: str = ""
    says_length: bool = True
    ranges: list[str | None] = field(default_factory=list)
    body: bytes = BODY

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range")
        self.ranges.append(asked)
        if self.statuses and (status := self.statuses.pop(0)) != 200:
            request.send_error(status)
            return
        if self.redirect and request.path == "/file":
            request.send_response(302)
            request.send_header("Location", self.redirect)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.knows_ranges else 0
        if start >= len(self.body):
            request.send_error(416)
            return
        request.send_response(206 if start else 200)
        if start:
            said = self.content_range or f"bytes {start}-{len(self.body) - 1}/{len(self.body)}"
            request.send_header("Content-Range", said)
        if self.says_length:
            request.send_header("Content-Length", str(len(self.body) - start))
        request.end_headers()
        end = start + self.break_off_at.pop(0) if self.break_off_at else len(self.body)
        request.wfile.write(self.body[start:end])


@pytest.fixture
def server():
    behaviour = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            behaviour.answer(self)

        def log_message(self, *_args):
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_args):  # a client that hangs up, as ours does on a file that is too long
            pass

    with Quiet(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        behaviour.address = f"http://127.0.0.1:{running.server_port}/file"
        yield behaviour
        running.shutdown()
        thread.join()


def get(server: Server, target: Path, sha256: str = SHA256, **options) -> Path:
    return fetch(server.address, sha256, target, timeout=5.0, pause=0.0, **options)


def test_whole_file_with_progress(server, tmp_path):
    seen = []
    target = get(server, tmp_path / "folder" / "file.bin", progress=lambda done, total: seen.append((done, total)))
    assert target.read_bytes() == BODY
    assert seen[0] == (0, len(BODY)) and seen[-1] == (len(BODY), len(BODY)) and seen == sorted(seen)
    assert [path.name for path in target.parent.iterdir() if not path.name.startswith(".")] == ["file.bin"]


def test_second_time_asks_nobody(server, tmp_path):
    get(server, tmp_path / "file")
    get(server, tmp_path / "file")
    assert len(server.ranges) == 1


def test_changed_file_is_fetched_again(server, tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    assert get(server, tmp_path / "file").read_bytes() == BODY


def test_broken_off_halfway_goes_on(server, tmp_path):
    server.break_off_at = [300_000, 200_000]
    assert get(server, tmp_path / "file").read_bytes() == BODY
    assert server.ranges == [None, "bytes=300000-", "bytes=500000-"]


def test_part_of_an_earlier_run_is_resumed(server, tmp_path):
    (tmp_path / "file.part").write_bytes(BODY[:123_456])
    assert get(server, tmp_path / "file", size=len(BODY)).read_bytes() == BODY
    assert server.ranges == ["bytes=123456-"]
    assert not (tmp_path / "file.part").exists()


def test_complete_part_needs_no_byte(server, tmp_path):
    (tmp_path / "file.part").write_bytes(BODY)
    assert get(server, tmp_path / "file").read_bytes() == BODY  # the server answers 416
    (tmp_path / "other.part").write_bytes(BODY)
    get(server, tmp_path / "other", size=len(BODY))
    assert len(server.ranges) == 1


def test_part_of_another_file_is_thrown_away(server, tmp_path):
    (tmp_path / "file.part").write_bytes(b"x" * 1000)
    assert get(server, tmp_path / "file").read_bytes() == BODY
    assert server.ranges == ["bytes=1000-", None]


def test_server_without_ranges_begins_again(server, tmp_path):
    server.knows_ranges, server.break_off_at = False, [300_000]
    assert get(server, tmp_path / "file").read_bytes() == BODY
    assert server.ranges == [None, "bytes=300000-"]


def test_server_that_says_no_length(server, tmp_path):
    server.says_length = False
    seen = []
    get(server, tmp_path / "file", progress=lambda done, total: seen.append(total))
    assert set(seen) == {None} and (tmp_path / "file").read_bytes() == BODY


@pytest.mark.parametrize("said", ["bytes 0-699999/700000", "items 5-9/10", "bytes 1000-5", "nonsense"])
def test_wrong_content_range_is_an_error(server, tmp_path, said):
    (tmp_path / "file.part").write_bytes(BODY[:1000])
    server.content_range = said
    with pytest.raises(DataError, match="go on at byte 1000"):
        get(server, tmp_path / "file")


def test_wrong_checksum(server, tmp_path):
    with pytest.raises(DataError, match=f"SHA-256 {SHA256}; expected {'0' * 64}"):
        get(server, tmp_path / "file", sha256="0" * 64)
    assert not (tmp_path / "file").exists() and not (tmp_path / "file.part").exists()
    assert len(server.ranges) == 1


def test_404_is_not_tried_again(server, tmp_path):
    server.statuses = [404]
    with pytest.raises(DataError, match="answers 404"):
        get(server, tmp_path / "file")
    assert len(server.ranges) == 1


def test_busy_server_is_tried_again(server, tmp_path):
    server.statuses = [503, 429, 500]
    assert get(server, tmp_path / "file").read_bytes() == BODY


def test_gives_up_and_says_so(server, tmp_path):
    server.statuses = [503] * 100
    with pytest.raises(DataError, match=r"after 5 attempts \(HTTP 503"):
        get(server, tmp_path / "file")


def test_nobody_listens(tmp_path):
    with pytest.raises(DataError, match=r"after 5 attempts .*refused"):
        fetch("http://127.0.0.1:9/file", SHA256, tmp_path / "file", pause=0.0)


def test_too_long_is_refused(server, tmp_path):
    with pytest.raises(DataError, match="is 700000 bytes long; expected 1000"):
        get(server, tmp_path / "file", size=1000)
    server.says_length = False
    with pytest.raises(DataError, match="more than 1000 bytes"):
        get(server, tmp_path / "file", size=1000)
    assert (tmp_path / "file.part").stat().st_size <= 1000


def test_redirect_within_the_rule(server, tmp_path):
    server.redirect = "/elsewhere"
    assert get(server, tmp_path / "file").read_bytes() == BODY


@pytest.mark.parametrize("to", ["http://example.org/file", "file:///etc/passwd", "ftp://127.0.0.1/file"])
def test_redirect_to_another_scheme_is_refused(server, tmp_path, to):
    server.redirect = to
    with pytest.raises(DataError, match=r"not https|not allowed"):
        get(server, tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_redirect_from_outside_to_this_machine_is_refused():
    with pytest.raises(DataError, match="not followed"):
        module._check_address("http://127.0.0.1/file", "https://example.org/file")


@pytest.mark.parametrize(
    "address", ["http://example.org/a", "file:///etc/passwd", "ftp://localhost/a", "https:///a", "a"]
)
def test_other_addresses_are_refused(tmp_path, address):
    with pytest.raises(DataError, match="not an https address"):
        fetch(address, SHA256, tmp_path / "file")


def test_two_at_once_do_not_disturb_each_other(server, tmp_path):
    results = []
    threads = [threading.Thread(target=lambda: results.append(get(server, tmp_path / "file"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4 and (tmp_path / "file").read_bytes() == BODY
    assert len(server.ranges) == 1  # the others waited and found it


def test_full_disk(server, tmp_path, monkeypatch):
    def full(*_args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(DataError, match=r"disk of .* is full; 1 MB"):
        get(server, tmp_path / "file", size=len(BODY))
    monkeypatch.undo()
    assert get(server, tmp_path / "file").read_bytes() == BODY


def test_too_little_room_is_seen_before(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _path: type("Usage", (), {"free": 10}))
    with pytest.raises(DataError, match="is full"):
        get(server, tmp_path / "file")


def test_unwritable_folder(server, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(DataError, match="cannot be written"):
        get(server, tmp_path / "taken" / "file")


def test_cache_folder_follows_the_system(tmp_path, monkeypatch):
    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "gipi"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # the rule says to ignore it
    assert cache_folder() == Path.home() / ".cache" / "gipi"
    monkeypatch.setattr(module.sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert cache_folder() == tmp_path / "gipi" / "cache"
