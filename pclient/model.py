"""The client's words: the values of the client API as they arrive, and the few errors. No I/O.

The values are the JSON of docs/REST.md, typed and otherwise untouched: what `--json` prints is what the
PServer said.
"""

from dataclasses import dataclass
from typing import NotRequired, TypedDict


class PClientError(Exception):
    """Something went wrong."""

    exit_code = 1

    def __init__(self, message: str, code: str = "failed") -> None:
        super().__init__(message)
        self.code = code  # the PServer's `code`, where it sent one: "hashing", "unavailable", "no-room"...


class WrongUsage(PClientError):
    """That cannot be asked for: the message says why."""

    exit_code = 2


class NotFound(PClientError):
    """There is no such thing."""

    exit_code = 3


class Refused(PClientError):
    """The PServer wants a login, or does not accept what was shown: a session, the token, a password."""

    exit_code = 4


class Unreachable(PClientError):
    """No PServer answers."""

    exit_code = 5


class Interrupted(PClientError):
    """Ctrl-C: the message says what goes on without us."""

    exit_code = 130


class Ambiguous(PClientError):
    """The request fits more than one thing. `choices` are FileGroups, Peers or PeerInfos, as the request goes."""

    def __init__(self, message: str, choices: list[dict[str, object]]) -> None:
        super().__init__(message, "ambiguous")
        self.choices = choices


class Peer(TypedDict):
    """A peer. `peer_id` is 64 hex digits."""

    peer_id: str
    name: str
    url: str


class Holder(TypedDict):
    """A peer that has a file, and the name under which it does."""

    peer: Peer
    name: str
    sha256_checked: bool
    partial: bool


class FileGroup(TypedDict):
    """A file by its id, and who has it. `holder_count` may exceed the holders listed."""

    file_id: str
    size: int
    sha256: str
    names: list[str]
    holders: list[Holder]
    holder_count: int


class FileEntry(TypedDict):
    """One file of one peer's share. `size` in bytes."""

    name: str
    file_id: str
    size: int
    sha256: str
    sha256_checked: bool
    partial: bool


class PeerInfo(TypedDict):
    """A peer in a list, with what it shares. `heartbeat_age` in seconds."""

    peer: Peer
    files: int
    bytes: int
    free_bytes: int
    accepts_uploads: bool
    version: str
    heartbeat_age: float | None


class Groups(TypedDict):
    """What a search or a lookup answers."""

    groups: list[FileGroup]
    next_page_token: NotRequired[str]
    via: list[str]
    complete: bool


class Peers(TypedDict):
    """A page of peers."""

    peers: list[PeerInfo]
    next_page_token: str
    via: list[str]
    complete: bool


class Files(TypedDict):
    """A page of files: of the own share, or (then with `via` and `complete`) of another peer's."""

    files: list[FileEntry]
    next_page_token: str
    via: NotRequired[list[str]]
    complete: NotRequired[bool]


class Link(TypedDict):
    """A link to a file: at each holder, and at the first also to the documents about the file. ISO 8601."""

    name: str
    file_id: str
    size: int
    url: str
    urls: list[str]
    meta4_url: str
    torrent_url: str
    expires: str


@dataclass(frozen=True, slots=True)
class Making:
    """A document about a file that is being made: ask again in `wait` seconds."""

    wait: float


class Source(TypedDict):
    """A peer that a download reads from. `rate` in bytes a second; `pieces` and `bytes` are what it gave."""

    peer: Peer
    state: str
    rate: float
    pieces: int
    bytes: int
    errors: int
    why: str | None


class Target(TypedDict):
    """A peer that an upload goes to."""

    peer: Peer
    state: str
    bytes_done: int
    error: str | None


class Item(TypedDict):
    """A file of a transfer: the name wanted, and the name it got once it is done."""

    name: str
    final_name: str | None
    file_id: str
    size: int
    state: str
    bytes_done: int
    error: str | None


class Failure(TypedDict):
    """Why a transfer failed."""

    code: str
    detail: str


class Transfer(TypedDict):
    """A download or upload. Bytes, bytes a second, seconds; times are ISO 8601."""

    id: str
    kind: str
    label: str
    state: str
    bytes_total: int
    bytes_done: int
    files_total: int
    files_done: int
    rate: float
    eta_seconds: float | None
    sources: list[Source]
    standstill: str | None
    bottleneck: str | None
    error: Failure | None
    created: str
    ended: str | None
    targets: NotRequired[list[Target]]
    items: NotRequired[list[Item]]


class Transfers(TypedDict):
    """All transfers, newest first."""

    transfers: list[Transfer]


class Reachable(TypedDict):
    """Whether other peers can connect to ours; None while nobody has tried."""

    ok: bool | None
    why: str


class Skipped(TypedDict):
    """A file that is in the share folder but not shared, and why."""

    name: str
    why: str


class Share(TypedDict):
    """The own share."""

    path: str
    files: int
    bytes: int
    free_bytes: int
    scanning: bool
    hashing: int
    error: str | None
    skipped: list[Skipped]
    skipped_count: int


class Locator(TypedDict):
    """A locator that our peer knows."""

    address: str
    state: str
    why: str | None


class Neighbour(TypedDict):
    """A peer through which our lookups go."""

    peer: Peer
    state: str


class TransferCounts(TypedDict):
    """How many transfers are in which state."""

    running: int
    queued: int
    paused: int
    failed: int


class Status(TypedDict):
    """How our PServer is."""

    peer: Peer
    version: str
    uptime_seconds: float
    reachable: Reachable
    share: Share
    locators: list[Locator]
    neighbours: list[Neighbour]
    transfers: TransferCounts
    accepts_uploads: bool


ENDED = frozenset({"done", "failed", "cancelled"})
