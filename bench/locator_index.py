"""A large index for the locator's benchmarks: made-up files of made-up peers, put straight into a store."""

import hashlib
import random
from pathlib import Path

from central_server.model import Announcement, Entry, Lease, Registration
from central_server.store_sqlite import SQLiteStore

FOREVER = 1e12
BATCH = 2000
EPOCH = bytes(16)
# fmt: off
_WORDS = [
    "annual", "report", "draft", "budget", "summary", "holiday", "photo", "album", "lecture", "notes", "chapter",
    "music", "live", "session", "video", "archive", "backup", "source", "package", "module", "dataset", "sample",
    "figure", "table", "letter", "invoice", "project", "plan", "meeting", "agenda", "recipe", "map",
]
# fmt: on
_SUFFIXES = ("pdf", "txt", "jpg", "mp4", "csv", "py", "zip")


def peer_id(number: int) -> bytes:
    """A made-up peer."""
    return hashlib.sha256(b"peer %d" % number).digest()


def file_name(peer: int, number: int) -> str:
    """The name of a peer's file: three words and a number, in a folder."""
    chosen = random.Random(peer * 1_000_003 + number)
    folder, one, two = chosen.choices(_WORDS, k=3)
    return f"{folder}/{one} {two} {peer}-{number}.{chosen.choice(_SUFFIXES)}"


def entry(peer: int, number: int) -> Entry:
    """A peer's file."""
    digest = hashlib.sha512(b"%d %d" % (peer, number)).digest()
    return Entry(file_name(peer, number), digest[:32], 1000 + number, digest[32:], True, False)


async def fill(path: Path, peers: int, files: int) -> None:
    """Make a store in which `peers` peers hold `files` files each."""
    store = SQLiteStore(path, FOREVER)
    for peer in range(peers):
        said = Registration(f"peer {peer}", f"http://127.0.0.1:{10_000 + peer}", "bench", 0, False, b"", 0)
        await store.register(peer_id(peer), said, Lease(bytes(16), 0.0, FOREVER), True)
        for part, start in enumerate(range(0, files, BATCH)):
            added = [entry(peer, number) for number in range(start, min(start + BATCH, files))]
            end = start + BATCH >= files
            await store.announce(peer_id(peer), Announcement(EPOCH, 0, 1, added, [], part, end), files)
    while await store.sweep(0.0, 0.0):
        pass
    await store.close()
