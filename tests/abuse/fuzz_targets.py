"""What strangers and members can send, as functions of bytes: each takes anything, and raises only what is documented.

`TARGETS` is the list; test_fuzz.py lets Hypothesis and atheris at it. Where a check can pass, what it promises of what
it let through is asserted too.
"""

import asyncio
import json
import unicodedata
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.message import DecodeError

from central_server import messages
from central_server.calls import Call
from central_server.locator import Locator, Terms
from central_server.model import LocatorError
from central_server.rpc import Service
from protos import locator_pb2 as pb
from protos.addresses import check_url
from protos.grants import GrantVerifier
from protos.links import LinkVerifier
from protos.names import InvalidName, check_name, check_prefix
from protos.tokens import InvalidToken, Issuer, Verifier
from pserver.api.problems import Problem
from pserver.api.ranges import Unsatisfiable, content_range, covers, select
from pserver.api.tus_headers import parse_checksum, parse_metadata
from pserver.api.web import check_json
from pserver.digests import BadDigests, decode_digests
from pserver.exchange import bitfield
from pserver.model import InvalidRequest
from pserver.pieces import BadManifest, decode_manifest
from pserver.remote.bundle_frames import BadBundle, checked_ids, files_in, proved
from pserver.remote.lookup_json import answer_from_json, answer_to_json, request_from_json, request_to_json
from pserver.remote.swarm_messages import (
    bitfield_from_text,
    news_from_json,
    news_to_json,
    sent_range,
    want_from_headers,
    want_headers,
)
from tests.central_server import samples
from tests.central_server.memory_store import MemoryStore

Target = Callable[[bytes], None]
NOW = samples.NOW
_KEY = b"k" * 32
_ISSUER = Issuer(Ed25519PrivateKey.from_private_bytes(b"\x01" * 32), _KEY)
_TARGET_ID = "ab" * 32


def range_header(data: bytes) -> None:
    """The first two bytes are the file's size."""
    size, header = int.from_bytes(data[:2]), data[2:].decode("latin-1")
    try:
        span = select(header, size)
    except Unsatisfiable:
        return
    if span is not None:
        assert 0 <= span.first <= span.last < size
        content_range(span, size)
        covers(data[:8], 1 << 10, span)
    sent_range(header)


def manifest(data: bytes) -> None:
    """A manifest whose id was made for it, so that what it says is looked at."""
    with suppress(BadManifest):
        found = decode_manifest(data, blake3(data).digest())
        assert found.encode() == data
        assert sum(found.span(piece)[1] for piece in range(found.piece_count)) == found.size


def token(data: bytes) -> None:
    """Bytes as a token, and as the claims of one that is signed well."""
    verifier = Verifier(_TARGET_ID, _KEY)
    with suppress(InvalidToken):
        verifier.check(data.decode("latin-1"), "file", NOW)
    for said in _claims(data):
        with suppress(InvalidToken):
            made = _ISSUER.sign(
                {"aud": _TARGET_ID, "scope": "file", "iat": int(NOW), "exp": int(NOW) + 9} | said, "p2p+jwt"
            )
            checked = Verifier(_TARGET_ID, _KEY).check(made, "file", NOW)
            assert checked.audience == _TARGET_ID and checked.scope == "file" and checked.expires - NOW <= 240


def link(data: bytes) -> None:
    """Bytes as a link, and as the claims of one that is signed well."""
    with suppress(InvalidToken):
        LinkVerifier(_KEY).check(data.decode("latin-1"), NOW)
    for said in _claims(data):
        with suppress(InvalidToken):
            made = _ISSUER.sign({"fid": "cd" * 32, "iat": int(NOW), "exp": int(NOW) + 9} | said, "p2p-link+jwt")
            assert len(bytes.fromhex(LinkVerifier(_KEY).check(made, NOW).file_id)) == 32


def grant(data: bytes) -> None:
    """Bytes as a grant, and as the claims of one that is signed well."""
    verifier = GrantVerifier(_TARGET_ID, _KEY)
    with suppress(InvalidToken):
        verifier.check(data.decode("latin-1"), [_ISSUER.peer_id], NOW)
    base = {"sub": "ann", "admin": False, "verb": "hold", "fid": "cd" * 32, "aud": _TARGET_ID}
    for said in _claims(data):
        with suppress(InvalidToken):
            made = _ISSUER.sign({**base, "iat": int(NOW), "exp": int(NOW) + 9} | said, "p2p-grant+jwt")
            checked = verifier.check(made, [_ISSUER.peer_id], NOW)
            assert checked.target == _TARGET_ID and checked.verb in {"hold", "drop"}
            assert checked.admin is (said.get("admin", False) is True)


def announce(data: bytes) -> None:
    """An announcement to the rules, of a peer that has registered."""
    with suppress(DecodeError, LocatorError):
        request = pb.AnnounceRequest.FromString(data)
        asyncio.run(_announce(request))


def locator_question(data: bytes) -> None:
    """The questions of the other rpcs: the first byte says which."""
    asked: list[Any] = [
        pb.RegisterRequest,
        pb.HeartbeatRequest,
        pb.LocateRequest,
        pb.ListPeersRequest,
        pb.ListFilesRequest,
    ]
    with suppress(DecodeError, LocatorError):
        request: Any = asked[data[0] % len(asked) if data else 0].FromString(data[1:])
        asyncio.run(_ask(request))


def name(data: bytes) -> None:
    """A file's name: what is let through is safe below a folder."""
    try:
        text = data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    with suppress(InvalidName):
        check_prefix(text)
    with suppress(InvalidName):
        checked = check_name(text)
        parts = checked.split("/")
        assert all(part and not part.startswith(".") and len(part.encode()) <= 255 for part in parts)
        assert "\0" not in checked and len(checked.encode()) <= 1024 and unicodedata.is_normalized("NFC", checked)


def url(data: bytes) -> None:
    """The address that a peer says it has."""
    with suppress(ValueError):
        check_url(data.decode("latin-1"))


def tus_headers(data: bytes) -> None:
    """Upload-Metadata and Upload-Checksum."""
    header = data.decode("latin-1")
    with suppress(InvalidRequest):
        assert all(isinstance(value, str) for value in parse_metadata(header).values())
    with suppress(InvalidRequest):
        algorithm, _ = parse_checksum(header)
        assert algorithm in {"sha1", "sha256"}


def lookup_json(data: bytes) -> None:
    """The body of a lookup, and of its answer: what is let through comes back the same."""
    body = _json(data)
    with suppress(InvalidRequest):
        request = request_from_json(body)
        assert request_from_json(json.loads(json.dumps(request_to_json(request)))) == request
    with suppress(InvalidRequest):
        answer = answer_from_json(body)
        assert answer_from_json(json.loads(json.dumps(answer_to_json(answer)))) == answer
    with suppress(InvalidRequest):
        checked_ids(body.get("file_ids"))


def bundle_frames(data: bytes) -> None:
    """A bundle for three ids, of which the last is that of the bytes behind the first frame's head."""
    asked = [b"\0" * 32, b"\1" * 32, blake3(data[8:88]).digest()]
    with suppress(BadBundle):
        for file in files_in(memoryview(data), asked[: 1 + len(data) % 3]):
            with suppress(BadBundle):
                assert blake3(proved(file).manifest.encode()).digest() == file.file_id
            proved_or_not = type(file)(asked[2], file.state, file.manifest, file.content)
            with suppress(BadBundle):
                proved(proved_or_not)


def swarm_messages(data: bytes) -> None:
    """What peers that fetch one file tell each other."""
    text = data.decode("latin-1")
    head, _, tail = text.partition("\n")
    with suppress(InvalidRequest):
        want = want_from_headers(head, tail or None)
        assert want.first % 8 == 0 and want.most > 0
        said = want_headers(want)
        assert want_from_headers(said["P2P-Want"], said.get("P2P-Bitfield")).choices == want.choices
    with suppress(InvalidRequest):
        bitfield_from_text(text)
    with suppress(InvalidRequest):
        news = news_from_json(_json(data))
        assert news_from_json(json.loads(json.dumps(news_to_json(news)))) == news


def bitfields(data: bytes) -> None:
    """A packed bitfield of as many pieces as the first two bytes say, modulo its length."""
    packed = data[2:]
    pieces = int.from_bytes(data[:2]) % (8 * len(packed) + 2)
    with suppress(ValueError):
        flags = bitfield.unpack(packed, pieces)
        mask = bitfield.to_mask(packed, pieces)
        assert bitfield.pack(flags) == packed == bitfield.from_mask(mask, pieces)
        assert bitfield.pieces_of(mask) == [piece for piece, flag in enumerate(flags) if flag]


def digests(data: bytes) -> None:
    """The digests that another peer made, with a checksum that is right."""
    size = int.from_bytes(data[8:16]) if len(data) >= 16 else 0
    with suppress(BadDigests):
        decode_digests(data, size % (1 << 44))
    with suppress(BadDigests):
        assert decode_digests(data + blake3(data).digest(), size % (1 << 44)).size == size


TARGETS: Mapping[str, Target] = {
    target.__name__: target
    for target in (
        range_header,
        manifest,
        token,
        link,
        grant,
        announce,
        locator_question,
        name,
        url,
        tus_headers,
        lookup_json,
        bundle_frames,
        swarm_messages,
        bitfields,
        digests,
    )
}


def _json(data: bytes) -> Any:
    """The body as a view gets it; {} for what never reaches one."""
    try:
        check_json(data)
    except Problem:
        return {}
    return json.loads(data)


def _claims(data: bytes) -> list[dict[str, Any]]:
    said = _json(data)
    return [said] if said and len(data) < 1024 else []


async def _reachable(peer_id: bytes, url: str) -> str | None:
    return None


async def _a_member() -> tuple[Locator, bytes, bytes]:
    """Rules with one member: (rules, its peer id, its lease)."""
    locator = Locator(MemoryStore(), _reachable, Terms(30.0, 30.0, 1000), NOW)
    peer_id = samples.peer_id("ann")
    registered = await locator.register(peer_id, samples.said("ann", (samples.epoch("1"), 0)), NOW)
    await locator.announce(peer_id, registered.lease_id, samples.snapshot(1, [samples.entry("a.txt")]), NOW)
    return locator, peer_id, registered.lease_id


async def _announce(request: pb.AnnounceRequest) -> None:
    locator, peer_id, lease_id = await _a_member()
    state = await locator.announce(peer_id, lease_id, await messages.announcement(request), NOW)
    messages.state_message(state).SerializeToString()


async def _ask(request: Any) -> None:  # Any: whichever message it is
    locator, peer_id, _ = await _a_member()
    call = Call(peer_id, "127.0.0.1", NOW, 5.0)
    service = Service(locator, "cd" * 32)
    methods: dict[Any, Any] = {
        pb.RegisterRequest: service.register,
        pb.HeartbeatRequest: service.heartbeat,
        pb.LocateRequest: service.locate,
        pb.ListPeersRequest: service.list_peers,
        pb.ListFilesRequest: service.list_files,
    }
    reply: Any = await methods[type(request)](request, call)
    reply.SerializeToString()
