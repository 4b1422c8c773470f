"""HTTP/2 by hand, for what no well-behaved client sends (RFC 9113); frames are made by hyperframe.

A Raw is one TCP connection, and `said` the beginning of what the server sent. What a flood sends is bounded by its
caller; it stops when the server has closed.
"""

import socket
import struct
from collections.abc import Iterable
from types import TracebackType

from hpack import Encoder
from hyperframe.frame import ContinuationFrame, DataFrame, HeadersFrame, PingFrame, RstStreamFrame, SettingsFrame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CANCEL = 8
_CHUNK_BYTES = 1 << 16
_KEPT_BYTES = 1 << 20  # of what the server says
_SECONDS = 20.0


class Raw:
    """A connection whose preface is sent. `closed` once the server has ended it."""

    def __init__(self, address: tuple[str, int], *, hello: bool = True) -> None:
        self.closed = False
        self.said = b""
        self._socket = socket.create_connection(address, timeout=_SECONDS)
        self._encoder = Encoder()
        if hello:
            self.send(PREFACE + SettingsFrame(0).serialize())

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def send(self, content: bytes) -> None:
        """Send it all while reading what comes, so that neither side waits for the other."""
        view = memoryview(content)
        while view and not self.closed:
            self._read_what_is_there()
            try:
                view = view[self._socket.send(view[:_CHUNK_BYTES]) :]
            except TimeoutError:  # the server reads no more
                self.closed = True
            except OSError:
                self.closed = True

    def flood(self, frames: Iterable[bytes]) -> None:
        """Send them in large writes, until all are sent or the server has closed."""
        held = bytearray()
        for frame in frames:
            held += frame
            if len(held) >= _CHUNK_BYTES:
                self.send(bytes(held))
                held.clear()
            if self.closed:
                return
        self.send(bytes(held))

    def request(self, stream: int, path: str, token: str, *, end_headers: bool = True) -> bytes:
        """The HEADERS frame of a gRPC call."""
        fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("authorization", f"Bearer {token}"),
        ]
        frame = HeadersFrame(stream, data=self._encoder.encode(fields))
        if end_headers:
            frame.flags.add("END_HEADERS")
        return frame.serialize()

    @property
    def gone(self) -> bool:
        """Whether the server has closed by now."""
        self._read_what_is_there()
        return self.closed

    @property
    def greeted(self) -> bool:
        """Whether the server has sent anything by now."""
        self._read_what_is_there()
        return bool(self.said)

    def resets(self) -> int:
        """How many streams the server has refused by now."""
        self._read_what_is_there()
        return sum(1 for kind in _kinds(self.said) if kind == RstStreamFrame.type)

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def _read_what_is_there(self) -> None:
        self._socket.setblocking(False)
        try:
            while chunk := self._socket.recv(_CHUNK_BYTES):
                self.said += chunk[: _KEPT_BYTES - len(self.said)]
            self.closed = True
        except BlockingIOError:
            pass
        except OSError:
            self.closed = True
        finally:
            self._socket.settimeout(_SECONDS)


def ping() -> bytes:
    """A PING that asks for its answer."""
    return PingFrame(0, opaque_data=b"01234567").serialize()


def settings() -> bytes:
    """A SETTINGS frame that changes something, which has to be acknowledged."""
    return SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 65_535}).serialize()


def reset(stream: int) -> bytes:
    """RST_STREAM with CANCEL."""
    return RstStreamFrame(stream, error_code=CANCEL).serialize()


def continuation(stream: int, size: int) -> bytes:
    """A CONTINUATION frame with `size` bytes of literal fields, each new, without END_HEADERS."""
    field = b"\x00\x01a" + bytes([127, 0xA1, 0x01]) + b"b" * 288  # a literal without indexing: a: 288 times b
    frame = ContinuationFrame(stream, data=(field * (size // len(field) + 1))[: size // len(field) * len(field)])
    return frame.serialize()


def indexed(stream: int, size: int) -> bytes:
    """A CONTINUATION frame of `size` times the field `:scheme: http`, a byte each."""
    return ContinuationFrame(stream, data=b"\x86" * size).serialize()


def message(stream: int, size: int) -> Iterable[bytes]:
    """The DATA frames of a gRPC message of that many bytes, 16 KiB each."""
    left = struct.pack(">BI", 0, size) + bytes(1 << 14)
    yield _data(stream, left[: 1 << 14])
    for _ in range(size >> 14):
        yield _data(stream, bytes(1 << 14))


def _data(stream: int, content: bytes) -> bytes:
    return DataFrame(stream, data=content).serialize()


def _kinds(said: bytes) -> Iterable[int]:
    """The type of each whole frame."""
    at = 0
    while at + 9 <= len(said):
        yield said[at + 3]
        at += 9 + int.from_bytes(said[at : at + 3], "big")
