"""Hashing in threads: with real Argon2, and with a slow double that counts how many work at once."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from argon2 import PasswordHasher

from central_server.passwords import AT_ONCE, MOST_WAITING, Passwords
from central_server.people import SlowDown

WEAK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class SlowHasher:
    """Works until the test opens the gate; knows how many were at work at once."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.at_work, self.most, self.done = 0, 0, 0
        self._lock = threading.Lock()

    def hash(self, password: str) -> str:
        with self._lock:
            self.at_work += 1
            self.most = max(self.most, self.at_work)
        assert self.gate.wait(30)
        with self._lock:
            self.at_work -= 1
            self.done += 1
        return password


@pytest.fixture
def slow() -> Iterator[SlowHasher]:
    hasher = SlowHasher()
    yield hasher
    hasher.gate.set()  # also of a test that failed: its threads end


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)


async def test_argon2id_with_the_librarys_parameters() -> None:
    passwords = Passwords()
    hashed = await passwords.hash("correct horse")
    library = PasswordHasher()
    expected = f"$argon2id$v=19$m={library.memory_cost},t={library.time_cost},p={library.parallelism}$"
    assert hashed.startswith(expected) and hashed != await passwords.hash("correct horse")
    assert await passwords.verify("correct horse", hashed)
    assert not await passwords.verify("correct hors", hashed)
    assert passwords.is_current(hashed) and not passwords.is_current(WEAK.hash("x"))
    passwords.close()


async def test_a_flood_finds_two_at_work_a_short_queue_and_words_to_come_later(slow: SlowHasher) -> None:
    passwords = Passwords(slow)  # type: ignore[arg-type]  # the one method that is used
    asked = [asyncio.ensure_future(passwords.hash(str(number))) for number in range(200)]
    await until(lambda: slow.at_work == AT_ONCE)
    refused = [one for one in asked if one.done()]
    assert len(refused) == 200 - AT_ONCE - MOST_WAITING
    for one in refused:
        error = one.exception()
        assert isinstance(error, SlowDown) and error.retry_after
    slow.gate.set()
    done = [answer for answer in await asyncio.gather(*asked, return_exceptions=True) if isinstance(answer, str)]
    assert len(done) == slow.done == AT_ONCE + MOST_WAITING and slow.most == AT_ONCE == 2
    assert await passwords.hash("after the flood") == "after the flood"
    passwords.close()


async def test_who_goes_away_keeps_its_place_until_the_work_is_done(slow: SlowHasher) -> None:
    """Else a flood of callers that hang up would queue work without end."""
    passwords = Passwords(slow)  # type: ignore[arg-type]  # the one method that is used
    asked = [asyncio.ensure_future(passwords.hash("x")) for _ in range(AT_ONCE + MOST_WAITING)]
    await until(lambda: slow.at_work == AT_ONCE)
    for one in asked:
        one.cancel()
    await asyncio.wait(asked)
    with pytest.raises(SlowDown):
        await passwords.hash("y")
    slow.gate.set()
    await until(lambda: slow.done == AT_ONCE + MOST_WAITING)
    assert await passwords.hash("z") == "z"
    passwords.close()


async def test_the_threads_give_way_to_others() -> None:
    import os

    class Priority(SlowHasher):
        def hash(self, password: str) -> str:
            return str(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    passwords = Passwords(Priority())  # type: ignore[arg-type]  # the one method that is used
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert int(await passwords.hash("")) == max(10, own)  # a server that was started nicer stays so
    passwords.close()
