"""Files as HTTP answers: conditions, ranges and headers by the test client, the bytes also by the real server."""

import base64
import hashlib
import http.client
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from pserver.api.content import disposition
from pserver.http.server import HttpServer, Limits
from pserver.pieces import MIN_PIECE_BYTES
from tests.pserver.web_lab import DATA, FILE_ID, SHA256, FakeFile, PeerLab, problem_of

PATH = f"/peer/v1/files/{FILE_ID.hex()}"
ETAG = f'"{FILE_ID.hex()}"'
SIZE = len(DATA)


@pytest.fixture
def lab() -> PeerLab:
    return PeerLab()


def _get(lab: PeerLab, method: str = "GET", **headers: str) -> TestResponse:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = lab.http.open(PATH, method=method, headers={**lab.auth("file", FILE_ID), **sent})
    assert all(file.closed for file in lab.node.opened), "a file was left open"
    return answer


def test_the_whole_file_and_what_describes_it(lab: PeerLab) -> None:
    answer = _get(lab)
    assert (answer.status_code, answer.data) == (200, DATA)
    digest = base64.b64encode(SHA256).decode()
    expected = {
        "Content-Length": str(SIZE),
        "Content-Type": "application/octet-stream",
        "ETag": ETAG,
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
        "Repr-Digest": f"sha-256=:{digest}:",
        "Digest": f"sha-256={digest}",
        "Content-Disposition": "attachment; filename=\"_.txt\"; filename*=UTF-8''%C3%A4.txt",
    }
    assert {name: answer.headers.get(name) for name in expected} == expected
    assert "Content-Range" not in answer.headers and "P2P-Bitfield" not in answer.headers
    lab.node.sha256 = None
    assert not {"Repr-Digest", "Digest"} & set(_get(lab).headers.keys())


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [("bytes=0-0", 0, 0), ("bytes=5-9", 5, 9), ("bytes=1000-", 1000, 1023), ("bytes=-3", 1021, 1023),
     ("bytes=1000-99999", 1000, 1023), ("bytes=-99999", 0, 1023)],
)  # fmt: skip
def test_one_range(lab: PeerLab, header: str, first: int, last: int) -> None:
    answer = _get(lab, Range=header)
    assert (answer.status_code, answer.data) == (206, DATA[first : last + 1])
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert answer.headers["Content-Length"] == str(last - first + 1) and answer.headers["ETag"] == ETAG


@pytest.mark.parametrize("header", ["bytes=0-1,4-5", "lines=0-1", "bytes=5-2", "nonsense"])
def test_anything_else_but_one_range_gets_the_whole_file(lab: PeerLab, header: str) -> None:
    answer = _get(lab, Range=header)
    assert (answer.status_code, answer.data) == (200, DATA)


def test_a_range_beyond_the_file(lab: PeerLab) -> None:
    answer = _get(lab, Range=f"bytes={SIZE}-")
    problem_of(answer, 416, "invalid")
    assert answer.headers["Content-Range"] == f"bytes */{SIZE}"


def test_an_empty_file(lab: PeerLab) -> None:
    lab.node.data = b""
    for headers in ({}, {"Range": "bytes=0-"}, {"Range": "bytes=-5"}):
        answer = _get(lab, **headers)
        assert (answer.status_code, answer.data, answer.headers["Content-Length"]) == (200, b"", "0")


def test_head_has_the_headers_of_get_and_knows_no_ranges(lab: PeerLab) -> None:
    whole, head = _get(lab), _get(lab, "HEAD", Range="bytes=0-1")
    assert head.status_code == 200 and head.data == b""
    assert dict(head.headers) == dict(whole.headers)


def test_if_range_takes_the_range_of_this_very_file_only(lab: PeerLab) -> None:
    assert _get(lab, Range="bytes=0-1", If_Range=ETAG).status_code == 206
    for other in ('"other"', "W/" + ETAG, "Fri, 20 Nov 2026 06:00:00 GMT", ETAG.strip('"'), ""):
        assert _get(lab, Range="bytes=0-1", If_Range=other).data == DATA
    assert _get(lab, Range=f"bytes={SIZE}-", If_Range='"other"').status_code == 200


def test_if_none_match_and_if_match(lab: PeerLab) -> None:
    for known in (ETAG, "W/" + ETAG, f'"other", {ETAG}', "*"):
        answer = _get(lab, If_None_Match=known)
        assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", ETAG)
    assert _get(lab, If_None_Match='"other"').status_code == 200
    assert _get(lab, "HEAD", If_None_Match=ETAG).status_code == 304
    assert _get(lab, If_Match=ETAG).status_code == 200 and _get(lab, If_Match="*").status_code == 200
    problem_of(_get(lab, If_Match='"other"'), 412, "changed")


def test_a_partial_file_gives_the_pieces_it_has(lab: PeerLab) -> None:
    lab.node.data = bytes(3 * MIN_PIECE_BYTES - 5)
    lab.node.bitfield = bytes([0b10100000])
    lacking = [f"bytes={MIN_PIECE_BYTES}-{MIN_PIECE_BYTES}", f"bytes=0-{MIN_PIECE_BYTES}", "bytes=0-", "bytes=-300000"]
    for header in lacking:
        answer = _get(lab, Range=header)
        problem_of(answer, 404, "no-piece")
        assert answer.headers["P2P-Bitfield"] == "oA=="
    problem_of(_get(lab), 404, "no-piece")
    for header in (f"bytes=0-{MIN_PIECE_BYTES - 1}", f"bytes={2 * MIN_PIECE_BYTES}-"):
        answer = _get(lab, Range=header)
        assert answer.status_code == 206 and answer.headers["P2P-Bitfield"] == "oA=="


@settings(max_examples=100, deadline=None)
@given(st.text(min_size=1, max_size=30))
def test_any_name_makes_a_harmless_disposition(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        return
    header = disposition(name)
    assert header.isascii() and header.isprintable()
    assert header.count('"') == 2 and "\\" not in header


def test_the_disposition_names_the_last_part_only() -> None:
    assert disposition('a/b/c "d".txt') == "attachment; filename=\"c _d_.txt\"; filename*=UTF-8''c%20%22d%22.txt"


# ---- on the real server


@pytest.fixture
def served() -> Iterator[tuple[PeerLab, HttpServer]]:
    lab = PeerLab()
    server = HttpServer(lab.app, "127.0.0.1", 0, Limits(), "peer-api")
    server.start()
    yield lab, server
    server.stop()
    assert all(file.closed for file in lab.node.opened)


def _fetch(lab: PeerLab, server: HttpServer, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, PATH, headers={**lab.auth("file", FILE_ID), **headers})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_the_real_server_sends_files_and_ranges(served: tuple[PeerLab, HttpServer]) -> None:
    lab, server = served
    lab.node.data = hashlib.shake_128(b"seed").digest(3_000_000)
    assert _fetch(lab, server) == (200, lab.node.data)
    assert _fetch(lab, server, Range="bytes=70000-2900000") == (206, lab.node.data[70_000:2_900_001])
    assert _fetch(lab, server, Range="bytes=-1") == (206, lab.node.data[-1:])
    assert _fetch(lab, server, "HEAD") == (200, b"")
    lab.node.data = b""
    assert _fetch(lab, server) == (200, b"")


def test_the_real_server_breaks_off_when_the_file_changed(served: tuple[PeerLab, HttpServer]) -> None:
    lab, server = served
    lab.node.data, lab.node.same = bytes(1_000_000), False
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        _fetch(lab, server)


def test_a_file_is_never_read_by_python(served: tuple[PeerLab, HttpServer], monkeypatch: pytest.MonkeyPatch) -> None:
    lab, server = served
    reads: list[int] = []
    monkeypatch.setattr(FakeFile, "read", lambda self, size=-1: reads.append(size))
    assert _fetch(lab, server) == (200, DATA)
    assert not reads
