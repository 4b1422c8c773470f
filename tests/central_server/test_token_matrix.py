"""Every rpc × every token that must open nothing: UNAUTHENTICATED, no rule asked, nothing written.

The rpcs come from the proto itself, so that a new one is in the matrix by being there.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from central_server.server import METHODS, Server
from protos import locator_pb2 as pb
from protos.tokens import LOCATOR_AUDIENCE, Issuer
from tests.central_server.peer_double import PeerDouble, listening
from tests.central_server.samples import digest, entry, epoch
from tests.central_server.test_rpc import KEY, Running
from tests.protos.forged_tokens import Real, forged

RPCS = [
    (service.full_name, method.name)
    for service in pb.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]


class World:
    """A locator with one member, who has one file."""

    def __init__(self, running: Running, ann: PeerDouble, key: Ed25519PrivateKey) -> None:
        self._store = running.path
        self._ann = ann
        self._key = key
        self.channel = grpc.insecure_channel(f"127.0.0.1:{running.port}")
        ann.register(self.channel)
        ann.share(self.channel, 1, [entry("song")])

    def real(self, scope: str) -> Real:
        """What ann's own token for that scope is made of."""
        return Real(self._key, KEY, LOCATOR_AUDIENCE, scope)

    def call(self, service: str, rpc: str, token: str | None) -> grpc.StatusCode:
        """The status of a call that would be answered, and would mostly write, if the token were good."""
        method = self.channel.unary_unary(f"/{service}/{rpc}", bytes, bytes)
        metadata = None if token is None else (("authorization", f"Bearer {token}"),)
        try:
            method(self._body(rpc), metadata=metadata, timeout=10)
        except grpc.RpcError as error:
            found: grpc.StatusCode = error.code()
            return found
        return grpc.StatusCode.OK

    def _body(self, rpc: str) -> bytes:
        lease, mine = self._ann.lease_id, epoch("ann")
        bodies: dict[str, Any] = {  # Any: messages
            "Register": pb.RegisterRequest(name="eve", url=self._ann.url, version="1", epoch=epoch("eve")),
            "Heartbeat": pb.HeartbeatRequest(lease_id=lease, epoch=epoch("eve"), sequence=9, free_bytes=1),
            "Announce": pb.AnnounceRequest(
                lease_id=lease, epoch=mine, previous_sequence=1, sequence=2, removed=["song"]
            ),
            "Leave": pb.LeaveRequest(lease_id=lease),
            "Locate": pb.LocateRequest(queries=[pb.LocateQuery(name="song")]),
            "Search": pb.SearchRequest(words="song"),
            "PlaceUpload": pb.PlaceUploadRequest(file_id=digest("x"), size=1, count=1),
            "Signup": pb.SignupRequest(user="eve", password="long enough"),
        }
        return bytes(bodies[rpc].SerializeToString()) if rpc in bodies else b""

    def written(self) -> list[str]:
        """All that the store holds."""
        with sqlite3.connect(f"file:{self._store}?mode=ro", uri=True) as database:
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            plain = [name for name in tables if not name.startswith(("sqlite_", "words"))]
            return [repr(row) for name in plain for row in database.execute(f"SELECT * FROM {name}")]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    path: Path = tmp_path_factory.mktemp("matrix") / "locator.sqlite"
    key = Ed25519PrivateKey.generate()
    ann = PeerDouble("ann", KEY)
    ann.issuer = Issuer(key, KEY)
    ann.verifier = type(ann.verifier)(ann.issuer.peer_id, KEY)
    ann.peer_id = bytes.fromhex(ann.issuer.peer_id)
    with Running(path) as running, listening(ann):
        made = World(running, ann, key)
        yield made
        made.channel.close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """A line for each call that got past the check of its token."""
    calls: list[object] = []
    answer = Server._timed

    async def noted(self: Server, *arguments: Any) -> Any:
        calls.append(arguments)
        return await answer(self, *arguments)

    monkeypatch.setattr(Server, "_timed", noted)
    return calls


@pytest.mark.parametrize(("service", "rpc"), RPCS)
def test_no_forged_token_opens_an_rpc(world: World, asked: list[object], service: str, rpc: str) -> None:
    before = world.written()
    for name, token in forged(world.real(METHODS[service][rpc].scope)).items():
        assert world.call(service, rpc, token) is grpc.StatusCode.UNAUTHENTICATED, name
        assert not asked, name
    assert world.written() == before and len(before) > 2


@pytest.mark.parametrize(("service", "rpc"), RPCS)
def test_a_token_of_any_other_scope_opens_nothing(world: World, asked: list[object], service: str, rpc: str) -> None:
    right = METHODS[service][rpc].scope
    scopes = {method.scope for methods in METHODS.values() for method in methods.values()}
    for scope in (scopes | {"fetch", "upload", "lookup", "*", "", right.upper()}) - {right}:
        assert world.call(service, rpc, world.real(scope).token()) is grpc.StatusCode.UNAUTHENTICATED, scope
    assert not asked


def test_the_right_token_does(world: World, asked: list[object]) -> None:
    """So that the above refuses for the tokens' sake, and not because nothing works here."""
    for service, rpc in RPCS:
        if rpc != "Leave":
            status = world.call(service, rpc, world.real(METHODS[service][rpc].scope).token())
            assert status is not grpc.StatusCode.UNAUTHENTICATED
    assert len(asked) == len(RPCS) - 1


def test_another_members_token_does_not_speak_for_a_lease(world: World) -> None:
    eve = Real(Ed25519PrivateKey.generate(), KEY, LOCATOR_AUDIENCE, "membership")
    before = world.written()
    for rpc in ("Heartbeat", "Announce", "Leave"):
        assert world.call("p2p.locator.v1.Locator", rpc, eve.token()) is grpc.StatusCode.NOT_FOUND, rpc
    assert world.written() == before
