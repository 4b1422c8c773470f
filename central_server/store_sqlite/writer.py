"""One thread that writes, in groups: many small requests share one transaction.

A commit costs more than a small write, so all that wait are written together. Each job has a savepoint of its own:
one that fails is undone alone.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from central_server.model import LocatorError, StoreUnavailable
from central_server.store_sqlite.checkpoints import MOST_PAGES, Checkpoints
from central_server.store_sqlite.file import is_damage, suspicion

_T = TypeVar("_T")
_MOST_JOBS = 64  # in one transaction
_CACHE_KIB = 64 * 1024
_log = logging.getLogger(__name__)


class _Job(Generic[_T]):
    """What to write, and what to do on the event loop once it is on disk."""

    def __init__(
        self, write: Callable[[sqlite3.Connection], _T], then: Callable[[_T], None], loop: asyncio.AbstractEventLoop
    ) -> None:
        self.write = write
        self.then = then
        self.future: asyncio.Future[_T] = loop.create_future()
        self.result: _T | None = None
        self.error: BaseException | None = None

    def finish(self) -> None:
        """On the event loop: tell who waits. `then` runs also if nobody waits any more."""
        if self.error is None:
            self.then(self.result)  # type: ignore[arg-type]  # _T itself may be None, which Optional cannot tell
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)  # type: ignore[arg-type]  # as above


@dataclass(slots=True)
class Written:
    """What a writer has written since it was made, for whoever watches. `seconds`: that the groups took in all."""

    jobs: int = 0
    groups: int = 0
    seconds: float = 0.0


class Writer:
    """Owns the connection that writes. Made and called on the event loop."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        # The writer's own pages are the ones it needs again: the inner ones of every index.
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {MOST_PAGES}")
        self._checkpoints = Checkpoints(path)
        self._path = path
        self._loop = asyncio.get_running_loop()
        self.written = Written()  # changed by the thread alone
        # Any: jobs of all result types wait in one queue.
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    async def write(self, job: Callable[[sqlite3.Connection], _T], then: Callable[[_T], None]) -> _T:
        """Run `job` in the writer's thread, in a transaction; then `then` on the loop, also if the caller has gone.

        StoreUnavailable: SQLite could not. What a job raises itself comes through; either way nothing was changed.
        """
        queued = _Job(job, then, self._loop)
        self._jobs.put(queued)
        return await queued.future

    async def close(self) -> None:
        """Write what waits, then end the thread and close the connection."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._checkpoints.close)
        self._connection.close()

    def _run(self) -> None:
        while (group := self._next_group()) is not None:
            self._write_and_count(group)
            self._checkpoints.due()
            self._loop.call_soon_threadsafe(_finish, group)

    def _next_group(self) -> list[_Job[Any]] | None:
        """All that wait, up to a limit; waits for the first. None: the end."""
        first = self._jobs.get()
        if first is None:
            return None
        group = [first]
        while len(group) < _MOST_JOBS and not self._jobs.empty():
            job = self._jobs.get()
            if job is None:
                self._jobs.put(None)
                break
            group.append(job)
        return group

    @property
    def waiting(self) -> int:
        """How many jobs wait, about."""
        return self._jobs.qsize()

    def _write_and_count(self, group: list[_Job[Any]]) -> None:
        began = time.monotonic()
        self._write_group(group)
        self.written.jobs += len(group)
        self.written.groups += 1
        self.written.seconds += time.monotonic() - began

    def _write_group(self, group: list[_Job[Any]]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for job in group:
                self._write_one(job)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            # Nothing of the group is on disk, whatever each job found.
            self._roll_back()
            for job in group:
                job.error = job.error or self._foreign(error)

    def _write_one(self, job: _Job[Any]) -> None:
        self._connection.execute("SAVEPOINT job")
        try:
            job.result = job.write(self._connection)
        except Exception as error:
            job.error = self._foreign(error) if isinstance(error, sqlite3.Error) else error
            if not self._connection.in_transaction:
                raise  # a full disk or worse made SQLite undo everything
            self._connection.execute("ROLLBACK TO job")
        self._connection.execute("RELEASE job")

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _foreign(self, error: sqlite3.Error) -> LocatorError:
        return unavailable(error, self._path)


def unavailable(error: sqlite3.Error, path: Path) -> StoreUnavailable:
    """What a person hears of an error of SQLite's. A damaged file is noted, so that the next start moves it aside."""
    if is_damage(error):
        suspicion(path).touch()
        _log.error("the store %s is damaged (%s): restart the locator to begin a new one", path, error)
    full = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
    return StoreUnavailable(why="its disk is full" if full else f"its store fails ({error})")


def _finish(group: list[_Job[Any]]) -> None:
    for job in group:
        job.finish()
