"""What this peer asks of other peers: one method a verb of the peer API (docs: the REST contract).

Every answer comes from a stranger and is checked before it is believed: sizes, names, ids, a manifest against its
file id. Bytes of files are not checked here but by whoever reads them, a piece at a time.
"""

import base64
import json
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from protos.addresses import AddressPolicy
from protos.tokens import InvalidToken, Issuer, Verifier
from pserver.digests import BadDigests, Digests, Making, decode_digests, encoded_bytes
from pserver.model import InvalidRequest, LookupAnswer, LookupRequest, Offer, OfferView, Peer, Refused
from pserver.pieces import MAX_FILE_BYTES, BadManifest, Manifest, Want, decode_manifest, max_manifest_bytes
from pserver.remote.bundle_frames import MAX_ANSWER_BYTES
from pserver.remote.json_fields import Fields
from pserver.remote.lookup_json import answer_from_json, request_to_json
from pserver.remote.peer_http import READ_SECONDS, Answer, PeerHttp, PeerLied, decode_bitfield
from pserver.remote.reading import Interrupt, RangeReader
from pserver.remote.swarm_messages import SwarmNews, news_from_json, sent_range, want_headers

OFFER_STATES = ("queued", "running", "done", "failed", "cancelled")
_NONCE_BYTES = 16
_MANIFEST_SECONDS = 30.0


class PeerClient:
    """Asks other peers. Thread-safe; keeps connections.

    All methods raise Unavailable (as PeerDead, PeerStalled, PeerBusy or PeerLied of peer_http), Refused, and what
    their docstrings add. `wall` is Unix time. `verifier` checks tokens whose audience is this peer.
    """

    def __init__(
        self,
        issuer: Issuer,
        verifier: Verifier,
        policy: AddressPolicy,
        *,
        wall: Callable[[], float] = time.time,
        stall_seconds: float = 10.0,
        ca_file: str | None = None,
    ) -> None:
        self.peer_id = issuer.peer_id
        self._issuer = issuer
        self._verifier = verifier
        self._wall = wall
        self._stall_seconds = stall_seconds
        self._http = PeerHttp(policy, ca_file)

    def close(self) -> None:
        """Close the connections that are kept."""
        self._http.close()

    def identify(self, url: str, seconds: float = 1.0) -> str:
        """The peer id (hex) that the peer at `url` says it has: a claim, until a ping proves it."""
        said = self._http.json("GET", Peer("", url, url), "/healthz", None, seconds=seconds)
        with _checked(url):
            return Fields(said, "").hexadecimal("peer_id", 64)

    def ping(self, peer: Peer, seconds: float = 2.0) -> Peer:
        """Prove that `peer` holds the key of its id, and return it with the name it has now. Refused if it does not."""
        nonce = secrets.token_hex(_NONCE_BYTES)
        path = f"/peer/v1/ping?nonce={nonce}"
        said = self._http.json("GET", peer, path, self._token(peer, "ping"), seconds=seconds)
        with _checked(peer.name):
            fields = Fields(said, "")
            proof, name = fields.text("proof", 4096), fields.peer_name("name")
        try:
            claims = self._verifier.check(proof, f"pong:{nonce}", self._wall())
        except InvalidToken as error:
            raise Refused(f"{peer.url} does not prove who it is: {error}") from None
        if claims.issuer != peer.peer_id:
            raise Refused(f"{peer.url} is another peer than {peer.name}")
        return replace(peer, name=name)

    def lookup(self, peer: Peer, request: LookupRequest, seconds: float) -> LookupAnswer:
        """Ask `peer` to look something up; `seconds` is how long all of it may take."""
        token, body = self._token(peer, "lookup"), request_to_json(request)
        said = self._http.json("POST", peer, "/peer/v1/lookups", token, body=body, seconds=seconds)
        with _checked(peer.name):
            return answer_from_json(said)

    def manifest(self, peer: Peer, file_id: bytes, most_bytes: int = MAX_FILE_BYTES) -> tuple[Manifest, bytes | None]:
        """The manifest, proved to be that of `file_id`, and which pieces the peer has (None: all).

        `most_bytes`: how large the file may be. NotFound; Conflict "changed".
        """
        token = self._token(peer, "file", file_id)
        path, read_seconds = f"/peer/v1/manifests/{file_id.hex()}", min(READ_SECONDS, self._stall_seconds)
        with self._http.answer("GET", peer, path, token, read_seconds=read_seconds) as answer:
            ends = time.monotonic() + _MANIFEST_SECONDS
            encoded = self._http.body(peer, answer, max_manifest_bytes(most_bytes), ends)
            header = answer.header("p2p-bitfield")
        try:
            return decode_manifest(encoded, file_id), decode_bitfield(header)
        except (BadManifest, ValueError) as error:
            raise PeerLied(f"{peer.name} sent a wrong manifest: {error}") from None

    def digests(self, peer: Peer, file_id: bytes, size: int) -> Digests | Making:
        """The digests of a file of `size` bytes that `peer` has, unproved; Making: it makes them, ask again.

        NotFound; Conflict "changed".
        """
        token, ends = self._token(peer, "file", file_id), time.monotonic() + _MANIFEST_SECONDS
        with self._http.answer("GET", peer, f"/peer/v1/digests/{file_id.hex()}", token) as answer:
            body = self._http.body(peer, answer, encoded_bytes(size), ends)
        try:
            if answer.status != 202:
                return decode_digests(body, size)
            done = Fields(json.loads(body), "").integer("bytes_done", 0, MAX_FILE_BYTES)
        except (BadDigests, InvalidRequest, ValueError, RecursionError) as error:
            raise PeerLied(f"{peer.name} sent digests that cannot be right: {error}") from None
        return Making(min(done, size), size)

    def open_range(
        self,
        peer: Peer,
        file_id: bytes,
        offset: int,
        length: int,
        interrupt: Interrupt | None = None,
        *,
        want: Want | None = None,
    ) -> RangeReader:
        """Ask for `length` ≥ 1 bytes from `offset`; the reader it returns must be closed (a context manager).

        With `want` the peer may as well send another piece: what it sends stands in the reader, whether it was wanted
        is for the caller to check. NotFound; LacksPiece; Conflict "changed". The bytes are unchecked.
        """
        last = offset + length - 1
        answer = self._http.answer(
            "GET",
            peer,
            f"/peer/v1/files/{file_id.hex()}",
            self._token(peer, "file", file_id),
            headers={"Range": f"bytes={offset}-{last}", **(want_headers(want) if want is not None else {})},
            read_seconds=self._stall_seconds,
        )
        said, sent = answer.header("content-range") or "", answer.header("content-length") or ""
        if want is not None and answer.status == 206:
            offset, length = sent_range(said) or (offset, length)
            last = offset + length - 1
        ranged = answer.status == 206 and said.startswith(f"bytes {offset}-{last}/")
        whole = answer.status == 200 and offset == 0  # all of the file is what was asked for
        if _is_encoded(answer) or sent != str(length) or not (ranged or whole):
            answer.end()
            raise PeerLied(f"{peer.name} sent other bytes than those asked for")
        return RangeReader(peer, answer, length, interrupt, offset)

    def swarm(self, peer: Peer, file_id: bytes, own: Peer, has: bytes) -> SwarmNews:
        """Ask who else fetches that file from `peer`, telling it where this peer is and which pieces (packed) it has.

        NotFound.
        """
        body = {"url": own.url, "name": own.name, "bitfield": base64.b64encode(has).decode()}
        path, token = f"/peer/v1/swarms/{file_id.hex()}", self._token(peer, "file", file_id)
        said = self._http.json("POST", peer, path, token, body=body, seconds=min(READ_SECONDS, self._stall_seconds))
        with _checked(peer.name):
            return news_from_json(said)

    def open_bundle(
        self, peer: Peer, file_ids: Sequence[bytes], interrupt: Interrupt | None = None
    ) -> tuple[RangeReader, int]:
        """Ask for those small files in one answer, of which this gives the reader (to be closed) and the length.

        At most MAX_BUNDLE_FILES. The bytes are unchecked: see bundle_frames.
        """
        answer = self._http.answer(
            "POST",
            peer,
            "/peer/v1/bundles",
            self._token(peer, "bundle"),
            body={"file_ids": [file_id.hex() for file_id in file_ids]},
            read_seconds=self._stall_seconds,
        )
        sent = answer.header("content-length") or ""
        fits = sent.isdecimal() and len(sent) < 10 and 0 < int(sent) <= MAX_ANSWER_BYTES
        if _is_encoded(answer) or answer.status != 200 or not fits:
            answer.end()
            raise PeerLied(f"{peer.name} sent no bundle of the files asked for")
        return RangeReader(peer, answer, int(sent), interrupt), int(sent)

    def offer(self, peer: Peer, offer: Offer) -> OfferView:
        """Offer a file for `peer` to hold (state done: it does already). NoRoom; Refused if it takes none."""
        body = {
            "file_id": offer.file_id.hex(),
            "size": offer.size,
            "name": offer.name,
            "sha256": offer.sha256.hex(),
            "url": offer.url,
            **({} if offer.grant is None else {"grant": offer.grant}),
        }
        return self._offer("POST", peer, "/peer/v1/offers", body)

    def offer_state(self, peer: Peer, offer_id: str) -> OfferView:
        """How far `peer` is with an offer. NotFound if it knows it no more."""
        return self._offer("GET", peer, f"/peer/v1/offers/{offer_id}", None)

    def withdraw_offer(self, peer: Peer, offer_id: str) -> None:
        """Tell `peer` that an offer no longer stands. NotFound if it knows it no more."""
        self._offer("DELETE", peer, f"/peer/v1/offers/{offer_id}", None)

    def _offer(self, method: str, peer: Peer, path: str, body: object) -> OfferView:
        said = self._http.json(method, peer, path, self._token(peer, "offer"), body=body, seconds=READ_SECONDS)
        with _checked(peer.name):
            fields = Fields(said, "")
            state = fields.text("state", 16)
            if state not in OFFER_STATES:
                raise InvalidRequest("state: is none that an offer can have")
            return OfferView(
                offer_id=fields.hexadecimal("offer_id", 8),
                state=state,
                bytes_done=fields.integer("bytes_done", 0, MAX_FILE_BYTES),
                name=fields.name("name"),
                error=fields.text("error", 1000) if fields.has("error") else None,
            )

    def _token(self, peer: Peer, scope: str, file_id: bytes | None = None) -> str:
        about = None if file_id is None else file_id.hex()
        return self._issuer.token(peer.peer_id, scope, self._wall(), about)


def _is_encoded(answer: Answer) -> bool:
    return answer.header("content-encoding") is not None or answer.header("transfer-encoding") is not None


class _checked:  # noqa: N801 - reads as the statement that it is
    """What is wrong with an answer is the answerer's fault, not that of whoever called us."""

    def __init__(self, who: str) -> None:
        self._who = who

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, InvalidRequest):
            raise PeerLied(f"{self._who} sent an answer that is not as agreed: {error}") from None
