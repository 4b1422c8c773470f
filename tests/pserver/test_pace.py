"""The upload rate dealt out: pure play with a clock of its own, and small connections over a real server."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse

import pytest

from pserver.http.pace import LEAST_PART_BYTES, Pace
from tests.pserver.http_lab import (  # noqa: F401 - no_errors_logged is a fixture
    Client,
    Environ,
    clients_of,
    healthy,
    no_errors_logged,
    serving,
    until,
    with_health,
)

RATE = 1 << 20
KIB = 1024


def play(
    pace: Pace, who: Iterable[str], seconds: float, wants: Callable[[str], int] = lambda _: 1 << 30
) -> Counter[str]:
    """All that each sends in so many seconds if it takes of its parts what it wants, as a server's loop would."""
    now, names = 0.0, list(who)
    sent = Counter(dict.fromkeys(names, 0))
    while now < seconds:
        for one in names:
            count = min(pace.part(one), wants(one))
            if count:
                pace.sent(one, count, now)
                sent[one] += count
        wait = pace.deal(now)
        writable = any(pace.part(one) and wants(one) for one in names)
        now += 0.0005 if writable else min(wait, 1.0) + 0.0005
    return sent


def test_without_a_rate_nobody_waits() -> None:
    pace = Pace(None)
    assert pace.part("a") > 1 << 40
    pace.sent("a", 1 << 40, 0.0)
    assert pace.deal(0.0) == math.inf


@pytest.mark.parametrize("rate", [1000, 50_000, RATE, 200 << 20])
@pytest.mark.parametrize("count", [1, 4, 16, 100])
def test_the_sum_is_the_rate_and_all_get_the_same(rate: int, count: int) -> None:
    sent = play(Pace(rate), [f"c{number}" for number in range(count)], 8.0)
    assert sum(sent.values()) == pytest.approx(rate * 8, rel=0.05)
    if rate * 8 > count * LEAST_PART_BYTES * 20:
        assert max(sent.values()) <= 1.1 * min(sent.values())


def test_what_slow_readers_leave_goes_to_the_others() -> None:
    slow = {"c0": 10, "c1": 10, "c2": 10}
    sent = play(Pace(RATE), ["c0", "c1", "c2", "fast"], 20.0, lambda one: slow.get(one, 1 << 30))
    assert sum(sent.values()) == pytest.approx(RATE * 20, rel=0.05)
    assert sent["fast"] > 0.9 * RATE * 20


def test_what_was_sent_without_a_turn_is_counted() -> None:
    pace = Pace(RATE)
    assert pace.part("a") == 0
    pace.sent("b", RATE, 0.0)
    assert pace.deal(0.0) == pytest.approx(1.0, abs=0.05)
    assert pace.deal(0.5) == pytest.approx(0.5, abs=0.05)
    pace.deal(1.1)
    assert pace.part("a") > 0


def test_who_left_gets_no_part() -> None:
    pace = Pace(RATE)
    pace.part("a")
    pace.leave("a")
    pace.leave("a")
    assert pace.deal(100.0) == math.inf


def sending(path: Path) -> Callable[[Environ, StartResponse], Any]:
    """An application that sends all of the file."""

    def app(environ: Environ, start_response: StartResponse) -> Any:  # Any: what wsgi.file_wrapper makes
        start_response("200 OK", [("Content-Length", str(path.stat().st_size))])
        return environ["wsgi.file_wrapper"](path.open("rb"))

    return app


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "file"
    path.write_bytes(bytes(8 * KIB))
    yield path


def test_small_files_on_connections_of_their_own_keep_to_the_rate(file: Path) -> None:
    """That is what pacing in the kernel let through: it leaves the first packets of a connection alone."""

    def read(server: Any, _: int) -> int:  # Any: an HttpServer
        with Client(server) as client:
            return len(client.get("/").answer().body)

    with serving(sending(file), upload_rate=RATE) as server, ThreadPoolExecutor(8) as readers:
        begin = time.monotonic()
        assert sum(readers.map(lambda n: read(server, n), range(192))) == 192 * 8 * KIB
        assert time.monotonic() - begin > 1.2, "1.5 MiB at 1 MiB/s"
        until(lambda: not server._listener.pace._row, "nobody waits any more")


def test_a_small_answer_does_not_wait_for_the_rate(file: Path) -> None:
    file.write_bytes(bytes(4096 * KIB))
    with serving(with_health(sending(file)), upload_rate=64 * KIB) as server, clients_of(server) as clients:
        clients.open(8, b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        for client in clients.all:
            assert client.head().status == 200
        assert healthy(server) < 2


def test_a_reader_that_waits_for_the_rate_is_not_stalled(file: Path) -> None:
    """Each gets a part every few seconds only, and takes it at once."""
    with serving(sending(file), upload_rate=64 * KIB, stall_seconds=0.1) as server, clients_of(server) as clients:
        clients.open(16, b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        with ThreadPoolExecutor(16) as readers:
            bodies = list(readers.map(lambda client: len(client.answer().body), clients.all))
        assert bodies == [8 * KIB] * 16
        until(lambda: not server._listener.pace._row, "open connections with nothing to send wait for nothing")


def test_waiting_for_the_rate_costs_few_turns_of_the_loop(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_bytes(bytes(512 * KIB))
    with serving(sending(file), upload_rate=RATE) as server, clients_of(server) as clients:
        deal, turns = server._listener.pace.deal, []

        def counted(now: float) -> float:
            turns.append(now)
            return deal(now)

        monkeypatch.setattr(server._listener.pace, "deal", counted)
        clients.open(4, b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        with ThreadPoolExecutor(4) as readers:
            assert sum(readers.map(lambda client: len(client.answer().body), clients.all)) == 2048 * KIB
        assert len(turns) < 3000, "a loop that does not wait has tens of thousands in two seconds"
