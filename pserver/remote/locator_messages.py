"""What a peer and the locator say to each other, as values, and how they become messages. No I/O.

The locator is trusted with the index, not with this process: what it sends is checked here like anything from
outside. An entry that is malformed (a bad id, name or address) is left out; a reply that makes no sense as a whole
is a BadReply.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from protos import locator_pb2 as messages
from protos.addresses import check_url
from protos.names import InvalidName, check_name
from pserver.model import FileEntry, FileGroup, Holder, Peer, PeerInfo, Query
from pserver.pieces import HASH_BYTES, MAX_FILE_BYTES

SHORT_ID_BYTES = 16
MAX_PEER_NAME_CHARACTERS = 64
MAX_VERSION_CHARACTERS = 32
MAX_WHY_CHARACTERS = 1024
_MIN_INTERVAL_SECONDS = 0.1  # whatever the locator says, it is not asked more often than this


class BadReply(ValueError):
    """The locator sent something that makes no sense: the message says what."""


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a peer says of itself when it registers. `epoch` has 16 bytes; `sequence` is its index's newest."""

    name: str
    url: str
    version: str
    free_bytes: int
    accepts_uploads: bool
    epoch: bytes
    sequence: int


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a heartbeat tells. `epoch` has 16 bytes; `sequence` is the index's newest."""

    lease_id: bytes
    free_bytes: int
    accepts_uploads: bool
    epoch: bytes
    sequence: int


@dataclass(frozen=True, slots=True)
class IndexState:
    """What the locator has of this peer's index. `snapshot_delay`: wait this many seconds before a wanted snapshot."""

    epoch: bytes
    sequence: int
    snapshot_wanted: bool = False
    snapshot_delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Lease:
    """How long the membership lasts and how often it is to be renewed (seconds), and what came with the renewal.

    `accounts`: they are on at the locator; `orders_waiting`: it has some for this peer.
    """

    lease_seconds: float
    heartbeat_seconds: float
    index: IndexState
    neighbours: tuple[Peer, ...] = ()
    accounts: bool = False
    orders_waiting: bool = False


@dataclass(frozen=True, slots=True)
class Registration:
    """The answer to Register. `locator_time` is Unix time (seconds) by the locator's clock."""

    lease_id: bytes
    lease: Lease
    reachable: bool = True
    unreachable_why: str = ""
    locator_time: float = 0.0
    locator_id: bytes = b""
    version: str = ""  # of the locator; "": it does not say


@dataclass(frozen=True, slots=True)
class Batch:
    """One announce: a delta (previous_sequence -> sequence), or, if `part` is not None, a part of a snapshot."""

    epoch: bytes
    previous_sequence: int
    sequence: int
    added: Sequence[FileEntry] = ()
    removed: Sequence[str] = ()
    part: int | None = None
    last: bool = False  # of the parts of a snapshot


# --- values -> messages


def register_request(said: Introduction) -> messages.RegisterRequest:
    """As it travels."""
    return messages.RegisterRequest(
        name=said.name,
        url=said.url,
        version=said.version,
        free_bytes=max(0, said.free_bytes),
        accepts_uploads=said.accepts_uploads,
        epoch=said.epoch,
        sequence=said.sequence,
    )


def heartbeat_request(pulse: Pulse) -> messages.HeartbeatRequest:
    """As it travels."""
    return messages.HeartbeatRequest(
        lease_id=pulse.lease_id,
        free_bytes=max(0, pulse.free_bytes),
        accepts_uploads=pulse.accepts_uploads,
        epoch=pulse.epoch,
        sequence=pulse.sequence,
    )


def announce_request(lease_id: bytes, batch: Batch) -> messages.AnnounceRequest:
    """As it travels."""
    return messages.AnnounceRequest(
        lease_id=lease_id,
        epoch=batch.epoch,
        previous_sequence=batch.previous_sequence,
        sequence=batch.sequence,
        added=[_entry_message(entry) for entry in batch.added],
        removed=batch.removed,
        snapshot_begin=batch.part == 0,
        snapshot_end=batch.last,
        snapshot_part=batch.part or 0,
    )


def query_message(query: Query) -> messages.LocateQuery:
    """As it travels; ValueError unless exactly one thing is asked."""
    asked = [part for part in (query.name, query.file_id, query.sha256) if part is not None]
    if len(asked) != 1:
        raise ValueError("a query asks for one name, one file id or one sha256")
    return messages.LocateQuery(name=query.name, file_id=query.file_id, sha256=query.sha256)


def _entry_message(entry: FileEntry) -> messages.FileEntry:
    return messages.FileEntry(
        name=entry.name,
        file_id=entry.file_id,
        size=entry.size,
        sha256=entry.sha256,
        sha256_checked=entry.sha256_checked,
        partial=entry.partial,
    )


# --- messages -> values


def registration(reply: messages.RegisterReply) -> Registration:
    """The checked value; BadReply."""
    return Registration(
        lease_id=_id(reply.lease_id, SHORT_ID_BYTES, "lease id"),
        lease=lease(reply),
        reachable=reply.reachable,
        unreachable_why=printable(reply.unreachable_why, MAX_WHY_CHARACTERS),
        locator_time=reply.locator_time_ms / 1000,
        locator_id=reply.locator_id[:HASH_BYTES],
        version=printable(reply.version, MAX_VERSION_CHARACTERS),
    )


def lease(reply: messages.RegisterReply | messages.HeartbeatReply) -> Lease:
    """The checked value; BadReply."""
    if reply.lease_ms <= 0 or reply.heartbeat_ms <= 0:
        raise BadReply("a lease without a length")
    return Lease(
        lease_seconds=max(_MIN_INTERVAL_SECONDS, reply.lease_ms / 1000),
        heartbeat_seconds=max(_MIN_INTERVAL_SECONDS, reply.heartbeat_ms / 1000),
        index=index_state(reply.state),
        neighbours=tuple(peers(reply.neighbours)),
        accounts=reply.accounts,
        orders_waiting=reply.orders_waiting,
    )


def index_state(state: messages.AnnounceState) -> IndexState:
    """The checked value; BadReply."""
    if len(state.epoch) not in {0, SHORT_ID_BYTES}:
        raise BadReply("an epoch of the wrong length")
    return IndexState(state.epoch, state.sequence, state.snapshot_wanted, state.snapshot_delay_ms / 1000)


def peer(message: messages.Peer) -> Peer | None:
    """The peer, or None if the message is malformed."""
    try:
        peer_id = _id(message.peer_id, HASH_BYTES, "peer id").hex()
        url = check_url(message.url)
    except ValueError:
        return None
    if not message.name or printable(message.name, MAX_PEER_NAME_CHARACTERS) != message.name:
        return None
    return Peer(peer_id, message.name, url)


def peers(found: Iterable[messages.Peer]) -> list[Peer]:
    """Those that are well formed."""
    return [checked for checked in map(peer, found) if checked is not None]


def file_group(message: messages.FileGroup) -> FileGroup | None:
    """The group with its well-formed names and holders; None if there is nothing right about it."""
    holders = [checked for checked in map(_holder, message.holders) if checked is not None]
    names = [name for name in message.names if is_name(name)]
    if not _is_file(message.file_id, message.sha256, message.size) or not names:
        return None
    count = max(message.holder_count, len(holders))
    return FileGroup(message.file_id, message.size, message.sha256, names, holders, count)


def file_groups(found: Iterable[messages.FileGroup]) -> list[FileGroup]:
    """Those that are well formed."""
    return [checked for checked in map(file_group, found) if checked is not None]


def file_entries(found: Iterable[messages.FileEntry]) -> list[FileEntry]:
    """Those that are well formed."""
    return [
        FileEntry(entry.name, entry.file_id, entry.size, entry.sha256, entry.sha256_checked, entry.partial)
        for entry in found
        if is_name(entry.name) and _is_file(entry.file_id, entry.sha256, entry.size)
    ]


def peer_infos(found: Iterable[messages.PeerInfo]) -> list[PeerInfo]:
    """Those that are well formed."""
    return [checked for checked in map(_peer_info, found) if checked is not None]


def is_name(name: str) -> bool:
    """Whether `name` is a legal file name."""
    try:
        check_name(name)
    except InvalidName:
        return False
    return True


def printable(text: str, most: int) -> str:
    """At most `most` characters of `text`, without control characters: what may be shown or logged."""
    return "".join(c for c in text[:most] if c.isprintable())


def _holder(message: messages.Holder) -> Holder | None:
    who = peer(message.peer)
    if who is None or not is_name(message.name):
        return None
    return Holder(who, message.name, message.sha256_checked, message.partial)


def _peer_info(message: messages.PeerInfo) -> PeerInfo | None:
    who = peer(message.peer)
    if who is None:
        return None
    return PeerInfo(
        peer=who,
        files=message.files,
        bytes=message.bytes,
        free_bytes=message.free_bytes,
        accepts_uploads=message.accepts_uploads,
        version=printable(message.version, 32),
        heartbeat_age=message.heartbeat_age_ms / 1000,
    )


def _is_file(file_id: bytes, sha256: bytes, size: int) -> bool:
    return len(file_id) == HASH_BYTES and len(sha256) == HASH_BYTES and size <= MAX_FILE_BYTES


def _id(found: bytes, length: int, what: str) -> bytes:
    if len(found) != length:
        raise BadReply(f"a {what} of {len(found)} bytes")
    return found
