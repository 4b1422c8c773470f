"""The whole server on a free port, with real tokens, a real store and peers that answer the dial-back."""

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from central_server import account_rpc, model, people, rpc, server
from central_server.account_rpc import AccountService, People
from central_server.accounts import Accounts
from central_server.dialback import Dialback
from central_server.locator import Locator, Terms
from central_server.placements import Placements
from central_server.rpc import Service
from central_server.server import Server
from central_server.store_sqlite import SQLiteStore
from protos import locator_pb2 as pb
from protos.addresses import AddressPolicy
from protos.tokens import LOCATOR_AUDIENCE, Issuer, Verifier
from tests.central_server.fake_hashing import FakeHashing
from tests.central_server.memory_accounts import MemoryAccounts
from tests.central_server.peer_double import PeerDouble, listening
from tests.central_server.samples import digest, entry, epoch

KEY = b"n" * 32
# Each rpc of the proto: (its service, its name).
METHODS = [
    (service.full_name, method.name)
    for service in pb.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]


class Running:
    """The server on a thread of its own; with `terms` it has accounts, in memory."""

    def __init__(self, path: Path, terms: people.AccountTerms | None = None) -> None:
        self.path = path
        self.terms = terms
        self.kept, self.hashing = MemoryAccounts(), FakeHashing()
        self.port = 0
        self._up = Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> "Running":
        self._thread.start()
        assert self._up.wait(10)
        return self

    def __exit__(self, *_exc: object) -> None:
        assert self._loop is not None and self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        issuer = Issuer(Ed25519PrivateKey.generate(), KEY)
        store = SQLiteStore(self.path, time.time() + 30)
        dialback = Dialback(issuer, KEY, AddressPolicy(own_loopback=True))
        rules = Locator(store, dialback, Terms(30.0, 0.0, 1000), time.time())
        self.locator_id = issuer.peer_id
        placements, accounts = None, AccountService()
        if self.terms is not None:
            people_rules = Accounts(self.kept, self.hashing, self.terms, decoy="")
            placements = Placements(self.kept, people_rules, store.member, ())
            accounts = AccountService(People(people_rules, placements, issuer))
        service = Service(rules, issuer.peer_id, placements)
        server = Server(service, Verifier(LOCATOR_AUDIENCE, KEY), time.time, accounts=accounts)
        self.port = await server.start("127.0.0.1", 0)
        self._up.set()
        await self._stop.wait()
        await server.stop(1.0)
        dialback.close()
        await store.close()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with Running(tmp_path / "locator.sqlite") as server:
        yield server


@pytest.fixture
def channel(running: Running) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{running.port}") as opened:
        yield opened


@pytest.fixture
def ann() -> Iterator[PeerDouble]:
    with listening(PeerDouble("ann", KEY)) as peer:
        yield peer


def status(call: Any, *arguments: Any, **named: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **named)
    return caught.value.code(), caught.value.details() or ""


def test_the_main_job(running: Running, channel: grpc.Channel, ann: PeerDouble) -> None:
    reply = ann.register(channel, 1, free_bytes=5000, accepts_uploads=True)
    assert reply.reachable and len(reply.lease_id) == 16
    assert (reply.lease_ms, reply.heartbeat_ms) == (30_000, 10_000)
    assert reply.locator_id.hex() == running.locator_id
    assert reply.state.snapshot_wanted and abs(reply.locator_time_ms - time.time() * 1000) < 60_000
    files = [entry("docs/a report.txt"), entry("b"), entry("c", partial=True, checked=False)]
    state = ann.share(channel, 1, files).state
    assert (state.epoch, state.sequence, state.snapshot_wanted) == (epoch("ann"), 1, False)
    with listening(PeerDouble("ben", KEY)) as ben:
        assert [peer.name for peer in ben.register(channel, 1).neighbours] == ["ann"]
        queries = [
            pb.LocateQuery(name="b"),
            pb.LocateQuery(file_id=digest("id c")),
            pb.LocateQuery(sha256=digest("sha c")),
            pb.LocateQuery(name="nothing"),
        ]
        by_name, by_id, by_sha, nothing = ben.call(channel, "Locate", pb.LocateRequest(queries=queries)).results
        holder = pb.Holder(peer=pb.Peer(peer_id=ann.peer_id, name="ann", url=ann.url), name="b", sha256_checked=True)
        assert list(by_name.groups) == [
            pb.FileGroup(
                file_id=digest("id b"), size=10, sha256=digest("sha b"), names=["b"], holders=[holder], holder_count=1
            )
        ]
        assert by_id.groups[0].holders[0].partial and not by_id.groups[0].holders[0].sha256_checked
        assert not by_sha.groups and not nothing.groups
        found = ben.call(channel, "Search", pb.SearchRequest(words="rep"))
        assert [group.names[0] for group in found.groups] == ["docs/a report.txt"]
        listed = ben.call(channel, "ListFiles", pb.ListFilesRequest(peer_id=ann.peer_id))
        assert list(listed.files) == [pb.FileEntry(**file._asdict()) for file in sorted(files)]
        request = pb.PlaceUploadRequest(file_id=digest("id new"), size=100, count=2)
        assert [peer.name for peer in ben.call(channel, "PlaceUpload", request).targets] == ["ann"]
        infos = ben.call(channel, "ListPeers", pb.ListPeersRequest()).peers
        assert [(info.peer.name, info.files, info.bytes, info.free_bytes) for info in infos] == [
            ("ann", 3, 30, 5000),
            ("ben", 0, 0, 0),
        ]
        assert ann.heartbeat(channel, 1).state.sequence == 1
        ann.call(channel, "Leave", pb.LeaveRequest(lease_id=ann.lease_id))
        assert not ben.call(channel, "Locate", pb.LocateRequest(queries=queries)).results[0].groups
        assert status(ann.heartbeat, channel)[0] is grpc.StatusCode.NOT_FOUND


def test_pages_follow_their_tokens(channel: grpc.Channel, ann: PeerDouble) -> None:
    ann.register(channel)
    ann.share(channel, 1, [entry(f"song {number}") for number in range(7)])
    with listening(PeerDouble("ben", KEY)) as ben:
        ben.register(channel)
        for method, request, field, expected in (
            ("Search", pb.SearchRequest(words="song", page_size=3), "groups", 7),
            ("ListFiles", pb.ListFilesRequest(peer_id=ann.peer_id, page_size=3), "files", 7),
            ("ListPeers", pb.ListPeersRequest(page_size=1), "peers", 2),
        ):
            seen: list[bytes] = []
            while True:
                page = ann.call(channel, method, request)
                seen += [each.SerializeToString() for each in getattr(page, field)]
                if not page.next_page_token:
                    break
                request.page_token = page.next_page_token
            assert len(seen) == len(set(seen)) == expected
        wrong = pb.SearchRequest(words="other", page_token=request.page_token or "x")
        assert status(ann.call, channel, "Search", wrong)[0] is grpc.StatusCode.INVALID_ARGUMENT


def test_the_older_of_two_processes_with_one_key_is_told(channel: grpc.Channel, ann: PeerDouble) -> None:
    ann.register(channel)
    older = ann.lease_id
    twin = PeerDouble("twin", KEY)
    twin.issuer, twin.verifier = ann.issuer, ann.verifier
    with listening(twin):
        twin.register(channel)
        assert twin.lease_id != older
        code, said = status(ann.heartbeat, channel)
        assert code is grpc.StatusCode.FAILED_PRECONDITION and twin.url in said
        twin.heartbeat(channel)


def test_an_unreachable_peer_is_told_why(channel: grpc.Channel, ann: PeerDouble) -> None:
    ann.answer = b"not a peer"
    reply = ann.register(channel)
    assert not reply.reachable and ann.url in reply.unreachable_why
    assert not ann.call(channel, "ListPeers", pb.ListPeersRequest()).peers
    ann.url = "http://169.254.169.254"
    assert status(ann.register, channel)[0] is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize(("service", "method"), METHODS)
def test_every_rpc_wants_a_token_of_its_scope(
    channel: grpc.Channel, ann: PeerDouble, service: str, method: str
) -> None:
    path = f"/{service}/{method}"
    scope = server.METHODS[service][method].scope
    call = channel.unary_unary(path, bytes, bytes)
    stranger = PeerDouble("stranger", b"x" * 32)
    wrong = "membership" if scope == "locate" else "locate"
    for metadata in (None, [("authorization", "Bearer x")], stranger.metadata("locate"), ann.metadata(wrong)):
        assert status(call, b"", metadata=metadata, timeout=10)[0] is grpc.StatusCode.UNAUTHENTICATED
    right = ann.metadata(scope)
    assert status(call, b"\xff\xff", metadata=right, timeout=10)[0] is grpc.StatusCode.INVALID_ARGUMENT


def test_each_rpc_of_the_proto_is_served_and_no_other(channel: grpc.Channel, ann: PeerDouble) -> None:
    assert sorted((service, name) for service, table in server.METHODS.items() for name in table) == sorted(METHODS)
    for service in server.METHODS:
        other = channel.unary_unary(f"/{service}/Other", bytes, bytes)
        assert status(other, b"", metadata=ann.metadata("locate"))[0] is grpc.StatusCode.UNIMPLEMENTED


def test_each_rpc_has_the_scope_that_the_proto_says() -> None:
    """`Scope "…"` stands in the remark before the rpc; in the service Accounts "account" goes without saying."""
    proto = (Path(__file__).parents[2] / "protos" / "locator.proto").read_text()
    for service, usual in ((rpc.SERVICE, None), (account_rpc.SERVICE, "account")):
        block = proto.partition(f"\nservice {service.rpartition('.')[2]} {{")[2].partition("\n}")[0]
        said = {
            name: (re.findall(r'Scope "(\w+)"', remark) or [usual])[0]
            for remark, name in re.findall(r"((?:^ +//.*\n)+) +rpc (\w+)\(", block, re.MULTILINE)
        }
        assert said == {name: method.scope for name, method in server.METHODS[service].items()}


def test_every_error_of_the_rules_has_a_status() -> None:
    of_members = set(model.LocatorError.__subclasses__()) - {people.AccountError}
    of_people = set(people.AccountError.__subclasses__())
    assert set(server.STATUS) == of_members | of_people
    assert max(len(of_members), len(of_people)) <= 8


def test_errors_have_their_status(channel: grpc.Channel, ann: PeerDouble) -> None:
    ann.register(channel)
    assert status(ann.call, channel, "Locate", pb.LocateRequest(queries=[pb.LocateQuery()]))[0] is (
        grpc.StatusCode.INVALID_ARGUMENT
    )
    code, _ = status(ann.call, channel, "ListFiles", pb.ListFilesRequest(peer_id=bytes(32)))
    assert code is grpc.StatusCode.NOT_FOUND
    code, said = status(ann.share, channel, 1, [entry(f"f{number}") for number in range(1001)])
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED and "1000" in said
    bad = pb.AnnounceRequest(
        lease_id=ann.lease_id, epoch=epoch("ann"), sequence=1, snapshot_part=1, snapshot_begin=True
    )
    assert status(ann.call, channel, "Announce", bad)[0] is grpc.StatusCode.INVALID_ARGUMENT


def test_the_largest_batch_fits_in_a_message(channel: grpc.Channel, ann: PeerDouble) -> None:
    ann.register(channel)
    files = [entry(f"{'x' * 250}/{'y' * 250}/{'z' * 250}/{'w' * 250}/{number:05}") for number in range(1000)]
    assert ann.share(channel, 1, files).state.sequence == 1


@pytest.mark.logs_errors
def test_an_unknown_failure_is_shown_with_an_id_to_quote(
    channel: grpc.Channel, ann: PeerDouble, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_arguments: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(Locator, "locate", fail)
    code, said = status(ann.call, channel, "Locate", pb.LocateRequest())
    assert code is grpc.StatusCode.INTERNAL and said.startswith("internal error, quote ")
    assert "secret" not in said
    assert said.removeprefix("internal error, quote ") in caplog.text and "secret detail" in caplog.text


def test_a_call_without_a_deadline_gets_one(
    channel: grpc.Channel, ann: PeerDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*_arguments: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Locator, "locate", hang)
    monkeypatch.setattr(server, "DEFAULT_SECONDS", 0.05)
    call = channel.unary_unary(f"/{rpc.SERVICE}/Locate", bytes, bytes)
    assert status(call, b"", metadata=ann.metadata("locate"))[0] is grpc.StatusCode.DEADLINE_EXCEEDED


def test_standard_tools_find_health_and_reflection(channel: grpc.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    for service in ("", rpc.SERVICE):
        reply = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
        assert reply.status == health_pb2.HealthCheckResponse.SERVING
    assert rpc.SERVICE in ProtoReflectionDescriptorDatabase(channel).get_services()
