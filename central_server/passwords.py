"""Hashing passwords: Argon2id with its library's parameters, in threads, two at a time and no crowd before the door.

A hash takes about a tenth of a second and 64 MiB on purpose. So whoever floods the locator with logins gets two cores
at most, at a lower priority than the lookups of others, and is told to come later.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from central_server.people import SlowDown

AT_ONCE = 2
MOST_WAITING = 32
_RETRY_SECONDS = 3  # that many hashes, two at a time, take about so long
_NICER = 10
_T = TypeVar("_T")


class Passwords:
    """Hashing (accounts.py) with Argon2id. `hasher` may be another one with the same methods, in tests."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._threads = ThreadPoolExecutor(AT_ONCE, "passwords", initializer=_be_nice)
        self._underway = 0

    async def hash(self, password: str) -> str:
        """As Hashing says."""
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, password: str, hashed: str) -> bool:
        """As Hashing says."""
        return await self._run(lambda: self._is(password, hashed))

    def is_current(self, hashed: str) -> bool:
        """As Hashing says."""
        return not self._hasher.check_needs_rehash(hashed)

    def close(self) -> None:
        """Hash nothing any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], _T]) -> _T:
        if self._underway >= AT_ONCE + MOST_WAITING:
            raise SlowDown(_RETRY_SECONDS)
        self._underway += 1
        done = asyncio.get_running_loop().run_in_executor(self._threads, work)
        done.add_done_callback(self._ended)  # also if the caller goes away meanwhile
        return await asyncio.shield(done)

    def _ended(self, done: "asyncio.Future[_T]") -> None:
        self._underway -= 1
        if not done.cancelled():
            done.exception()  # seen: if nobody waits any more, nobody needs to hear of it

    def _is(self, password: str, hashed: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except VerifyMismatchError:
            return False


def _be_nice() -> None:
    """Lower this thread's priority; the threads that Argon2 starts inherit it."""
    nice = max(_NICER, os.getpriority(os.PRIO_PROCESS, 0))  # raising it again would not be allowed
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)
