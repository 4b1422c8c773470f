"""The download rate: who waits how long, in turns between downloads."""

import threading
import time
from collections import Counter

import pytest

from pserver.exchange.throttle import LEAST_CONNECTION_RATE, Throttle

RATE = 4 << 20


def quiet(_: float) -> None:
    """Whoever waits says so to nobody."""


def test_without_a_rate_nobody_waits() -> None:
    throttle = Throttle(None, lambda: 0.0)
    assert throttle.take("a", 1 << 40, quiet) == 1 << 40
    assert throttle.connections(32) == 32


def test_a_low_rate_is_for_few_connections() -> None:
    assert Throttle(LEAST_CONNECTION_RATE * 3, time.monotonic).connections(32) == 3
    assert Throttle(1, time.monotonic).connections(32) == 1
    assert Throttle(1 << 30, time.monotonic).connections(32) == 32


def read_for(throttle: Throttle, readers: dict[str, int], seconds: float) -> Counter[str]:
    """What each download gets, with so many connections each."""
    got: Counter[str] = Counter()
    lock, ends = threading.Lock(), time.monotonic() + seconds

    def read(download: str) -> None:
        while time.monotonic() < ends:
            count = throttle.take(download, 64 << 10, quiet)
            with lock:
                got[download] += count

    threads = [threading.Thread(target=read, args=(name,)) for name, count in readers.items() for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got


def test_the_rate_is_shared_between_downloads_whatever_connections_they_have() -> None:
    got = read_for(Throttle(RATE, time.monotonic), {"a": 6, "b": 1, "c": 1}, 1.0)
    assert 0.5 * RATE < sum(got.values()) < 1.5 * RATE
    assert max(got.values()) < 2 * min(got.values()), got


def test_a_wait_is_told_of_and_can_be_ended() -> None:
    throttle = Throttle(10_000, time.monotonic)
    told: list[float] = []

    def enough(seconds: float) -> None:
        told.append(seconds)
        if len(told) == 2:
            raise InterruptedError

    began = time.monotonic()
    with pytest.raises(InterruptedError):
        while True:
            throttle.take("a", 1000, enough)
    assert sum(told) <= time.monotonic() - began
    assert not throttle._rows, "it does not stand in anybody's way"
    assert throttle.take("b", 10, quiet) == 10
