"""Threads and buffers come on demand and go when idle."""

import logging
import mmap
import threading

import pytest

from pserver.exchange.workers import Buffers, Workers


def test_as_many_threads_as_tasks_up_to_the_most() -> None:
    workers, release, entered = Workers(3, "test", idle_seconds=0.01), threading.Event(), threading.Semaphore(0)
    running = threading.active_count()

    def task() -> None:
        entered.release()
        assert release.wait(10)

    for _ in range(5):
        workers.submit(task)
    for _ in range(3):
        assert entered.acquire(timeout=10)
    assert threading.active_count() == running + 3
    assert not entered.acquire(timeout=0.01), "no fourth at once"
    release.set()
    for _ in range(2):
        assert entered.acquire(timeout=10)


def test_idle_threads_end() -> None:
    workers, threads = Workers(2, "test", idle_seconds=0.01), list[threading.Thread]()
    workers.submit(lambda: threads.append(threading.current_thread()))
    ended = threading.Event()
    while not threads:
        ended.wait(0.001)
    threads[0].join(10)
    assert not threads[0].is_alive()
    again = threading.Event()
    workers.submit(again.set)
    assert again.wait(10)


def test_a_task_that_fails_is_logged_and_the_next_is_done(caplog: pytest.LogCaptureFixture) -> None:
    workers, done = Workers(1, "test", idle_seconds=0.01), threading.Event()
    with caplog.at_level(logging.ERROR):
        workers.submit(lambda: 1 // 0)  # type: ignore[arg-type]
        workers.submit(done.set)
        assert done.wait(10)
    assert "ZeroDivisionError" in caplog.text


def test_after_stop_nothing_is_begun() -> None:
    workers, done = Workers(1, "test"), threading.Event()
    workers.stop()
    workers.submit(done.set)
    assert not done.wait(0.01)


def test_buffers_are_used_again_and_given_back() -> None:
    buffers = Buffers()
    with buffers.lend(1 << 20) as first:
        first[0] = 7
    with buffers.lend(1000) as again, buffers.lend(1000) as other:
        assert len(again) == 1 << 20, "the one that is there"
        assert len(other) == 1000
        buffers.free()
    assert _maps(buffers) == [], "those lent at that moment go when they come back"
    with buffers.lend(1000):
        pass
    assert [len(one) for one in _maps(buffers)] == [1000]
    buffers.free()


def _maps(buffers: Buffers) -> list[mmap.mmap]:
    return buffers._free
