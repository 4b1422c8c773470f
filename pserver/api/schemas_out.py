"""The shapes of the JSON that goes out, for the OpenAPI documents.

Answers are built in answers.py and lookup_json.py, not dumped through these (a big lookup would pay for it); the
tests hold the two against each other.
"""

from apiflask import Schema
from marshmallow.fields import Boolean, Float, Integer, List, Nested, String

from pserver.api.schemas_in import hex_digits


def _given() -> String:
    return String(required=True)


def _maybe() -> String:
    return String(required=True, allow_none=True)


def _count() -> Integer:
    return Integer(required=True)


def _flag() -> Boolean:
    return Boolean(required=True)


class Healthy(Schema):
    status = _given()
    peer_id = String()


class Readiness(Schema):
    status = _given()
    not_ready = List(String(), required=True)


class Check(Schema):
    what = _given()
    state = _given()
    detail = _given()
    advice = _given()


class Doctor(Schema):
    healthy = _flag()
    checks = List(Nested(Check), required=True)


class Peer(Schema):
    peer_id = hex_digits(64)
    name = _given()
    url = _given()


class Pong(Schema):
    peer_id = hex_digits(64)
    name = _given()
    version = _given()
    proof = _given()


class Holder(Schema):
    peer = Nested(Peer, required=True)
    name = _given()
    sha256_checked = _flag()
    is_partial = Boolean(required=True, data_key="partial")


class FileGroup(Schema):
    file_id = hex_digits(64)
    size = _count()
    sha256 = hex_digits(64)
    names = List(String(), required=True)
    holders = List(Nested(Holder), required=True)
    holder_count = _count()


class FileEntry(Schema):
    name = _given()
    file_id = hex_digits(64)
    size = _count()
    sha256 = hex_digits(64)
    sha256_checked = _flag()
    is_partial = Boolean(required=True, data_key="partial")


class PeerInfo(Schema):
    peer = Nested(Peer, required=True)
    files = _count()
    bytes = _count()
    free_bytes = _count()
    accepts_uploads = _flag()
    version = _given()
    heartbeat_age = Float(required=True, allow_none=True)


class Answered(Schema):
    via = List(String(), required=True)
    complete = _flag()


class Found(Answered):
    groups = List(Nested(FileGroup), required=True)


class FoundPage(Found):
    next_page_token = _given()


class PeersPage(Answered):
    peers = List(Nested(PeerInfo), required=True)
    next_page_token = _given()


class FilesPage(Schema):
    files = List(Nested(FileEntry), required=True)
    next_page_token = _given()


class PeerFilesPage(Answered):
    files = List(Nested(FileEntry), required=True)
    next_page_token = _given()


class LookupAnswer(FoundPage):
    results = List(List(Nested(FileGroup)), required=True)
    peers = List(Nested(PeerInfo), required=True)
    files = List(Nested(FileEntry), required=True)


class SwarmPeer(Schema):
    peer = Nested(Peer, required=True)
    bitfield = _given()


class Swarm(Schema):
    bitfield = _maybe()
    peers = List(Nested(SwarmPeer), required=True)
    more = _flag()


class Offer(Schema):
    offer_id = _given()
    state = _given()
    bytes_done = _count()
    name = _given()
    error = _maybe()


class Making(Schema):
    bytes_done = _count()
    size = _count()


class Link(Schema):
    name = _given()
    file_id = hex_digits(64)
    size = _count()
    url = _given()
    urls = List(String(), required=True)
    meta4_url = _given()
    torrent_url = _given()
    expires = _given()


class Skipped(Schema):
    name = _given()
    why = _given()


class Share(Schema):
    path = _given()
    files = _count()
    bytes = _count()
    free_bytes = _count()
    scanning = _flag()
    hashing = _count()
    error = _maybe()
    skipped = List(Nested(Skipped), required=True)
    skipped_count = _count()


class Locator(Schema):
    address = _given()
    state = _given()
    why = _maybe()


class Neighbour(Schema):
    peer = Nested(Peer, required=True)
    state = _given()


class Reachable(Schema):
    ok = Boolean(required=True, allow_none=True)
    why = _given()


class TransferCounts(Schema):
    running = _count()
    queued = _count()
    paused = _count()
    failed = _count()


class Status(Schema):
    peer = Nested(Peer, required=True)
    version = _given()
    uptime_seconds = Float(required=True)
    reachable = Nested(Reachable, required=True)
    share = Nested(Share, required=True)
    locators = List(Nested(Locator), required=True)
    neighbours = List(Nested(Neighbour), required=True)
    transfers = Nested(TransferCounts, required=True)
    accepts_uploads = _flag()


class Source(Schema):
    peer = Nested(Peer, required=True)
    state = _given()
    rate = Float(required=True)
    pieces = _count()
    errors = _count()
    bytes = _count()
    why = _maybe()


class Target(Schema):
    peer = Nested(Peer, required=True)
    state = _given()
    bytes_done = _count()
    error = _maybe()


class Failure(Schema):
    code = _given()
    detail = _given()


class Item(Schema):
    name = _given()
    final_name = _maybe()
    file_id = hex_digits(64)
    size = _count()
    state = _given()
    bytes_done = _count()
    error = _maybe()


class Transfer(Schema):
    id = _given()
    kind = _given()
    label = _given()
    state = _given()
    bytes_total = _count()
    bytes_done = _count()
    files_total = _count()
    files_done = _count()
    rate = Float(required=True)
    eta_seconds = Float(required=True, allow_none=True)
    standstill = _maybe()
    bottleneck = _maybe()
    error = Nested(Failure, required=True, allow_none=True)
    created = _given()
    ended = _maybe()
    sources = List(Nested(Source), required=True)
    targets = List(Nested(Target), required=True)
    items = List(Nested(Item))


class Transfers(Schema):
    transfers = List(Nested(Transfer), required=True)


class LoggedIn(Schema):
    session = _given()
    user = _given()
    role = _given()
    expires = _count()


class WhoAmI(Schema):
    accounts = _flag()
    user = _maybe()
    role = _given()
    expires = Integer(required=True, allow_none=True)


class Dropped(Schema):
    file_id = hex_digits(64)
    ordered_present = List(String(), required=True)
    ordered_away = _count()


class Removed(Dropped):
    removed = _flag()


class Placed(Schema):
    """Headers of what was made."""

    location = String(data_key="Location", metadata={"description": "Where it can be looked at"})
