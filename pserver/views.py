"""What a person is shown of their peer: its transfers and its share, as they stand. Values only; no I/O."""

from dataclasses import dataclass

from pserver.model import Peer


@dataclass(frozen=True, slots=True)
class SourceView:
    """A peer that a download reads from. `state`: ok, slow, banned or gone; `rate` in bytes/s.

    `pieces` and `bytes` are what came from it and was right, `errors` requests to it that failed (and were made again,
    to it or to others), `why` the last of these.
    """

    peer: Peer
    state: str
    rate: float
    pieces: int
    errors: int
    why: str | None = None
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class TargetView:
    """A peer that an upload wants to hold the file; `state` as an offer's."""

    peer: Peer
    state: str
    bytes_done: int
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ItemView:
    """One file of a transfer. `name` is the one wanted, `final_name` the one it got."""

    name: str
    final_name: str | None
    file_id: bytes
    size: int
    state: str
    bytes_done: int
    error: str | None = None


@dataclass(frozen=True, slots=True)
class TransferView:
    """A transfer as it stands. `kind`: download, upload or incoming; `state`: queued, running, paused, done,
    failed or cancelled. `rate` in bytes/s; `eta_seconds` None if unknown; times are Unix seconds.

    `standstill`: why nothing moves. `bottleneck`: what it waits for most while it runs, in words: "disk", "peer b is
    slow", "rate limit", "processor", "no source". `sources` of one that ended: what each gave. `error`: (code,
    detail). In a list of transfers `items` is empty, and so are the `sources` of those that ended.
    """

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
    created: float
    ended: float | None = None
    standstill: str | None = None
    error: tuple[str, str] | None = None
    sources: tuple[SourceView, ...] = ()
    targets: tuple[TargetView, ...] = ()
    items: tuple[ItemView, ...] = ()
    bottleneck: str | None = None


@dataclass(frozen=True, slots=True)
class ShareView:
    """The share as it stands. `hashing`: files that wait or are in work. `skipped`: (name, why), at most 100."""

    path: str
    files: int
    bytes: int
    free_bytes: int
    scanning: bool
    hashing: int
    error: str | None
    skipped: tuple[tuple[str, str], ...]
    skipped_count: int
