"""Writing many small files at once, and giving them their final names: what is slow is done once for all of them.

The promise is that of a single file: its bytes are on the disk before it has its final name, and a name is never
replaced. What it costs on a disk is one sync of the data and one of each folder, a group; in memory nothing.
"""

import errno
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from protos.names import InvalidName, check_name
from pserver.disk.kernel import sync_file_system, syncs_whole
from pserver.disk.place import Parent, sync_folder
from pserver.model import Conflict

_MAKE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SYNCING_THREADS = 8


class Placed(NamedTuple):  # made by the thousand: a tuple is made in a third of the time
    """A file under its final name: that, the name's bytes on disk, and what lies there."""

    name: str
    raw_name: bytes
    found: os.stat_result


def write_group(partial_fd: int, files: Sequence[tuple[str, bytes]]) -> list[int]:
    """Write these partials, (name in the partial folder, content) each, anew; their inodes.

    They are on the disk when this returns. Raises OSError; what was written then is left for others to remove.
    """
    if syncs_whole(partial_fd):
        inodes = [_write(partial_fd, base, content, sync=False) for base, content in files]
        sync_file_system(partial_fd)
        return inodes
    # Side by side, several syncs of one file each become one of the disk's.
    with ThreadPoolExecutor(_SYNCING_THREADS) as pool:
        return list(pool.map(lambda file: _write(partial_fd, *file, sync=True), files))


def place_group(root_fd: int, partial_fd: int, wanted: Iterable[tuple[str, str]]) -> list[Placed | None]:
    """Give these partials, (name in the partial folder, name) each, their final names, as `place` does.

    None for one that cannot have its name: its partial stays, and `place` will say why. Quick if neighbours come one
    after another. Raises OSError if what was renamed cannot be synced.
    """
    placed: list[Placed | None] = []
    with _Parents(root_fd) as parents:
        for base, name in wanted:
            try:
                placed.append(_place(parents.of(check_name(name)), partial_fd, base, name))
            except (OSError, Conflict, InvalidName):
                placed.append(None)
    sync_folder(partial_fd)
    return placed


class _Parents:
    """The folders that files are placed in, one held open at a time; synced when it is left."""

    def __init__(self, root_fd: int) -> None:
        self._root_fd = root_fd
        self._current: tuple[str, Parent] | None = None

    def of(self, name: str) -> Parent:
        """The folder for that name."""
        wanted = name.rpartition("/")[0]
        # One that had to be numbered was numbered to fit the first of its files: the next may need another.
        if self._current is None or self._current[0] != wanted or self._current[1].name != wanted:
            self._leave()
            self._current = wanted, Parent(self._root_fd, name)
        return self._current[1]

    def _leave(self) -> None:
        if self._current is None:
            return
        (_, parent), self._current = self._current, None
        try:
            parent.sync()
        finally:
            parent.close()

    def __enter__(self) -> "_Parents":
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()


def _write(partial_fd: int, base: str, content: bytes, *, sync: bool) -> int:
    opened = _make(partial_fd, base)
    try:
        if os.write(opened, content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if sync:
            os.fsync(opened)
        return os.fstat(opened).st_ino
    finally:
        os.close(opened)


def _make(partial_fd: int, base: str) -> int:
    try:
        return os.open(base, _MAKE, 0o644, dir_fd=partial_fd)
    except FileExistsError:  # left by a crash; what is in it nobody knows
        os.unlink(base, dir_fd=partial_fd)
        return os.open(base, _MAKE, 0o644, dir_fd=partial_fd)


def _place(parent: Parent, partial_fd: int, base: str, name: str) -> Placed:
    used = parent.move(partial_fd, base, name)
    raw_name = parent.raw_name_of(used)
    found = os.stat(raw_name.rpartition(b"/")[2], dir_fd=parent.fd, follow_symlinks=False)
    return Placed(used, raw_name, found)
