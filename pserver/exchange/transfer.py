"""A transfer and its files as values, and the states they go through. Pure.

A transfer goes through its states by this table only. `failed` is no end for its person: it can be resumed, with
what it has so far.

    queued ──▶ running ──▶ done
      ▲  │        │ └────▶ failed ──▶ queued (resume)
      │  └────────┴──────▶ paused ──▶ queued (resume)
      └── (the peer was restarted)      any but done ──▶ cancelled
"""

from dataclasses import dataclass

from pserver.model import Conflict, Peer

STATES = ("queued", "running", "paused", "done", "failed", "cancelled")
ENDED = ("done", "failed", "cancelled")
MOVES: dict[str, tuple[str, ...]] = {
    "queued": ("running", "paused", "done", "failed", "cancelled"),
    "running": ("queued", "paused", "done", "failed", "cancelled"),
    "paused": ("queued", "cancelled"),
    "failed": ("queued", "cancelled"),
    "done": (),
    "cancelled": (),
}


def check_move(before: str, after: str) -> None:
    """Conflict, in words for a person, if the table does not allow it."""
    if after not in MOVES[before]:
        doing = {"queued": "resumed", "paused": "paused", "cancelled": "cancelled"}.get(after, f"made {after}")
        raise Conflict(f"a transfer that is {before} cannot be {doing}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to get. `name`: that it shall have. `size`: as lookups claim it, in bytes.

    `sha256`: if given, the file is only taken if its whole content has this hash; then `alternatives` are the ids
    of other files that claim it, tried one after another.
    """

    name: str
    file_id: bytes
    size: int
    sha256: bytes | None = None
    alternatives: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """A file of a transfer. `state`: queued, running, placing (all pieces here), done, failed or cancelled.

    `bytes_done`: recorded as safe on the disk. `error` in words.
    """

    number: int
    name: str
    final_name: str | None
    file_id: bytes
    size: int
    sha256: bytes | None
    alternatives: tuple[bytes, ...]
    state: str
    bytes_done: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is known of a partial file: the encoded manifest, the pieces safe on the disk (packed), its inode."""

    manifest: bytes
    bitfield: bytes
    inode: int


@dataclass(frozen=True, slots=True)
class Target:
    """A peer that an upload wants to hold the file. `offer_id`: what it calls the offer, once it took it."""

    peer: Peer
    state: str = "queued"
    bytes_done: int = 0
    error: str | None = None
    offer_id: str | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer as it is recorded. `kind`: download, upload or incoming; times are Unix seconds; sizes bytes.

    `tree`: its files are a folder, of which each gets its own name even if its content is here under another.
    `asker`: of an incoming one the peer id (hex) that offered it. `hints`: peers worth asking for each file.
    """

    id: str
    kind: str
    label: str
    state: str
    created: float
    ended: float | None
    error: tuple[str, str] | None
    tree: bool
    asker: str | None
    hints: tuple[Peer, ...]
    files_total: int
    bytes_total: int
    files_done: int
    bytes_done: int
