"""Requests, and the PServer's refusals as errors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pclient.api import Api
from pclient.model import Ambiguous, NotFound, PClientError, Refused, Unreachable, WrongUsage
from pclient.wire import Wire
from tests.pclient.conftest import credentials
from tests.pclient.fake_http import Running
from tests.pclient.fake_pserver import FakePServer


@pytest.fixture
def api(url: str, tmp_path: Path) -> Api:
    return Api(Wire(url, credentials(url, tmp_path)))


def answering(status: int, body: bytes, kind: str, **headers: str) -> Callable[[Any], bool]:
    def answer(handler: Any) -> bool:
        handler.answer(status, body, {"Content-Type": kind, **headers})
        return True

    return answer


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("not-found", 404, NotFound),
        ("invalid", 422, WrongUsage),
        ("refused", 403, Refused),
        ("refused", 401, Refused),
        ("misdirected", 421, Refused),
        ("ambiguous", 409, Ambiguous),
        ("no-room", 507, PClientError),
        ("something-new", 418, PClientError),
    ],
)
def test_a_problem_becomes_an_error_with_its_detail(
    api: Api, fake: FakePServer, code: str, status: int, kind: type[Exception]
) -> None:
    body = f'{{"code": "{code}", "detail": "what happened", "choices": [{{}}]}}'.encode()
    fake.answer_all = answering(status, body, "application/problem+json")
    with pytest.raises(kind, match="what happened"):
        api.status()


def test_an_internal_error_shows_the_id_to_quote(api: Api, fake: FakePServer) -> None:
    fake.answer_all = answering(500, b'{"code":"internal","detail":"internal error","id":"ab12"}', "application/json")
    with pytest.raises(PClientError, match="ab12"):
        api.status()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"<html>", "text/html"),
        (200, b"[1]", "application/json"),
        (404, b"Not Found", "text/plain"),
        (404, b'{"code": "not-found", "detail": "there is nothing at this address"}', "application/problem+json"),
        (502, b"<html>", "text/html"),
    ],
)
def test_what_is_no_pserver_is_said_to_be_none(
    api: Api, fake: FakePServer, status: int, body: bytes, kind: str
) -> None:
    fake.answer_all = answering(status, body, kind)
    with pytest.raises(Unreachable, match="is no client API"):
        api.status()


def test_plain_refusals_of_the_server_are_shown(api: Api, fake: FakePServer) -> None:
    fake.answer_all = answering(503, b"too busy", "text/plain")
    with pytest.raises(PClientError, match="too busy") as caught:
        api.status()
    assert caught.value.code == "unavailable"


def test_no_redirect_is_followed(api: Api, fake: FakePServer) -> None:
    other = FakePServer()
    elsewhere = Running(other)
    fake.answer_all = answering(302, b"", "text/plain", Location=f"{elsewhere.url}/client/v1/status")
    with pytest.raises(Unreachable):
        api.status()
    elsewhere.stop()
    assert other.requests == []


def test_no_proxy_of_the_environment_is_used(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:1")
    assert api.status()["peer"]["name"] == "alice"


def test_a_pserver_that_is_away_is_told_apart_from_a_missing_token(url: str, tmp_path: Path) -> None:
    def no_token() -> str:
        raise Refused("there is no token")

    with pytest.raises(Refused, match="no token"):
        Api(Wire(url, credentials(url, tmp_path, no_token))).status()
    with pytest.raises(Unreachable, match=r"no PServer answers at http://127\.0\.0\.1:1"):
        Api(Wire("http://127.0.0.1:1", credentials("http://127.0.0.1:1", tmp_path, no_token))).status()


@pytest.mark.parametrize("name", ["..", "../transfers/1", "a/../../x", "", "/etc/passwd", "a//b", "bad\udc80"])
def test_a_name_never_becomes_another_path(api: Api, fake: FakePServer, name: str) -> None:
    with pytest.raises(WrongUsage):
        api.remove(name)
    assert fake.requests == []


@pytest.mark.parametrize("name", ["..", ".", "", "bad\udc80"])
def test_a_peer_or_transfer_never_becomes_another_path(api: Api, fake: FakePServer, name: str) -> None:
    with pytest.raises((NotFound, WrongUsage)):
        api.files("", name, 10)
    with pytest.raises((NotFound, WrongUsage)):
        api.transfer(name)
    assert fake.requests == []


def test_any_name_arrives_as_it_is(api: Api, fake: FakePServer) -> None:
    for name in ("a b?c=d#e%41&f", "日本/ü.txt", "a\nb\x1b"):
        fake.share[name] = b"x"
        assert api.file(name)["name"] == name
