"""The short way of a piece's request: what it answers is what Flask answers, and all else is left to Flask."""

import logging

import pytest
from werkzeug.test import TestResponse

from pserver.api.short_way import ShortWay
from pserver.api.traffic import traffic_of
from pserver.model import NotFound
from tests.pserver.web_lab import PeerLab

FILE_ID = bytes(range(32))
PATH = f"/peer/v1/files/{FILE_ID.hex()}"
WANT = {"P2P-Want": "2 0 gA==", "P2P-Bitfield": "AQ=="}


def ask(lab: PeerLab, path: str = PATH, method: str = "GET", **headers: str) -> TestResponse:
    return lab.http.open(path, method=method, headers=lab.auth("file", FILE_ID) | WANT | headers)


@pytest.fixture
def longer(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes the paths of the requests that go Flask's way."""
    paths: list[str] = []
    made = ShortWay.__init__

    def init(self: ShortWay, app, *rest):  # type: ignore[no-untyped-def]  # as the class has it
        def noting(environ, start_response):  # type: ignore[no-untyped-def]
            paths.append(environ["PATH_INFO"])
            return app(environ, start_response)

        made(self, noting, *rest)

    monkeypatch.setattr(ShortWay, "__init__", init)
    return paths


def test_it_answers_what_flask_answers(longer: list[str], caplog: pytest.LogCaptureFixture) -> None:
    lab = PeerLab()
    short = ask(lab)
    assert not longer
    with caplog.at_level(logging.DEBUG, "pserver.api.traffic"):  # where each is noted, each goes Flask's way
        long = ask(lab)
    assert longer == [PATH]
    assert short.status == long.status and short.status_code == 206
    assert sorted(short.headers) == sorted(long.headers) and short.data == long.data
    assert lab.node.asked[0] == lab.node.asked[1], "the node hears the same, of the same asker"
    assert traffic_of(lab.app).counts() == {("peer.file", 206): 2}
    assert all(opened.closed for opened in lab.node.opened)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer nothing"}, 401),
        ({"Authorization": "Basic nothing"}, 401),
        ({"P2P-Want": "nothing"}, 400),
        ({"P2P-Bitfield": "?"}, 400),
    ],
)
def test_what_is_not_well_is_for_flask_to_say(longer: list[str], headers: dict[str, str], status: int) -> None:
    answer = ask(PeerLab(), **headers)
    assert answer.status_code == status and answer.get_json()["status"] == status
    assert longer == [PATH]


def test_a_token_for_another_file_or_another_use_opens_nothing(longer: list[str]) -> None:
    lab = PeerLab()
    for token in (lab.auth("file", bytes(32)), lab.auth("ping"), lab.auth("bundle")):
        assert ask(lab, **token).status_code == 401
    assert longer == [PATH] * 3 and not lab.node.asked


@pytest.mark.parametrize("path", [PATH.upper(), PATH[:-1], PATH + "0", PATH + "/", PATH + "%0a", "/peer/v1/ping"])
def test_only_that_path_is_short(longer: list[str], path: str) -> None:
    assert ask(PeerLab(), path).status_code in {400, 401, 404}
    assert len(longer) == 1


def test_other_methods_go_the_longer_way(longer: list[str]) -> None:
    lab = PeerLab()
    assert ask(lab, method="HEAD").status_code == 200
    assert ask(lab, method="POST").status_code == 405
    assert longer == [PATH] * 2


def test_a_peer_without_those_pieces_says_which_it_has(longer: list[str]) -> None:
    lab = PeerLab()
    lab.node.chosen = None
    answer = ask(lab)
    assert answer.status_code == 404 and answer.get_json()["code"] == "no-piece"
    assert longer == [PATH] and all(opened.closed for opened in lab.node.opened)


def test_an_error_of_the_node_is_told_as_ever(longer: list[str]) -> None:
    lab = PeerLab()
    lab.node.error = NotFound("this peer has no such file")
    assert ask(lab).status_code == 404
    assert longer == [PATH]
