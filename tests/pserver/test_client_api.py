"""The client API over a fake node: Host, Origin and token; what is asked of the node; bad input."""

import http.client
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from apiflask import Schema

from pserver.api import schemas_out
from pserver.api.access import OPENAPI
from pserver.api.client_api import PUBLIC
from pserver.http.server import HttpServer, Limits
from pserver.model import Conflict, NoRoom, NotFound, Unavailable
from tests.pserver.web_lab import DATA, ENTRY, GROUP, HOST, INFO, PEER, TOKEN, ClientLab, paths_of, problem_of

NAME = "docs/%C3%A4.txt"
READS: list[tuple[str, tuple[Any, ...], type[Schema]]] = [
    ("/client/v1/status", ("status",), schemas_out.Status),
    ("/client/v1/search?words=a+b&page_size=5&page_token=t", ("search", "a b", 5, "t"), schemas_out.FoundPage),
    ("/client/v1/lookup?what=id:00", ("lookup", "id:00"), schemas_out.Found),
    ("/client/v1/peers?match=ann&folder=docs/", ("peers", "ann", "docs/", ""), schemas_out.PeersPage),
    ("/client/v1/peers/an%2Fn/files?prefix=do", ("peer_files", "an/n", "do", 0, ""), schemas_out.PeerFilesPage),
    ("/client/v1/files?page_size=2000", ("files", "", 2000, ""), schemas_out.FilesPage),
    (f"/client/v1/files/{NAME}", ("file", ENTRY.name), schemas_out.FileEntry),
    ("/client/v1/transfers", ("transfers",), schemas_out.Transfers),
    ("/client/v1/transfers/0011aabb", ("transfer", "0011aabb", 0), schemas_out.Transfer),
    ("/client/v1/transfers/0011aabb?items_from=100", ("transfer", "0011aabb", 100), schemas_out.Transfer),
]


@pytest.fixture
def lab(tmp_path: Path) -> ClientLab:
    return ClientLab(tmp_path)


# ---- who gets in


def test_only_these_are_public(lab: ClientLab) -> None:
    assert {"client.healthz", OPENAPI, "people.signup", "people.login"} == PUBLIC
    del lab.http.environ_base["HTTP_AUTHORIZATION"]
    assert lab.http.get("/healthz").get_json() == {"status": "ok"}
    assert lab.http.get("/openapi.json").status_code == 200
    paths = paths_of(lab.app)
    for path in paths.keys() - {"/healthz", "/client/v1/signup", "/client/v1/login"}:
        for method in paths[path]:
            answer = lab.http.open(path.replace("{", "").replace("}", ""), method=method)
            assert answer.status_code == 401, (method, path)
    assert not lab.node.asked


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é", TOKEN])
def test_another_token_is_refused(lab: ClientLab, header: str) -> None:
    answer = lab.http.get("/client/v1/status", headers={"Authorization": header})
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    problem_of(answer, 401, "refused")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:8102", "localhost:8101", "", f"{HOST}."])
@pytest.mark.parametrize("path", ["/client/v1/status", "/healthz", "/openapi.json", "/client/v1/tus"])
def test_another_host_is_misdirected_whatever_it_asks(lab: ClientLab, host: str, path: str) -> None:
    method = "OPTIONS" if path.endswith("tus") else "GET"
    problem_of(lab.http.open(path, method=method, headers={"Host": host}), 421, "misdirected")


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Origin": f"http://{HOST}"}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": f"ftp://{HOST}"}, False),
        ({"Origin": f"http://{HOST}.evil.example"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": f"http://{HOST}", "Sec-Fetch-Site": "cross-site"}, False),
    ],
)
def test_pages_of_elsewhere_cannot_do_anything(lab: ClientLab, headers: dict[str, str], allowed: bool) -> None:
    answer = lab.http.delete("/client/v1/transfers/0011aabb", headers=headers)
    if allowed:
        assert answer.status_code == 204
    else:
        problem_of(answer, 403, "refused")
        assert not lab.node.asked
    assert lab.http.get("/client/v1/status", headers=headers).status_code == 200
    assert not [name for name, _ in answer.headers if name.lower().startswith("access-control")]


# ---- what is asked of the node


@pytest.mark.parametrize(("path", "asked", "schema"), READS)
def test_reading(lab: ClientLab, path: str, asked: tuple[Any, ...], schema: type[Schema]) -> None:
    answer = lab.http.get(path)
    assert answer.status_code == 200 and answer.mimetype == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert schema().validate(answer.get_json()) == {}
    assert lab.node.asked == [asked]


def test_a_transfer_has_items_alone_but_not_in_the_list_and_times_in_iso(lab: ClientLab) -> None:
    alone = lab.http.get("/client/v1/transfers/0011aabb").get_json()
    (listed,) = lab.http.get("/client/v1/transfers").get_json()["transfers"]
    assert [item["file_id"] for item in alone["items"]] == [GROUP.file_id.hex()] and "items" not in listed
    assert (alone["created"], alone["ended"]) == ("2027-01-15T08:00:00Z", None)
    assert alone["error"] == {"code": "gone", "detail": "it went"}


def test_a_name_on_disk_that_is_no_text_does_not_break_the_status(lab: ClientLab) -> None:
    assert lab.http.get("/client/v1/status").get_json()["share"]["skipped"][0]["name"] == "bad?"


def test_downloads(lab: ClientLab) -> None:
    body = {"what": "docs/", "as": None, "from": "ann", "choose": "most"}
    answer = lab.http.post("/client/v1/downloads", json=body)
    assert answer.status_code == 202 and answer.headers["Location"] == "/client/v1/transfers/0011aabb"
    assert schemas_out.Transfer().validate(answer.get_json()) == {}
    lab.node.state = "done"
    assert lab.http.post("/client/v1/downloads", json={"what": "a", "as": "b"}).status_code == 200
    assert lab.node.asked == [
        ("start_download", "docs/", None, "ann", "most"),
        ("start_download", "a", "b", None, None),
    ]


def test_uploads(lab: ClientLab) -> None:
    answer = lab.http.post("/client/v1/uploads", json={"name": "a", "to": ["bob"], "replicas": None})
    assert answer.status_code == 202 and answer.headers["Location"] == "/client/v1/transfers/0011aabb"
    assert lab.http.post("/client/v1/uploads", json={"name": "a", "replicas": 2}).status_code == 202
    assert lab.node.asked == [("start_upload", "a", ("bob",), None, None), ("start_upload", "a", (), 2, None)]


def test_the_life_of_a_transfer_and_of_a_file(lab: ClientLab) -> None:
    assert lab.http.post("/client/v1/transfers/0011aabb/pause").status_code == 200
    problem_of(lab.http.post("/client/v1/transfers/0011aabb/resume"), 409, "conflict")
    assert lab.http.delete("/client/v1/transfers/0011aabb").status_code == 204
    answer = lab.http.delete(f"/client/v1/files/{NAME}")
    assert (answer.status_code, answer.data) == (204, b"")
    assert lab.node.asked[-1] == ("remove", ENTRY.name)


def test_content(lab: ClientLab) -> None:
    answer = lab.http.get(f"/client/v1/content/{NAME}", headers={"Range": "bytes=1-2"})
    assert (answer.status_code, answer.data) == (206, DATA[1:3])
    assert lab.http.head(f"/client/v1/content/{NAME}").headers["Content-Length"] == str(len(DATA))
    assert lab.node.asked[0] == ("open_content", ENTRY.name) and all(file.closed for file in lab.node.opened)


@pytest.mark.parametrize(
    ("choices", "expected"),
    [([GROUP], "holders"), ([INFO], "heartbeat_age"), ([PEER], "url")],
)
def test_what_is_ambiguous_lists_the_choices(lab: ClientLab, choices: list[object], expected: str) -> None:
    lab.node.error = Conflict("several", "ambiguous", choices)
    problem = problem_of(lab.http.post("/client/v1/downloads", json={"what": "a"}), 409, "ambiguous")
    assert expected in problem["choices"][0] and problem["detail"] == "several"


@pytest.mark.parametrize(
    ("method", "path", "error", "status", "code"),
    [
        ("GET", "/client/v1/lookup?what=a", NotFound("none"), 404, "not-found"),
        ("GET", f"/client/v1/files/{NAME}", Conflict("it is indexed", "hashing"), 409, "hashing"),
        ("GET", f"/client/v1/content/{NAME}", Conflict("it changed", "changed"), 409, "changed"),
        ("POST", "/client/v1/downloads", NoRoom("full"), 507, "no-room"),
        ("POST", "/client/v1/downloads", Unavailable("nobody"), 503, "unavailable"),
        ("GET", "/client/v1/search?words=a", Unavailable("nobody"), 503, "unavailable"),
    ],
)
def test_what_the_node_raises_is_told(
    lab: ClientLab, method: str, path: str, error: Exception, status: int, code: str
) -> None:
    lab.node.error = error
    answer = lab.http.open(path, method=method, json={"what": "a"} if method == "POST" else None)
    assert problem_of(answer, status, code)["detail"] == str(error)


# ---- bad input


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/client/v1/search", "words"), ("/client/v1/search?words=", "words"),
        ("/client/v1/search?words=" + "w" * 257, "words"), ("/client/v1/search?words=a&page_size=101", "page_size"),
        ("/client/v1/search?words=a&page_size=x", "page_size"), ("/client/v1/lookup", "what"),
        ("/client/v1/search?words=a&page_size=" + "9" * 5_000, "page_size"),
        ("/client/v1/peers?folder=../", "folder"), ("/client/v1/files?prefix=/etc", "prefix"),
        ("/client/v1/files?page_size=-1", "page_size"), ("/client/v1/files?page_token=" + "t" * 3_000, "page_token"),
    ],
)  # fmt: skip
def test_a_bad_query_is_named(lab: ClientLab, path: str, field: str) -> None:
    assert field in problem_of(lab.http.get(path), 422, "invalid")["detail"]
    assert not lab.node.asked


@pytest.mark.parametrize(
    "name", ["..", "a/../b", "a%00b", "/etc/passwd", "a//b", "a/", ".hidden", "e%CC%81", "x" * 256, "a%0A/."]
)
@pytest.mark.parametrize("verb", ["files", "content"])
def test_a_bad_name_is_refused_in_words(lab: ClientLab, verb: str, name: str) -> None:
    problem = problem_of(lab.http.get(f"/client/v1/{verb}/{name}"), 422, "invalid")
    assert "name" in problem["detail"] or "hidden" in problem["detail"]
    assert not lab.node.asked


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("downloads", {}, "what"), ("downloads", {"what": ""}, "what"), ("downloads", {"what": 5}, "what"),
        ("downloads", {"what": "a", "as": "../b"}, "as"), ("downloads", {"what": "a", "choose": "least"}, "choose"),
        ("downloads", {"what": "a", "form": "bob"}, "form"), ("downloads", {"what": "a", "from": ""}, "from"),
        ("uploads", {"name": "/a"}, "name"), ("uploads", {"name": "a", "to": "bob"}, "to"),
        ("uploads", {"name": "a", "to": [1]}, "to"), ("uploads", {"name": "a", "to": ["b"] * 65}, "to"),
        ("uploads", {"name": "a", "replicas": 0}, "replicas"), ("uploads", {"name": "a", "replicas": "2"}, "replicas"),
        ("uploads", {"name": "a", "replicas": True}, "replicas"),
    ],
)  # fmt: skip
def test_a_bad_field_is_named(lab: ClientLab, path: str, body: object, field: str) -> None:
    problem = problem_of(lab.http.post(f"/client/v1/{path}", json=body), 422, "invalid")
    assert f"{field}:" in problem["detail"] or f"{field}." in problem["detail"]
    assert not lab.node.asked


def test_bodies_that_are_no_json(lab: ClientLab) -> None:
    post = "/client/v1/downloads"
    problem_of(lab.http.post(post, data="what=a", content_type="application/x-www-form-urlencoded"), 415, "invalid")
    problem_of(lab.http.post(post, data="{", content_type="application/json"), 400, "invalid")
    problem_of(lab.http.post(post, data='{"what":"\\udfff"}', content_type="application/json"), 400, "invalid")
    problem_of(lab.http.post(post, data=b"[" * 100_000, content_type="application/json"), 400, "invalid")
    large = json.dumps({"what": "a" * 600_000})
    problem_of(lab.http.post(post, data=large, content_type="application/json"), 413, "too-large")
    problem_of(lab.http.post(post, data=b"", content_type="application/json"), 422, "invalid")
    assert not lab.node.asked


def test_on_the_real_server(lab: ClientLab) -> None:
    server = HttpServer(lab.app, "127.0.0.1", 0, Limits(max_body_bytes=9 << 20), "client-api")
    server.start()
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection:
            headers = {"Host": HOST, "Authorization": f"Bearer {TOKEN}"}
            connection.request("GET", f"/client/v1/files/{NAME}", headers=headers)
            answer = connection.getresponse()
            assert (answer.status, json.loads(answer.read())["name"]) == (200, ENTRY.name)
            connection.request("GET", "/healthz")  # its Host has the port that was chosen, which the lab does not list
            answer = connection.getresponse()
            assert (answer.status, json.loads(answer.read())["code"]) == (421, "misdirected")
    finally:
        server.stop()
