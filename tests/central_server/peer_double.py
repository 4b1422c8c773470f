"""A peer as the locator sees it: a key, an HTTP server that answers the dial-back, a gRPC client."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from central_server.model import Entry
from protos import locator_pb2 as pb
from protos.locator_pb2_grpc import LocatorStub
from protos.tokens import LOCATOR_AUDIENCE, InvalidToken, Issuer, Verifier
from tests.central_server.samples import epoch

CALL_SECONDS = 10


class PeerDouble:
    """`answer`, if set, is the body of every ping instead of the right one."""

    def __init__(self, word: str = "ann", network_key: bytes | None = None) -> None:
        self.word = word
        self.issuer = Issuer(Ed25519PrivateKey.generate(), network_key)
        self.verifier = Verifier(self.issuer.peer_id, network_key)
        self.peer_id = bytes.fromhex(self.issuer.peer_id)
        self.answer: bytes | None = None
        self.status = 200
        self.location: str | None = None
        self.url = ""
        self.lease_id = b""

    def pong(self, nonce: str, authorization: str) -> bytes:
        """What a PServer answers to the locator's ping."""
        if self.answer is not None:
            return self.answer
        claims = self.verifier.check(authorization.removeprefix("Bearer "), "ping", time.time())
        proof = self.issuer.token(claims.issuer, f"pong:{nonce}", time.time())
        return json.dumps({"proof": proof}).encode()

    def metadata(self, scope: str) -> list[tuple[str, str]]:
        token = self.issuer.token(LOCATOR_AUDIENCE, scope, time.time())
        return [("authorization", f"Bearer {token}")]

    def call(self, channel: grpc.Channel, method: str, request: Any, scope: str | None = None) -> Any:
        """One rpc with the right token. Any: the stubs are without types."""
        reading = {"Locate", "Search", "ListPeers", "ListFiles"}
        scope = scope or ("locate" if method in reading else "membership")
        return getattr(LocatorStub(channel), method)(request, metadata=self.metadata(scope), timeout=CALL_SECONDS)

    def register(self, channel: grpc.Channel, sequence: int = 0, **said: Any) -> Any:
        asked = {"name": self.word, "url": self.url, "version": "1", "epoch": epoch(self.word), "sequence": sequence}
        reply = self.call(channel, "Register", pb.RegisterRequest(**{**asked, **said}))
        self.lease_id = reply.lease_id
        return reply

    def heartbeat(self, channel: grpc.Channel, sequence: int = 0) -> Any:
        request = pb.HeartbeatRequest(lease_id=self.lease_id, epoch=epoch(self.word), sequence=sequence)
        return self.call(channel, "Heartbeat", request)

    def share(self, channel: grpc.Channel, sequence: int, files: Sequence[Entry]) -> Any:
        """Announce them all as a snapshot in one part."""
        request = pb.AnnounceRequest(
            lease_id=self.lease_id,
            epoch=epoch(self.word),
            sequence=sequence,
            added=[pb.FileEntry(**file._asdict()) for file in files],
            snapshot_begin=True,
            snapshot_end=True,
        )
        return self.call(channel, "Announce", request)


@contextmanager
def listening(peer: PeerDouble) -> Iterator[PeerDouble]:
    """The peer answers on a free loopback port; `peer.url` says which."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            try:
                body = peer.pong(parse_qs(asked.query)["nonce"][0], self.headers["Authorization"])
            except InvalidToken as error:
                self.send_error(401, str(error))
                return
            self.send_response(peer.status if asked.path == "/peer/v1/ping" else 404)
            if peer.location is not None:
                self.send_header("Location", peer.location)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    peer.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield peer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
