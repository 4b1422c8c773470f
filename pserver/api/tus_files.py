"""The files behind uploads by tus, in the share's folder of partials: two an upload, `tus-ID` and `tus-ID.json`.

The second is the record: it replaces its predecessor in one step and says no more than what is durable. A data file
without a record, or the reverse, is what a crash left of a creation or a removal; `load` clears it away. But a record
with an inode is of a file that was about to get its final name: by the inode, which a rename keeps, `load` finds it.
"""

import json
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from errno import EDQUOT, EFBIG, ENOSPC
from typing import Protocol

from protos.names import InvalidName
from pserver.disk.walk import name_of
from pserver.model import NoRoom, NotFound, PServerError, Unavailable

LOG = logging.getLogger(__name__)
PREFIX = "tus-"
_RECORD = ".json"
_NEW = ".new"
_OPEN = os.O_NOFOLLOW | os.O_CLOEXEC


class DataGone(NotFound):
    """The bytes of this upload were deleted from the share's disk; send the file again."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of an upload after a crash. `offset`: that many bytes are durable; `expires` is Unix time.

    `inode` of the data, once all of it is there and it is about to get its final name.
    """

    name: str
    size: int
    metadata: str
    offset: int
    expires: float
    final_name: str | None
    inode: int | None = None


class PartialFolder(Protocol):
    """What is needed of the share's folder. All of it raises Unavailable while the share is away."""

    @property
    def partial_fd(self) -> int:
        """A descriptor of the folder of partials, good for one operation."""

    def place(self, partial_base: str, name: str) -> str:
        """Give a finished partial its name in the share, or the next free one like it; returns that."""

    def raw_name(self, name: str) -> bytes:
        """The bytes on disk of that name in the share. Raises NotFound."""

    def open_folder(self, raw_name: bytes) -> int:
        """A descriptor of that folder (b"": the share itself), to be closed. Raises NotFound."""

    def free_bytes(self) -> int:
        """How much room there is."""


class UploadFiles:
    """The data and records of uploads. Errors of the disk are NoRoom, Unavailable, or DataGone."""

    def __init__(self, folder: PartialFolder) -> None:
        self._folder = folder

    @property
    def _fd(self) -> int:
        return self._folder.partial_fd

    def create(self, upload_id: str, record: Record) -> None:
        """An empty data file and its record, durable."""
        with _disk_errors():
            os.close(os.open(base_of(upload_id), os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN, 0o666, dir_fd=self._fd))
        self.save(upload_id, record)
        with _disk_errors():
            os.fsync(self._fd)

    def write(self, upload_id: str, offset: int, body: bytes) -> None:
        """Put `body` at `offset` bytes; durable only after `sync`."""
        view = memoryview(body)
        with _disk_errors(), self._open(upload_id) as fd:
            while view:
                count = os.pwrite(fd, view, offset)
                view, offset = view[count:], offset + count

    def sync(self, upload_id: str) -> int:
        """Make durable what was written; the inode of the data."""
        with _disk_errors(), self._open(upload_id) as fd:
            os.fsync(fd)
            return os.fstat(fd).st_ino

    def save(self, upload_id: str, record: Record) -> None:
        """Replace the record in one step."""
        name = base_of(upload_id) + _RECORD
        with _disk_errors():
            fd = os.open(name + _NEW, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _OPEN, 0o600, dir_fd=self._fd)
            with os.fdopen(fd, "w") as file:
                json.dump(asdict(record), file)
                file.flush()
                os.fsync(fd)
            folder_fd = self._fd
            os.rename(name + _NEW, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)

    def remove(self, upload_id: str) -> None:
        """Remove both files, as far as they are there: the record first, for without it the data is nothing."""
        for name in (base_of(upload_id) + _RECORD, base_of(upload_id)):
            self._unlink(name)

    def load(self) -> dict[str, Record]:
        """All uploads by id; what is not whole is cleared away."""
        with _disk_errors():
            listed = os.listdir(self._fd)  # noqa: PTH208  # a descriptor, not a path
        names = {name for name in listed if name.startswith(PREFIX)}
        found = {name: self._found_again(self._read(name)) for name in names if name.endswith(_RECORD)}
        whole = {
            name.removesuffix(_RECORD): record
            for name, record in found.items()
            if record is not None and (record.final_name is not None or name.removesuffix(_RECORD) in names)
        }
        # Where the file system cannot rename without replacing, a crash may have left the data with both names.
        wanted = {base for base, record in whole.items() if record.final_name is None}
        for name in names - wanted - {base + _RECORD for base in whole}:
            self._unlink(name)
        return {base.removeprefix(PREFIX): record for base, record in whole.items()}

    def _found_again(self, record: Record | None) -> Record | None:
        """The record with the final name that its file was given just before a crash, if it was."""
        if record is None or record.inode is None or record.final_name is not None:
            return record
        try:
            above = record.name.rpartition("/")[0]
            folder_fd = self._folder.open_folder(self._folder.raw_name(above) if above else b"")
        except PServerError:
            return record
        try:
            raw_name = _lying_in(folder_fd, record.inode, record.size)
            base = name_of(raw_name) if raw_name else None
        except (OSError, InvalidName):
            base = None
        finally:
            os.close(folder_fd)
        return record if base is None else replace(record, final_name=f"{above}/{base}" if above else base)

    def _read(self, name: str) -> Record | None:
        try:
            with os.fdopen(os.open(name, os.O_RDONLY | _OPEN, dir_fd=self._fd)) as file:
                return Record(**json.load(file))
        except (OSError, ValueError, TypeError) as error:
            LOG.warning("the record %s of an upload cannot be read, the upload is dropped: %s", name, error)
            return None

    def _unlink(self, name: str) -> None:
        with _disk_errors(), suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._fd)

    @contextmanager
    def _open(self, upload_id: str) -> Iterator[int]:
        try:
            fd = os.open(base_of(upload_id), os.O_WRONLY | _OPEN, dir_fd=self._fd)
        except FileNotFoundError:
            raise DataGone("what was sent of this upload was deleted from the share's disk; send it again") from None
        try:
            yield fd
        finally:
            os.close(fd)


def base_of(upload_id: str) -> str:
    """The name of an upload's data file in the folder of partials."""
    return PREFIX + upload_id


def _lying_in(folder_fd: int, inode: int, size: int) -> bytes | None:
    """The name on disk of the file there with that inode and that many bytes."""
    with os.scandir(folder_fd) as entries:
        for entry in entries:
            if entry.inode() == inode:
                found = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(found.st_mode) and found.st_size == size:
                    return os.fsencode(entry.name)
    return None


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {ENOSPC, EDQUOT, EFBIG}:
            raise NoRoom("there is no room left on the disk of the share") from error
        raise Unavailable(f"the share cannot be written now: {error.strerror}") from error
