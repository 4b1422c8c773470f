"""The short way of asking a peer: over a connection that is kept, if the answer is a plain one.

requests and what lies below it take longer over a request than everything that has to do with the piece that it
brings. Here a request is sent, and a head is read that has nothing in it that needs more: HTTP/1.1, each header on one
line, one Content-Length. All else is the library's: it makes the connections, within the address policy, and keeps
them; and it is asked again, over another, where a head is not plain or a kept connection has ended.
"""

import re
import socket
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import ClosedPoolError
from urllib3.util import wait_for_read

_READ_BYTES = 4 << 10  # of a head at once; what comes of the body with it is copied
_MAX_HEAD_BYTES = 64 << 10
_FIRST_AWAITED_BYTES = 16 << 10
_MOST_AWAITED_BYTES = 64 << 10  # more would have the kernel change the connection's buffer
_QUICK_SECONDS = 0.25  # what takes longer than this to come is told of as far as it came
_MOST_KNOWN = 256  # peers whose pools are remembered
_STATUS = re.compile(r"HTTP/1\.1 ([2-5][0-9]{2})(?: [ -~]*)?")
_HEADER = re.compile(r"([A-Za-z0-9-]+):[ \t]*([ -~]*)")
_END_OF_HEAD = re.compile(rb"\n\r?\n")  # also where lines end as they should not
_LENGTH = re.compile(r"[0-9]{1,15}")
_NO_BODY = frozenset({"204", "304"})
_Head = tuple[int, Mapping[str, str]]  # the status, and the headers by names in small letters
_DEFAULT_PORTS = {"http": 80, "https": 443}


class PlainAnswer:
    """An answer whose head is here, and whose body is to come. A context manager, or ended by a call of `end`.

    `socket` is what the body comes from, but for what came with the head.
    """

    slice_bytes = 1 << 20  # how much to read at once: `readinto` sees by itself that it comes slowly

    def __init__(
        self,
        head: _Head,
        ahead: bytes,
        connection: HTTPConnection,
        pool: HTTPConnectionPool,
    ) -> None:
        self.status, self._headers = head
        self._left = int(self._headers["content-length"])
        self.socket: socket.socket = connection.sock
        self._ahead = memoryview(ahead)
        self._connection = connection
        self._pool = pool
        self._has_lowat = type(self.socket) is socket.socket  # TLS has buffers of its own
        self._awaited = 1
        self._quick_bytes = _FIRST_AWAITED_BYTES  # so many have come without much waiting

    def header(self, name: str) -> str | None:
        """The value of that header (its name in small letters)."""
        return self._headers.get(name)

    def readinto(self, into: memoryview) -> int:
        """Read until `into` is full, or some came slowly, or the connection ends; how many bytes. Raises OSError.

        No more is read than the answer's length: the rest would be of another.
        """
        into = into[: self._left]
        done = self._take_ahead(into)
        began = before = time.monotonic()
        while done < len(into) and before - began < _QUICK_SECONDS:
            count = self._receive(into[done:])
            if not count:
                break
            done += count
            now = time.monotonic()
            if now - before < _QUICK_SECONDS / 4:
                self._quick_bytes = min(self._quick_bytes * 2, _MOST_AWAITED_BYTES)
            elif now - before > _QUICK_SECONDS:
                self._quick_bytes = max(self._quick_bytes // 4, 1)
            before = now
        self._left -= done
        return done

    def body(self, most_bytes: int, ends: float) -> bytes | None:
        """All of the body, here by `ends` (monotonic seconds), or as much as comes; None if it is longer than that.

        Raises OSError.
        """
        if self._left > most_bytes:
            return None
        read = memoryview(bytearray(self._left))
        done, patience = self._take_ahead(read), self.socket.gettimeout()
        try:
            while done < len(read) and (count := _receive_by(ends, self.socket, read[done:])):
                done += count
        finally:
            self.socket.settimeout(patience)
        self._left -= done
        return bytes(read[:done])

    def end(self) -> None:
        """Let go of the connection: it may be used again if all of the body was read, else it is closed."""
        try:
            if self._left or "close" in self._headers.get("connection", "").lower():
                self._connection.close()  # the pool opens it again when it is needed
            elif self._awaited != 1:
                self._await(1)
        finally:
            self._pool._put_conn(self._connection)

    def __enter__(self) -> "PlainAnswer":
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.end()

    def _take_ahead(self, into: memoryview) -> int:
        count = min(len(self._ahead), len(into))
        if count:
            into[:count], self._ahead = self._ahead[:count], self._ahead[count:]
        return count

    def _receive(self, into: memoryview) -> int:
        if self._has_lowat:
            self._await(min(len(into), self._quick_bytes))
        try:
            return self.socket.recv_into(into)
        except TimeoutError:
            if self._awaited == 1:
                raise
            self._quick_bytes = 1
            self._await(1)
            if not wait_for_read(self.socket, 0):
                raise
            return self.socket.recv_into(into)  # less came than was waited for

    def _await(self, count: int) -> None:
        """Let the kernel wake us once so many bytes are here, and not for each packet."""
        if count != self._awaited:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)
            self._awaited = count


def _receive_by(ends: float, opened: socket.socket, into: memoryview) -> int:
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    opened.settimeout(left)
    return opened.recv_into(into)


class ShortAsk:
    """Asks over kept connections. Thread-safe. `pool_of(url)` is the library's pool for the peer at that URL."""

    def __init__(self, pool_of: Callable[[str], HTTPConnectionPool]) -> None:
        self._pool_of = pool_of
        self._known: dict[str, tuple[HTTPConnectionPool, str]] = {}  # by URL: the pool, and the Host to send

    def ask(
        self, method: str, url: str, path: str, headers: Mapping[str, str], *, body: bytes | None, seconds: float
    ) -> PlainAnswer | None:
        """The answer of the peer at `url`. None: the library must ask.

        `headers` are sent as they are. `seconds`: how long nothing may come, and how long all of the head may take.
        Raises TimeoutError after that time.
        """
        pool, host = self._known.get(url) or self._look(url)
        connection = self._take(pool)
        if connection is None:
            self._known.pop(url, None)  # the library may have another pool for it by now
            return None
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        request = "\r\n".join([*lines, "", ""]).encode("ascii") + (body or b"")
        answer: PlainAnswer | None = None
        try:
            found = _ask(connection.sock, request, seconds)
            if found is not None:
                answer = PlainAnswer(*found, connection, pool)
        finally:
            if answer is None:
                connection.close()
                pool._put_conn(connection)
        return answer

    def _take(self, pool: HTTPConnectionPool) -> HTTPConnection | None:
        """A connection that is open and at rest."""
        try:
            connection = pool._get_conn()
        except ClosedPoolError:
            return None
        if isinstance(connection, HTTPConnection) and connection.sock is not None:
            return connection
        pool._put_conn(connection)
        return None

    def _look(self, url: str) -> tuple[HTTPConnectionPool, str]:
        parts = urlsplit(url)
        host = parts.netloc.removesuffix(f":{_DEFAULT_PORTS.get(parts.scheme)}")
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        found = self._known[url] = self._pool_of(url), host
        return found


def _ask(opened: socket.socket, request: bytes, seconds: float) -> tuple[_Head, bytes] | None:
    """The head, and what came of the body with it; None: the library must ask."""
    if opened.gettimeout() != seconds:
        opened.settimeout(seconds)
    try:
        opened.sendall(request)
        ends = time.monotonic() + seconds
        came = opened.recv(_READ_BYTES)
        if not _END_OF_HEAD.search(came):
            came += _rest_of_head(opened, came, ends)
            opened.settimeout(seconds)
    except TimeoutError:
        raise
    except OSError:
        return None  # it had ended; all that is asked may be asked twice
    head, found_end, ahead = came.partition(b"\r\n\r\n")
    found = _plain(head) if found_end else None
    if found is None or len(ahead) > int(found[1]["content-length"]):
        return None
    return found, ahead


def _rest_of_head(opened: socket.socket, begun: bytes, ends: float) -> bytes:
    """What comes until the head has its end, or is too long, or the connection ends. Raises OSError."""
    came, part = begun, memoryview(bytearray(_READ_BYTES))
    while came and len(came) <= _MAX_HEAD_BYTES and not _END_OF_HEAD.search(came, max(len(came) - _READ_BYTES - 3, 0)):
        count = _receive_by(ends, opened, part)
        if not count:
            break
        came += part[:count]
    return came[len(begun) :]


def _plain(head: bytes) -> _Head | None:
    """What the head says; None if there is anything about it that needs more than this."""
    status_line, *lines = head.decode("latin-1").split("\r\n")
    status = _STATUS.fullmatch(status_line)
    headers: dict[str, str] = {}
    for line in lines:
        match = _HEADER.fullmatch(line)
        if match is None:
            return None
        name = match[1].lower()  # one that comes twice, as Caddy's Server does: as the library joins them
        headers[name] = f"{headers[name]}, {match[2]}" if name in headers else match[2]
    plain = "transfer-encoding" not in headers and _LENGTH.fullmatch(headers.get("content-length", ""))
    if status is None or status[1] in _NO_BODY or not plain:
        return None
    return int(status[1]), headers
