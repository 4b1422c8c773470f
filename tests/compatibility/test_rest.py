"""Between peers of different releases: JSON members that this one does not know, and ones that an older one lacks."""

from typing import Any

import pytest

from pserver.model import FileEntry, FileGroup, Holder, LookupAnswer, LookupRequest, Peer, PeerInfo, Query
from pserver.remote.lookup_json import answer_from_json, answer_to_json, request_from_json, request_to_json
from pserver.remote.swarm_messages import SwarmNews, news_from_json, news_to_json
from tests.pserver.web_lab import FILE_ID, QUERY_ID, SHA256, PeerLab

PEER = Peer("ab" * 32, "ann", "http://10.0.0.1:8001")
GROUP = FileGroup(FILE_ID, 7, SHA256, ["a"], [Holder(PEER, "a", sha256_checked=True)], 1)
INFO = PeerInfo(PEER, 1, 2, 3, accepts_uploads=True, version="0.1.0", heartbeat_age=1.5)
ANSWER = LookupAnswer(True, ["ann"], [[GROUP]], [GROUP], [INFO], [FileEntry("a", FILE_ID, 7, SHA256, True)], "next")
REQUEST = LookupRequest("locate", QUERY_ID, 1, 900, queries=(Query(name="a"), Query(file_id=FILE_ID)))
NEWS = SwarmNews(b"\x80", [(PEER, b"\x80")])
OFFER = {"file_id": FILE_ID.hex(), "size": 9, "name": "a", "sha256": SHA256.hex(), "url": PEER.url, "grant": None}
ASKER = {"url": PEER.url, "name": "c", "bitfield": "AQ=="}
BODIES: list[tuple[str, str, dict[str, Any]]] = [
    ("/peer/v1/lookups", "lookup", request_to_json(REQUEST)),
    ("/peer/v1/offers", "offer", OFFER),
    (f"/peer/v1/swarms/{FILE_ID.hex()}", "file", ASKER),
    ("/peer/v1/bundles", "bundle", {"file_ids": [FILE_ID.hex()]}),
]


def with_more(value: Any) -> Any:
    """The same with a member of the future in each object."""
    if isinstance(value, dict):
        return {**{key: with_more(each) for key, each in value.items()}, "of_the_future": {"x": [1]}}
    return [with_more(each) for each in value] if isinstance(value, list) else value


def _asked(path: str, scope: str, body: dict[str, Any]) -> tuple[int, list[tuple[Any, ...]]]:
    """The status, and what the node was asked (besides who asked, which differs each time)."""
    lab = PeerLab()
    answer = lab.http.post(path, json=body, headers=lab.auth(scope, FILE_ID if scope == "file" else None))
    return answer.status_code, [one[:2] for one in lab.node.asked]


@pytest.mark.parametrize(("path", "scope", "body"), BODIES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_newer_peer_may_say_more(path: str, scope: str, body: dict[str, Any]) -> None:
    status, asked = _asked(path, scope, with_more(body))
    assert status < 300 and asked
    assert (status, asked) == _asked(path, scope, body)


def test_a_newer_peer_may_answer_more() -> None:
    assert request_from_json(with_more(request_to_json(REQUEST))) == REQUEST
    assert answer_from_json(with_more(answer_to_json(ANSWER))) == ANSWER
    assert news_from_json(with_more(news_to_json(NEWS))) == NEWS


def test_an_older_peer_says_less() -> None:
    least = {"kind": "locate", "query_id": QUERY_ID, "hops": 1, "deadline_ms": 900, "queries": [{"name": "a"}]}
    assert request_from_json(least) == LookupRequest("locate", QUERY_ID, 1, 900, queries=(Query(name="a"),))
    assert answer_from_json({"complete": True}) == LookupAnswer(True)
    before_accounts = {key: value for key, value in OFFER.items() if key != "grant"}
    assert _asked("/peer/v1/offers", "offer", before_accounts)[0] < 300
