"""The words of the peer as values, and its few errors. No I/O, and nothing of the project is imported here."""

from dataclasses import dataclass, field


class PServerError(Exception):
    """Something went wrong. `code`: a finer word for programs than the class's own, where there is one."""

    code = "error"

    def __init__(self, message: str = "", code: str | None = None) -> None:
        super().__init__(*([message] if message else []))
        self.code = code or type(self).code


class InvalidRequest(PServerError):
    """The request is not right: the message says what about it."""

    code = "invalid"


class NotFound(PServerError):
    """There is no such thing here or at any peer that was asked."""

    code = "not-found"


class Conflict(PServerError):
    """The request fits more than one thing, or a thing in another state than it needs."""

    code = "conflict"

    def __init__(self, message: str, code: str | None = None, choices: object = None) -> None:
        super().__init__(message, code)  # "ambiguous": choose one of `choices`; "changed": the file changed
        self.choices = choices


class NoRoom(PServerError):
    """There is not enough room on the disk."""

    code = "no-room"


class Refused(PServerError):
    """Whoever asks may not do this."""

    code = "refused"


class LoginNeeded(PServerError):
    """Log in first: this network has accounts."""

    code = "login_required"


class Unavailable(PServerError):
    """Another peer, the locator or the share cannot be reached now; try again later."""

    code = "unavailable"


class TooMany(Unavailable):
    """That is more at once than one may ask for; try again later."""

    code = "too-many"


class SlowDown(TooMany):
    """Too many tries; `seconds`: wait this long before the next."""

    code = "slow_down"

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


class Replaced(PServerError):
    """Another process runs with this peer's key; this one stops."""

    code = "replaced"


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer as others reach it. `peer_id` is 64 hex digits, `url` the base of its peer API."""

    peer_id: str
    name: str
    url: str


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of one peer's share, as announced. Ids are raw 32 bytes; `size` in bytes."""

    name: str
    file_id: bytes
    size: int
    sha256: bytes
    sha256_checked: bool
    partial: bool = False


@dataclass(frozen=True, slots=True)
class SharedFile:
    """A row of the share's own index. `raw_name` is the name's bytes on disk; times in nanoseconds.

    `sequence` is the index's sequence at which this row last changed.
    """

    name: str
    raw_name: bytes
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    file_id: bytes
    sha256: bytes
    sha256_checked: bool
    sequence: int

    def entry(self) -> FileEntry:
        """As it is announced."""
        return FileEntry(self.name, self.file_id, self.size, self.sha256, self.sha256_checked)


@dataclass(frozen=True, slots=True)
class Changes:
    """What a share gained and lost up to `sequence`. More to come if `sequence` is below the index's newest."""

    sequence: int
    added: list[FileEntry]
    removed: list[str]


@dataclass(frozen=True, slots=True)
class Holder:
    """A peer that has a file, and the name under which it does."""

    peer: Peer
    name: str
    sha256_checked: bool
    partial: bool = False


@dataclass(frozen=True, slots=True)
class FileGroup:
    """A file by its id, and who has it. `holder_count` may exceed the holders listed."""

    file_id: bytes
    size: int
    sha256: bytes
    names: list[str]
    holders: list[Holder]
    holder_count: int


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """A peer in a list, with what it shares. `heartbeat_age` in seconds; None if it was not asked of a locator."""

    peer: Peer
    files: int
    bytes: int
    free_bytes: int
    accepts_uploads: bool
    version: str
    heartbeat_age: float | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """One thing to locate: exactly one of the three is set."""

    name: str | None = None
    file_id: bytes | None = None
    sha256: bytes | None = None


@dataclass(frozen=True, slots=True)
class LookupRequest:
    """A lookup as it travels. `kind`: locate, search, peers or files; the rest as the kind needs.

    `hops`: how many more peers may pass it on. `query_id`: 32 hex digits, by which loops die.
    `deadline_ms`: the time that remains.
    """

    kind: str
    query_id: str
    hops: int
    deadline_ms: int
    queries: tuple[Query, ...] = ()
    words: str = ""
    peer_id: str = ""  # of `files`
    prefix: str = ""  # of `files`
    match: str = ""  # of `peers`
    folder: str = ""  # of `peers`
    page_size: int = 0
    page_token: str = ""
    max_holders: int = 0


@dataclass(slots=True)
class LookupAnswer:
    """What came back. `complete`: a locator was asked. `via`: the ways it came, first first.

    Of the four lists the one of the request's kind is filled: `results` (one list of groups a query) for locate,
    `groups` for search, `peers`, `files`.
    """

    complete: bool
    via: list[str] = field(default_factory=list)
    results: list[list[FileGroup]] = field(default_factory=list)
    groups: list[FileGroup] = field(default_factory=list)
    peers: list[PeerInfo] = field(default_factory=list)
    files: list[FileEntry] = field(default_factory=list)
    next_page_token: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """A file that another peer would have this one hold. `url`: the base of the offering peer's API.

    `grant`: the locator's word that a person may (protos/grants.py), where accounts are on.
    """

    file_id: bytes
    size: int
    name: str
    sha256: bytes
    url: str
    grant: str | None = None


@dataclass(frozen=True, slots=True)
class OfferView:
    """How far the taking of an offer is. `state`: queued, running, done, failed or cancelled."""

    offer_id: str
    state: str
    bytes_done: int
    name: str
    error: str | None = None
