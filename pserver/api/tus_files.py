"""The files behind uploads by tus, in the share's folder of partials: two an upload, `tus-ID` and `tus-ID.json`.

The second is the record: it replaces its predecessor in one step and says no more than what is durable. A data file
without a record, or the reverse, is what a crash left of a creation or a removal; `load` clears it away.
"""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from errno import EDQUOT, EFBIG, ENOSPC
from typing import Protocol

from pserver.model import NoRoom, Unavailable

LOG = logging.getLogger(__name__)
PREFIX = "tus-"
_RECORD = ".json"
_NEW = ".new"
_OPEN = os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of an upload after a crash. `offset`: that many bytes are durable; `expires` is Unix time."""

    name: str
    size: int
    metadata: str
    offset: int
    expires: float
    final_name: str | None


class PartialFolder(Protocol):
    """What is needed of the share's folder. All of it raises Unavailable while the share is away."""

    @property
    def partial_fd(self) -> int:
        """A descriptor of the folder of partials, good for one operation."""

    def place(self, partial_base: str, name: str) -> str:
        """Give a finished partial its name in the share, or the next free one like it; returns that."""

    def free_bytes(self) -> int:
        """How much room there is."""


class UploadFiles:
    """The data and records of uploads. Errors of the disk are NoRoom or Unavailable."""

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

    def sync(self, upload_id: str) -> None:
        """Make durable what was written."""
        with _disk_errors(), self._open(upload_id) as fd:
            os.fsync(fd)

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
        found = {name: self._read(name) for name in names if name.endswith(_RECORD)}
        whole = {
            name.removesuffix(_RECORD): record
            for name, record in found.items()
            if record is not None and (record.final_name is not None or name.removesuffix(_RECORD) in names)
        }
        for name in names - whole.keys() - {base + _RECORD for base in whole}:
            self._unlink(name)
        return {base.removeprefix(PREFIX): record for base, record in whole.items()}

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
        fd = os.open(base_of(upload_id), os.O_WRONLY | _OPEN, dir_fd=self._fd)
        try:
            yield fd
        finally:
            os.close(fd)


def base_of(upload_id: str) -> str:
    """The name of an upload's data file in the folder of partials."""
    return PREFIX + upload_id


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {ENOSPC, EDQUOT, EFBIG}:
            raise NoRoom("there is no room left on the disk of the share") from error
        raise Unavailable(f"the share cannot be written now: {error.strerror}") from error
