"""What both APIs have in common: problems, unknown failures, JSON guards, and the OpenAPI documents."""

import logging
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from protos.names import InvalidName
from pserver.api.problems import STATUSES, Problem
from pserver.api.web import check_json
from pserver.model import (
    Conflict,
    InvalidRequest,
    NoRoom,
    NotFound,
    PServerError,
    Refused,
    Replaced,
    Unavailable,
)
from tests.pserver.web_lab import FILE_ID, ClientLab, PeerLab, paths_of, problem_of


@pytest.fixture
def lab(tmp_path: Path) -> ClientLab:
    return ClientLab(tmp_path)


def test_every_error_of_the_model_has_a_status() -> None:
    assert set(PServerError.__subclasses__()) >= {
        InvalidRequest, NotFound, Conflict, NoRoom, Refused, Unavailable, Replaced,
    }  # fmt: skip
    of_the_model = {error for error in PServerError.__subclasses__() if error.__module__ == "pserver.model"}
    assert of_the_model <= STATUSES.keys()


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(InvalidRequest("m"), 400, "invalid"), (NotFound("m"), 404, "not-found"), (NoRoom("m"), 507, "no-room"),
     (Refused("m"), 403, "refused"), (Unavailable("m"), 503, "unavailable"), (InvalidName("m"), 422, "invalid"),
     (Conflict("m"), 409, "conflict"), (Conflict("m", "changed"), 409, "changed")],
)  # fmt: skip
def test_errors_become_problems(lab: ClientLab, error: Exception, status: int, code: str) -> None:
    lab.node.error = error
    plain = FlaskClient(lab.app)  # an operation need not document every error that the model has
    answer = plain.get("/client/v1/lookup?what=a", base_url="http://127.0.0.1:8101", headers=lab.headers)
    assert problem_of(answer, status, code)["detail"] == "m"


def test_an_error_without_words_says_its_docstring(lab: ClientLab) -> None:
    lab.node.error = NotFound()
    problem = problem_of(lab.http.get("/client/v1/lookup?what=a"), 404, "not-found")
    assert problem["detail"] == NotFound.__doc__


def test_an_unknown_failure_is_logged_and_shown_as_an_id(lab: ClientLab, caplog: pytest.LogCaptureFixture) -> None:
    lab.node.error = RuntimeError("secret")
    plain = FlaskClient(lab.app)
    with caplog.at_level(logging.ERROR):
        answer = plain.get("/client/v1/status", base_url="http://127.0.0.1:8101", headers=lab.headers)
    problem = problem_of(answer, 500, "internal")
    assert "secret" not in answer.text and problem["id"] in problem["detail"]
    (record,) = caplog.records
    assert problem["id"] in record.getMessage() and record.exc_info is not None
    assert record.exc_info[1] is lab.node.error


def test_check_json() -> None:
    check_json('{"name":"\\ud83d\\ude00 ä","n":[1,2.5,null]}'.encode())
    for body in (b"", b"{]", b"[1]", b'{"a":Infinity}', b'{"a":"\\udc00"}', b"\xff\xfe{\x00}\x00", b"{" * 99_999):
        with pytest.raises(Problem) as caught:
            check_json(body)
        assert caught.value.status in {400, 422}


PUBLIC_PATHS = {"/healthz", "/readyz", "/client/v1/signup", "/client/v1/login"}


@pytest.mark.parametrize("title", ["Peer API", "Client API"])
def test_the_openapi_document_is_whole(lab: ClientLab, title: str) -> None:
    app = lab.app if title == "Client API" else PeerLab().app
    answer = FlaskClient(app).get("/openapi.json", base_url="http://127.0.0.1:8101")
    spec: dict[str, Any] = answer.get_json()
    assert spec["info"] == {"title": title, "version": "1.2.3"} and "servers" not in spec
    references = {value for key, value in _walk(spec) if key == "$ref"}
    known = {f"#/components/schemas/{name}" for name in spec["components"]["schemas"]}
    assert references <= known
    assert not [name for name in spec["components"]["schemas"] if name[-1].isdigit()], "a schema was named twice"
    routed = {
        (rule.rule.replace("<name:", "{").replace("<", "{").replace(">", "}"), method.lower())
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    documented = {(path, method) for path in spec["paths"] for method in spec["paths"][path]}
    assert routed - {("/openapi.json", "get")} <= documented
    for path, method in documented:
        operation = spec["paths"][path][method]
        assert operation["summary"] and operation["responses"]
        opened_by_link = path.startswith("/peer/v1/links/")
        is_public = path in PUBLIC_PATHS
        assert is_public or opened_by_link or operation["security"] == [{"Bearer": []}]
        assert {"500"} | (set() if is_public else {"401"}) <= operation["responses"].keys()
        for status, said in operation["responses"].items():
            assert said["description"]
            if status >= "400" and method != "head":
                early = ["text/plain"] if status == "413" else []  # refused before routing
                assert list(said["content"]) == ["application/problem+json", *early]


def _walk(value: object) -> Iterator[tuple[str, Any]]:
    """Each (key, value) anywhere in a JSON document."""
    if isinstance(value, dict):
        yield from value.items()
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _walk(inner)


def test_heads_of_bytes_and_of_tus_are_documented(lab: ClientLab) -> None:
    paths = paths_of(lab.app)
    assert "head" in paths["/client/v1/content/{name}"] and "206" not in paths["/client/v1/content/{name}"]["head"]
    assert {"head", "patch", "delete"} == paths["/client/v1/tus/{upload_id}"].keys()
    assert {"options", "post"} == paths["/client/v1/tus"].keys()
    assert "head" in paths_of(PeerLab().app)["/peer/v1/files/{file_id}"]


def test_a_large_file_costs_no_memory() -> None:
    lab = PeerLab()
    lab.node.data = bytes(32 << 20)
    headers = {**lab.auth("file", FILE_ID), "Range": "bytes=5-"}
    tracemalloc.start()
    try:
        answer = FlaskClient(lab.app).get(f"/peer/v1/files/{FILE_ID.hex()}", headers=headers, buffered=False)
        length = sum(len(block) for block in answer.response)
        answer.close()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert length == (32 << 20) - 5 and peak < 4 << 20
