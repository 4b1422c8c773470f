"""Peers, files and batches for tests, made from small words and numbers."""

from blake3 import blake3

from central_server.model import Announcement, Entry, FileGroup, Lease, Registration, Vitals

LEASE = 30.0
NOW = 1_000_000.0


def digest(word: str) -> bytes:
    return blake3(word.encode()).digest()


def peer_id(word: str) -> bytes:
    return digest(f"peer {word}")


def epoch(word: str) -> bytes:
    return digest(f"epoch {word}")[:16]


def entry(name: str, content: str = "", *, size: int = 10, checked: bool = True, partial: bool = False) -> Entry:
    content = content or name
    return Entry(name, digest(f"id {content}"), size, digest(f"sha {content}"), checked, partial)


def said(
    word: str, at: tuple[bytes, int] = (b"", 0), *, url: str = "", free: int = 0, accepts: bool = False
) -> Registration:
    return Registration(word, url or f"http://{word}.example:8001", "1.0", free, accepts, *at)


def vitals(at: tuple[bytes, int] = (b"", 0), *, free: int = 0, accepts: bool = False) -> Vitals:
    return Vitals(free, accepts, *at)


def lease(word: str = "a", *, until: float = NOW + LEASE) -> Lease:
    return Lease(digest(f"lease {word}")[:16], until - LEASE, until)


def delta(
    start: int, end: int, added: list[Entry] | None = None, removed: list[str] | None = None, *, life: str = "1"
) -> Announcement:
    return Announcement(epoch(life), start, end, added or [], removed or [])


def part(number: int, sequence: int, added: list[Entry], *, end: bool = False, life: str = "1") -> Announcement:
    return Announcement(epoch(life), 0, sequence, added, [], number, end)


def snapshot(sequence: int, added: list[Entry], *, life: str = "1") -> Announcement:
    return part(0, sequence, added, end=True, life=life)


def holders(groups: list[FileGroup]) -> list[tuple[str, set[str]]]:
    """(a name, the names of its holders) of each group."""
    return [(group.names[0], {holder.peer.name for holder in group.holders}) for group in groups]
