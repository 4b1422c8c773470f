"""Giving a finished partial its final name in the share, without ever replacing a file.

Works on folder descriptors, one step at a time and through no symbolic link. What is in the way (a file of that
name, a file where a folder is needed, a name that is the same in NFC) is left alone: the newcomer is numbered,
`name (2).txt`. Raises OSError as the system calls do; Conflict when no number is free.
"""

import errno
import os
import re
import unicodedata
from collections.abc import Iterator

from protos.names import MAX_COMPONENT_BYTES, MAX_NAME_BYTES
from pserver.disk.kernel import NotSupported, rename_without_replacing
from pserver.model import Conflict

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SUFFIX = re.compile(r"(?s)(?<=.)(?:\.tar)?\.[^. ]{1,16}\Z")
_HIGHEST_NUMBER = 9999


def place(root_fd: int, partial_fd: int, partial_base: str, name: str) -> str:
    """Move the partial below `root_fd` under `name` (checked), or a numbered form of it; the name used."""
    parent = Parent(root_fd, name)
    try:
        used = parent.move(partial_fd, partial_base, name)
        parent.sync()
        sync_folder(partial_fd)
    finally:
        parent.close()
    return used


class Parent:
    """The folder that `name` (checked) is to lie in, made if need be, and held open until `close`."""

    def __init__(self, root_fd: int, name: str) -> None:
        *folders, last = name.split("/")
        self._used: list[str] = []
        self._raw: list[bytes] = []
        self._taken: set[str] | None = None
        self.fd = os.dup(root_fd)
        try:
            for position, component in enumerate(folders):
                inner_fd, taken, raw = _enter(self.fd, component, _room(self._used, [*folders[position:], last]))
                os.close(self.fd)
                self.fd = inner_fd
                self._used.append(taken)
                self._raw.append(raw)
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """The folder's name in the share; it differs from the one wanted where something was in the way."""
        return "/".join(self._used)

    def raw_name_of(self, name: str) -> bytes:
        """The bytes on disk of the name that `move` gave."""
        return b"/".join([*self._raw, name.rpartition("/")[2].encode()])

    def move(self, partial_fd: int, partial_base: str, name: str) -> str:
        """Move a partial here, under the last part of `name` or a numbered form of that; the whole name used."""
        last = name.rpartition("/")[2]
        if not self._move_plainly(partial_fd, partial_base, last):
            last = self._move(partial_fd, partial_base, last, _room(self._used, [last]))
        return "/".join([*self._used, last])

    def sync(self) -> None:
        """Get what was moved here onto the disk."""
        sync_folder(self.fd)

    def close(self) -> None:
        """Let go of it."""
        os.close(self.fd)

    def _move_plainly(self, partial_fd: int, partial_base: str, last: str) -> bool:
        """Move it under just that name: False if that is taken, or may be in another Unicode form."""
        if not last.isascii():
            return False
        try:
            _rename(partial_fd, os.fsencode(partial_base), self.fd, last.encode())
        except FileExistsError:
            return False
        return True

    def _move(self, partial_fd: int, partial_base: str, last: str, room: int) -> str:
        taken = set() if last.isascii() else self._names()
        for candidate in numbered(last, room):
            if candidate in taken:
                continue
            try:
                _rename(partial_fd, os.fsencode(partial_base), self.fd, candidate.encode())
            except FileExistsError:
                continue
            taken.add(candidate)
            return candidate
        raise Conflict(f"there are too many files like '{last}' in the share")

    def _names(self) -> set[str]:
        """What is here, in NFC; listed once."""
        if self._taken is None:
            self._taken = {composed for _, composed in _listed(self.fd)}
        return self._taken


def find_raw(root_fd: int, name: str) -> bytes:
    """The bytes on disk of the file that is called `name`: they differ where the disk has other forms than NFC.

    Raises FileNotFoundError, NotADirectoryError.
    """
    if name.isascii():
        return name.encode()
    found: list[bytes] = []
    folder_fd = os.dup(root_fd)
    try:
        for component in name.split("/"):
            if found:
                inner_fd = os.open(found[-1], _FOLDER, dir_fd=folder_fd)
                os.close(folder_fd)
                folder_fd = inner_fd
            found.append(_raw_of(folder_fd, component))
    finally:
        os.close(folder_fd)
    return b"/".join(found)


def numbered(component: str, room: int) -> Iterator[str]:
    """`a.txt`, `a (2).txt`, `a (3).txt`, ...: each of at most `room` bytes (if the first is), cut at a character."""
    yield component
    found = _SUFFIX.search(component)
    stem, suffix = (component[: found.start()], found[0]) if found else (component, "")
    for number in range(2, _HIGHEST_NUMBER + 1):
        tail = f" ({number}){suffix}"
        fitting = stem.encode()[: max(room - len(tail.encode()), 0)].decode(errors="ignore")
        yield (fitting or stem[:1]) + tail


def _room(used: list[str], rest: list[str]) -> int:
    """How many bytes the first of `rest` may have, so that neither it nor the whole name becomes too long."""
    spare = MAX_NAME_BYTES - len("/".join(used + rest).encode())
    return min(MAX_COMPONENT_BYTES, len(rest[0].encode()) + spare)


def _enter(folder_fd: int, component: str, room: int) -> tuple[int, str, bytes]:
    """Open the folder, made if need be: (descriptor, the component used, its bytes on disk)."""
    for candidate in numbered(component, room):
        raw = _raw_of(folder_fd, candidate)
        try:
            os.mkdir(raw, dir_fd=folder_fd)
            sync_folder(folder_fd)
        except FileExistsError:
            pass
        try:
            return os.open(raw, _FOLDER, dir_fd=folder_fd), candidate, raw
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):  # these two: a file or a link is in the way
                raise
    raise Conflict(f"there are too many files like '{component}' in the share")


def _rename(from_fd: int, from_name: bytes, to_fd: int, to_name: bytes) -> None:
    try:
        rename_without_replacing(from_fd, from_name, to_fd, to_name)
    except NotSupported:
        # A link never replaces either. Cut short in between, the file has both names: the partial can be deleted.
        os.link(from_name, to_name, src_dir_fd=from_fd, dst_dir_fd=to_fd, follow_symlinks=False)
        os.unlink(from_name, dir_fd=from_fd)


def _raw_of(folder_fd: int, component: str) -> bytes:
    """The name on disk that is `component` in NFC; `component` itself if there is none, or none yet."""
    wanted = component.encode()
    if component.isascii() or _exists(folder_fd, wanted):
        return wanted
    return next((raw for raw, composed in _listed(folder_fd) if composed == component), wanted)


def _listed(folder_fd: int) -> list[tuple[bytes, str]]:
    """What is in the folder: (the bytes on disk, those as a name in NFC)."""
    raws = [os.fsencode(found) for found in os.listdir(folder_fd)]
    return [(raw, unicodedata.normalize("NFC", raw.decode(errors="surrogateescape"))) for raw in raws]


def _exists(folder_fd: int, raw: bytes) -> bool:
    try:
        os.stat(raw, dir_fd=folder_fd, follow_symlinks=False)
    except OSError:
        return False
    return True


def sync_folder(folder_fd: int) -> None:
    """Get what changed in that folder onto the disk."""
    try:
        os.fsync(folder_fd)
    except OSError as error:
        if error.errno != errno.EINVAL:  # file systems that cannot sync a folder; they journal the rename or never do
            raise
