"""A TCP proxy before a peer, by which a test makes the network or the peer behave badly."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

Change = Callable[[bytes], bytes]


class Proxy:
    """Listens on a free loopback port and passes bytes on to `target`, those of the answers through `change`."""

    def __init__(self, change: Change = bytes) -> None:
        self.change = change
        self._target: tuple[str, int] | None = None
        self._known = threading.Event()
        self.passed = 0  # bytes of answers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def to(self, url: str) -> None:
        """Pass on to the peer API at `url`."""
        host, _, port = url.removeprefix("http://").rpartition(":")
        self._target = (host, int(port))
        self._known.set()

    def close(self) -> None:
        """Stop listening and cut all connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Cut the connections that are open."""
        for opened in list(self._open):
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                asker, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(asker,), daemon=True).start()

    def _serve(self, asker: socket.socket) -> None:
        with suppress(OSError), asker:
            self._known.wait(30)  # the peer is registered, and dialled back, before a test knows its port
            if self._target is None:
                return
            with socket.create_connection(self._target) as peer:
                self._open |= {asker, peer}
                threading.Thread(target=self._pump, args=(asker, peer, bytes), daemon=True).start()
                self._pump(peer, asker, self._counted)
                self._open -= {asker, peer}

    def _counted(self, data: bytes) -> bytes:
        self.passed += len(data)
        return self.change(data)

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket, change: Change) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(change(data))
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


def flip_a_bit(data: bytes) -> bytes:
    """Flip one bit in the middle of what is long enough not to be a header or a manifest's answer."""
    if len(data) < 1 << 15:
        return data
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
