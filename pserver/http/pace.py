"""An upload rate, shared evenly by the sockets that are being sent a file, and kept by the kernel.

Does not hand on what a slow reader leaves of its part, does not bound answers other than files, and does not count a
connection that is closed while the kernel still sends the end of it.
"""

import socket
import struct
import threading

# Linux' number for SO_MAX_PACING_RATE, see asm-generic/socket.h; Python's socket module has no name for it.
SO_MAX_PACING_RATE = 47


class Pace:
    """Which sockets share `rate` (bytes/s; None: no bound, and nothing is done). Any thread may call it."""

    def __init__(self, rate: int | None) -> None:
        self._rate = rate
        self._sending: set[socket.socket] = set()
        self._lock = threading.Lock()

    def join(self, sock: socket.socket) -> None:
        """`sock` sends a file, perhaps for some time already; the others make room for it."""
        if self._rate is not None:
            with self._lock:
                if sock not in self._sending:
                    self._sending.add(sock)
                    self._share(self._rate)

    def leave(self, sock: socket.socket) -> None:
        """The kernel has sent all that `sock` had, or it is closed; its part goes to the others."""
        if self._rate is not None:
            with self._lock:
                if sock in self._sending:
                    self._sending.discard(sock)
                    self._share(self._rate)

    def _share(self, rate: int) -> None:
        for sock in self._sending:
            set_pace(sock, max(1, rate // len(self._sending)))


def set_pace(sock: socket.socket, rate: int) -> None:
    """Ask the kernel to send at most `rate` bytes/s on `sock`."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, struct.pack("@L", rate))
    except OSError:
        pass  # closed by its reader a moment ago: there is nothing left to pace
