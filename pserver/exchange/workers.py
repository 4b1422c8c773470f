"""Threads that do what is handed to them, and the buffers they read into. Both are made on demand and given back.

An idle peer has no such thread and no such buffer.
"""

import logging
import mmap
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial

_log = logging.getLogger(__name__)


class Workers:
    """At most `most` threads; one that has had nothing to do for `idle_seconds` ends."""

    def __init__(self, most: int, name: str, idle_seconds: float = 5.0) -> None:
        self._most = most
        self._name = name
        self._idle_seconds = idle_seconds
        self._tasks: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._threads = 0
        self._idle = 0
        self._stopped = False

    def submit(self, task: Callable[[], None]) -> None:
        """Do this as soon as a thread is free. After `stop` nothing is begun any more."""
        with self._changed:
            if self._stopped:
                return
            self._tasks.append(partial(copy_context().run, task))  # what it logs carries the ids of who hands it over
            if self._idle >= len(self._tasks) or self._threads == self._most:
                self._changed.notify()
                return
            self._threads += 1
        threading.Thread(target=self._work, name=self._name, daemon=True).start()

    def stop(self) -> None:
        """Drop what has not begun. Threads end as they finish what they do."""
        with self._changed:
            self._stopped = True
            self._tasks.clear()
            self._changed.notify_all()

    def _work(self) -> None:
        while (task := self._next()) is not None:
            try:
                task()
            except Exception:
                _log.exception("a task of %s failed", self._name)
            del task  # it may hold a buffer, or a whole download

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._tasks or self._stopped, self._idle_seconds)
            self._idle -= 1
            if self._tasks:
                return self._tasks.popleft()
            self._threads -= 1
            return None


class Buffers:
    """Buffers to read pieces into, used again by whoever is next. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: list[mmap.mmap] = []
        self._freed = 0  # how often `free` was called

    @contextmanager
    def lend(self, size: int) -> Iterator[memoryview]:
        """A buffer of at least `size` ≥ 1 bytes, whose content is undefined."""
        with self._lock:
            fitting = [buffer for buffer in self._free if len(buffer) >= size]
            found = min(fitting, key=len, default=None)
            if found is not None:
                self._free.remove(found)
            freed_before = self._freed
        # Mapped memory goes back to the system the moment it is closed, which that of a bytearray may not.
        buffer = found or mmap.mmap(-1, size)
        view = memoryview(buffer)
        try:
            yield view
        finally:
            view.release()
            with self._lock:
                wanted = self._freed == freed_before
                if wanted:
                    self._free.append(buffer)
            if not wanted:
                _close(buffer)

    def free(self) -> None:
        """Give the memory of all buffers back to the system; that of lent ones when they come back."""
        with self._lock:
            self._freed += 1
            free, self._free = self._free, []
        for buffer in free:
            _close(buffer)


def _close(buffer: mmap.mmap) -> None:
    try:
        buffer.close()
    except BufferError:
        pass  # a view of it lives on in a traceback; the memory goes when that does
