"""The locator's words as values: peers, files, who holds what, and what can go wrong.

Plain data without behaviour of its own. Ids are raw bytes; times are seconds, sizes bytes. The values that a lookup
makes by the hundred are named tuples, which cost a third of a dataclass to make.
"""

from dataclasses import dataclass, field
from enum import Enum
from inspect import cleandoc
from typing import ClassVar, Literal, NamedTuple


class LocatorError(Exception):
    """The locator could not do that."""

    code: ClassVar[str] = "error"

    def __init__(self, **details: object) -> None:
        super().__init__(" ".join(cleandoc(type(self).__doc__ or "").format(**details).split()))


class InvalidRequest(LocatorError):
    """The request is not valid: {why}."""

    code = "invalid"


class UnknownLease(LocatorError):
    """The locator knows no such lease: it ended, or the locator lost it. Register again."""

    code = "unknown_lease"


class LeaseTaken(LocatorError):
    """Another process with this peer's key has taken its place, at {address}. Only one can run: stop this one, or
    give it a state folder (and so a key) of its own."""

    code = "lease_taken"


class AddressNotAllowed(LocatorError):
    """The address {url} may not be advertised: {why}. Set PSERVER_ADVERTISE_URL to an address that others can use."""

    code = "address_not_allowed"


class TooManyFiles(LocatorError):
    """This peer would have more files than the locator allows ({limit}). Share fewer, or ask whoever runs the
    locator to raise LOCATOR_MAX_FILES_PER_PEER."""

    code = "too_many_files"


class UnknownPeer(LocatorError):
    """No such peer is here now."""

    code = "unknown_peer"


class SearchTooBroad(LocatorError):
    """Too many files match to look through them in time: use more words, or longer ones."""

    code = "search_too_broad"


class StoreUnavailable(LocatorError):
    """The locator cannot do that now: {why}. Try again later."""

    code = "store_unavailable"


class Peer(NamedTuple):
    """A peer as others reach it. `url` is the base of its peer API, without a trailing slash."""

    peer_id: bytes
    name: str
    url: str


class Entry(NamedTuple):
    """One file of one share. `sha256_checked`: that peer computed the sha256 of its own copy."""

    name: str
    file_id: bytes
    size: int
    sha256: bytes
    sha256_checked: bool
    partial: bool


class Holder(NamedTuple):
    """A peer that has a file, and the name under which it shares it."""

    peer: Peer
    name: str
    sha256_checked: bool
    partial: bool


class FileGroup(NamedTuple):
    """One file and who has it: `names` most used first, `holders` perhaps fewer than the `holder_count` alive.

    What holders say of a file id's size or sha256 may differ (one of them lies); each saying is a group of its own.
    """

    file_id: bytes
    size: int
    sha256: bytes
    names: tuple[str, ...]
    holders: tuple[Holder, ...]
    holder_count: int


class Query(NamedTuple):
    """What to locate: a name (str), or a file id or sha256 (bytes)."""

    by: Literal["name", "file_id", "sha256"]
    value: str | bytes


class SearchPage(NamedTuple):
    """Groups in the order in which the locator first saw their names; `after` continues there, None: no more.

    What the two numbers of `after` mean is the store's own business; (0, 0) is the beginning.
    """

    groups: list[FileGroup]
    after: tuple[int, int] | None


class FolderCount(NamedTuple):
    """What a peer has below a folder."""

    files: int
    size: int


@dataclass(frozen=True, slots=True)
class Hidden:
    """A snapshot in the making: `next_part` is the part that it waits for."""

    epoch: bytes
    sequence: int
    next_part: int


@dataclass(frozen=True, slots=True)
class Index:
    """What the locator has of a peer's index: applied up to (epoch, sequence). Epoch b"": nothing yet."""

    epoch: bytes = b""
    sequence: int = 0
    files: int = 0
    size: int = 0
    hidden: Hidden | None = None


@dataclass(frozen=True, slots=True)
class Registration:
    """What a peer says of itself. `epoch` and `sequence` are its own index's newest; epoch b"": not scanned yet."""

    name: str
    url: str
    version: str
    free_bytes: int
    accepts_uploads: bool
    epoch: bytes
    sequence: int


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a heartbeat carries."""

    free_bytes: int
    accepts_uploads: bool
    epoch: bytes
    sequence: int


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to be in answers until `expires`; `renewed` is when the peer was last heard of."""

    lease_id: bytes
    renewed: float
    expires: float


@dataclass(frozen=True, slots=True)
class Member:
    """A peer the locator knows. `lease` None: it ended, the index is kept a while in case the peer comes back."""

    peer: Peer
    version: str
    free_bytes: int
    accepts_uploads: bool
    reachable: bool
    lease: Lease | None
    index: Index = field(default=Index())

    def alive(self, now: float) -> bool:
        """Whether its lease has not ended at `now`."""
        return self.lease is not None and self.lease.expires > now


@dataclass(frozen=True, slots=True)
class Announcement:
    """One batch of an index: a delta, or with `snapshot_part` that part of a snapshot.

    A name is at most once in `added`, and never in `removed` too.
    """

    epoch: bytes
    previous_sequence: int
    sequence: int
    added: list[Entry]
    removed: list[str]
    snapshot_part: int | None = None
    snapshot_end: bool = False


class Verdict(Enum):
    """What to do with an announcement."""

    APPLY = "apply"
    ACKNOWLEDGE = "acknowledge"  # nothing to do; the reply says where the locator is
    ASK = "ask"  # the locator cannot follow: ask for a snapshot
