"""A range of a file on its way to a socket: what `environ["wsgi.file_wrapper"]` makes.

An application seeks its file to the start of the range, wraps it, sets Content-Length to the length of the range and
returns the wrapped file as its answer. The bytes then go from the page cache to the socket with sendfile(2), without
passing through Python, and no thread waits for the reader.

Rules:

- Exactly Content-Length bytes are sent, or else the connection is closed, so that the reader sees a short body. A file
  that shrinks meanwhile is such a case; it never ends with a complete answer.
- A file may have a method `still_same() -> bool` (see CheckedFile). It is called once, after every byte of the range
  was read and before the last LAST_BYTES of them are sent. Unless it says True the connection is closed instead. It
  runs in the server's own loop, so it must not wait for anything; an fstat is right.
- The file is closed after the last byte, and whenever the connection ends before. That is the one thing an application
  hears of the end: the server holds the file and not the application's answer, so what Flask's call_on_close was told
  does not run. Put into the file's `close` what has to follow.

Does not guard against a write in the instant between the check and the network card: sendfile lends the socket the
pages of the file, it does not copy them. Readers verify pieces; that is for them to notice. Files without a
descriptor of a regular file (a BytesIO, a pipe) are read by the application's thread like any other answer, and
`still_same` is not asked.
"""

import io
import os
import socket
import stat
from typing import Protocol

from waitress.buffers import ReadOnlyFileBasedBuffer

LAST_BYTES = 64 * 1024


class CheckedFile(Protocol):
    """A file for wsgi.file_wrapper that knows whether it is still what it was when it was opened."""

    def fileno(self) -> int:
        """The descriptor of a regular file, at least until `close`."""

    def tell(self) -> int:
        """Where the range starts, in bytes."""

    def read(self, size: int = -1, /) -> bytes:
        """As of any file; only used where sendfile is not."""

    def close(self) -> None:
        """Called once or oftener."""

    def still_same(self) -> bool:
        """Whether the bytes read so far are those of the file that was opened. Quick; False closes the connection."""


class FileChanged(Exception):
    """The file is not what it was when its answer began: it ended early or its check failed."""


class FileRange(ReadOnlyFileBasedBuffer):  # type: ignore[misc]  # the base is Any: waitress has no types
    """One range of one file. waitress knows it as a buffer: `prepare`, `remain` and `close` are its words."""

    _offset = 0
    _descriptor = -1
    _tail: memoryview | None = None
    _left_to_read: int | None = None

    def prepare(self, size: int | None = None) -> int:
        """Note what to send: `size` bytes (Content-Length), else up to the file's end. 0: to be iterated instead."""
        self._left_to_read = size
        descriptor = regular_descriptor(self.file)
        if descriptor is None:
            return 0
        self._descriptor, self._offset = descriptor, self.file.tell()
        self.remain = max(0, os.fstat(descriptor).st_size - self._offset) if size is None else size
        return int(self.remain)

    def __next__(self) -> bytes:
        """The next block, for waitress' own way of sending: never more than Content-Length asks for."""
        left = self._left_to_read
        wanted = self.block_size if left is None else min(self.block_size, left)
        block: bytes = self.file.read(wanted)
        if not block:
            raise StopIteration
        if left is not None:
            self._left_to_read = left - len(block)
        return block

    def send_to(self, sock: socket.socket, most: int) -> int:
        """Send up to `most` bytes (about) and return how many went. Raises FileChanged, and OSError as `send` does."""
        before_tail = self.remain - LAST_BYTES
        if before_tail > 0:
            sent = os.sendfile(sock.fileno(), self._descriptor, self._offset, min(most, before_tail))
            if not sent:
                raise FileChanged("it ended early")
        else:
            sent = self._send_tail(sock, most)
        self._offset += sent
        self.remain -= sent
        return sent

    def _send_tail(self, sock: socket.socket, most: int) -> int:
        if self._tail is None:
            self._tail = memoryview(self._checked_tail())
        sent = sock.send(self._tail[:most])
        self._tail = self._tail[sent:]
        return sent

    def _checked_tail(self) -> bytes:
        """The last bytes, read before the check and sent after it: that is what makes the check hold for all."""
        tail = os.pread(self._descriptor, self.remain, self._offset)
        if len(tail) < self.remain:
            raise FileChanged("it ended early")
        still_same = getattr(self.file, "still_same", None)
        if still_same is not None and not still_same():
            raise FileChanged("its check failed")
        return tail


class NoFile(FileRange):
    """The file of an answer to HEAD: its headers count, its bytes are not even read."""

    def prepare(self, size: int | None = None) -> int:
        """Nothing to send."""
        return 0

    def __next__(self) -> bytes:
        """Nothing to read either."""
        raise StopIteration


def regular_descriptor(file: object) -> int | None:
    """The descriptor behind `file` if it is a regular file, so that sendfile and pread work; else None."""
    fileno = getattr(file, "fileno", None)
    try:
        descriptor = fileno() if fileno is not None else None
    except io.UnsupportedOperation:
        return None
    return descriptor if isinstance(descriptor, int) and stat.S_ISREG(os.fstat(descriptor).st_mode) else None
