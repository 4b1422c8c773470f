"""Requests are followed by their ids, and counted."""

import logging
from pathlib import Path

import pytest
import requests

from protos.addresses import AddressPolicy
from protos.logs import REQUEST_ID, request_id, working_on
from pserver.api.traffic import traffic_of
from pserver.exchange.workers import Workers
from pserver.model import PServerError
from pserver.remote import peer_http
from pserver.remote.peer_http import PeerHttp
from tests.pserver.web_lab import PEER, ClientLab, PeerLab


def test_a_problem_tells_the_id_that_the_request_came_with() -> None:
    lab = PeerLab()
    answer = lab.http.get("/peer/v1/nothing", headers={REQUEST_ID: "download-0011aabb"})
    assert answer.get_json()["request_id"] == "download-0011aabb"
    assert request_id() == ""


@pytest.mark.parametrize("given", ["x" * 65, "a b", "-x"])
def test_an_id_that_is_none_is_replaced(given: str) -> None:
    answer = PeerLab().http.get("/peer/v1/nothing", headers={REQUEST_ID: given})
    assert len(answer.get_json()["request_id"]) == 16 and answer.get_json()["request_id"] != given


def test_requests_are_told_at_debug_without_their_query(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    lab = ClientLab(tmp_path)
    with caplog.at_level(logging.DEBUG, "pserver.api.traffic"):
        lab.http.get("/client/v1/lookup?what=secret")
    assert "GET /client/v1/lookup: 200" in caplog.text and "secret" not in caplog.text


def test_answers_are_counted_by_endpoint_and_status() -> None:
    lab = PeerLab()
    lab.http.get("/healthz")
    lab.http.get("/healthz")
    lab.http.get("/nothing")
    lab.http.get("/peer/v1/files/" + "0" * 64)
    counted = {("peer.healthz", 200): 2, ("none", 404): 1, ("peer.file", 401): 1}
    assert traffic_of(lab.app).counts() == counted


def test_a_request_to_another_peer_carries_the_id(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, str]] = []

    def send(_self: PeerHttp, _method: str, _url: str, headers: dict[str, str], *_rest: object) -> requests.Response:
        sent.append(dict(headers))
        raise requests.ConnectionError

    monkeypatch.setattr(peer_http.PeerHttp, "_send", send)
    http = PeerHttp(AddressPolicy(own_loopback=True))
    for block in (working_on(request="upload-0011aabb"), working_on()):
        with block, pytest.raises(PServerError):
            http.answer("GET", PEER, "/healthz", None)
    assert [one.get(REQUEST_ID) for one in sent] == ["upload-0011aabb", None]
    http.close()


def test_what_is_handed_to_workers_keeps_the_id() -> None:
    import threading

    workers, done, seen = Workers(2, "test"), threading.Event(), list[str]()

    def task() -> None:
        seen.append(request_id())
        done.set()

    with working_on(request="download-1"):
        workers.submit(task)
    assert done.wait(10) and seen == ["download-1"]
    workers.stop()
