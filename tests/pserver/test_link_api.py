"""What a link opens at the peer API, and what the client API says about links and documents."""

import logging
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from protos.links import link_url, make_link
from protos.tokens import Issuer
from pserver.api import schemas_out
from pserver.api.link_api import LINKED
from pserver.api.metalink import metalink
from pserver.api.peer_api import PUBLIC, SCOPES
from pserver.api.torrent import bencoded, torrent
from pserver.digests import Digests, Making, Offered
from pserver.model import Conflict, NotFound, Unavailable
from tests.pserver.web_lab import (
    DATA,
    DIGESTS,
    FILE_ID,
    OFFERED,
    PEER,
    ClientLab,
    PeerLab,
    problem_of,
)

HOUR = 3600
BYTES = "/peer/v1/links/{}/file/any%2Fname"
FORMS = ("meta4", "torrent")


@pytest.fixture
def lab() -> PeerLab:
    return PeerLab()


@pytest.fixture
def client(tmp_path: Path) -> ClientLab:
    return ClientLab(tmp_path)


def link_of(lab: PeerLab, file_id: bytes = FILE_ID, issuer: Issuer | None = None) -> str:
    return make_link(issuer or lab.member, file_id.hex(), lab.now, HOUR)


# --- at the peer API


def test_no_endpoint_is_opened_in_two_ways() -> None:
    assert not LINKED & SCOPES.keys() and not LINKED & PUBLIC
    assert all(endpoint.startswith("links.") for endpoint in LINKED)


def test_any_members_link_opens_its_file_for_reading_only(lab: PeerLab) -> None:
    path = BYTES.format(link_of(lab))
    whole = lab.http.get(path)
    assert (whole.status_code, whole.data, whole.headers["Cache-Control"]) == (200, DATA, "private")
    assert whole.headers["X-Content-Type-Options"] == "nosniff"
    assert whole.headers["Content-Disposition"].startswith("attachment")
    assert lab.http.get(path, headers={"Range": "bytes=1-2"}).data == DATA[1:3]
    assert lab.http.head(path).status_code == 200
    assert lab.http.get(path, headers={"If-None-Match": whole.headers["ETag"]}).status_code == 304
    assert set(lab.node.asked) == {("open_file", FILE_ID)}  # whatever the path calls it
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        problem_of(lab.http.open(path, method=method), 405, "no-method")


def test_nothing_else_opens_it(lab: PeerLab) -> None:
    stranger = Issuer(Ed25519PrivateKey.generate(), b"another network")
    peers_token = lab.member.token(lab.own.peer_id, "file", lab.now, FILE_ID.hex())
    for token in ("x", "eyJ.eyJ.x", peers_token, link_of(lab, issuer=stranger)):
        problem_of(lab.http.get(BYTES.format(token), headers=lab.auth("file", FILE_ID)), 401, "refused")
    good = BYTES.format(link_of(lab))
    lab.now += HOUR + 60
    assert "expired" in problem_of(lab.http.get(good), 401, "refused")["detail"]
    assert not lab.node.asked


def test_a_link_opens_nothing_else(lab: PeerLab) -> None:
    token = link_of(lab)
    for path in (
        f"files/{FILE_ID.hex()}",
        f"manifests/{FILE_ID.hex()}",
        f"digests/{FILE_ID.hex()}",
        "ping?nonce=" + "0" * 16,
    ):
        for headers in ({"Authorization": f"Bearer {token}"}, {}):
            problem_of(lab.http.get(f"/peer/v1/{path}", headers=headers), 401, "refused")
    for path in ("", "/", "/file", "/file/", "/other/x", "/meta4"):
        problem_of(lab.http.get(f"/peer/v1/links/{token}{path}"), 404, "not-found")
    assert not lab.node.asked


@pytest.mark.parametrize("form", FORMS)
def test_a_document_has_the_link_it_was_asked_by(lab: PeerLab, form: str) -> None:
    token = link_of(lab)
    answer = lab.http.get(f"/peer/v1/links/{token}/{form}/x.{form}")
    assert answer.status_code == 200
    for base in OFFERED.holders:
        assert link_url(base, token, OFFERED.name).encode() in answer.data
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert f".{form}" in answer.headers["Content-Disposition"]
    assert answer.mimetype in {"application/metalink4+xml", "application/x-bittorrent"}
    assert lab.http.head(f"/peer/v1/links/{token}/{form}/x").data == b""


@pytest.mark.parametrize("form", FORMS)
def test_a_document_that_is_being_made_says_when_to_ask_again(lab: PeerLab, form: str) -> None:
    path = f"/peer/v1/links/{link_of(lab)}/{form}/x"
    for size, seconds in ((1000, "1"), (2_000_000_000, "6"), (1 << 44, "30")):
        lab.node.digests = Making(0, size)
        answer = lab.http.get(path)
        assert (answer.status_code, answer.headers["Retry-After"]) == (202, seconds)
        assert schemas_out.Making().load(answer.get_json()) == {"bytes_done": 0, "size": size}
    assert ("offered", FILE_ID) not in lab.node.asked  # nobody is looked up for nothing


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFound("none"), 404, "not-found"),
        (Conflict("it changed", "changed"), 409, "changed"),
        (Unavailable("many"), 503, "unavailable"),
    ],
)
def test_why_a_document_cannot_be_made_is_told(lab: PeerLab, error: Exception, status: int, code: str) -> None:
    lab.node.error = error
    problem_of(lab.http.get(f"/peer/v1/links/{link_of(lab)}/meta4/x"), status, code)


def test_digests_for_another_peer(lab: PeerLab) -> None:
    path, headers = f"/peer/v1/digests/{FILE_ID.hex()}", lab.auth("file", FILE_ID)
    assert lab.http.get(path, headers=headers).data == DIGESTS.encode()
    lab.node.digests = Making(5, 10)
    answer = lab.http.get(path, headers=headers)
    assert (answer.status_code, answer.get_json()) == (202, {"bytes_done": 5, "size": 10})


def test_a_link_is_not_logged_even_with_a_failure_of_ours(lab: PeerLab, caplog: pytest.LogCaptureFixture) -> None:
    token = link_of(lab)
    lab.node.error = RuntimeError("a mistake")
    with caplog.at_level(logging.DEBUG):
        lab.app.test_client_class = None
        assert lab.app.test_client().get(BYTES.format(token)).status_code == 500
    assert "internal error" in caplog.text
    assert token not in caplog.text


# --- at the client API


def test_a_link_for_the_own_person(client: ClientLab) -> None:
    answer = client.http.post("/client/v1/links", json={"what": "docs/ä.txt", "expires_seconds": 60, "choose": "most"})
    assert schemas_out.Link().load(answer.get_json())
    said = answer.get_json()
    assert client.node.asked == [("link", "docs/ä.txt", 60, "most")]
    assert said["url"] == f"{PEER.url}/peer/v1/links/token/file/%C3%A4.txt" == said["urls"][0]
    assert said["meta4_url"] == f"{PEER.url}/peer/v1/links/token/meta4/%C3%A4.txt.meta4"
    assert said["torrent_url"].endswith("/torrent/%C3%A4.txt.torrent")
    assert (said["file_id"], said["size"], said["expires"]) == (FILE_ID.hex(), len(DATA), "2027-01-15T08:01:00Z")
    assert answer.headers["Cache-Control"] == "no-store"
    client.http.post("/client/v1/links", json={"what": "a"})
    assert client.node.asked[-1] == ("link", "a", HOUR, None)


@pytest.mark.parametrize(
    ("field", "value"),
    [("what", ""), ("what", 5), ("what", None), ("expires_seconds", 0), ("expires_seconds", 7 * 86400 + 1),
     ("expires_seconds", "soon"), ("choose", "all")],
)  # fmt: skip
def test_a_bad_field_is_named(client: ClientLab, field: str, value: object) -> None:
    answer = client.http.post("/client/v1/links", json={"what": "a", field: value})
    assert field in problem_of(answer, 422, "invalid")["detail"]
    assert not client.node.asked


@pytest.mark.parametrize("form", FORMS)
def test_a_document_for_the_own_person(client: ClientLab, form: str) -> None:
    path = f"/client/v1/links/{FILE_ID.hex()}/{form}?expires_seconds=60"
    answer = client.http.get(path)
    assert link_url(PEER.url, "token", OFFERED.name).encode() in answer.data
    assert client.node.asked == [("link", f"id:{FILE_ID.hex()}", 60, None), ("find_digests", FILE_ID)]
    client.node.digests = Making(5, 10)
    answer = client.http.get(path)
    assert (answer.status_code, answer.headers["Retry-After"]) == (202, "1")
    problem_of(client.http.get(f"/client/v1/links/{FILE_ID.hex()}/zip"), 404, "not-found")
    problem_of(client.http.get(path.replace("60", "0")), 422, "invalid")


# --- the documents themselves


def test_a_metalink_document() -> None:
    digests = Digests(300_000, 262_144, b"\x01" * 32, b"", b"\x02" * 32 + b"\x03" * 32)
    offered = Offered('docs/<a> & "b".txt', FILE_ID, 300_000, ("http://10.0.0.1:8001", "https://b.example"))
    space = {"m": "urn:ietf:params:xml:ns:metalink"}
    root = ElementTree.fromstring(metalink(offered, digests, "T", "suite/1"))
    assert root.tag == "{urn:ietf:params:xml:ns:metalink}metalink"
    assert root.findtext("m:generator", namespaces=space) == "suite/1"
    (file,) = root.findall("m:file", space)
    assert file.get("name") == '<a> & "b".txt'
    assert file.findtext("m:size", namespaces=space) == "300000"
    assert [(one.get("type"), one.text) for one in file.findall("m:hash", space)] == [("sha-256", "01" * 32)]
    (pieces,) = file.findall("m:pieces", space)
    assert (pieces.get("length"), pieces.get("type")) == ("262144", "sha-256")
    assert [one.text for one in pieces] == ["02" * 32, "03" * 32]
    urls = [one.text for one in file.findall("m:url", space)]
    assert urls == [link_url(base, "T", offered.name) for base in offered.holders]


def test_an_empty_file_has_no_pieces() -> None:
    empty = Digests(0, 262_144, b"\x01" * 32, b"", b"")
    offered = Offered("a", FILE_ID, 0, ("http://10.0.0.1:8001",))
    assert b"<pieces" not in metalink(offered, empty, "T", "suite/1")
    assert b"6:lengthi0e" in torrent(offered, empty, "T", "suite/1")


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=20))
def test_any_name_makes_a_good_metalink(name: str) -> None:
    document = metalink(Offered(name, FILE_ID, 1024, ("http://h:1",)), DIGESTS, "T", "suite/1")
    file = ElementTree.fromstring(document)[1]
    assert re.sub(r"[\s_]", "", file.get("name") or "") == re.sub(r"[\s_\x00-\x1f\ufffe\uffff]", "", name)


def test_a_torrent_byte_for_byte() -> None:
    digests = Digests(4, 262_144, b"\x01" * 32, b"12345678901234567890", b"\x02" * 32)
    offered = Offered("docs/ä", FILE_ID, 4, ("http://10.0.0.1:8001",))
    url = b"http://10.0.0.1:8001/peer/v1/links/T/file/%C3%A4"
    info = "d6:lengthi4e4:name2:ä12:piece lengthi262144e6:pieces20:123456789012345678907:privatei1ee".encode()
    assert torrent(offered, digests, "T", "s/1") == b"d10:created by3:s/14:info%b8:url-listl%d:%bee" % (
        info, len(url), url,
    )  # fmt: skip
    assert bencoded([-3, b"", {b"b": [], b"a": 0}]) == b"li-3e0:d1:ai0e1:bleee"
