"""When a peer's watchdog is fed, and when not; and what it says of itself."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from protos.service import ServiceManager
from pserver.http.probe import serves
from pserver.http.server import HttpServer, Limits
from pserver.model import Unavailable
from pserver.network.membership_actions import LocatorStatus, Reachable
from pserver.running.wellbeing import Wellbeing, line


class Ear(ServiceManager):
    """Remembers what it is told."""

    def __init__(self) -> None:
        super().__init__({"NOTIFY_SOCKET": "/nowhere"})
        self.heard: list[str] = []

    def _tell(self, *lines: str) -> None:
        self.heard += lines


def _wellbeing(ear: Ear, silent: set[int]) -> Wellbeing:
    listeners = [("127.0.0.1", 8001), ("127.0.0.1", 8101)]
    return Wellbeing(ear, listeners, lambda: "sharing", lambda host, port, seconds: port not in silent)


def test_it_lives_as_long_as_both_listeners_answer() -> None:
    ear, silent = Ear(), set[int]()
    wellbeing = _wellbeing(ear, silent)
    wellbeing.begin(0.0)
    assert ear.heard == ["READY=1", "WATCHDOG=1", "STATUS=sharing"]
    ear.heard.clear()
    wellbeing.tick(10.0)
    assert ear.heard == ["WATCHDOG=1", "STATUS=sharing"]
    ear.heard.clear()
    silent.add(8101)
    wellbeing.tick(20.0)
    assert ear.heard == ["STATUS=no answer on port 8101"]


def test_it_is_not_asked_more_often_than_needed() -> None:
    ear, asked = Ear(), list[int]()

    def probe(_host: str, port: int, _seconds: float) -> bool:
        asked.append(port)
        return True

    wellbeing = Wellbeing(ear, [("127.0.0.1", 1)], lambda: "", probe)
    wellbeing.begin(0.0)
    for now in range(31):
        wellbeing.tick(float(now))
    assert len(asked) == 3


def test_a_share_that_is_away_is_no_reason_to_die() -> None:
    def away() -> str:
        raise Unavailable("the share is not there")

    ear = Ear()
    wellbeing = Wellbeing(ear, [], away)
    wellbeing.tick(1.0)
    assert ear.heard == ["WATCHDOG=1", "STATUS=the share is not there"]


def test_what_it_says() -> None:
    registered, refused = LocatorStatus("l:1", "registered"), LocatorStatus("l:2", "refused", "wrong key")
    fine = Reachable(True, "")
    assert line(12, 3, [refused, registered], fine, 0) == "sharing 12 files, 3 neighbours, locator reachable"
    assert line(1, 1, [], fine, 2) == "sharing 1 file, 1 neighbour, no locator, 2 transfers running"
    assert line(0, 0, [refused], fine, 0) == "sharing 0 files, 0 neighbours, locator l:2 refused (wrong key)"
    assert "OTHERS CANNOT REACH IT: refused" in line(0, 0, [registered], Reachable(False, "refused"), 0)


@pytest.fixture
def server() -> Iterator[HttpServer]:
    """A listener whose application refuses everything."""
    limits = Limits(threads=1, max_body_bytes=10)

    def refuse(_environ: object, start: object) -> list[bytes]:
        start("421 Misdirected Request", [("Content-Length", "0")])  # type: ignore[operator]  # as WSGI has it
        return [b""]

    made = HttpServer(refuse, "0.0.0.0", 0, limits, "test")
    yield made
    made.stop(0.0)


def test_a_refusal_is_an_answer_and_silence_is_none(server: HttpServer) -> None:
    assert not serves(server.host, server.port, 0.1)  # it listens, but its loop does not turn
    server.start()
    assert serves(server.host, server.port, 10.0)
    server.stop()
    assert not serves(server.host, server.port, 10.0)


def test_what_answers_no_http_does_not_serve(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert not serves("127.0.0.1", listening.getsockname()[1], 0.1)
