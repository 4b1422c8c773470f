"""The doctor: what the PServer says of itself, and what is seen when it cannot be asked."""

import socket
from collections.abc import Callable
from pathlib import Path

from pclient import __version__
from tests.pclient.conftest import Desk
from tests.pclient.fake_pserver import FakePServer


def test_a_line_a_check_and_a_warning_is_no_failure(desk: Desk) -> None:
    assert desk.run("doctor") == 0
    assert desk.rows[0][:2] == ["ok", "client"]
    assert desk.rows[1:] == [["ok", "share", "/share", ""], ["warn", "watch", "too few", "raise the limit"]]


def test_a_failure_is_exit_code_1(desk: Desk, fake: FakePServer) -> None:
    fake.findings = [("address", "fail", "nobody comes", "open the port")]
    assert desk.run("doctor") == 1
    assert "1 of 2 checks failed" in desk.said
    assert desk.json("doctor", code=1) == {
        "healthy": False,
        "checks": [
            {"what": "client", "state": "ok", "detail": f"version {__version__}, as the PServer", "advice": ""},
            {"what": "address", "state": "fail", "detail": "nobody comes", "advice": "open the port"},
        ],
    }


def test_a_person_reads_below_what_is_wrong_what_to_do(seat: Callable[..., Desk]) -> None:
    desk = seat()
    assert desk.run("doctor") == 0
    words = [line.split() for line in desk.out.getvalue().splitlines()]
    assert ["warn", "watch", "too", "few"] in words and ["do", "raise", "the", "limit"] in words
    assert "1 warning, nothing fails" in desk.said


def test_in_the_shell(desk: Desk) -> None:
    desk.shell("doctor", "quit")
    assert ["ok", "share", "/share", ""] in desk.rows


def test_without_a_pserver_the_client_looks_for_itself(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        desk = Desk(f"http://127.0.0.1:{unused.getsockname()[1]}", tmp_path, terminal=False, answers=None)
        assert desk.run("doctor") == 1
    assert [row[:2] for row in desk.rows] == [["fail", "pserver"], ["fail", "connection"], ["ok", "client token"]]
    assert "refused" in desk.rows[1][2]


def test_a_host_that_is_not_known_is_told_as_that(tmp_path: Path) -> None:
    desk = Desk("http://no-such-host.invalid:8101", tmp_path, terminal=False, answers=None)
    assert desk.run("doctor") == 1
    assert "no-such-host.invalid is not known" in desk.rows[1][2]


def test_a_token_that_is_not_accepted_is_what_is_wrong(desk: Desk, fake: FakePServer) -> None:
    fake.token = "another"
    assert desk.run("doctor") == 1
    assert [row[:2] for row in desk.rows] == [["ok", "pserver"], ["fail", "login"], ["ok", "client token"]]
