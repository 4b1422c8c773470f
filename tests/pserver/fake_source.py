"""A peer to read from, for tests: the peer API's manifests and files on a real socket, honest or not.

It does what it is told: be slow, stall, flip bits, die, lie about lengths, have only some pieces. It checks that it
is asked as the contract says, and remembers what it was asked for.
"""

import base64
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protos.tokens import Issuer, Verifier
from pserver.exchange.bitfield import pack
from pserver.model import FileGroup, Holder, Peer
from pserver.pieces import Manifest, piece_size_for

SLICE_BYTES = 16 << 10


def manifest_of(content: bytes, sha256: bytes | None = None) -> Manifest:
    """The manifest of that content, claiming that sha256 (its own by default)."""
    import hashlib

    from blake3 import blake3

    size = piece_size_for(len(content))
    hashes = b"".join(blake3(content[at : at + size]).digest() for at in range(0, len(content), size))
    return Manifest(len(content), size, sha256 or hashlib.sha256(content).digest(), hashes)


@dataclass
class Behaviour:
    """How a source misbehaves; as it is made: not at all. Bytes a second, bytes, piece numbers."""

    rate: float | None = None
    stall_after: int | None = None  # bytes of one answer, then silence
    die_after: int | None = None  # bytes of one answer, then the connection is closed
    flip: frozenset[int] = frozenset()  # pieces sent with a bit flipped; {-1}: all
    flip_after: int = 0  # bytes sent honestly in all before any is flipped
    wrong_length: bool = False
    whole_instead: bool = False  # 200 with all of the file, whatever was asked for
    manifest_garbage: bool = False
    status: int | None = None  # answer everything with this
    code: str = ""
    has: frozenset[int] | None = None  # the pieces it has
    hold: threading.Event | None = None  # send nothing before this is set


@dataclass
class _File:
    content: bytes
    manifest: Manifest


@dataclass
class Asked:
    """What a source was asked for."""

    calls: int = 0  # of any kind, with any token
    pieces: Counter[int] = field(default_factory=Counter)  # begun to be sent
    requests: int = 0
    manifests: int = 0
    now: int = 0  # requests in work
    most_at_once: int = 0


class FakeSource:
    """The source as a context manager. `name` is what others call it."""

    def __init__(self, name: str, *contents: bytes, behaviour: Behaviour | None = None) -> None:
        self.behaviour = behaviour or Behaviour()
        self.asked = Asked()
        self.issuer = Issuer(Ed25519PrivateKey.generate(), None)
        self._verifier = Verifier(self.issuer.peer_id, None)
        self._files: dict[str, _File] = {}
        self._lock = threading.Lock()
        self._sent = 0
        self._ended = threading.Event()
        for content in contents:
            self.offer(content)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # readers leave as they like
        self.peer = Peer(self.issuer.peer_id, name, f"http://127.0.0.1:{self._server.server_port}")
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def offer(self, content: bytes, manifest: Manifest | None = None) -> bytes:
        """One more file; its id."""
        made = manifest or manifest_of(content)
        self._files[made.file_id.hex()] = _File(content, made)
        return made.file_id

    def holder(self, partial: bool = False) -> Holder:
        """As lookups tell of it."""
        return Holder(self.peer, "a file", sha256_checked=True, partial=partial)

    def __enter__(self) -> "FakeSource":
        self._thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.die()

    def die(self) -> None:
        """As after a kill: nothing listens any more, and what is being sent ends."""
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        source = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                source._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.calls += 1
        kind, _, file_id = request.path.removeprefix("/peer/v1/").partition("/")
        token = request.headers["Authorization"].removeprefix("Bearer ")
        self._verifier.check(token, "file", time.time(), file_id)
        if self.behaviour.status is not None:
            return _problem(request, self.behaviour.status, self.behaviour.code)
        if file_id not in self._files:
            return _problem(request, 404, "not-found")
        with self._lock:
            self.asked.now += 1
            self.asked.most_at_once = max(self.asked.most_at_once, self.asked.now)
        try:
            if kind == "manifests":
                self._send_manifest(request, self._files[file_id])
            else:
                self._send_range(request, self._files[file_id])
        finally:
            with self._lock:
                self.asked.now -= 1
        return None

    def _bitfield(self, manifest: Manifest) -> str | None:
        if self.behaviour.has is None:
            return None
        flags = bytes(piece in self.behaviour.has for piece in range(manifest.piece_count))
        return base64.b64encode(pack(flags)).decode()

    def _send_manifest(self, request: BaseHTTPRequestHandler, file: _File) -> None:
        self.asked.manifests += 1
        body = b"garbage" if self.behaviour.manifest_garbage else file.manifest.encode()
        request.send_response(200)
        request.send_header("Content-Length", str(len(body)))
        bitfield = self._bitfield(file.manifest)
        if bitfield is not None:
            request.send_header("P2P-Bitfield", bitfield)
        request.end_headers()
        request.wfile.write(body)

    def _send_range(self, request: BaseHTTPRequestHandler, file: _File) -> None:
        self.asked.requests += 1
        first, last = (int(number) for number in request.headers["Range"].removeprefix("bytes=").split("-"))
        piece_size, has = file.manifest.piece_size, self.behaviour.has
        if has is not None and any(piece not in has for piece in range(first // piece_size, last // piece_size + 1)):
            return _problem(request, 404, "no-piece", self._bitfield(file.manifest) or "")
        status, length = 206, last + 1 - first
        if self.behaviour.whole_instead:
            status, first, last, length = 200, 0, len(file.content) - 1, len(file.content)
        if self.behaviour.wrong_length:
            length -= 1
        request.send_response(status)
        request.send_header("Content-Length", str(length))
        request.send_header("Content-Range", f"bytes {first}-{last}/{len(file.content)}")
        request.end_headers()
        self._send(request, file, first, first + length)
        return None

    def _send(self, request: BaseHTTPRequestHandler, file: _File, start: int, end: int) -> None:
        behaviour, piece_size, sent = self.behaviour, file.manifest.piece_size, 0
        limits = [limit for limit in (behaviour.die_after, behaviour.stall_after) if limit is not None]
        stop = min(end, start + min(limits)) if limits else end
        for at in range(start, stop, SLICE_BYTES):
            if behaviour.hold is not None:
                behaviour.hold.wait(30)
            if self._ended.is_set():
                break
            if at % piece_size == 0 or at == start:
                self.asked.pieces[at // piece_size] += 1
            part = file.content[at : min(at + SLICE_BYTES, stop)]
            request.wfile.write(self._flipped(part, at // piece_size, at % piece_size == 0))
            sent += len(part)
            if behaviour.rate is not None:
                self._ended.wait(len(part) / behaviour.rate)
        if behaviour.stall_after is not None and sent >= behaviour.stall_after:
            self._ended.wait(30)
        if sent < end - start:
            request.close_connection = True

    def _flipped(self, part: bytes, piece: int, first_of_piece: bool) -> bytes:
        with self._lock:
            self._sent += len(part)
            wrong = self._sent > self.behaviour.flip_after
        flip = self.behaviour.flip
        if first_of_piece and wrong and (piece in flip or -1 in flip):
            return bytes([part[0] ^ 1]) + part[1:]
        return part


def group_of(manifest: Manifest, sources: list[FakeSource], partial: bool = False) -> FileGroup:
    """What a lookup says of that file."""
    holders = [source.holder(partial) for source in sources]
    return FileGroup(manifest.file_id, manifest.size, manifest.sha256, ["a file"], holders, len(holders))


def _problem(request: BaseHTTPRequestHandler, status: int, code: str, bitfield: str = "") -> None:
    body = b'{"status": %d, "code": "%s", "detail": "so it was told"}' % (status, code.encode())
    request.send_response(status)
    request.send_header("Content-Type", "application/problem+json")
    request.send_header("Content-Length", str(len(body)))
    if bitfield:
        request.send_header("P2P-Bitfield", bitfield)
    request.end_headers()
    request.wfile.write(body)
