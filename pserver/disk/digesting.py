"""Making the digests that other tools want, in the background and on demand, and keeping them.

One thread reads one file at a time, and exists only while there is work. What was made is kept in a folder, a file
each, named by file id: an id stands for the same bytes for ever, so what is kept is never out of date. Whether the
file is still here, and still what was indexed, is looked at each time. The folder is bounded; what was not asked for
longest goes first.
"""

import hashlib
import logging
import os
import threading
from collections import deque
from pathlib import Path

from pserver.digests import BadDigests, Digests, Making, decode_digests, digest_piece_size
from pserver.disk.share import OpenedFile, Share
from pserver.model import PServerError, SharedFile, Unavailable

_log = logging.getLogger(__name__)
KEPT_BYTES = 64 << 20  # digests of 2,048 pieces have 100 KB
MOST_WAITING = 64
_CHUNK_BYTES = 1 << 20
_UNFINISHED = ".new"


class Digesting:
    """Makes and keeps digests of files of `share`. Thread-safe.

    `folder`: where they are kept, made if need be, for nothing else. Raises Unavailable if it cannot be.
    """

    def __init__(
        self, share: Share, folder: Path, kept_bytes: int = KEPT_BYTES, most_waiting: int = MOST_WAITING
    ) -> None:
        self._share = share
        self._folder = folder
        self._kept_bytes = kept_bytes
        self._most_waiting = most_waiting
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._queue: deque[SharedFile] = deque()
        self._done: dict[bytes, int] = {}  # of each file that waits or is in work: the bytes read
        self._failed: dict[bytes, str] = {}  # why it could not be made; told once, then tried anew
        self._thread: threading.Thread | None = None
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            for path in folder.glob(f"*{_UNFINISHED}"):
                path.unlink()
        except OSError as error:
            raise Unavailable(f"{folder} cannot be used: {error.strerror}") from error

    def get(self, file: SharedFile) -> Digests | Making:
        """The digests of that file; Making if they are yet to be made: they will be, ask again.

        NotFound, Conflict "changed"; Unavailable: too many files wait, or the last try failed.
        """
        with self._share.open(file):  # what has changed is not described by what was kept
            kept = self._kept(file)
        return kept or self._submit(file)

    def stop(self, timeout: float = 5.0) -> None:
        """Give up what waits and what is in work."""
        self._stopping.set()
        with self._lock:
            self._queue.clear()
            thread = self._thread
        if thread is not None:
            thread.join(timeout)

    def _submit(self, file: SharedFile) -> Making:
        with self._lock:
            why = self._failed.pop(file.file_id, None)
            if why is not None:
                raise Unavailable(f"the piece hashes of '{file.name}' could not be made: {why}")
            if file.file_id not in self._done:
                if len(self._queue) >= self._most_waiting or self._stopping.is_set():
                    raise Unavailable("too many files wait for their piece hashes to be made: try again later")
                self._queue.append(file)
                self._done[file.file_id] = 0
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name="digests", daemon=True)
                    self._thread.start()
            return Making(self._done[file.file_id], file.size)

    def _work(self) -> None:
        while (file := self._next()) is not None:
            why: str | None = None
            try:
                self._make(file)
            except (PServerError, OSError) as error:
                why = str(error)
                _log.warning("the piece hashes of %r could not be made: %s", file.name, error)
            except Exception as error:  # one file must not end the thread, and with it the work for all others
                why = str(error)
                _log.exception("making piece hashes failed")
            with self._lock:
                del self._done[file.file_id]
                if why is not None:
                    if len(self._failed) >= self._most_waiting:  # of files that nobody asked for again
                        self._failed.clear()
                    self._failed[file.file_id] = why

    def _next(self) -> SharedFile | None:
        with self._lock:
            if self._queue and not self._stopping.is_set():
                return self._queue.popleft()
            self._thread = None
            return None

    def _make(self, file: SharedFile) -> None:
        with self._share.open(file) as opened:
            made = self._read(opened, file)
            if made is None or not opened.still_same():
                return  # being stopped; or changed meanwhile, which whoever asks again is told
        self._keep(file.file_id, made)

    def _read(self, opened: OpenedFile, file: SharedFile) -> Digests | None:
        """Read all of the file; None if it ends early, or if this is being stopped."""
        piece_size = digest_piece_size(file.size)
        whole, sha1s, sha256s = hashlib.sha256(), bytearray(), bytearray()
        buffer = memoryview(bytearray(min(_CHUNK_BYTES, max(file.size, 1))))
        for start in range(0, file.size, piece_size):
            sha1, sha256 = hashlib.sha1(usedforsecurity=False), hashlib.sha256()
            left = min(piece_size, file.size - start)
            while left:
                count = 0 if self._stopping.is_set() else opened.readinto(buffer[:left])
                if not count:
                    return None
                for hashed in (whole, sha1, sha256):
                    hashed.update(buffer[:count])
                left -= count
                self._done[file.file_id] += count
            sha1s += sha1.digest()
            sha256s += sha256.digest()
        return Digests(file.size, piece_size, whole.digest(), bytes(sha1s), bytes(sha256s))

    def _kept(self, file: SharedFile) -> Digests | None:
        path = self._folder / file.file_id.hex()
        try:
            found = decode_digests(path.read_bytes(), file.size)
            os.utime(path)  # what is used stays
        except (OSError, BadDigests):  # there is none, or it was cut off by a power loss: it is made anew
            return None
        return found

    def _keep(self, file_id: bytes, digests: Digests) -> None:
        path = self._folder / file_id.hex()
        unfinished = path.with_suffix(_UNFINISHED)
        unfinished.write_bytes(digests.encode())
        unfinished.replace(path)
        self._drop_oldest(path)

    def _drop_oldest(self, newest: Path) -> None:
        found = sorted((entry.stat().st_mtime_ns, entry) for entry in self._folder.iterdir() if entry != newest)
        total = newest.stat().st_size
        for _when, path in reversed(found):
            total += path.stat().st_size
            if total > self._kept_bytes:
                path.unlink()
