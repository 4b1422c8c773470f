"""Files over a real server: exact ranges, files that change, readers that are fast, slow or gone."""

import io
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication

import pytest

from pserver.http.file import LAST_BYTES
from tests.pserver.http_lab import (  # noqa: F401 - no_errors_logged is a fixture
    Client,
    Environ,
    clients_of,
    healthy,
    no_errors_logged,
    serving,
    until,
    with_health,
)

TURN = 1 << 20
GIB = 1 << 30


class Watched:
    """A CheckedFile that tells what became of it."""

    def __init__(self, path: Path, still_same: Callable[[], bool] = lambda: True) -> None:
        self.file = path.open("rb")
        self.checks = 0
        self.reads = 0
        self._still_same = still_same

    def fileno(self) -> int:
        return self.file.fileno()

    def tell(self) -> int:
        return self.file.tell()

    def read(self, size: int = -1, /) -> bytes:
        self.reads += 1
        return self.file.read(size)

    def close(self) -> None:
        self.file.close()

    def still_same(self) -> bool:
        self.checks += 1
        return self._still_same()


def sending(open_file: Callable[[], Any], length: int | None, offset: int = 0) -> WSGIApplication:
    """An application that answers with a range of a file."""

    def app(environ: Environ, start_response: StartResponse) -> Any:  # a wsgi.file_wrapper has no type
        file = open_file()
        if offset:
            file.seek(offset)
        start_response("200 OK", [("Content-Length", str(length))] if length is not None else [])
        return environ["wsgi.file_wrapper"](file, 65536)

    return with_health(app)


def sparse(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


SIZES = [0, 1, LAST_BYTES - 1, LAST_BYTES, LAST_BYTES + 1, TURN - 1, TURN, TURN + 1, TURN + LAST_BYTES, 3 * TURN]


@pytest.mark.parametrize("length", SIZES)
def test_a_range_is_exact_and_the_connection_lives_on(tmp_path: Path, length: int) -> None:
    path = tmp_path / "file"
    content = os.urandom(4 * TURN)
    path.write_bytes(content)
    with serving(sending(lambda: path.open("rb"), length, 777)) as server, Client(server) as client:
        for _ in range(3):
            assert client.get("/file").answer().body == content[777 : 777 + length]
        assert client.get("/health").answer().body == b"well"


def test_a_file_without_a_descriptor_is_sent_too(caplog: pytest.LogCaptureFixture) -> None:
    content = os.urandom(3 * TURN)
    with serving(sending(lambda: io.BytesIO(content), 2 * TURN, 5)) as server, Client(server) as client:
        assert client.get("/").answer().body == content[5 : 5 + 2 * TURN]
        assert client.get("/health").answer().body == b"well"
    assert not caplog.records, "no more was read than was asked for"


def test_a_file_of_unsaid_length_is_sent_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 300_000)
    with serving(sending(lambda: path.open("rb"), None)) as server, Client(server) as client:
        assert client.get("/").answer().body == b"x" * 300_000


def test_head_reads_no_byte_and_sends_none(tmp_path: Path) -> None:
    files: list[Watched] = []

    def opened() -> Watched:
        files.append(Watched(sparse(tmp_path / "file", 64 * GIB)))
        return files[-1]

    with serving(sending(opened, 64 * GIB)) as server, Client(server) as client:
        answer = client.get("/", "HEAD").answer(has_body=False)
        assert answer.headers["content-length"] == str(64 * GIB)
        assert client.get("/health").answer().body == b"well"
    assert files[0].file.closed and not files[0].reads


def test_a_file_that_shrinks_ends_the_connection_with_a_short_body(tmp_path: Path) -> None:
    path = sparse(tmp_path / "file", 64 << 20)
    with serving(sending(lambda: path.open("rb"), 64 << 20)) as server, Client(server) as client:
        client.get("/").head()
        os.truncate(path, 1 << 20)
        assert client.rest() < 64 << 20
        until(lambda: not server._listener.active_channels, "the connection is closed")


def test_a_file_shorter_than_announced_is_a_short_body_not_another_length(tmp_path: Path) -> None:
    path = sparse(tmp_path / "file", 1000)
    with serving(sending(lambda: path.open("rb"), 2000)) as server, Client(server) as client:
        assert client.get("/").head().headers["content-length"] == "2000"
        assert client.rest() < 2000


def test_the_last_bytes_are_held_back_until_the_file_was_checked(tmp_path: Path) -> None:
    file = Watched(sparse(tmp_path / "file", 4 * TURN), still_same=lambda: False)
    with serving(sending(lambda: file, 4 * TURN)) as server, Client(server) as client:
        assert client.get("/").head().headers["content-length"] == str(4 * TURN)
        assert client.rest() == 4 * TURN - LAST_BYTES
        until(lambda: file.file.closed, "the file is closed")
    assert file.checks == 1


def test_a_file_is_checked_once_when_nearly_all_of_it_was_read(tmp_path: Path) -> None:
    gone = threading.Event()
    file = Watched(sparse(tmp_path / "file", 64 << 20), still_same=lambda: not gone.is_set())
    with serving(sending(lambda: file, 64 << 20)) as server, Client(server) as client:
        client.get("/").head()
        gone.set()  # long after the answer began, long before its end
        assert client.rest() == (64 << 20) - LAST_BYTES
    file = Watched(tmp_path / "file")
    with serving(sending(lambda: file, 64 << 20)) as server, Client(server) as client:
        assert len(client.get("/").answer().body) == 64 << 20
        assert file.checks == 1
        until(lambda: file.file.closed, "the file is closed")


def test_a_check_that_fails_itself_closes_the_connection(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> bool:
        raise RuntimeError("no such check")

    file = Watched(sparse(tmp_path / "file", 1000), still_same=broken)
    with serving(sending(lambda: file, 1000)) as server, Client(server) as client:
        client.get("/").head()
        assert client.rest() == 0
        assert healthy(server)
    assert "no such check" in caplog.text
    caplog.clear()


READERS = """
import socket, sys, threading
def read():
    sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    sock.sendall(b"GET /file HTTP/1.1\\r\\nHost: here\\r\\n\\r\\n")
    buffer = bytearray(1 << 24)
    while sock.recv_into(buffer, 0, socket.MSG_TRUNC):  # not even copied: faster than any server
        pass
for _ in range(4):
    threading.Thread(target=read, daemon=True).start()
sys.stdin.read()
"""


def test_fast_readers_of_huge_files_do_not_delay_others(tmp_path: Path) -> None:
    path = sparse(tmp_path / "file", 4 * GIB)
    files = []

    def opened() -> Any:
        files.append(path.open("rb"))
        return files[-1]

    with serving(sending(opened, 4 * GIB)) as server:
        command = [sys.executable, "-c", READERS, str(server.port)]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as readers:
            until(lambda: len(files) == 4, "four readers read")
            seconds = [healthy(server) for _ in range(15)]
            assert not any(file.closed for file in files), "measured too late"
            readers.kill()
    assert statistics.median(seconds) < 0.1


def test_readers_that_do_not_read_hold_no_thread_and_are_cut_off(tmp_path: Path) -> None:
    files = []
    path = sparse(tmp_path / "file", GIB)

    def opened() -> Any:
        files.append(path.open("rb"))
        return files[-1]

    asking = b"GET /file HTTP/1.1\r\nHost: here\r\n\r\n"
    app = sending(opened, GIB)
    with serving(app, threads=2, stall_seconds=1.0) as server, clients_of(server) as clients:
        clients.open(256, asking * 3)
        until(lambda: len(files) == 256, "each has its first file, and none a second")
        assert healthy(server) < 1.0
        until(lambda: all(file.closed for file in files), "all are cut off")
        assert len(files) == 256
        assert all(client.ended() or client.rest() < GIB for client in clients.all)


def test_an_endless_answer_to_one_that_does_not_read_gives_its_thread_back() -> None:
    def endless(_: Environ, start_response: StartResponse) -> Any:
        start_response("200 OK", [])
        return iter(lambda: b"x" * 100_000, b"")

    with serving(with_health(endless), threads=1, stall_seconds=0.3) as server, Client(server) as client:
        client.get("/").head()
        assert healthy(server) < 5


def test_an_answer_larger_than_may_wait_in_memory_goes_through_whole() -> None:
    written = []

    def app(_: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", str(32 * TURN))])
        for _part in range(32):
            written.append(TURN)
            yield b"x" * TURN

    with serving(app, send_bytes_per_turn=65536) as server, Client(server, receive_buffer=65536) as client:
        assert client.get("/").head().status == 200
        until(lambda: len(written) > 0, "it has begun")
        assert len(written) < 16, "nothing was read yet"
        assert len(client.answer_body(32 * TURN)) == 32 * TURN


def test_a_slow_reader_is_not_stalled(tmp_path: Path) -> None:
    path = sparse(tmp_path / "file", 64 << 20)
    app = sending(lambda: path.open("rb"), 64 << 20)
    with serving(app, stall_seconds=0.8) as server, Client(server, receive_buffer=65536) as client:
        client.get("/").head()
        end = time.monotonic() + 2.5
        while time.monotonic() < end:  # 1 MB/s: the megabytes in the socket buffer last longer than the limit
            assert client.sock.recv(100_000)
            threading.Event().wait(0.1)
        assert not client.ended()


def test_the_upload_rate_is_shared(tmp_path: Path) -> None:
    path = sparse(tmp_path / "file", 4 * TURN)
    app = sending(lambda: path.open("rb"), 4 * TURN)
    with serving(app, upload_rate=16 * TURN) as server, clients_of(server) as clients, ThreadPoolExecutor() as readers:
        begin = time.monotonic()
        clients.open(4, b"GET /file HTTP/1.1\r\nHost: here\r\n\r\n")
        bodies = list(readers.map(lambda client: len(client.answer().body), clients.all))
        seconds = time.monotonic() - begin
        assert bodies == [4 * TURN] * 4
        assert 0.6 < seconds < 4, "16 MiB at 16 MiB/s should take about a second"
        until(lambda: not server._listener.pace._row, "their parts are given back")
