"""The client of the locator: what it sends, what it makes of what comes back, and what of what goes wrong."""

import time
from collections.abc import Callable, Iterator

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protos import locator_pb2 as messages
from protos.tokens import Issuer
from pserver.model import (
    FileEntry,
    FileGroup,
    Holder,
    InvalidRequest,
    NotFound,
    Peer,
    PeerInfo,
    PServerError,
    Query,
    Refused,
    Replaced,
    Unavailable,
)
from pserver.remote.locator_client import LocatorClient
from pserver.remote.locator_messages import Batch, IndexState, Introduction, Pulse
from tests.pserver.scripted_locator import Said, ScriptedLocator, running, state

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NETWORK_KEY = b"k" * 32
ISSUER = Issuer(KEY, NETWORK_KEY)
ID, SHA256, LEASE, EPOCH = b"\1" * 32, b"\2" * 32, b"\3" * 16, b"\4" * 16
PEER = Peer((b"\5" * 32).hex(), "bob", "http://10.0.0.1:8001")
SAID_PEER = messages.Peer(peer_id=b"\5" * 32, name="bob", url="http://10.0.0.1:8001")
ENTRY = FileEntry("docs/a.txt", ID, 7, SHA256, True)
INTRODUCTION = Introduction("ann", "http://10.0.0.2:8001", "0.1.0", 1000, True, EPOCH, 5)
PULSE = Pulse(LEASE, 1000, True, EPOCH, 5)
SECONDS = 5.0


@pytest.fixture
def locator() -> Iterator[tuple[ScriptedLocator, str]]:
    with running(time.time, NETWORK_KEY) as found:
        yield found


@pytest.fixture
def scripted(locator: tuple[ScriptedLocator, str]) -> ScriptedLocator:
    return locator[0]


@pytest.fixture
def client(locator: tuple[ScriptedLocator, str]) -> Iterator[LocatorClient]:
    made = LocatorClient(locator[1], ISSUER)
    yield made
    made.close()


def registered(**changed: object) -> messages.RegisterReply:
    reply = messages.RegisterReply(
        lease_id=LEASE,
        lease_ms=30_000,
        heartbeat_ms=10_000,
        state=state(EPOCH, 4),
        neighbours=[SAID_PEER],
        reachable=True,
        locator_time_ms=int(time.time() * 1000),
        locator_id=ID,
    )
    for name, value in changed.items():
        setattr(reply, name, value)
    return reply


def group(**changed: object) -> messages.FileGroup:
    holder = messages.Holder(peer=SAID_PEER, name="docs/a.txt", sha256_checked=True)
    said: dict[str, object] = {"file_id": ID, "size": 7, "sha256": SHA256, "names": ["docs/a.txt"]}
    said |= {"holders": [holder], "holder_count": 3} | changed
    return messages.FileGroup(**said)  # type: ignore[arg-type]  # of all the fields' types


GROUP = FileGroup(ID, 7, SHA256, ["docs/a.txt"], [Holder(PEER, "docs/a.txt", True)], 3)

VERBS: dict[str, Callable[[LocatorClient], object]] = {
    "Register": lambda client: client.register(INTRODUCTION, SECONDS),
    "Heartbeat": lambda client: client.heartbeat(PULSE, SECONDS),
    "Announce": lambda client: client.announce(LEASE, Batch(EPOCH, 4, 5, [ENTRY]), SECONDS),
    "Leave": lambda client: client.leave(LEASE, SECONDS),
    "Locate": lambda client: client.locate([Query(name="a")], 0, SECONDS),
    "Search": lambda client: client.search("a", 0, "", SECONDS),
    "ListPeers": lambda client: client.list_peers("", "", 0, "", SECONDS),
    "ListFiles": lambda client: client.list_files(PEER.peer_id, "", 0, "", SECONDS),
    "PlaceUpload": lambda client: client.place_upload(ID, 7, 2, [], SECONDS),
}


# --- what it sends and what it makes of the answer


def test_register(client: LocatorClient, scripted: ScriptedLocator) -> None:
    scripted.answers["Register"] = lambda _request: registered(reachable=False, unreachable_why="no route\x1b[31m")
    answer = client.register(INTRODUCTION, SECONDS)
    [(_verb, request, issuer)] = scripted.asked
    assert (request.name, request.url, request.epoch, request.sequence) == ("ann", INTRODUCTION.url, EPOCH, 5)
    assert (request.version, request.free_bytes, request.accepts_uploads) == ("0.1.0", 1000, True)
    assert issuer == ISSUER.peer_id
    assert (answer.lease_id, answer.lease.lease_seconds, answer.lease.heartbeat_seconds) == (LEASE, 30.0, 10.0)
    assert answer.lease.index == IndexState(EPOCH, 4)
    assert answer.lease.neighbours == (PEER,)
    assert (answer.reachable, answer.unreachable_why, answer.locator_id) == (False, "no route[31m", ID)
    assert abs(answer.locator_time - time.time()) < 60


def test_clocks_that_differ_are_told(
    client: LocatorClient, scripted: ScriptedLocator, caplog: pytest.LogCaptureFixture
) -> None:
    scripted.answers["Register"] = lambda _request: registered(locator_time_ms=int(time.time() * 1000) - 45_000)
    client.register(INTRODUCTION, SECONDS)
    assert "45 s apart" in caplog.text


def test_heartbeat(client: LocatorClient, scripted: ScriptedLocator) -> None:
    scripted.answers["Heartbeat"] = lambda _request: messages.HeartbeatReply(
        lease_ms=9000,
        heartbeat_ms=3000,
        state=state(EPOCH, 2, True, 1500),
        neighbours=[SAID_PEER],
        accounts=True,
        orders_waiting=True,
    )
    lease = client.heartbeat(PULSE, SECONDS)
    [request] = scripted.of("Heartbeat")
    assert (request.lease_id, request.free_bytes, request.epoch, request.sequence) == (LEASE, 1000, EPOCH, 5)
    assert request.accepts_uploads
    assert (lease.lease_seconds, lease.heartbeat_seconds, lease.neighbours) == (9.0, 3.0, (PEER,))
    assert lease.accounts and lease.orders_waiting
    assert lease.index == IndexState(EPOCH, 2, True, 1.5)


def test_announce_a_delta(client: LocatorClient, scripted: ScriptedLocator) -> None:
    scripted.answers["Announce"] = lambda request: messages.AnnounceReply(state=state(EPOCH, request.sequence))
    assert client.announce(LEASE, Batch(EPOCH, 4, 9, [ENTRY], ["b"]), SECONDS) == IndexState(EPOCH, 9)
    [request] = scripted.of("Announce")
    assert (request.lease_id, request.epoch, request.previous_sequence, request.sequence) == (LEASE, EPOCH, 4, 9)
    [entry] = request.added
    assert (entry.name, entry.file_id, entry.size, entry.sha256) == ("docs/a.txt", ID, 7, SHA256)
    assert (entry.sha256_checked, entry.partial, list(request.removed)) == (True, False, ["b"])
    assert not request.snapshot_begin
    assert not request.snapshot_end


@pytest.mark.parametrize(
    ("part", "last", "begin", "end"), [(0, False, True, False), (1, False, False, False), (0, True, True, True)]
)
def test_announce_a_snapshot(
    client: LocatorClient, scripted: ScriptedLocator, part: int, last: bool, begin: bool, end: bool
) -> None:
    scripted.answers["Announce"] = lambda _request: messages.AnnounceReply(state=state(EPOCH, 9))
    client.announce(LEASE, Batch(EPOCH, 0, 9, [ENTRY], part=part, last=last), SECONDS)
    [request] = scripted.of("Announce")
    assert (request.snapshot_begin, request.snapshot_end, request.snapshot_part) == (begin, end, part)


def test_leave(client: LocatorClient, scripted: ScriptedLocator) -> None:
    scripted.answers["Leave"] = lambda _request: messages.LeaveReply()
    client.leave(LEASE, SECONDS)
    assert scripted.of("Leave") == [messages.LeaveRequest(lease_id=LEASE)]


def test_locate(client: LocatorClient, scripted: ScriptedLocator) -> None:
    scripted.answers["Locate"] = lambda request: messages.LocateReply(
        results=[messages.LocateResult(groups=[group()]) for _query in request.queries]
    )
    queries = [Query(name="docs/a.txt"), Query(file_id=ID), Query(sha256=SHA256)]
    assert client.locate(queries, 9, SECONDS) == [[GROUP]] * 3
    [request] = scripted.of("Locate")
    assert request.max_holders == 9
    assert [query.WhichOneof("by") for query in request.queries] == ["name", "file_id", "sha256"]


def test_a_large_locate_goes_in_several_calls_and_keeps_its_order(
    client: LocatorClient, scripted: ScriptedLocator
) -> None:
    def answer(request: messages.LocateRequest) -> messages.LocateReply:
        groups = [group(names=[query.name]) for query in request.queries]
        return messages.LocateReply(results=[messages.LocateResult(groups=[each]) for each in groups])

    scripted.answers["Locate"] = answer
    names = [f"file-{number}" for number in range(600)]
    results = client.locate([Query(name=name) for name in names], 0, SECONDS)
    assert [found[0].names[0] for found in results] == names
    assert [len(request.queries) for request in scripted.of("Locate")] == [256, 256, 88]


def test_search_and_its_pages(client: LocatorClient, scripted: ScriptedLocator) -> None:
    scripted.answers["Search"] = lambda _request: messages.SearchReply(groups=[group()], next_page_token="n")
    assert client.search("two words", 5, "t", SECONDS) == ([GROUP], "n")
    assert scripted.of("Search") == [messages.SearchRequest(words="two words", page_size=5, page_token="t")]


def test_list_peers(client: LocatorClient, scripted: ScriptedLocator) -> None:
    info = messages.PeerInfo(
        peer=SAID_PEER, files=1, bytes=2, free_bytes=3, accepts_uploads=True, version="0.1", heartbeat_age_ms=1500
    )
    scripted.answers["ListPeers"] = lambda _request: messages.ListPeersReply(peers=[info], next_page_token="n")
    found = client.list_peers("bob", "docs/", 5, "t", SECONDS)
    assert found == ([PeerInfo(PEER, 1, 2, 3, True, "0.1", 1.5)], "n")
    [request] = scripted.of("ListPeers")
    assert (request.match, request.folder, request.page_size, request.page_token) == ("bob", "docs/", 5, "t")


def test_list_files(client: LocatorClient, scripted: ScriptedLocator) -> None:
    entry = messages.FileEntry(name="docs/a.txt", file_id=ID, size=7, sha256=SHA256, sha256_checked=True)
    scripted.answers["ListFiles"] = lambda _request: messages.ListFilesReply(files=[entry], next_page_token="n")
    assert client.list_files(PEER.peer_id, "docs/", 5, "t", SECONDS) == ([ENTRY], "n")
    [request] = scripted.of("ListFiles")
    assert (request.peer_id.hex(), request.prefix, request.page_size, request.page_token) == (
        PEER.peer_id,
        "docs/",
        5,
        "t",
    )


def test_place_upload(client: LocatorClient, scripted: ScriptedLocator) -> None:
    scripted.answers["PlaceUpload"] = lambda _request: messages.PlaceUploadReply(targets=[SAID_PEER])
    assert client.place_upload(ID, 7, 2, [PEER.peer_id], SECONDS) == [PEER]
    [request] = scripted.of("PlaceUpload")
    assert (request.file_id, request.size, request.count) == (ID, 7, 2)
    assert list(request.exclude) == [bytes.fromhex(PEER.peer_id)]


def test_a_query_asks_for_one_thing(client: LocatorClient) -> None:
    for query in (Query(), Query(name="a", file_id=ID)):
        with pytest.raises(ValueError, match="one name"):
            client.locate([query], 0, SECONDS)


# --- what a locator should not send


BAD_PEERS = [
    messages.Peer(peer_id=b"short", name="bob", url="http://10.0.0.1:8001"),
    messages.Peer(peer_id=ID, name="", url="http://10.0.0.1:8001"),
    messages.Peer(peer_id=ID, name="b\x1b[2Job", url="http://10.0.0.1:8001"),
    messages.Peer(peer_id=ID, name="b" * 65, url="http://10.0.0.1:8001"),
    messages.Peer(peer_id=ID, name="bob", url="file:///etc/passwd"),
    messages.Peer(peer_id=ID, name="bob", url="http://10.0.0.1:8001/path"),
    messages.Peer(peer_id=ID, name="bob", url=""),
    messages.Peer(),
]


def test_malformed_peers_are_left_out(client: LocatorClient, scripted: ScriptedLocator) -> None:
    scripted.answers["PlaceUpload"] = lambda _request: messages.PlaceUploadReply(targets=[*BAD_PEERS, SAID_PEER])
    assert client.place_upload(ID, 7, 64, [], SECONDS) == [PEER]


def test_malformed_groups_and_holders_are_left_out(client: LocatorClient, scripted: ScriptedLocator) -> None:
    bad = [
        group(file_id=b"short"),
        group(sha256=b""),
        group(size=1 << 60),
        group(names=["../../etc/passwd"]),
        group(names=[]),
        messages.FileGroup(),
    ]
    holders = [messages.Holder(peer=peer, name="a") for peer in BAD_PEERS]
    holders += [messages.Holder(peer=SAID_PEER, name="/etc/passwd")]
    partly = group(names=["../x", "docs/a.txt"], holders=[*holders, *group().holders], holder_count=3)
    scripted.answers["Search"] = lambda _request: messages.SearchReply(groups=[*bad, partly])
    assert client.search("a", 0, "", SECONDS) == ([GROUP], "")


def test_malformed_entries_are_left_out(client: LocatorClient, scripted: ScriptedLocator) -> None:
    good = messages.FileEntry(name="docs/a.txt", file_id=ID, size=7, sha256=SHA256, sha256_checked=True)
    bad = [messages.FileEntry(name=name, file_id=ID, size=7, sha256=SHA256) for name in ("", "/a", "a/../b", ".h")]
    bad += [messages.FileEntry(name="a", file_id=b"x", size=7, sha256=SHA256)]
    scripted.answers["ListFiles"] = lambda _request: messages.ListFilesReply(files=[*bad, good])
    assert client.list_files(PEER.peer_id, "", 0, "", SECONDS) == ([ENTRY], "")


@pytest.mark.parametrize(
    "reply",
    [
        registered(lease_id=b"short"),
        registered(lease_ms=0),
        registered(heartbeat_ms=0),
        messages.RegisterReply(lease_id=LEASE, lease_ms=1, heartbeat_ms=1, state=state(b"short")),
        messages.RegisterReply(),
    ],
    ids=["lease id", "lease", "heartbeat", "epoch", "empty"],
)
def test_a_registration_that_makes_no_sense_is_none(
    client: LocatorClient, scripted: ScriptedLocator, reply: messages.RegisterReply
) -> None:
    scripted.answers["Register"] = lambda _request: reply
    with pytest.raises(Unavailable, match="malformed"):
        client.register(INTRODUCTION, SECONDS)


def test_results_that_do_not_fit_the_queries_are_none(client: LocatorClient, scripted: ScriptedLocator) -> None:
    scripted.answers["Locate"] = lambda _request: messages.LocateReply(results=[messages.LocateResult()])
    with pytest.raises(Unavailable, match="1 results for 2 queries"):
        client.locate([Query(name="a"), Query(name="b")], 0, SECONDS)


# --- what goes wrong


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, Refused),
        (grpc.StatusCode.PERMISSION_DENIED, Refused),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Refused),
        (grpc.StatusCode.NOT_FOUND, NotFound),
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidRequest),
        (grpc.StatusCode.FAILED_PRECONDITION, Replaced),
        (grpc.StatusCode.UNAVAILABLE, Unavailable),
        (grpc.StatusCode.INTERNAL, Unavailable),
        (grpc.StatusCode.UNIMPLEMENTED, Unavailable),
        (grpc.StatusCode.UNKNOWN, Unavailable),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_status_becomes_our_error(
    client: LocatorClient, scripted: ScriptedLocator, verb: str, status: grpc.StatusCode, error: type[PServerError]
) -> None:
    def refuse(_request: object) -> object:
        raise Said(status, "because of that")

    scripted.answers[verb] = refuse
    with pytest.raises(error) as caught:
        VERBS[verb](client)
    assert type(caught.value) is error
    assert "because of that" in str(caught.value)
    assert client.address in str(caught.value)


def test_a_search_that_is_too_broad_is_the_askers_to_mend(client: LocatorClient, scripted: ScriptedLocator) -> None:
    def too_broad(_request: object) -> object:
        raise Said(grpc.StatusCode.DEADLINE_EXCEEDED, "use more words")

    scripted.answers["Search"] = too_broad
    with pytest.raises(InvalidRequest, match="use more words"):
        client.search("a", 0, "", SECONDS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_call_has_its_deadline(client: LocatorClient, scripted: ScriptedLocator, verb: str) -> None:
    scripted.answers[verb] = scripted.hang
    calls: dict[str, Callable[[], object]] = {
        "Register": lambda: client.register(INTRODUCTION, 0.1),
        "Heartbeat": lambda: client.heartbeat(PULSE, 0.1),
        "Announce": lambda: client.announce(LEASE, Batch(EPOCH, 4, 5, [ENTRY]), 0.1),
        "Leave": lambda: client.leave(LEASE, 0.1),
        "Locate": lambda: client.locate([Query(name="a")], 0, 0.1),
        "Search": lambda: client.search("a", 0, "", 0.1),
        "ListPeers": lambda: client.list_peers("", "", 0, "", 0.1),
        "ListFiles": lambda: client.list_files(PEER.peer_id, "", 0, "", 0.1),
        "PlaceUpload": lambda: client.place_upload(ID, 7, 2, [], 0.1),
    }
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:\d+ did not answer in time"):
        calls[verb]()


def test_a_token_of_another_network_is_refused(locator: tuple[ScriptedLocator, str]) -> None:
    stranger = LocatorClient(locator[1], Issuer(KEY, b"x" * 32))
    with pytest.raises(Refused, match="network"):
        stranger.search("a", 0, "", SECONDS)
    stranger.close()


def test_a_closed_client_says_so(client: LocatorClient) -> None:
    client.close()
    client.close()
    with pytest.raises(Unavailable, match="closed"):
        client.search("a", 0, "", SECONDS)


def test_nobody_there_is_noticed_at_once_and_told_with_the_address() -> None:
    with running(time.time) as (_scripted, address):
        pass
    client = LocatorClient(address, ISSUER)
    with pytest.raises(Unavailable, match=address):
        client.search("a", 0, "", 30.0)
    client.close()


def test_a_locator_that_was_restarted_is_found_again_within_seconds() -> None:
    with running(time.time) as (scripted, address):
        scripted.answers["Leave"] = lambda _request: messages.LeaveReply()
        client = LocatorClient(address, ISSUER)
        client.leave(LEASE, SECONDS)
    with pytest.raises(Unavailable):
        client.leave(LEASE, SECONDS)
    with running(time.time, port=int(address.rpartition(":")[2])) as (scripted, _same):
        scripted.answers["Leave"] = lambda _request: messages.LeaveReply()
        deadline = time.monotonic() + 5
        while True:
            try:
                client.leave(LEASE, SECONDS)
                break
            except Unavailable:
                assert time.monotonic() < deadline
                time.sleep(0.02)
    client.close()
