"""Asking other peers: what they answer is believed only as far as it proves itself; every failure has its kind."""

import base64
import json
import threading
import time
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protos.addresses import AddressPolicy
from protos.tokens import InvalidToken, Issuer, Verifier
from pserver.digests import Digests, Making
from pserver.model import (
    Conflict,
    InvalidRequest,
    LookupAnswer,
    LookupRequest,
    NoRoom,
    NotFound,
    Offer,
    OfferView,
    Peer,
    PServerError,
    Refused,
    Unavailable,
)
from pserver.remote.lookup_json import answer_to_json, request_from_json
from pserver.remote.peer_http import LacksPiece, PeerBusy, PeerDead, PeerLied, PeerStalled
from pserver.remote.peers import PeerClient
from pserver.remote.reading import Interrupt
from tests.pserver.fake_source import Behaviour, FakeSource, manifest_of
from tests.pserver.scripted_peer import Script, answer, scripted
from tests.pserver.test_download import PIECE, content_of

FILE_ID = b"\1" * 32
REQUEST = LookupRequest("search", "0f" * 16, 0, 500, words="a")
OFFER = Offer(FILE_ID, 5, "a.txt", b"\2" * 32, "http://127.0.0.1:9")


@pytest.fixture
def client() -> Iterator[PeerClient]:
    issuer = Issuer(Ed25519PrivateKey.generate(), None)
    made = PeerClient(issuer, Verifier(issuer.peer_id, None), AddressPolicy(own_loopback=True), stall_seconds=0.3)
    yield made
    made.close()


def said(value: object) -> Script:
    return lambda _: answer(json.dumps(value).encode())


def header(request: bytes, name: str) -> str:
    found = next(line for line in request.split(b"\r\n") if line.lower().startswith(name.lower().encode() + b":"))
    return found.partition(b":")[2].strip().decode()


# --- the verbs ------------------------------------------------------------------------------------------------------


def test_a_ping_is_proved_by_the_key(client: PeerClient) -> None:
    key = Ed25519PrivateKey.generate()

    def pong(request: bytes) -> bytes:
        nonce = request.split(b"nonce=")[1].split(b" ")[0].decode()
        token = header(request, "Authorization").removeprefix("Bearer ")
        try:
            Verifier(Issuer(key, None).peer_id, None).check(token, "ping", time.time())
        except InvalidToken:
            return answer(b"{}", "401 Unauthorized")
        proof = Issuer(key, None).token(client.peer_id, f"pong:{nonce}", time.time())
        return answer(json.dumps({"peer_id": "x", "name": "new name", "version": "1", "proof": proof}).encode())

    with scripted(pong, key) as (peer, _):
        assert client.ping(peer) == Peer(peer.peer_id, "new name", peer.url)
        with pytest.raises(Refused):
            client.ping(Peer("ab" * 32, "other", peer.url))
    with scripted(said({"name": "b", "proof": "no token"})) as (peer, _), pytest.raises(Refused, match="prove"):
        client.ping(peer)


def test_another_peers_proof_is_refused(client: PeerClient) -> None:
    stranger = Issuer(Ed25519PrivateKey.generate(), None)

    def pong(request: bytes) -> bytes:
        nonce = request.split(b"nonce=")[1].split(b" ")[0].decode()
        proof = stranger.token(client.peer_id, f"pong:{nonce}", time.time())
        return answer(json.dumps({"name": "b", "proof": proof}).encode())

    with scripted(pong) as (peer, _), pytest.raises(Refused, match="another peer"):
        client.ping(peer)


def test_a_lookup_carries_the_request_and_brings_the_answer(client: PeerClient) -> None:
    with scripted(said(answer_to_json(LookupAnswer(True, ["b"])))) as (peer, asked):
        assert client.lookup(peer, REQUEST, 10.0) == LookupAnswer(True, ["b"])
        assert client.lookup(peer, REQUEST, 10.0).complete, "on the same connection"
        assert request_from_json(json.loads(asked[0].partition(b"\r\n\r\n")[2])) == REQUEST
        token = header(asked[0], "Authorization").removeprefix("Bearer ")
        claims = Verifier(peer.peer_id, None).check(token, "lookup", time.time())
        assert claims.issuer == client.peer_id


def test_the_id_of_a_bare_url_is_asked_without_a_token(client: PeerClient) -> None:
    with scripted(said({"status": "ok", "peer_id": "cd" * 32})) as (peer, asked):
        assert client.identify(peer.url) == "cd" * 32
        assert b"authorization" not in asked[0].lower()


def test_offers_are_made_and_followed(client: PeerClient) -> None:
    state = {"offer_id": "0badcafe", "state": "running", "bytes_done": 3, "name": "a.txt", "error": None}
    with scripted(said(state)) as (peer, asked):
        expected = OfferView("0badcafe", "running", 3, "a.txt")
        assert client.offer(peer, OFFER) == expected
        assert client.offer_state(peer, "0badcafe") == expected
        assert json.loads(asked[0].partition(b"\r\n\r\n")[2])["file_id"] == FILE_ID.hex()
    for wrong in ({"state": "odd"}, {"offer_id": "../x"}, {"bytes_done": -1}, {"name": "/x"}):
        with scripted(said(state | wrong)) as (peer, _), pytest.raises(PeerLied):
            client.offer(peer, OFFER)


def test_a_manifest_proves_itself(client: PeerClient) -> None:
    content = content_of(3)
    manifest = manifest_of(content)
    with FakeSource("b", content, behaviour=Behaviour(has=frozenset({1}))) as source:
        assert client.manifest(source.peer, manifest.file_id) == (manifest, bytes([0x40]))
        source.behaviour = Behaviour()
        assert client.manifest(source.peer, manifest.file_id) == (manifest, None)
        source.behaviour = Behaviour(manifest_garbage=True)
        with pytest.raises(PeerLied, match="manifest"):
            client.manifest(source.peer, manifest.file_id)
        with pytest.raises(NotFound):
            client.manifest(source.peer, FILE_ID)


def test_a_range_is_read_into_the_buffer(client: PeerClient) -> None:
    content = content_of(4)
    with FakeSource("b", content) as source:
        buffer, slices = memoryview(bytearray(PIECE)), []
        with client.open_range(source.peer, manifest_of(content).file_id, PIECE, 2 * PIECE) as body:
            for number in (1, 2):
                body.fill(buffer, lambda part: slices.append(len(part)))
                assert bytes(buffer) == content[number * PIECE : (number + 1) * PIECE]
        assert sum(slices) == 2 * PIECE
        assert len(slices) > 2, "a slow source is seen to be slow within a piece"


def test_a_kept_connection_that_ended_is_made_anew(client: PeerClient) -> None:
    answers = iter([answer(b'{"complete": true}'), b"\r\nConnection: close", answer(b'{"complete": false}')])
    with scripted(lambda _: next(answers)) as (peer, asked):
        assert client.lookup(peer, REQUEST, 10.0).complete
        assert not client.lookup(peer, REQUEST, 10.0).complete
        assert len(asked) == 3


# --- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        ("400 Bad Request", "invalid", InvalidRequest),
        ("401 Unauthorized", "refused", Refused),
        ("403 Forbidden", "refused", Refused),
        ("404 Not Found", "not-found", NotFound),
        ("404 Not Found", "no-piece", LacksPiece),
        ("409 Conflict", "changed", Conflict),
        ("429 Too Many Requests", "", PeerBusy),
        ("500 Internal Server Error", "internal", Unavailable),
        ("503 Service Unavailable", "unavailable", PeerBusy),
        ("507 Insufficient Storage", "no-room", NoRoom),
        ("302 Found", "", PeerLied),
        ("418 I'm a teapot", "", PeerLied),
    ],
)
def test_each_status_is_an_error_of_ours(client: PeerClient, status: str, code: str, error: type[PServerError]) -> None:
    problem = json.dumps({"code": code, "detail": "in words"}).encode()
    packed = base64.b64encode(b"\x40").decode()
    headers = ["P2P-Bitfield: " + packed, "Location: http://127.0.0.1:1/"]
    with scripted(lambda _: answer(problem, status, *headers)) as (peer, asked):
        with pytest.raises(error, match="in words") as raised:
            client.open_range(peer, FILE_ID, 0, 10)
        if isinstance(raised.value, LacksPiece):
            assert raised.value.bitfield == b"\x40"
        if isinstance(raised.value, Conflict):
            assert raised.value.code == "changed"
        assert len(asked) == 1, "no redirect is followed"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"complete": 1}', b"[" * 100_000, b"\xff\xfe", b'{"complete": ' + b"9" * 9000 + b"}"],
    ids=lambda body: str(body[:12]),
)
def test_an_answer_that_is_none_is_a_lie(client: PeerClient, body: bytes) -> None:
    with scripted(lambda _: answer(body)) as (peer, _), pytest.raises(PeerLied):
        client.lookup(peer, REQUEST, 10.0)


def test_an_endless_answer_is_cut_off(client: PeerClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pserver.remote.peer_http.MAX_JSON_BYTES", 100_000)
    with scripted(lambda _: answer(b" " * 200_000)) as (peer, _), pytest.raises(PeerLied, match="more than"):
        client.lookup(peer, REQUEST, 10.0)


def test_nobody_there_is_dead_and_silence_is_stalled(client: PeerClient) -> None:
    with scripted(lambda _: None) as (peer, _):
        with pytest.raises(PeerStalled):
            client.lookup(peer, REQUEST, 0.1)
        with pytest.raises(PeerStalled):
            client.open_range(peer, FILE_ID, 0, 10)
    with pytest.raises(PeerDead):
        client.lookup(peer, REQUEST, 0.1)


def test_nonsense_instead_of_http_is_an_error_of_ours(client: PeerClient) -> None:
    for nonsense in (b"SSH-2.0-OpenSSH_9.9\r\n\r\nConnection: close", b"HTTP/1.1 abc\r\n\r\n\r\nConnection: close"):
        with scripted(lambda _, nonsense=nonsense: nonsense) as (peer, _), pytest.raises(Unavailable):  # type: ignore[misc]
            client.lookup(peer, REQUEST, 0.5)


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Range: bytes 0-8/100"],
        ["Content-Range: bytes 1-10/100"],
        [],
        ["Content-Range: bytes 0-9/100", "Content-Encoding: gzip"],
    ],
)
def test_other_bytes_than_asked_for_are_a_lie(client: PeerClient, headers: list[str]) -> None:
    ranged = answer(b"0123456789", "206 Partial Content", *headers)
    with scripted(lambda _: ranged) as (peer, _), pytest.raises(PeerLied):
        client.open_range(peer, FILE_ID, 0, 10)


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [(Behaviour(die_after=1000), PeerDead), (Behaviour(stall_after=1000), PeerStalled)],
    ids=["dies", "stalls"],
)
def test_an_end_before_the_end_is_noticed(client: PeerClient, behaviour: Behaviour, error: type[PServerError]) -> None:
    content = content_of(1)
    with FakeSource("b", content, behaviour=behaviour) as source:
        body = client.open_range(source.peer, manifest_of(content).file_id, 0, PIECE)
        with body, pytest.raises(error):
            body.fill(memoryview(bytearray(PIECE)))


def test_a_read_can_be_interrupted() -> None:
    issuer = Issuer(Ed25519PrivateKey.generate(), None)
    patient = PeerClient(issuer, Verifier(issuer.peer_id, None), AddressPolicy(own_loopback=True), stall_seconds=5)
    content, interrupt = content_of(1), Interrupt()
    with FakeSource("b", content, behaviour=Behaviour(stall_after=1000)) as source:
        for while_it_waits in (True, False):  # then: before it begins
            body = patient.open_range(source.peer, manifest_of(content).file_id, 0, PIECE, interrupt)
            with body, pytest.raises(PeerDead):
                if while_it_waits:
                    threading.Thread(target=interrupt.interrupt).start()
                body.fill(memoryview(bytearray(PIECE)))
    patient.close()


def test_forbidden_addresses_are_not_asked() -> None:
    issuer = Issuer(Ed25519PrivateKey.generate(), None)
    outside = PeerClient(issuer, Verifier(issuer.peer_id, None), AddressPolicy(own_loopback=False))
    with scripted(said({})) as (peer, asked):
        with pytest.raises(Refused, match="loopback"):
            outside.lookup(peer, REQUEST, 0.5)
        assert asked == []
    outside.close()


def test_cookies_of_peers_are_not_kept(client: PeerClient) -> None:
    body = b'{"complete": true}'
    with scripted(lambda _: answer(body, "200 OK", "Set-Cookie: a=b")) as (peer, asked):
        client.lookup(peer, REQUEST, 10.0)
        client.lookup(peer, REQUEST, 10.0)
        assert b"cookie" not in asked[1].lower()


# --- digests --------------------------------------------------------------------------------------------------------


DIGESTS = Digests(1000, 256 * 1024, b"s" * 32, b"1" * 20, b"2" * 32)


def test_digests_are_asked_for_with_a_token_for_that_file(client: PeerClient) -> None:
    with scripted(lambda _: answer(DIGESTS.encode())) as (peer, asked):
        assert client.digests(peer, FILE_ID, 1000) == DIGESTS
        verifier = Verifier(peer.peer_id, None)
        verifier.check(header(asked[0], "Authorization").removeprefix("Bearer "), "file", time.time(), FILE_ID.hex())
    with scripted(lambda _: answer(b'{"bytes_done": 7, "size": 5}', "202 Accepted")) as (peer, _):
        assert client.digests(peer, FILE_ID, 1000) == Making(7, 1000)


@pytest.mark.parametrize(
    ("body", "status"),
    [(DIGESTS.encode()[:-1], "200 OK"), (DIGESTS.encode() + b"x", "200 OK"), (b"", "200 OK"), (b"{", "202 Accepted"),
     (b'{"bytes_done": -1}', "202 Accepted"), (b"[]", "202 Accepted"), (b"x" * 10_000, "202 Accepted")],
)  # fmt: skip
def test_digests_that_cannot_be_right_are_a_lie(client: PeerClient, body: bytes, status: str) -> None:
    with scripted(lambda _: answer(body, status)) as (peer, _), pytest.raises(PeerLied):
        client.digests(peer, FILE_ID, 1000)
