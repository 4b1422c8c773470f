"""Uploads of a person's client into the own share, by tus 1.0 (https://tus.io/protocols/resumable-upload).

Rules of this file (tus_api.py translates them to HTTP, tus_files.py does the writing):

- The name and the room are checked when an upload is created; what open uploads still lack counts as taken, and so
  does the room that is to stay free.
- One append at a time an upload, only at its offset, never beyond its size. An append whose checksum is wrong keeps
  nothing.
- The offset told after a crash never exceeds what is durable: data is synced at least every 64 MiB or 2 s of an
  upload, and the offset recorded after that. While the process lives it tells what it has written.
- The append that completes a file places it in the share, never replacing another, and then says so to `committed`.
  If that fails, the next (empty) append or `tick` tries again. What is about to be placed is recorded with its inode
  before, so the final name is known after a crash at any point.
- An upload expires an hour after its last append. A finished one is remembered for ten minutes, for a client that
  lost the answer; of more than a thousand, the oldest are forgotten sooner. Only open ones are limited in number.
"""

import hashlib
import hmac
import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from protos.names import check_name
from pserver.api.tus_files import DataGone, PartialFolder, Record, UploadFiles, base_of
from pserver.model import Conflict, InvalidRequest, NoRoom, NotFound, PServerError, Unavailable
from pserver.pieces import MAX_FILE_BYTES
from pserver.sizes import human_size

LOG = logging.getLogger(__name__)
LIFETIME_SECONDS = 3600  # of an open upload, after its last append
FINISHED_SECONDS = 600
SYNC_BYTES = 64 * 1024 * 1024
SYNC_SECONDS = 2.0
MAX_UPLOADS = 1_000  # open ones
MAX_FINISHED = 1_000  # remembered


class WrongChecksum(InvalidRequest):
    """The bytes that arrived do not have the checksum they were sent with; send them again."""

    code = "checksum"


class TooLarge(InvalidRequest):
    """That is more than an upload can have."""

    code = "too-large"


class Locked(Conflict):
    """Another request is at work on this upload; try again when it is done."""


@dataclass(frozen=True, slots=True)
class UploadView:
    """An upload as it stands. Sizes in bytes, `expires` in Unix time; `final_name` once it is in the share."""

    id: str
    name: str
    size: int
    offset: int
    expires: float
    metadata: str
    final_name: str | None


@dataclass(slots=True)
class _Upload:
    id: str
    name: str
    size: int
    metadata: str
    offset: int
    expires: float
    final_name: str | None = None
    durable: int = 0  # the recorded offset
    synced_at: float = 0.0
    recorded: bool = False  # whether the record on the disk has the final name
    lock: threading.Lock = field(default_factory=threading.Lock)

    def view(self) -> UploadView:
        return UploadView(
            self.id, self.name, self.size, self.offset, self.expires, self.metadata, self.final_name
        )  # fmt: skip

    def record(self, inode: int | None = None) -> Record:
        return Record(self.name, self.size, self.metadata, self.offset, self.expires, self.final_name, inode)


class TusUploads:
    """The uploads by tus of one share. Thread-safe. `now` is Unix time everywhere.

    `committed` hears the final name of each file that was placed, after it was. `reserve_bytes` of the disk stay
    free. `quota`: how many bytes open uploads may have in all; None: no bound. Raises NoRoom and Unavailable for what
    the disk says, in every method.
    """

    def __init__(
        self,
        folder: PartialFolder,
        committed: Callable[[str], None],
        reserve_bytes: int = 0,
        quota: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._folder = folder
        self._reserve = reserve_bytes
        self._quota = quota
        self._committed = committed
        self._files = UploadFiles(folder)
        self._lock = threading.Lock()
        self._known: dict[str, _Upload] | None = None  # not yet read: the share may be away at the start

    def create(self, name: str, size: int, now: float, metadata: str = "") -> UploadView:
        """Begin an upload of `size` bytes. `metadata` is told back as it is. InvalidName, TooLarge, NoRoom."""
        check_name(name)
        if size > MAX_FILE_BYTES:
            raise TooLarge(f"a file can have {MAX_FILE_BYTES} bytes, this one has {size}")
        upload = _Upload(secrets.token_hex(16), name, size, metadata, 0, now + LIFETIME_SECONDS, synced_at=now)
        with self._lock:
            uploads = self._uploads(now)
            self._check_room(size, uploads)
            self._files.create(upload.id, upload.record())
            uploads[upload.id] = upload
        if size == 0:
            with self._held(upload.id, now):
                self._finish(upload, now)
        return upload.view()

    def open_bytes(self) -> int:
        """How many bytes the files have, when they are whole, whose uploads are open."""
        with self._lock:
            return _size_of(_opened(self._known or {}))

    def find(self, upload_id: str, now: float) -> UploadView:
        """An upload as it stands. NotFound."""
        return self._find(upload_id, now).view()

    def append(
        self, upload_id: str, offset: int, body: bytes, now: float, checksum: tuple[str, bytes] | None = None
    ) -> UploadView:
        """Take the bytes at `offset`; the last ones place the file. `checksum`: (one of CHECKSUMS, digest).

        NotFound; Locked; Conflict "offset"; TooLarge; WrongChecksum.
        """
        with self._held(upload_id, now) as upload:
            _check_append(upload, offset, body, checksum)
            if body:
                self._files.write(upload.id, offset, body)
                upload.offset += len(body)
                upload.expires = now + LIFETIME_SECONDS
            if upload.offset == upload.size:
                self._finish(upload, now)
            elif upload.offset - upload.durable >= SYNC_BYTES or now - upload.synced_at >= SYNC_SECONDS:
                self._record(upload, now)
            return upload.view()

    def terminate(self, upload_id: str, now: float) -> None:
        """Forget an upload and the bytes that came; a file already in the share stays there. NotFound; Locked."""
        with self._held(upload_id, now) as upload:
            self._forget(upload)

    def tick(self, now: float) -> None:
        """Drop what has expired, record what is not yet durable, place what could not be placed before."""
        uploads = self._all(now)
        _crowd_out(uploads, now)
        for upload in uploads:
            if upload.lock.acquire(blocking=False):
                try:
                    with self._forgotten_if_gone(upload):
                        self._tend(upload, now)
                except PServerError as error:
                    LOG.warning("the upload of %r: %s", upload.name, error)
                finally:
                    upload.lock.release()

    def _tend(self, upload: _Upload, now: float) -> None:
        if upload.expires <= now:
            self._forget(upload)
        elif upload.final_name is None and upload.offset == upload.size:
            self._finish(upload, now)
        elif upload.final_name is not None and not upload.recorded:
            self._files.save(upload.id, upload.record())
            upload.recorded = True
        elif upload.offset != upload.durable and now - upload.synced_at >= SYNC_SECONDS:
            self._record(upload, now)

    def _finish(self, upload: _Upload, now: float) -> None:
        """Place it. Its final name is recorded by a later tick: until then its inode tells, and most clients are done
        with an upload before, so it costs them no sync."""
        if upload.final_name is not None:
            return
        self._files.save(upload.id, upload.record(self._files.sync(upload.id)))
        upload.final_name = self._folder.place(base_of(upload.id), upload.name)
        upload.durable, upload.expires = upload.offset, now + FINISHED_SECONDS
        self._committed(upload.final_name)

    def _record(self, upload: _Upload, now: float) -> None:
        self._files.sync(upload.id)
        self._files.save(upload.id, upload.record())
        upload.durable, upload.synced_at = upload.offset, now

    def _forget(self, upload: _Upload) -> None:
        self._files.remove(upload.id)
        with self._lock:
            if self._known is not None:
                self._known.pop(upload.id, None)

    def _uploads(self, now: float) -> dict[str, _Upload]:
        """All uploads by id; to be used under the lock."""
        if self._known is None:
            self._known = {key: _revived(key, record, now) for key, record in self._files.load().items()}
        return self._known

    def _check_room(self, size: int, uploads: dict[str, _Upload]) -> None:
        opened = _opened(uploads)
        if len(opened) >= MAX_UPLOADS:
            raise Unavailable(f"{MAX_UPLOADS} uploads are open already; end some of them")
        promised = sum(upload.size - upload.offset for upload in opened)
        room = max(0, self._folder.free_bytes() - self._reserve - promised)
        if size > room:
            raise NoRoom(_no_room(size, room, self._reserve, promised))
        quota = self._quota()
        if quota is not None and size > (left := max(quota - _size_of(opened), 0)):
            raise NoRoom(f"the file has {human_size(size)}, and the quota of the share leaves {human_size(left)}")

    def _find(self, upload_id: str, now: float) -> _Upload:
        with self._lock:
            upload = self._uploads(now).get(upload_id)
        if upload is None or upload.expires <= now:
            raise NotFound("there is no such upload; it may have expired")
        return upload

    @contextmanager
    def _held(self, upload_id: str, now: float) -> Iterator[_Upload]:
        upload = self._find(upload_id, now)
        if not upload.lock.acquire(blocking=False):
            raise Locked("another request is at work on this upload", "locked")
        try:
            with self._forgotten_if_gone(upload):
                yield self._find(upload_id, now)  # it may have ended while nobody held it
        finally:
            upload.lock.release()

    @contextmanager
    def _forgotten_if_gone(self, upload: _Upload) -> Iterator[None]:
        try:
            yield
        except DataGone:
            self._forget(upload)
            raise

    def _all(self, now: float) -> list[_Upload]:
        with self._lock:
            return list(self._uploads(now).values())


def _check_append(upload: _Upload, offset: int, body: bytes, checksum: tuple[str, bytes] | None) -> None:
    if offset != upload.offset:
        raise Conflict(f"Upload-Offset: the upload is at {upload.offset}, not at {offset}", "offset")
    if len(body) > upload.size - offset:
        raise TooLarge(f"the upload has {upload.size} bytes in all, and these go beyond them")
    if checksum is not None and not hmac.compare_digest(hashlib.new(checksum[0], body).digest(), checksum[1]):
        raise WrongChecksum("Upload-Checksum: the bytes that arrived do not have it; send them again")


def _opened(uploads: dict[str, _Upload]) -> list[_Upload]:
    return [upload for upload in uploads.values() if upload.final_name is None]


def _size_of(uploads: list[_Upload]) -> int:
    return sum(upload.size for upload in uploads)


def _no_room(size: int, room: int, reserve: int, promised: int) -> str:
    said = f"the file has {human_size(size)} and there is room for {human_size(room)}"
    if promised:
        said += f"; {human_size(promised)} are promised to uploads that are not finished"
    return f"{said}; {human_size(reserve)} stay free" if reserve else said


def _crowd_out(uploads: list[_Upload], now: float) -> None:
    """Have the oldest of too many finished uploads expire now."""
    finished = sorted((one for one in uploads if one.final_name is not None), key=lambda one: one.expires)
    for upload in finished[: max(0, len(finished) - MAX_FINISHED)]:
        upload.expires = now


def _revived(upload_id: str, record: Record, now: float) -> _Upload:
    lifetime = LIFETIME_SECONDS if record.final_name is None else FINISHED_SECONDS
    expires = min(record.expires, now + lifetime)
    return _Upload(
        upload_id, record.name, record.size, record.metadata, record.offset, expires,
        record.final_name, record.offset, now, recorded=record.inode is None,
    )  # fmt: skip
