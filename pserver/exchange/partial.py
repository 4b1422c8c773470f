"""A file that is not whole yet, in the partial folder of the share.

A byte is written only after its piece verified. Written is not yet safe: `sync` says which pieces are on the disk,
and only those are recorded. When a download goes on, recorded pieces are trusted; pieces that were written and not
recorded are found again by their hashes. All of the file's room is taken at once, at the start.
"""

import errno
import hashlib
import os
import re
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from blake3 import blake3

from pserver.disk.folder import Folder
from pserver.disk.kernel import in_memory
from pserver.exchange.bitfield import pack, unpack
from pserver.model import NoRoom, Unavailable
from pserver.pieces import Manifest, read_exactly

SYNC_BYTES = 64 << 20
SYNC_SECONDS = 2.0
_BASE = re.compile(r"([0-9a-f]{64})-([0-9a-f]{8})-([0-9]{1,9})\Z")
_HASH_BYTES = 1 << 20
_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def partial_base(file_id: bytes, transfer_id: str, number: int) -> str:
    """What the partial file of that item of a transfer is called in the partial folder."""
    return f"{file_id.hex()}-{transfer_id}-{number}"


def remove_orphans(folder: Folder, of_use: set[tuple[str, int]]) -> int:
    """Remove partial files of downloads but those of the (transfer id, item number) in `of_use`; how many.

    What others keep in the partial folder has other names and is left alone.
    """
    removed = 0
    for base in os.listdir(folder.partial_fd):  # noqa: PTH208 - of a descriptor
        match = _BASE.match(base)
        if match and (match[2], int(match[3])) not in of_use:
            remove_partial(folder, base)
            removed += 1
    return removed


def remove_partial(folder: Folder, base: str) -> None:
    """Remove that partial file, if it is there."""
    try:
        os.unlink(base, dir_fd=folder.partial_fd)
    except FileNotFoundError:
        pass


class Partial:
    """The partial file called `base`, opened or made. `recorded`: the packed bitfield of pieces known to be in it.

    Thread-safe but for `close`. Raises NoRoom (and leaves nothing behind) if the file does not fit beside
    `reserve` bytes that are to stay free; every method raises Unavailable if the disk fails.
    """

    def __init__(self, folder: Folder, base: str, manifest: Manifest, recorded: bytes | None, reserve: int = 0) -> None:
        self.base = base
        self.manifest = manifest
        self._folder = folder
        self._lock = threading.Lock()
        self._unsynced = 0
        self._synced_at: float | None = None
        self._flags = bytearray(manifest.piece_count)
        with _told():
            found = None if recorded is None else _open_whole(folder.partial_fd, base, manifest.size)
            self.fresh = found is None
            self._fd = _make(folder, base, manifest.size, reserve) if found is None else found
        if found is not None and recorded is not None:
            self._flags = unpack(recorded, manifest.piece_count)
        self.recorded_bytes = self.bytes_done

    @property
    def flags(self) -> bytes:
        """Which pieces are there, a byte each."""
        with self._lock:
            return bytes(self._flags)

    @property
    def packed(self) -> bytes | None:
        """Which pieces are there, packed; None: all."""
        flags = self.flags
        return pack(flags) if 0 in flags else None

    def duplicate(self) -> int:
        """Another descriptor of the file, which whoever gets it closes."""
        return os.dup(self._fd)

    @property
    def complete(self) -> bool:
        """Whether every piece has been written."""
        with self._lock:
            return 0 not in self._flags

    @property
    def bytes_done(self) -> int:
        """How many bytes have been written, synced or not."""
        with self._lock:
            return self._bytes(self._flags)

    @property
    def inode(self) -> int:
        """The file's inode, which it keeps under its final name."""
        return os.fstat(self._fd).st_ino

    def find_unrecorded(self, lend: Callable[[], memoryview], stopped: Callable[[], bool]) -> None:
        """Look through the pieces that are not recorded for those that are there all the same (by their hashes).

        `lend` gives scratch space of at least a piece. Parts of the file that were never written are passed over.
        """
        if self.fresh or self.complete:
            return
        buffer = lend()
        for piece in [piece for piece, there in enumerate(self.flags) if not there]:
            if stopped():
                return
            if self._is_right(piece, buffer):
                self._mark(piece)

    def write(self, piece: int, content: memoryview) -> None:
        """Write a piece that verified."""
        offset, written = self.manifest.span(piece)[0], 0
        with _told():
            while written < len(content):
                written += os.pwrite(self._fd, content[written:], offset + written)
        self._mark(piece)

    def sync_due(self, now: float) -> bool:
        """Whether enough has been written, or lain about for long enough, to be synced. `now`: monotonic seconds."""
        with self._lock:
            if self._synced_at is None:
                self._synced_at = now
            return self._unsynced >= SYNC_BYTES or (self._unsynced > 0 and now - self._synced_at >= SYNC_SECONDS)

    def sync(self, now: float, record: Callable[[bytes, int], None]) -> None:
        """Get what has been written onto the disk, then `record` it: (packed bitfield, bytes)."""
        with self._lock:
            flags, size = bytes(self._flags), self._bytes(self._flags)
            self._unsynced, self._synced_at = 0, now
        with _told():
            os.fdatasync(self._fd)
        record(pack(flags), size)
        self.recorded_bytes = size

    def finish(self) -> None:
        """Get the whole file onto the disk, its length and times too."""
        with _told():
            os.fsync(self._fd)

    def sha256(self, stopped: Callable[[], bool]) -> bytes:
        """The SHA-256 of all that is in it; b"" when `stopped` says so."""
        whole, buffer, offset = hashlib.sha256(), memoryview(bytearray(_HASH_BYTES)), 0
        while offset < self.manifest.size and not stopped():
            part = buffer[: min(_HASH_BYTES, self.manifest.size - offset)]
            with _told():
                read_exactly(self._fd, offset, part)
            whole.update(part)
            offset += len(part)
        return b"" if stopped() else whole.digest()

    def close(self) -> None:
        """Close it; the file stays."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _is_right(self, piece: int, buffer: memoryview) -> bool:
        offset, length = self.manifest.span(piece)
        if not _has_data(self._fd, offset, length):
            return False
        content = buffer[:length]
        with _told():
            read_exactly(self._fd, offset, content)
        return blake3(content).digest() == self.manifest.piece_hash(piece)

    def _mark(self, piece: int) -> None:
        with self._lock:
            self._flags[piece] = 1
            self._unsynced += self.manifest.span(piece)[1]

    def _bytes(self, flags: bytes | bytearray) -> int:
        pieces = flags.count(1)
        if not pieces or not flags[-1]:
            return pieces * self.manifest.piece_size
        return (pieces - 1) * self.manifest.piece_size + self.manifest.span(len(flags) - 1)[1]


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise NoRoom(f"there is not enough room in the share folder: {error.strerror}") from error
        raise Unavailable(f"the share folder cannot be written to: {error.strerror}") from error


def _open_whole(partial_fd: int, base: str, size: int) -> int | None:
    """The partial that is there, if all its room was taken: a crash may have come in between."""
    try:
        fd = os.open(base, _OPEN, dir_fd=partial_fd)
    except (FileNotFoundError, IsADirectoryError):
        return None
    found = os.fstat(fd)
    if stat.S_ISREG(found.st_mode) and found.st_size == size:
        return fd
    os.close(fd)
    return None


def _make(folder: Folder, base: str, size: int, reserve: int) -> int:
    remove_partial(folder, base)
    if folder.free_bytes() - reserve < size:
        raise NoRoom(f"there is not enough room in the share folder for {size} bytes")
    fd = os.open(base, _OPEN | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=folder.partial_fd)
    try:
        if in_memory(fd):  # where allocating means to clear every page, before the first byte is asked for
            os.ftruncate(fd, size)
        elif size:
            os.posix_fallocate(fd, 0, size)
    except OSError:
        os.close(fd)
        remove_partial(folder, base)
        raise
    return fd


def _has_data(fd: int, offset: int, length: int) -> bool:
    try:
        return os.lseek(fd, offset, os.SEEK_DATA) < offset + length
    except OSError:  # ENXIO: nothing but a hole to the end of the file
        return False
