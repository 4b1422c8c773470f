"""Lookups as JSON: what goes out comes back the same; what a stranger sends is refused by the name of its field."""

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pserver.model import (
    FileEntry,
    FileGroup,
    Holder,
    InvalidRequest,
    LookupAnswer,
    LookupRequest,
    Peer,
    PeerInfo,
    Query,
)
from pserver.remote.lookup_json import MAX_QUERIES, answer_from_json, answer_to_json, request_from_json, request_to_json

PEER = Peer("ab" * 32, "Zoë's laptop", "http://10.0.0.1:8001")
HOLDER = Holder(PEER, "docs/übung.txt", sha256_checked=True, partial=True)
GROUP = FileGroup(b"\1" * 32, 7, b"\2" * 32, ["docs/übung.txt", "a"], [HOLDER], 12)
ENTRY = FileEntry("a/b", b"\1" * 32, 0, b"\2" * 32, sha256_checked=False)
INFO = PeerInfo(PEER, 1, 2, 3, accepts_uploads=True, version="0.1.0", heartbeat_age=1.5)
REQUEST = LookupRequest(
    kind="locate",
    query_id="0f" * 16,
    hops=2,
    deadline_ms=900,
    queries=(Query(name="a b.txt"), Query(file_id=b"\1" * 32), Query(sha256=b"\2" * 32)),
    max_holders=5,
)
REQUESTS = [
    REQUEST,
    LookupRequest("search", "0f" * 16, 0, 1, words="annual report", page_size=25, page_token="x"),
    LookupRequest("peers", "0f" * 16, 4, 10_000, match="zoë", folder="docs/"),
    LookupRequest("files", "0f" * 16, 1, 10, peer_id="ab" * 32, prefix="do"),
]
ANSWER = LookupAnswer(True, ["zoë", "locator 10.0.0.1:51015"], [[GROUP], []], [GROUP], [INFO], [ENTRY], "next")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.kind)
def test_a_request_comes_back_the_same(request_: LookupRequest) -> None:
    assert request_from_json(json.loads(json.dumps(request_to_json(request_)))) == request_


def test_an_answer_comes_back_the_same() -> None:
    assert answer_from_json(json.loads(json.dumps(answer_to_json(ANSWER)))) == ANSWER
    assert answer_from_json({"complete": False}) == LookupAnswer(False)


def test_a_full_batch_of_ids_is_far_below_the_peer_apis_limit() -> None:
    queries = tuple(Query(sha256=bytes([number]) * 32) for number in range(MAX_QUERIES))
    request = LookupRequest("locate", "0f" * 16, 4, 10_000, queries)
    assert len(json.dumps(request_to_json(request))) < 256 * 1024 / 8


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "steal"),
        ("kind", None),
        ("query_id", "0F" * 16),
        ("query_id", "0f" * 15),
        ("query_id", "0f" * 15 + "0\n"),
        ("hops", 5),
        ("hops", -1),
        ("hops", True),
        ("hops", 1.0),
        ("deadline_ms", 0),
        ("deadline_ms", 10_001),
        ("queries", []),
        ("queries", [{"name": "a"}] * (MAX_QUERIES + 1)),
        ("queries", {"name": "a"}),
        ("queries", ["a"]),
        ("queries", [{}]),
        ("queries", [{"name": "a", "sha256": "00" * 32}]),
        ("queries", [{"name": "../a"}]),
        ("queries", [{"name": "/a"}]),
        ("queries", [{"name": "a\0b"}]),
        ("queries", [{"name": "u\u0308"}]),
        ("queries", [{"name": "\ud800"}]),
        ("queries", [{"name": "a" * 2000}]),
        ("queries", [{"file_id": "00" * 31}]),
        ("queries", [{"sha256": "GG" * 32}]),
        ("words", "x" * 257),
        ("prefix", "/etc"),
        ("folder", "docs"),
        ("folder", "../"),
        ("match", "x" * 65),
        ("page_size", 1 << 40),
        ("page_token", 7),
        ("page_token", "x" * 5000),
        ("max_holders", 65),
    ],
)
def test_what_is_wrong_in_a_request_is_named(field: str, value: object) -> None:
    body = request_to_json(REQUEST) | {field: value}
    with pytest.raises(InvalidRequest) as refused:
        request_from_json(body)
    assert str(refused.value).startswith(field)


def test_a_search_needs_words_and_a_list_of_files_a_peer() -> None:
    for kind in ("search", "files"):
        with pytest.raises(InvalidRequest):
            request_from_json(request_to_json(REQUEST) | {"kind": kind, "words": "  "})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["complete"], 1),
        (["via"], ["x"] * 100),
        (["via"], [3]),
        (["results", 0, 0, "size"], -1),
        (["results", 0, 0, "size"], 1 << 50),
        (["results", 0, 0, "file_id"], "00"),
        (["results", 0, 0, "names"], ["a"] * 9),
        (["results", 0, 0, "names"], ["../../etc/passwd"]),
        (["results", 0, 0, "holders", 0, "peer", "url"], "file:///etc/passwd"),
        (["results", 0, 0, "holders", 0, "peer", "url"], "http://a:1/path"),
        (["results", 0, 0, "holders", 0, "peer", "url"], "http://user@a:1"),
        (["results", 0, 0, "holders", 0, "peer", "name"], "a\x1b[31m"),
        (["results", 0, 0, "holders", 0, "peer", "peer_id"], "zz" * 32),
        (["results", 0, 0, "holders", 0, "sha256_checked"], "yes"),
        (["results", 0, 0, "holder_count"], None),
        (["peers", 0, "heartbeat_age"], float("nan")),
        (["peers", 0, "heartbeat_age"], float("inf")),
        (["peers", 0, "bytes"], "many"),
        (["files", 0, "name"], ""),
        (["files", 0, "sha256"], None),
        (["next_page_token"], []),
    ],
)
def test_what_is_wrong_in_an_answer_is_named(path: list[Any], value: object) -> None:
    body: Any = deepcopy(json.loads(json.dumps(answer_to_json(ANSWER))))
    inner = body
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(InvalidRequest) as refused:
        answer_from_json(body)
    assert str(path[-1]) in str(refused.value)


@given(JSON)
def test_any_json_is_taken_or_refused_in_words(body: object) -> None:
    for read in (request_from_json, answer_from_json):
        with pytest.raises(InvalidRequest):
            read(body)


@given(st.sampled_from(sorted(request_to_json(REQUEST))), JSON)
def test_any_json_in_a_field_is_taken_or_refused_in_words(field: str, value: object) -> None:
    try:
        request_from_json(request_to_json(REQUEST) | {field: value})
    except InvalidRequest as error:
        assert str(error)
