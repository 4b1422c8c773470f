"""The share folder on disk, reached only through a descriptor that is held.

A name never becomes a path: whatever is opened is opened below the held folder, through no link of any kind. The
two descriptors keep their numbers while the Folder lives; when the folder at the path becomes another one (a disk
was mounted again), they are switched to it in one step, so a number read by another thread is never a stranger's.
"""

import errno
import os
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from protos.names import InvalidName, check_name
from pserver.disk.group import Placed, place_group, write_group
from pserver.disk.identity import identity_of
from pserver.disk.kernel import has_open_beneath, open_beneath
from pserver.disk.place import find_raw, place
from pserver.model import InvalidRequest, NoRoom, NotFound, Unavailable

PARTIAL_FOLDER = ".p2p-partial"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC  # non-blocking: a FIFO must not hang
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV, errno.ENAMETOOLONG, errno.ENXIO}
_SHORT = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}  # of what this process or machine has

Stamp = tuple[int, int, int, int]  # size in bytes, mtime and ctime in nanoseconds, inode: what a file is known by


def stamp_of(found: os.stat_result) -> Stamp:
    """What the file of that stat is known by."""
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


class Folder:
    """The share folder at `path`, made if its parent exists. Thread-safe.

    `identity` says which folder it is, wherever it is mounted. Raises Unavailable, in words for a person, if the
    folder is missing, unreadable or not a folder; so does every method while the folder is away (see `refresh`).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.identity = ""
        self._beneath = has_open_beneath()
        self._switching = threading.Lock()
        self._away: str | None = None
        self._partial_error: str | None = None
        self._root = os.open("/dev/null", os.O_PATH | os.O_CLOEXEC)
        self._partial = os.dup(self._root)
        try:
            _make(path)
            self.refresh()
        except Unavailable:
            self.close()
            raise

    @property
    def partial_fd(self) -> int:
        """The descriptor of the folder of partial files, made anew if that was deleted.

        Raises Unavailable if the share is away or cannot be written to.
        """
        self._check_here()
        if self._partial_error is None and _is_deleted(self._partial):
            self._renew_partial()
        if self._partial_error is not None:
            raise Unavailable(f"the share folder {self.path} cannot be written to: {self._partial_error}")
        return self._partial

    def refresh(self) -> bool:
        """Look at the path again, and hold the folder that is there now; whether it is another than before.

        Raises Unavailable if there is none; then the folder is away, and nothing is served from it, until a
        later refresh finds one. Whether another one has the same files (mounted again), `identity` tells.
        """
        with self._switching:
            try:
                return self._hold(_open_readable(self.path))
            except OSError as error:
                if error.errno in _SHORT:  # that says nothing about the folder: what is held is kept
                    raise Unavailable(f"the share folder {self.path} cannot be looked at: {error.strerror}") from error
                self._leave()
                self._away = f"the share folder {self.path} cannot be read: {error.strerror}"
                raise Unavailable(self._away) from error

    def open_read(self, raw_name: bytes) -> int:
        """A descriptor for reading that regular file, which the caller closes. Raises NotFound, Unavailable."""
        opened = self.open_beneath(raw_name, _FILE)
        if stat.S_ISREG(os.fstat(opened).st_mode):
            return opened
        os.close(opened)
        raise NotFound("that is not a regular file")

    def stat(self, raw_name: bytes) -> os.stat_result:
        """What lies under that name, no link followed. Raises NotFound, Unavailable."""
        opened = self.open_beneath(raw_name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return os.fstat(opened)
        finally:
            os.close(opened)

    def open_folder(self, raw_name: bytes) -> int:
        """A descriptor of that folder (b"": the share itself), to be closed. Raises NotFound, Unavailable."""
        if raw_name:
            return self.open_beneath(raw_name, _FOLDER | os.O_NOFOLLOW)
        self._check_here()
        with self._told():
            return os.open(".", _FOLDER, dir_fd=self._root)

    def open_beneath(self, raw_name: bytes, flags: int) -> int:
        """Open that below the share, hidden parts and links refused. Raises NotFound, Unavailable."""
        self._check_here()
        with self._told("it cannot be read"):
            parts = raw_name.split(b"/")
            if b"\0" in raw_name or any(not part or part.startswith(b".") for part in parts):
                raise FileNotFoundError(errno.ENOENT, "hidden or malformed")
            if self._beneath:
                return open_beneath(self._root, raw_name, flags)
            return self._open_in_steps(parts, flags)

    def raw_name(self, name: str) -> bytes:
        """The bytes on disk of the file called `name` (checked). Raises NotFound, Unavailable."""
        self._check_here()
        with self._told():
            return find_raw(self._root, name)

    def place(self, partial_base: str, name: str) -> str:
        """Give the finished partial of that name in the partial folder its final name; the name used.

        Never replaces anything: a name in use is numbered (`a (2).txt`). Folders are made as needed; what was
        renamed is synced. Raises InvalidRequest, NotFound (no such partial), NoRoom, Conflict, Unavailable.
        """
        partial_fd = self.partial_fd
        try:
            check_name(name)
        except InvalidName as error:
            raise InvalidRequest(str(error)) from error
        with self._told():
            return place(self._root, partial_fd, partial_base, name)

    def write_group(self, files: Sequence[tuple[str, bytes]]) -> list[int]:
        """Write many small partials, (name in the partial folder, content) each: synced, their inodes.

        Raises NoRoom, Unavailable; then some may have been written.
        """
        with self._told():
            return write_group(self.partial_fd, files)

    def place_group(self, wanted: Sequence[tuple[str, str]]) -> list[Placed | None]:
        """As `place` for many, (name in the partial folder, name) each; None where `place` would raise.

        Raises Unavailable if what was placed cannot be synced.
        """
        with self._told():
            return place_group(self._root, self.partial_fd, wanted)

    def remove(self, raw_name: bytes) -> None:
        """Delete that regular file. Raises NotFound, Unavailable."""
        *above, base = raw_name.rsplit(b"/", 1)
        if not stat.S_ISREG(self.stat(raw_name).st_mode):
            raise NotFound("that is not a regular file")
        folder_fd = self.open_folder(above[0] if above else b"")
        try:
            with self._told():
                os.unlink(base, dir_fd=folder_fd)
        finally:
            os.close(folder_fd)

    def free_bytes(self) -> int:
        """How many bytes an ordinary user can still write there. Raises Unavailable."""
        self._check_here()
        with self._told():
            found = os.fstatvfs(self._root)
        return found.f_bavail * found.f_frsize

    def close(self) -> None:
        """Let go of the folder. Nothing may be called afterwards."""
        os.close(self._partial)
        os.close(self._root)

    def _check_here(self) -> None:
        if self._away is not None:
            raise Unavailable(self._away)

    @contextmanager
    def _told(self, refusal: str = "the share folder cannot do that") -> Iterator[None]:
        """Foreign errors become ours, here; `refusal` begins the words for those without words of their own."""
        try:
            yield
        except OSError as error:
            if error.errno in _GONE:
                raise NotFound("there is no such file in the share folder") from error
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoRoom(f"there is no room left in the share folder {self.path}") from error
            raise Unavailable(f"{refusal}: {error.strerror}") from error

    def _open_in_steps(self, parts: list[bytes], flags: int) -> int:
        """What openat2 does, without it: each step is taken from a held folder and follows no link."""
        folder_fd = os.dup(self._root)
        try:
            for part in parts[:-1]:
                inner_fd = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder_fd)
                os.close(folder_fd)
                folder_fd = inner_fd
            return os.open(parts[-1], flags | os.O_NOFOLLOW, dir_fd=folder_fd)
        finally:
            os.close(folder_fd)

    def _hold(self, found: int) -> bool:
        """Make the folder opened as `found` the one that is held; `found` is used up. Whether it is another."""
        try:
            another = not os.path.sameopenfile(found, self._root)
            if another:
                _switch(self._root, os.dup(found))
                self.identity = identity_of(found)
            if _is_deleted(self._partial) or not _lies_in(self._partial, found) or self._partial_error:
                self._hold_partial(found)
            self._away = None
            return another
        finally:
            os.close(found)

    def _hold_partial(self, root: int) -> None:
        try:
            _switch(self._partial, _open_partial(root))
            self._partial_error = None
        except OSError as error:  # a share can be offered from a read-only disk
            self._partial_error = error.strerror

    def _renew_partial(self) -> None:
        with self._switching:
            self._check_here()
            if _is_deleted(self._partial):  # else another thread was first
                self._hold_partial(self._root)

    def _leave(self) -> None:
        # Held descriptors would keep a disk busy that someone wants to take out.
        for held in (self._root, self._partial):
            _switch(held, os.open("/dev/null", os.O_PATH | os.O_CLOEXEC))


def _make(path: Path) -> None:
    if path.is_dir():
        return
    try:
        path.mkdir()
    except FileExistsError:
        raise Unavailable(f"the share folder {path} is not a folder") from None
    except OSError as error:
        raise Unavailable(f"the share folder {path} cannot be made: {error.strerror}") from error


def _open_readable(path: Path) -> int:
    opened = os.open(path, _FOLDER)
    try:
        os.stat(".", dir_fd=opened)  # needs the right to search the folder, beside that to list it
    except OSError:
        os.close(opened)
        raise
    return opened


def _switch(held: int, new: int) -> None:
    os.dup2(new, held, inheritable=False)
    os.close(new)


def _open_partial(root: int) -> int:
    try:
        os.mkdir(PARTIAL_FOLDER, 0o700, dir_fd=root)
    except FileExistsError:
        pass
    opened = os.open(PARTIAL_FOLDER, _FOLDER | os.O_NOFOLLOW, dir_fd=root)
    try:
        os.fchmod(opened, 0o700)
    except OSError:
        os.close(opened)
        raise
    return opened


def _is_deleted(held: int) -> bool:
    return os.fstat(held).st_nlink == 0


def _lies_in(partial: int, root: int) -> bool:
    try:
        there = os.stat(PARTIAL_FOLDER, dir_fd=root, follow_symlinks=False)
    except OSError:
        return False
    return os.path.samestat(there, os.fstat(partial))
