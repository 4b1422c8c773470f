"""Page tokens come back as they went, and nothing else does."""

import base64
import json

import pytest

from central_server.model import InvalidRequest
from central_server.pages import cursor_of, page_token
from protos import locator_pb2 as pb

REQUEST = pb.SearchRequest(words="report", page_size=3)


def test_a_token_brings_its_cursor_back() -> None:
    token = page_token(REQUEST, (7, 9))
    assert cursor_of(REQUEST, token, (0, 0)) == [7, 9]
    other_size = pb.SearchRequest(words="report", page_size=50, page_token=token)
    assert cursor_of(other_size, token, (0, 0)) == [7, 9]
    assert cursor_of(REQUEST, "", (0, 0)) == [0, 0]
    assert page_token(REQUEST, None) == ""
    longest = "日" * 341
    listing = pb.ListFilesRequest(peer_id=bytes(32))
    assert cursor_of(listing, page_token(listing, (longest,)), ("",)) == [longest]


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "!!!!",
        "é",
        "A" * 5000,
        base64.urlsafe_b64encode(b"[" * 1000).decode(),
        base64.urlsafe_b64encode(b"{}").decode(),
        base64.urlsafe_b64encode(b"7").decode(),
        page_token(pb.SearchRequest(words="other"), (7, 9)),
        page_token(pb.ListFilesRequest(), ("a",)),
        page_token(REQUEST, ("7", 9)),
        page_token(REQUEST, (7,)),
        page_token(REQUEST, (-1, 2**70)),
        base64.urlsafe_b64encode(json.dumps([True, 1, 2]).encode()).decode(),
    ],
)
def test_any_other_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidRequest, match="page token"):
        cursor_of(REQUEST, token, (0, 0))
