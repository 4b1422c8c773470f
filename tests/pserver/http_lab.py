"""A real HttpServer on port 0, raw clients for it, and a way to wait for a condition. No tests here."""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication

import pytest

from pserver.http.server import HttpServer, Limits

Environ = dict[str, Any]  # PEP 3333
DEADLINE = 10.0
GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


@pytest.fixture(autouse=True)
def no_errors_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail on logged errors; a test that expects some looks at them and then clears `caplog`."""
    yield
    assert not [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR]


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until `condition` holds; fail after DEADLINE seconds."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"in vain: {what}"
        threading.Event().wait(0.005)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes = b""


class Client:
    """One raw connection."""

    def __init__(self, server: HttpServer, source: str = "127.0.0.1", receive_buffer: int | None = None) -> None:
        self.sock = socket.socket()
        self.sock.settimeout(DEADLINE)
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.bind((source, 0))
        self.sock.connect(("127.0.0.1", server.port))
        self.unread = b""

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> "Client":
        self.sock.sendall(data)
        return self

    def get(self, path: str = "/", method: str = "GET", *headers: str) -> "Client":
        lines = [f"{method} {path} HTTP/1.1", "Host: here", *headers]
        return self.send("\r\n".join([*lines, "", ""]).encode())

    def head(self) -> Answer:
        """Read an answer's head."""
        while b"\r\n\r\n" not in self.unread:
            more = self.sock.recv(65536)
            assert more, f"the connection ended after {self.unread!r}"
            self.unread += more
        head, _, self.unread = self.unread.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        return Answer(int(first.split()[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)})

    def answer(self, has_body: bool = True) -> Answer:
        """Read a whole answer with Content-Length."""
        answer = self.head()
        answer.body = self.answer_body(int(answer.headers["content-length"]) if has_body else 0)
        return answer

    def answer_body(self, length: int) -> bytes:
        """Read that many bytes, or fewer when the connection ends."""
        parts = [self.unread]
        while (got := sum(map(len, parts))) < length:
            more = self.sock.recv(min(1 << 20, length - got))
            if not more:
                break
            parts.append(more)
        data = b"".join(parts)
        self.unread = data[length:]
        return data[:length]

    def rest(self) -> int:
        """How many bytes come until the connection ends; a reset is an end too."""
        count, buffer = len(self.unread), bytearray(1 << 20)
        with contextlib.suppress(ConnectionResetError):
            while more := self.sock.recv_into(buffer):
                count += more
        return count

    def ended(self) -> bool:
        """Whether the server has closed this connection, as far as can be said without waiting."""
        self.sock.setblocking(False)
        try:
            return self.sock.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True
        finally:
            self.sock.settimeout(DEADLINE)


@dataclass
class Clients:
    """Many connections, closed together."""

    server: HttpServer
    all: list[Client] = field(default_factory=list)

    def open(self, count: int, send: bytes = b"", **how: Any) -> list[Client]:  # how: as for Client
        new = [Client(self.server, **how) for _ in range(count)]
        self.all += new
        for client in new:
            client.send(send)
        return new

    def close(self) -> None:
        for client in self.all:
            client.sock.close()


@contextlib.contextmanager
def clients_of(server: HttpServer) -> Iterator[Clients]:
    clients = Clients(server)
    try:
        yield clients
    finally:
        clients.close()


@contextlib.contextmanager
def serving(app: WSGIApplication, **limits: Any) -> Iterator[HttpServer]:  # limits: fields of Limits
    server = HttpServer(app, "127.0.0.1", 0, Limits(**limits), "lab")
    server.start()
    try:
        yield server
    finally:
        server.stop(0.2)


def healthy(server: HttpServer) -> float:
    """Ask for /health on a connection of its own; how many seconds it took."""
    begin = time.monotonic()
    with Client(server) as client:
        answer = client.get("/health").answer()
    assert (answer.status, answer.body) == (200, b"well")
    return time.monotonic() - begin


def with_health(app: Callable[[Environ, StartResponse], Any]) -> WSGIApplication:
    """`app`, and /health."""

    def application(environ: Environ, start_response: StartResponse) -> Any:  # whatever `app` answers
        if environ["PATH_INFO"] != "/health":
            return app(environ, start_response)
        return say(start_response, b"well")

    return application


def say(start_response: StartResponse, body: bytes, status: str = "200 OK") -> list[bytes]:
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def hello(_: Environ, start_response: StartResponse) -> list[bytes]:
    return say(start_response, b"hello")
