"""Hashing files of the share in parallel.

Threads and their buffers exist only while there is work: an idle peer pays for neither. The hashes release the
interpreter's lock, so several large files keep several cores busy. Decides nothing about what a result means.
"""

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from pserver.disk.folder import Folder, Stamp, stamp_of
from pserver.model import NotFound, Unavailable
from pserver.pieces import BadManifest, Manifest, hash_file, piece_size_for

_log = logging.getLogger(__name__)
_SMALLEST_BUFFER = 64 * 1024
_RESULTS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Hashed:
    """What became of a file that was to be hashed: a manifest, or why there is none ("": it changed meanwhile).

    `passing`: why may be over soon (no descriptors left, an I/O error); a file that may not be read stays so.
    """

    raw_name: bytes
    stamp: Stamp
    manifest: Manifest | None
    why_not: str = ""
    passing: bool = False


class Hashing:
    """Up to `threads` threads that hash files of `folder`, and one more for what is urgent. Thread-safe.

    `wake` is called when all work is done, and when many results have gathered; `take` gets them at any time. A file
    counts as pending from `submit` until `settle` says that its result was dealt with.
    """

    def __init__(self, folder: Folder, threads: int, wake: Callable[[], None]) -> None:
        self._folder = folder
        self._most_threads = threads
        self._wake = wake
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._queue: deque[tuple[bytes, Stamp]] = deque()
        self._pending: set[bytes] = set()
        self._results: list[Hashed] = []
        self._threads: set[threading.Thread] = set()

    def submit(self, raw_name: bytes, stamp: Stamp, urgent: bool = False) -> None:
        """Hash that file, if it still has that stamp. Does nothing if the file is pending."""
        with self._lock:
            if raw_name in self._pending or self._stopping.is_set():
                return
            self._pending.add(raw_name)
            if urgent:
                self._queue.appendleft((raw_name, stamp))
            else:
                self._queue.append((raw_name, stamp))
            # What is urgent gets one thread more: the others may be in the midst of large files.
            if len(self._threads) < self._most_threads + urgent:
                thread = threading.Thread(target=self._work, name="hash", daemon=True)
                self._threads.add(thread)
                thread.start()

    def take(self) -> list[Hashed]:
        """The results since the last call."""
        with self._lock:
            taken, self._results = self._results, []
        return taken

    def settle(self, results: list[Hashed]) -> None:
        """Those results were dealt with: their files are no longer pending."""
        with self._lock:
            self._pending.difference_update(result.raw_name for result in results)

    def stop(self, timeout: float) -> None:
        """Give up what is queued and in work, and wait for the threads: at most `timeout` seconds each."""
        self._stopping.set()
        with self._lock:
            self._queue.clear()
            threads = list(self._threads)
        for thread in threads:
            thread.join(timeout)

    def __contains__(self, raw_name: object) -> bool:
        with self._lock:
            return raw_name in self._pending

    def __len__(self) -> int:
        return len(self._pending)

    def _work(self) -> None:
        buffer = bytearray()
        result: Hashed | None = None
        while (job := self._next(result)) is not None:
            wanted = max(min(piece_size_for(job[1][0]), job[1][0]), _SMALLEST_BUFFER)
            if len(buffer) < wanted:
                buffer = bytearray(wanted)
            result = self._hash(*job, buffer)

    def _next(self, result: Hashed | None) -> tuple[bytes, Stamp] | None:
        """Leave the last result and take the next job; None ends the thread."""
        with self._lock:
            if result is not None:
                self._results.append(result)
            job = self._queue.popleft() if self._queue else None
            if job is None:
                self._threads.discard(threading.current_thread())
            wake = (job is None and not self._threads) or len(self._results) == _RESULTS_AT_ONCE
        if wake:
            self._wake()
        return job

    def _hash(self, raw_name: bytes, stamp: Stamp, buffer: bytearray) -> Hashed:
        try:
            opened = self._folder.open_read(raw_name)
        except NotFound:
            return Hashed(raw_name, stamp, None)
        except Unavailable as error:
            passing = not isinstance(error.__cause__, PermissionError)
            return Hashed(raw_name, stamp, None, str(error), passing)
        try:
            return Hashed(raw_name, stamp, self._manifest(opened, stamp, buffer))
        except BadManifest:
            return Hashed(raw_name, stamp, None)
        except OSError as error:
            return Hashed(raw_name, stamp, None, f"it cannot be read: {error.strerror}", passing=True)
        except Exception as error:  # one file must not end the thread, and with it the hashing of all others
            _log.exception("hashing a file failed")
            return Hashed(raw_name, stamp, None, f"hashing it failed: {error}")
        finally:
            os.close(opened)

    def _manifest(self, opened: int, stamp: Stamp, buffer: bytearray) -> Manifest | None:
        if stamp_of(os.fstat(opened)) != stamp:
            return None
        manifest = hash_file(opened, stamp[0], buffer, self._stopping.is_set)
        return manifest if stamp_of(os.fstat(opened)) == stamp else None
