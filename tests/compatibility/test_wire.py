"""A peer of the release before accounts and a locator of this one, and the other way round, over real gRPC."""

import time
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from demo.processes import Locator, wait_for
from protos import locator_pb2 as pb
from protos.tokens import Issuer
from pserver.model import NotFound, Peer, Query
from pserver.remote.account_client import AccountClient
from pserver.remote.locator_client import LocatorClient
from tests.central_server.peer_double import PeerDouble, listening
from tests.central_server.samples import digest, epoch
from tests.compatibility.old_wire import OldWire
from tests.pserver.fake_locator import FakeIndex
from tests.pserver.memberships import running_memberships


def test_what_a_field_means_never_changes(old: OldWire) -> None:
    """Its number, name and kind: of each field that there was."""
    for message in old.messages():
        now = pb.DESCRIPTOR.message_types_by_name[message.name].fields_by_number
        for field in message.fields:
            found = now[field.number]
            told = f"{message.name}.{field.name}"
            assert (found.name, found.type, found.is_repeated) == (field.name, field.type, field.is_repeated), told
            if field.message_type is not None:
                assert found.message_type is not None
                assert found.message_type.full_name == field.message_type.full_name, told


def test_no_rpc_is_gone(old: OldWire) -> None:
    now = pb.DESCRIPTOR.services_by_name["Locator"].methods_by_name
    for method in old.methods():
        assert now[method.name].input_type.name == method.input_type.name
        assert now[method.name].output_type.name == method.output_type.name


class OldPeer:
    """Says what the peer of that release said, in its own messages."""

    def __init__(self, wire: OldWire, channel: grpc.Channel, double: PeerDouble) -> None:
        self._wire, self._channel, self._double = wire, channel, double
        self.url = double.url

    def call(self, rpc: str, scope: str = "membership", /, **said: Any) -> Any:
        request = self._wire.message(f"{rpc}Request")(**said)
        return self._wire.stub(self._channel, rpc)(request, metadata=self._double.metadata(scope), timeout=10)


@pytest.fixture
def old_peer(old: OldWire, tmp_path: Path) -> Iterator[OldPeer]:
    """At a locator of this release, with accounts on: there is more in its replies than that peer knows."""
    locator = Locator(tmp_path, LOCATOR_ACCOUNTS="on")
    locator.start()
    try:
        with listening(PeerDouble("ann")) as double, grpc.insecure_channel(locator.address) as channel:
            yield OldPeer(old, channel, double)
    finally:
        locator.stop()


def test_an_older_peer_at_a_newer_locator(old: OldWire, old_peer: OldPeer) -> None:
    ask, url = old_peer.call, old_peer.url
    reply = ask("Register", name="ann", url=url, version="0.0.9", epoch=epoch("ann"), sequence=2, accepts_uploads=True)
    assert (len(reply.lease_id), reply.lease_ms, reply.reachable) == (16, 30_000, True), reply.unreachable_why
    assert reply.state.snapshot_wanted
    lease, entry = reply.lease_id, old.message("FileEntry")
    files = [entry(name=name, file_id=digest(name), size=7, sha256=digest(name), sha256_checked=True) for name in "ab"]
    whole: dict[str, Any] = {"snapshot_begin": True, "snapshot_end": True, "added": files, "sequence": 2}
    assert ask("Announce", lease_id=lease, epoch=epoch("ann"), **whole).state.sequence == 2
    delta: dict[str, Any] = {"previous_sequence": 2, "sequence": 3, "removed": ["b"]}
    assert ask("Announce", lease_id=lease, epoch=epoch("ann"), **delta).state.sequence == 3
    beat = ask("Heartbeat", lease_id=lease, epoch=epoch("ann"), sequence=3, free_bytes=5)
    assert (beat.lease_ms, beat.state.snapshot_wanted) == (30_000, False)
    [result] = ask("Locate", "locate", queries=[old.message("LocateQuery")(name="a")]).results
    assert [holder.peer.url for holder in result.groups[0].holders] == [url]
    assert [list(group.names) for group in ask("Search", "locate", words="a").groups] == [["a"]]
    [info] = ask("ListPeers", "locate").peers
    assert (info.peer.name, info.files) == ("ann", 1)
    assert [file.name for file in ask("ListFiles", "locate", peer_id=info.peer.peer_id).files] == ["a"]
    assert not ask("PlaceUpload", file_id=digest("z"), size=1, count=1).targets
    ask("Leave", lease_id=lease)
    assert not ask("ListPeers", "locate").peers


class OldLocator:
    """The answers of a locator of that release, to one peer: what it announced is what it knows."""

    def __init__(self, wire: OldWire) -> None:
        self._wire = wire
        self.state = wire.message("AnnounceState")()
        self.files: dict[str, Any] = {}
        self.left = False

    def answers(self) -> dict[str, Any]:
        verbs = (self.register, self.heartbeat, self.announce, self.leave, self.locate)
        return {verb.__name__.capitalize(): verb for verb in verbs}

    def register(self, _request: Any) -> Any:
        self.state.snapshot_wanted = True
        return self._reply("Register", lease_id=b"l" * 16, reachable=True, locator_time_ms=time.time_ns() // 1_000_000)

    def heartbeat(self, _request: Any) -> Any:
        return self._reply("Heartbeat")

    def announce(self, request: Any) -> Any:
        self.files |= {file.name: file for file in request.added}
        for name in request.removed:
            del self.files[name]
        self.state = self._wire.message("AnnounceState")(epoch=request.epoch, sequence=request.sequence)
        return self._wire.message("AnnounceReply")(state=self.state)

    def leave(self, _request: Any) -> Any:
        self.left = True
        return self._wire.message("LeaveReply")()

    def locate(self, request: Any) -> Any:
        found = [self.files[query.name] for query in request.queries]
        group, result = self._wire.message("FileGroup"), self._wire.message("LocateResult")
        groups = [group(file_id=file.file_id, size=file.size, sha256=file.sha256, names=[file.name]) for file in found]
        return self._wire.message("LocateReply")(results=[result(groups=[each]) for each in groups])

    def _reply(self, name: str, **more: Any) -> Any:
        return self._wire.message(f"{name}Reply")(lease_ms=30_000, heartbeat_ms=200, state=self.state, **more)


@contextmanager
def _serving(locator: OldLocator, wire: OldWire) -> Iterator[str]:
    with futures.ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool, handlers=[wire.handlers(locator.answers())])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(0).wait()


def test_a_newer_peer_at_an_older_locator(old: OldWire) -> None:
    locator, index = OldLocator(old), FakeIndex("a", "b")
    issuer = Issuer(Ed25519PrivateKey.generate(), None)
    with _serving(locator, old) as address, running_memberships() as start:
        client = LocatorClient(address, issuer)
        member = start(index, client, own=Peer(issuer.peer_id, "ann", "http://127.0.0.1:1"))
        wait_for("the share is announced", lambda: set(locator.files) == {"a", "b"})
        index.drop("b")
        wait_for("a change is announced", lambda: set(locator.files) == {"a"})
        assert member.in_reach() and member.reachable().ok
        assert client.version == "", "it did not say"
        [[group]] = client.locate([Query(name="a")], 16, 5.0)
        assert (group.names, group.holders) == (["a"], [])
        _has_no_accounts(client)
        member.stop()
        assert locator.left
        client.close()


def _has_no_accounts(client: LocatorClient) -> None:
    accounts = AccountClient(client)
    for ask in (lambda: accounts.login("ann", "correct horse", 5.0), lambda: accounts.take_orders(5.0)):
        with pytest.raises(NotFound) as caught:
            ask()
        assert caught.value.code == "no_accounts"
