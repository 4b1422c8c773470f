"""A range of a file as it comes from another peer: read straight into a buffer, and stoppable from outside."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType

from pserver.model import Peer
from pserver.remote.peer_http import Answer, PeerDead, our_errors

_LEAST_SLICE_BYTES = 16 << 10
_MOST_SLICE_BYTES = 1 << 20
_SLICE_SECONDS = 0.1  # a slice should take about this long, so that a slow source is seen to be slow


class Interrupt:
    """Ends a read from another thread: what waits in it fails at once, as the connection's end. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._interrupted = False
        self._socket: socket.socket | None = None

    def interrupt(self) -> None:
        """End the read that is attached, and any that will be."""
        with self._lock:
            self._interrupted = True
            if self._socket is not None:
                _shut(self._socket)

    def attach(self, connection: socket.socket | None) -> None:
        """The connection to shut on an interrupt; None when the read is over."""
        with self._lock:
            self._socket = connection
            if connection is not None and self._interrupted:
                _shut(connection)


class RangeReader:
    """The body of one range request. A context manager: left before all is read, it closes the connection."""

    def __init__(self, peer: Peer, answer: Answer, length: int, interrupt: Interrupt | None, offset: int = 0) -> None:
        self.offset, self.length = offset, length  # of what is sent
        self._peer = peer
        self._answer = answer
        self.bitfield = answer.header("p2p-bitfield")  # as it was sent; None: the peer has all
        self._slice_bytes = answer.slice_bytes
        self._interrupt = interrupt or Interrupt()
        self._interrupt.attach(answer.socket)

    def fill(
        self,
        into: memoryview,
        on_slice: Callable[[memoryview], None] = lambda _: None,
        allowed: Callable[[int], int] = lambda most: most,
    ) -> None:
        """Read exactly `len(into)` bytes; `on_slice` is given each part as it is there, while it is in the caches.

        `allowed` is asked before each read, and may wait: how many of so many bytes may be read now (≥ 1).
        Raises PeerStalled after the read timeout without a byte, PeerDead if the connection ends first.
        """
        done = 0
        while done < len(into):
            part = into[done : done + allowed(min(self._slice_bytes, len(into) - done))]
            began = time.monotonic()
            with our_errors(self._peer):
                count = self._answer.readinto(part)
            if not count:
                raise PeerDead(f"{self._peer.name} closed the connection before the end")
            self._pace(count, time.monotonic() - began)
            done += count
            on_slice(part[:count])

    def _pace(self, count: int, seconds: float) -> None:
        if seconds < _SLICE_SECONDS / 4:
            self._slice_bytes = min(self._slice_bytes * 2, _MOST_SLICE_BYTES)
        elif seconds > _SLICE_SECONDS * 2:
            self._slice_bytes = max(self._slice_bytes // 4, _LEAST_SLICE_BYTES)

    def __enter__(self) -> "RangeReader":
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._interrupt.attach(None)
        with contextlib.suppress(OSError, AttributeError):  # it is being thrown away
            self._answer.end()


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it has ended by itself
