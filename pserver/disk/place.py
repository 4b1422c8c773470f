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
    *folders, last = name.split("/")
    used: list[str] = []
    folder_fd = os.dup(root_fd)
    try:
        for position, component in enumerate(folders):
            room = _room(used, [*folders[position:], last])
            inner_fd, taken = _enter(folder_fd, component, room)
            os.close(folder_fd)
            folder_fd = inner_fd
            used.append(taken)
        used.append(_move(partial_fd, partial_base, folder_fd, last, _room(used, [last])))
        _sync(folder_fd)
        _sync(partial_fd)
    finally:
        os.close(folder_fd)
    return "/".join(used)


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


def _enter(folder_fd: int, component: str, room: int) -> tuple[int, str]:
    """Open the folder, made if need be: (descriptor, the component used)."""
    for candidate in numbered(component, room):
        raw = _raw_of(folder_fd, candidate)
        try:
            os.mkdir(raw, dir_fd=folder_fd)
            _sync(folder_fd)
        except FileExistsError:
            pass
        try:
            return os.open(raw, _FOLDER, dir_fd=folder_fd), candidate
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):  # these two: a file or a link is in the way
                raise
    raise Conflict(f"there are too many files like '{component}' in the share")


def _move(partial_fd: int, partial_base: str, folder_fd: int, last: str, room: int) -> str:
    taken = set() if last.isascii() else {composed for _, composed in _listed(folder_fd)}
    for candidate in numbered(last, room):
        if candidate in taken:
            continue
        try:
            _rename(partial_fd, os.fsencode(partial_base), folder_fd, candidate.encode())
            return candidate
        except FileExistsError:
            continue
    raise Conflict(f"there are too many files like '{last}' in the share")


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


def _sync(folder_fd: int) -> None:
    try:
        os.fsync(folder_fd)
    except OSError as error:
        if error.errno != errno.EINVAL:  # file systems that cannot sync a folder; they journal the rename or never do
            raise
