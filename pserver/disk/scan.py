"""Keeping the index of the share true to the disk: when to look at what.

Everything is looked at when the peer starts, every 10 minutes, and on demand; single files and folders when the
kernel says that they changed, when someone found them changed, and until they have settled. Where the kernel cannot
tell (there are more folders than it watches for a user), everything is looked at every minute.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from pserver.disk.hashing import Hashing
from pserver.disk.look import Looker
from pserver.disk.settling import QUIET_SECONDS, Settling
from pserver.disk.share import Share
from pserver.disk.watch import Watch
from pserver.model import PServerError, Unavailable

_log = logging.getLogger(__name__)
RESCAN_SECONDS = 600.0
RESCAN_UNWATCHED_SECONDS = 60.0
CHECK_SECONDS = 5.0  # how often the folder is looked for: is it still there?
RETRY_SECONDS = 60.0  # at most, after a failure, such as a full disk under the index; sooner at first
MISSED_SECONDS = 5.0  # after something could not be read for a reason that may pass; later if that is so again
BATCH_SECONDS = 0.25  # how often rows are written while files are hashed
MOST_TOUCHED = 5000  # with more changes at once, looking at everything is cheaper
STOP_SECONDS = 2.0
HASHING_THREADS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class ScanStatus:
    """What the scanner is doing. `hashing`: files waiting or in work. `error`: why the share is not kept up, or None.

    `watching`: changes are seen at once, not only at the next scan; if not, `not_watching_why` has the reason.
    `scanned`: all of the share was looked at once since the start.
    """

    scanning: bool
    hashing: int
    error: str | None
    watching: bool
    not_watching_why: str | None = None
    scanned: bool = True


class Scanner:
    """Keeps the index of `share` true. `start` runs it in a thread of its own; without that, `tick` is called.

    Thread-safe but for `tick`, which only one thread calls. While `busy()` the pass over the sha256 of files that were
    downloaded waits: it would take the processor from what people wait for.
    """

    def __init__(
        self,
        share: Share,
        threads: int = HASHING_THREADS,
        watch: bool = True,
        quiet_seconds: float = QUIET_SECONDS,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._busy = busy
        self._folder = share.folder
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._hashing = Hashing(share.folder, threads, self._wake.set)
        self._settling = Settling(quiet_seconds)
        self._looker = Looker(share, self._hashing, self._settling, self._stopping.is_set)
        self._lock = threading.Lock()  # for the next two
        self._touched: set[bytes] = set()
        self._urgent: set[bytes] = set()
        self._scan_at = self._check_at = 0.0
        self._missed = False  # since the last scan
        self._missed_seconds = MISSED_SECONDS
        self._scanning = True  # until the first scan has ended
        self._scanned = False
        self._away: str | None = None
        self._failure: str | None = None
        self._watch_wanted = watch
        self._watch: Watch | None = None
        self._watch_error: str | None = None
        self._watched: set[tuple[bytes, int]] = set()
        self._thread: threading.Thread | None = None
        share.on_suspect(self.look_at)

    def start(self) -> None:
        """Scan and watch in a thread, until `stop`."""
        self._thread = threading.Thread(target=self._run, name="scan", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop, also in the midst of a large file; what was hashed is written."""
        self._stopping.set()
        self._wake.set()
        self._hashing.stop(STOP_SECONDS)
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)
        if self._watch is not None:
            self._watch.stop(STOP_SECONDS)

    def look_again(self) -> None:
        """Look at the whole share now."""
        self._touch({b""})

    def look_at(self, raw_name: bytes) -> None:
        """Look at that file or folder now."""
        self._touch({raw_name})

    def hash_now(self, raw_name: bytes) -> None:
        """Hash that file before all others and without waiting: whoever wrote it says that it is finished."""
        with self._lock:
            self._urgent.add(raw_name)
        self._wake.set()

    def is_pending(self, name: str) -> bool:
        """Whether the file of that name was seen and is not in the index yet."""
        raw_name = name.encode()
        with self._lock:
            if raw_name in self._urgent:
                return True
        return raw_name in self._settling or raw_name in self._hashing

    def status(self) -> ScanStatus:
        """What is being done, and what is wrong."""
        waiting = len(self._hashing) + len(self._settling) + len(self._urgent)
        error = self._away or self._looker.doubt or self._failure
        watching = self._watch is not None
        return ScanStatus(self._scanning, waiting, error, watching, self._watch_error, self._scanned)

    def tick(self, now: float) -> float:
        """Do what is due at `now` (Unix time, seconds); when the next tick is due, if nothing wakes it before.

        Raises NoRoom and Unavailable if the index cannot be written.
        """
        self._looker.write_hashed(now)
        if not now < self._check_at <= now + CHECK_SECONDS:  # due, or the clock was set back
            self._check_at = now + CHECK_SECONDS
            self._check_folder()
        if self._away is None:
            self._look(now)
        if self._looker.missed:
            self._looker.missed = False
            self._look_again_soon(now)
        return self._next_tick(now)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                due = self.tick(time.time())
                self._failure = None
            except PServerError as error:
                _log.warning("the share is not kept up: %s", error)
                due = self._retry(str(error))
            except Exception:
                _log.exception("looking at the share failed")
                due = self._retry("looking at the share failed; the log says more")
            self._wake.wait(max(due - time.time(), 0.0))
        self._write_last()

    def _retry(self, failure: str) -> float:
        self._failure = failure
        now = time.time()
        self._scan_at = now + RETRY_SECONDS  # of everything, for what was found has not been written
        self._look_again_soon(now)
        self._stopping.wait(1.0)  # whatever wakes the loop meanwhile would most likely fail in the same way
        return self._scan_at

    def _look_again_soon(self, now: float) -> None:
        """Look at all once more: soon, and ever later while each such look meets the same."""
        if self._missed:
            return  # that is planned
        self._missed = True
        self._scan_at = min(self._scan_at, now + self._missed_seconds)
        self._missed_seconds = min(2 * self._missed_seconds, RETRY_SECONDS)

    def _write_last(self) -> None:
        try:
            self._looker.write_hashed(time.time())
        except PServerError as error:
            _log.warning("what was hashed last is hashed again at the next start: %s", error)

    def _next_tick(self, now: float) -> float:
        due = [self._check_at]
        if self._away is None:
            due.append(self._scan_at)
            if (settled := self._settling.next_due()) is not None:
                due.append(settled)
        if self._hashing:
            due.append(now + BATCH_SECONDS)
        return max(min(due), now)

    def _check_folder(self) -> None:
        """Is the share there? It is scanned when it comes back, and while it is in doubt."""
        try:
            another = self._folder.refresh()
        except Unavailable as error:
            if self._away is None:
                _log.warning("%s", error)
            self._away = str(error)
            return
        if another or self._away is not None or self._looker.doubt is not None:
            self._scan_at = 0.0
        self._away = None

    def _look(self, now: float) -> None:
        touched, urgent = self._take_touched()
        for raw_name in urgent:
            self._looker.look_at(raw_name, now, urgent=True)
        rescan = RESCAN_SECONDS if self._watch is not None else RESCAN_UNWATCHED_SECONDS
        if not now < self._scan_at <= now + rescan or len(touched) > MOST_TOUCHED or b"" in touched:
            self._scan(now)
        else:
            self._looker.look_at_many(touched, now)
        self._looker.look_at_many(self._settling.due(now), now)
        if not self._hashing and not self._settling and not self._busy():
            self._looker.check_one_sha256()
        if touched:
            self._watch_folders()
        self._looker.publish_skipped()

    def _scan(self, now: float) -> None:
        self._scanning = True
        if not self._missed:
            self._missed_seconds = MISSED_SECONDS  # all could be read since the last scan
        self._missed = False
        try:
            self._looker.scan(now)
            self._scanned = True
        except Unavailable:
            self._check_at = now  # is it gone?
            raise
        finally:
            self._scanning = False
        self._watch_folders()
        self._scan_at = now + (RESCAN_SECONDS if self._watch is not None else RESCAN_UNWATCHED_SECONDS)

    def _watch_folders(self) -> None:
        """Watch the folders that there are; look again at those that nobody watched until now."""
        folders = self._looker.folders
        new = set(folders.items()) - self._watched
        if not self._watch_wanted or not new or self._stopping.is_set():
            return
        old = self._watch
        try:
            self._watch = Watch(self._folder.path, folders, self._touch, self._watch_ended)
            self._watch_error = None
        except Unavailable as error:
            if self._watch_error is None:
                _log.warning("%s; the share is looked at every %d s", error, RESCAN_UNWATCHED_SECONDS)
            self._watch, self._watch_error = None, str(error)
        self._watched = set(folders.items()) if self._watch is not None else set()
        if old is not None:
            old.stop(STOP_SECONDS)
        if self._watch is not None:
            fresh = {raw for raw, _ in new}
            self._touch({raw for raw in fresh if not raw or raw.rpartition(b"/")[0] not in fresh})

    def _watch_ended(self, why: str) -> None:
        _log.warning("%s; the share is looked at every %d s", why, RESCAN_UNWATCHED_SECONDS)
        self._watch, self._watch_error = None, why
        self._watched = set()

    def _take_touched(self) -> tuple[set[bytes], set[bytes]]:
        with self._lock:
            touched, self._touched = self._touched, set()
            urgent, self._urgent = self._urgent, set()
        return touched, urgent

    def _touch(self, raw_names: set[bytes]) -> None:
        shown = {raw for raw in raw_names if not raw.startswith(b".") and b"/." not in raw}
        if shown:
            with self._lock:
                self._touched |= shown
            self._wake.set()
