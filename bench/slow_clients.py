"""Clients that hold a server's connections: silent, sending half a header, a slow body, or not reading what they get.

They are sockets in one thread, which sends a byte on each that drips, and opens anew what the server closed.
"""

import contextlib
import itertools
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

EACH = 256
DRIP_SECONDS = 3.0


@dataclass(frozen=True)
class Kind:
    """What such a client sends first, and then, a byte at a time."""

    name: str
    first: bytes
    drip: bytes = b""
    receive_buffer: int | None = None


def kinds(large_file: bytes) -> list[Kind]:
    """The four. `large_file`: a request for one, which whoever does not read holds."""
    head = (
        b"POST /peer/v1/lookups HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 400000\r\n\r\n"
    )
    return [
        Kind("silent", b""),
        Kind("half a header", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Drip: ", b"x"),
        Kind("a slow body", head + b"{", b" "),
        Kind("not reading", large_file, receive_buffer=4096),
    ]


@dataclass
class Held:
    """One of them: its kind, where it comes from, and its socket while it has one."""

    kind: Kind
    source: str
    sock: socket.socket | None = None


@dataclass
class Crowd:
    """All of them, at a server. `opened`: how many connections were made in all."""

    server: tuple[str, int]
    held: list[Held]
    opened: int = 0

    def tick(self, renew: bool) -> None:
        """Send the next byte on each that drips; open anew what was closed, if `renew`."""
        for one in self.held:
            if one.sock is not None and _has_ended(one.sock):
                one.sock.close()
                one.sock = None
            if one.sock is None and renew:
                self._open(one)
            elif one.sock is not None and one.kind.drip:
                with contextlib.suppress(OSError):
                    one.sock.send(one.kind.drip)

    def _open(self, one: Held) -> None:
        sock = socket.socket()
        try:
            if one.kind.receive_buffer is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, one.kind.receive_buffer)
            sock.bind((one.source, 0))
            sock.settimeout(5)
            sock.connect(self.server)
            sock.send(one.kind.first)
        except OSError:
            sock.close()
            return
        sock.setblocking(False)
        one.sock, self.opened = sock, self.opened + 1

    def alive(self) -> int:
        """How many connections the server has not closed."""
        return sum(one.sock is not None and not _has_ended(one.sock) for one in self.held)

    def close(self) -> None:
        for one in self.held:
            if one.sock is not None:
                one.sock.close()


def _has_ended(sock: socket.socket) -> bool:
    """Whether the server has closed it, as far as is known. What it sent before that stays unread."""
    try:
        state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    except OSError:
        return True
    return state != 1  # TCP_ESTABLISHED, of tcp_states.h


@contextlib.contextmanager
def crowd_at(server: tuple[str, int], all_kinds: list[Kind], sources: list[str], each: int = EACH) -> Iterator[Crowd]:
    """So many of each kind, from these addresses in turn; none is open yet."""
    turns = itertools.cycle(sources)
    crowd = Crowd(server, [Held(kind, next(turns)) for kind in all_kinds for _ in range(each)])
    try:
        yield crowd
    finally:
        crowd.close()


@contextlib.contextmanager
def pressing(crowd: Crowd) -> Iterator[None]:
    """The crowd is at it in a thread, and comes back when it is thrown out, until the block ends."""
    stop = threading.Event()

    def press() -> None:
        while not stop.is_set():
            crowd.tick(renew=True)
            stop.wait(DRIP_SECONDS)

    thread = threading.Thread(target=press)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
