"""The peer API over a fake node: who gets in, what is asked of the node, what bad input gets."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protos.tokens import Issuer
from pserver.api import schemas_out
from pserver.api.access import OPENAPI
from pserver.api.link_api import LINKED
from pserver.api.peer_api import PUBLIC, SCOPES
from pserver.model import Conflict, NoRoom, NotFound, Offer, Peer, Refused, Unavailable
from pserver.pieces import Want
from pserver.remote.swarm_messages import SwarmNews, news_from_json
from tests.pserver.web_lab import (
    FILE_ID,
    INFO,
    NETWORK_KEY,
    QUERY_ID,
    SHA256,
    PeerLab,
    problem_of,
)

HEX = FILE_ID.hex()
LOOKUP = {"kind": "locate", "query_id": QUERY_ID, "hops": 1, "deadline_ms": 500, "queries": [{"name": "a"}]}
OFFER = {"file_id": HEX, "size": 9, "name": "a/b", "sha256": SHA256.hex(), "url": "http://10.0.0.2:8001"}
ASKER = {"url": "http://10.0.0.2:8001", "name": "c", "bitfield": "AQ=="}
# Each closed operation, with a scope that opens it.
OPERATIONS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("GET", "/peer/v1/ping?nonce=" + "0" * 16, "ping", {}),
    ("POST", "/peer/v1/lookups", "lookup", {"json": LOOKUP}),
    ("GET", f"/peer/v1/manifests/{HEX}", "file", {}),
    ("GET", f"/peer/v1/files/{HEX}", "file", {}),
    ("GET", f"/peer/v1/digests/{HEX}", "file", {}),
    ("POST", f"/peer/v1/swarms/{HEX}", "file", {"json": ASKER}),
    ("POST", "/peer/v1/bundles", "bundle", {"json": {"file_ids": [HEX]}}),
    ("POST", "/peer/v1/offers", "offer", {"json": OFFER}),
    ("GET", "/peer/v1/offers/0011aabb", "offer", {}),
    ("DELETE", "/peer/v1/offers/0011aabb", "offer", {}),
]


@pytest.fixture
def lab() -> PeerLab:
    return PeerLab()


def _auth(lab: PeerLab, scope: str) -> dict[str, str]:
    return lab.auth(scope, FILE_ID if scope == "file" else None)


# ---- who gets in


def test_every_route_is_public_or_has_a_scope(lab: PeerLab) -> None:
    assert {rule.endpoint for rule in lab.app.url_map.iter_rules()} == SCOPES.keys() | LINKED | PUBLIC
    assert {"peer.healthz", "peer.readyz", OPENAPI} == PUBLIC


def test_a_route_that_nobody_put_into_the_table_is_closed(lab: PeerLab) -> None:
    fresh = PeerLab()
    fresh.app.add_url_rule("/new", view_func=lambda: "open")
    http = FlaskClient(fresh.app)  # not our own: the route has no documents
    assert http.get("/new").status_code == 401
    assert http.get("/new", headers=fresh.auth("ping")).status_code == 401


@pytest.mark.parametrize(("lacking", "status"), [([], 200), (["locator"], 503), (["locator", "index"], 503)])
def test_readyz_is_public_and_tells_only_what_is_missing(lab: PeerLab, lacking: list[str], status: int) -> None:
    lab.node.lacking = lacking
    answer = lab.http.get("/readyz")
    assert answer.status_code == status
    assert answer.get_json() == {"status": "not ready" if lacking else "ready", "not_ready": lacking}


def test_healthz_and_openapi_are_public(lab: PeerLab) -> None:
    assert lab.http.get("/healthz").get_json() == {"status": "ok", "peer_id": lab.own.peer_id}
    assert lab.http.get("/openapi.json").get_json()["openapi"].startswith("3.1")


@pytest.mark.parametrize(("method", "path", "scope", "more"), OPERATIONS)
def test_each_operation_opens_to_its_own_scope_only(
    lab: PeerLab, method: str, path: str, scope: str, more: dict[str, Any]
) -> None:
    def status(headers: dict[str, str]) -> int:
        response = lab.http.open(path, method=method, headers=headers, **more)
        if response.status_code == 401:
            assert response.headers["WWW-Authenticate"].startswith("Bearer")
            problem_of(response, 401, "refused")
        return response.status_code

    assert status({}) == 401
    assert status({"Authorization": "Bearer x"}) == 401
    assert status({"Authorization": "Basic " + _auth(lab, scope)["Authorization"][7:]}) == 401
    for other in {"ping", "lookup", "file", "offer", "membership"} - {scope}:
        assert status(_auth(lab, other)) == 401
    assert not lab.node.asked
    assert status(_auth(lab, scope)) < 300
    assert lab.node.asked


def test_tokens_of_strangers_of_other_audiences_of_other_files_and_old_ones_are_refused(lab: PeerLab) -> None:
    path = f"/peer/v1/files/{HEX}"
    stranger = Issuer(Ed25519PrivateKey.generate(), None)
    elsewhere = lab.member.token("ee" * 32, "file", lab.now, HEX)
    for headers in (
        lab.auth("file", FILE_ID, stranger),
        {"Authorization": f"Bearer {elsewhere}"},
        lab.auth("file", b"\xff" * 32),
        lab.auth("file"),
    ):
        problem_of(lab.http.get(path, headers=headers), 401, "refused")
    headers = lab.auth("file", FILE_ID)
    assert lab.http.get(path, headers=headers).status_code == 200
    lab.now += 200
    problem_of(lab.http.get(path, headers=headers), 401, "refused")


def test_a_strangers_body_is_not_read(lab: PeerLab) -> None:
    problem_of(lab.http.post("/peer/v1/offers", data=b"[" * 10**6, content_type="application/json"), 401, "refused")


# ---- what is asked of the node


def test_ping(lab: PeerLab) -> None:
    answer = lab.http.get("/peer/v1/ping?nonce=00aa00aa00aa00aa", headers=lab.auth("ping"))
    assert schemas_out.Pong().load(answer.get_json())
    assert answer.get_json() == {"peer_id": lab.own.peer_id, "name": "bob", "version": "1.2.3", "proof": "proof"}
    assert lab.node.asked == [("ping", "00aa00aa00aa00aa", lab.member.peer_id)]
    for nonce in ("", "?nonce=0", "?nonce=" + "0" * 65, "?nonce=" + "g" * 16, "?nonce=0000000000000000%0a"):
        problem = problem_of(lab.http.get(f"/peer/v1/ping{nonce}", headers=lab.auth("ping")), 422, "invalid")
        assert "nonce" in problem["detail"]


def test_lookup(lab: PeerLab) -> None:
    answer = lab.http.post("/peer/v1/lookups", json=LOOKUP, headers=lab.auth("lookup"))
    assert schemas_out.LookupAnswer().load(answer.get_json())
    assert answer.headers["Cache-Control"] == "no-store"
    verb, request, asker = lab.node.asked[0]
    assert (verb, asker) == ("relay", lab.member.peer_id)
    assert request.kind == "locate" and request.queries[0].name == "a"
    assert answer.get_json()["peers"][0]["heartbeat_age"] == INFO.heartbeat_age


def test_256_queries_fit_by_id_and_by_the_longest_names(lab: PeerLab) -> None:
    for query in ({"sha256": SHA256.hex()}, {"name": "/".join(["n" * 200] * 5 + ["m" * 18])}):
        body = {**LOOKUP, "queries": [query] * 256}
        assert lab.http.post("/peer/v1/lookups", json=body, headers=lab.auth("lookup")).status_code == 200
    body = {**LOOKUP, "words": "w" * 600_000}
    problem_of(lab.http.post("/peer/v1/lookups", json=body, headers=lab.auth("lookup")), 413, "too-large")


def test_manifest(lab: PeerLab) -> None:
    headers = lab.auth("file", FILE_ID)
    answer = lab.http.get(f"/peer/v1/manifests/{HEX}", headers=headers)
    assert (answer.data, answer.mimetype) == (b"manifest", "application/octet-stream")
    assert "P2P-Bitfield" not in answer.headers
    lab.node.bitfield = b"\x80"
    assert lab.http.get(f"/peer/v1/manifests/{HEX}", headers=headers).headers["P2P-Bitfield"] == "gA=="
    assert lab.node.asked[0] == ("manifest", FILE_ID)


def test_offers(lab: PeerLab) -> None:
    answer = lab.http.post("/peer/v1/offers", json={**OFFER, "later": 1}, headers=lab.auth("offer"))
    assert answer.status_code == 202 and schemas_out.Offer().load(answer.get_json())
    expected = Offer(FILE_ID, 9, "a/b", SHA256, "http://10.0.0.2:8001")
    assert lab.node.asked == [("take_offer", expected, lab.member.peer_id)]
    lab.node.state = "done"
    assert lab.http.post("/peer/v1/offers", json=OFFER, headers=lab.auth("offer")).status_code == 200
    answer = lab.http.get("/peer/v1/offers/0011aabb", headers=lab.auth("offer"))
    assert schemas_out.Offer().load(answer.get_json()) and answer.get_json()["state"] == "failed"
    assert lab.http.delete("/peer/v1/offers/0011aabb", headers=lab.auth("offer")).status_code == 204


@pytest.mark.parametrize(
    ("path", "scope", "error", "status", "code"),
    [
        ("/peer/v1/offers", "offer", Refused("no"), 403, "refused"),
        ("/peer/v1/offers", "offer", NoRoom("full"), 507, "no-room"),
        ("/peer/v1/lookups", "lookup", Unavailable("busy"), 503, "unavailable"),
        (f"/peer/v1/manifests/{HEX}", "file", NotFound("none"), 404, "not-found"),
        (f"/peer/v1/files/{HEX}", "file", Conflict("it changed", "changed"), 409, "changed"),
    ],
)
def test_what_the_node_raises_is_told(
    lab: PeerLab, path: str, scope: str, error: Exception, status: int, code: str
) -> None:
    lab.node.error = error
    body = {"offer": OFFER, "lookup": LOOKUP}.get(scope)
    method = "GET" if body is None else "POST"
    answer = lab.http.open(path, method=method, json=body, headers=_auth(lab, scope))
    assert problem_of(answer, status, code)["detail"] == str(error)


# ---- bad input


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("file_id", "AB" * 32), ("file_id", "ab"), ("file_id", None), ("file_id", 5), ("file_id", HEX + "\n"),
        ("size", -1), ("size", 1 << 45), ("size", "9"), ("size", True), ("size", 1.5),
        ("name", ""), ("name", "/a"), ("name", "../a"), ("name", "a\0b"), ("name", "x" * 256), ("name", "\ud800"),
        ("name", "e\u0301"), ("name", []), ("sha256", "zz"), ("url", "ftp://x"), ("url", "http://x/path"),
        ("url", "http://a@b"), ("url", "http://x:99999"), ("url", 7),
    ],
)  # fmt: skip
def test_a_bad_field_of_an_offer_is_named(lab: PeerLab, field: str, value: object) -> None:
    answer = lab.http.post(
        "/peer/v1/offers", data=json.dumps({**OFFER, field: value}), content_type="application/json",
        headers=lab.auth("offer"),
    )  # fmt: skip
    assert answer.status_code in {400, 422}
    assert field in problem_of(answer, answer.status_code, "invalid")["detail"] or value == "\ud800"
    assert not lab.node.asked


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"5", b'"x"', b"\xff", b"[" * 100_000, b"{" + b'"a":{' * 50_000, b'{"size":NaN}',
     b'{"size":' + b"9" * 5_000 + b"}", b'{"name":"\\ud800"}', b"\xef\xbb\xbf{}", b'{"size":1e999}'],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/peer/v1/offers", "/peer/v1/lookups"])
def test_what_is_not_a_json_object_gets_a_problem(lab: PeerLab, path: str, body: bytes) -> None:
    scope = "offer" if path.endswith("offers") else "lookup"
    answer = lab.http.post(path, data=body, content_type="application/json", headers=lab.auth(scope))
    assert answer.status_code in {400, 422}
    problem_of(answer, answer.status_code, "invalid")


def test_other_content_types_and_methods_and_paths(lab: PeerLab) -> None:
    headers = lab.auth("offer")
    problem_of(lab.http.post("/peer/v1/offers", data=b"a=b", headers=headers), 415, "invalid")
    assert "POST" in lab.http.get("/peer/v1/offers", headers=headers).headers["Allow"]
    problem_of(lab.http.get("/peer/v1/offers", headers=headers), 405, "no-method")
    for path in ("/", "/peer/v1//offers", "/peer/v1/offers/", f"/peer/v1/files/{HEX}/"):
        problem_of(lab.http.get(path, headers=headers), 404, "not-found")
    malformed = Issuer(Ed25519PrivateKey.generate(), NETWORK_KEY).token(lab.own.peer_id, "file", lab.now, "ABC")
    answer = lab.http.get("/peer/v1/files/ABC", headers={"Authorization": f"Bearer {malformed}"})
    assert "file_id" in problem_of(answer, 400, "invalid")["detail"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("a" * 64),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*LOOKUP, *OFFER]), inner, max_size=5),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def one_lab() -> Iterator[PeerLab]:
    yield PeerLab()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changed=st.dictionaries(st.sampled_from([*LOOKUP, *OFFER, "words", "folder", "page_size"]), JSON), lookup=...)
def test_no_body_gives_a_server_error(one_lab: PeerLab, changed: dict[str, object], lookup: bool) -> None:
    path, scope, base = ("/peer/v1/lookups", "lookup", LOOKUP) if lookup else ("/peer/v1/offers", "offer", OFFER)
    body = json.dumps({**base, **changed})
    answer = one_lab.http.post(path, data=body, content_type="application/json", headers=one_lab.auth(scope))
    assert answer.status_code in {200, 202, 400, 422}


def test_a_bundle_is_a_frame_for_each_file_that_was_asked_for(lab: PeerLab) -> None:
    ids = [number.to_bytes(32) for number in range(512)]
    asked = {"file_ids": [one.hex() for one in ids]}
    response = lab.http.post("/peer/v1/bundles", json=asked, headers=lab.auth("bundle"))
    assert response.mimetype == "application/octet-stream"
    assert response.data == b"\0\0\0\x08\0\0\0\x07manifestcontent" * 512
    assert response.content_length == len(response.data)
    assert lab.node.asked == [("bundle", ids, 4 << 20)]


@pytest.mark.parametrize(
    "file_ids",
    [
        None, [], "x", {"a": 1}, [HEX] * 2, [HEX.upper()], [HEX[:-2]], [HEX + "00"], [HEX[:-1] + " "], [1], [None],
        [[HEX]], [f"{number:064x}" for number in range(513)],
    ],
)  # fmt: skip
def test_a_malformed_list_of_a_bundle_is_refused(lab: PeerLab, file_ids: object) -> None:
    for body in ({"file_ids": file_ids}, {"other": file_ids}):
        response = lab.http.post("/peer/v1/bundles", json=body, headers=lab.auth("bundle"))
        assert "file_ids" in problem_of(response, 400, "invalid")["detail"]
    assert not lab.node.asked


def test_a_bundle_without_a_body_is_refused(lab: PeerLab) -> None:
    response = lab.http.post("/peer/v1/bundles", headers=lab.auth("bundle"))
    assert "file_ids" in problem_of(response, 400, "invalid")["detail"]


def test_a_get_that_lets_us_choose_is_sent_the_pieces_that_the_node_chose(lab: PeerLab) -> None:
    headers = lab.auth("file", FILE_ID) | {"P2P-Want": "2 8 gA==", "P2P-Bitfield": "AQ=="}
    response = lab.http.get(f"/peer/v1/files/{HEX}", headers=headers)
    assert response.status_code == 206
    size = len(response.data)
    assert response.headers["Content-Range"] == f"bytes 0-{size - 1}/{size}"
    assert lab.node.asked[-1] == ("open_piece", FILE_ID, Want(8, b"\x80", 2, b"\x01"), lab.member.peer_id)


def test_a_get_that_lets_us_choose_of_what_is_not_here_is_told_so(lab: PeerLab) -> None:
    lab.node.chosen, lab.node.bitfield = None, b"\x80"
    headers = lab.auth("file", FILE_ID) | {"P2P-Want": "1 0 gA=="}
    response = lab.http.get(f"/peer/v1/files/{HEX}", headers=headers)
    problem_of(response, 404, "no-piece")
    assert response.headers["P2P-Bitfield"] == "gA=="


@pytest.mark.parametrize("want", ["", "1", "1 0", "0 0 gA==", "1 3 gA==", "1 0 g", "1 0 " + "A" * 9000, "-1 0 gA=="])
def test_a_malformed_want_is_refused(lab: PeerLab, want: str) -> None:
    response = lab.http.get(f"/peer/v1/files/{HEX}", headers=lab.auth("file", FILE_ID) | {"P2P-Want": want})
    problem_of(response, 400, "invalid")


def test_the_news_of_a_swarm(lab: PeerLab) -> None:
    response = lab.http.post(f"/peer/v1/swarms/{HEX}", headers=lab.auth("file", FILE_ID), json=ASKER)
    assert news_from_json(response.get_json()) == SwarmNews(None, [(INFO.peer, b"\x80")])
    asker = Peer(lab.member.peer_id, "c", "http://10.0.0.2:8001")
    assert lab.node.asked[-1] == ("swarm", FILE_ID, asker, b"\x01")


@pytest.mark.parametrize(("field", "value"), [("url", "file:///etc"), ("name", ""), ("bitfield", "?"), ("bitfield", 1)])
def test_a_bad_field_of_an_asker_is_named(lab: PeerLab, field: str, value: object) -> None:
    response = lab.http.post(f"/peer/v1/swarms/{HEX}", headers=lab.auth("file", FILE_ID), json=ASKER | {field: value})
    assert response.status_code in {400, 422} and field in response.get_json()["detail"]
