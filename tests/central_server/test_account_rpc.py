"""Accounts over gRPC: real tokens and grants, accounts in memory, hashes that cost nothing."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from central_server import account_rpc, server
from central_server.backoff import ACCOUNT
from central_server.people import AccountTerms, SlowDown
from protos import locator_pb2 as pb
from protos.grants import GrantVerifier
from protos.locator_pb2_grpc import AccountsStub
from tests.central_server.peer_double import CALL_SECONDS, PeerDouble, listening
from tests.central_server.samples import digest
from tests.central_server.test_rpc import KEY, Running, status

FILE = digest("file")
GOOD = "correct horse"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with Running(tmp_path / "locator.sqlite", AccountTerms(open_signup=True, session_seconds=1000)) as running:
        yield running


@pytest.fixture
def channel(running: Running) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{running.port}") as opened:
        yield opened


@pytest.fixture
def ann() -> Iterator[PeerDouble]:
    with listening(PeerDouble("ann", KEY)) as peer:
        yield peer


def call(channel: grpc.Channel, peer: PeerDouble, method: str, **fields: Any) -> Any:
    """One rpc of Accounts with the right token. Any: the stubs are without types."""
    kind = server.METHODS[account_rpc.SERVICE][method]
    metadata = peer.metadata(kind.scope)
    return getattr(AccountsStub(channel), method)(kind.request(**fields), metadata=metadata, timeout=CALL_SECONDS)


def test_the_main_job(running: Running, channel: grpc.Channel, ann: PeerDouble) -> None:
    assert ann.register(channel).accounts and ann.heartbeat(channel).accounts
    begun = call(channel, ann, "Signup", user="Ann", password=GOOD)
    assert (begun.user, begun.role) == ("ann", pb.ROLE_MEMBER)
    assert 990_000 < begun.expires_ms - 1000 * time.time() <= 1000_000
    second = call(channel, ann, "Login", user="ANN", password=GOOD).session
    checked = call(channel, ann, "CheckSession", session=second)
    assert (checked.user, checked.role) == ("ann", pb.ROLE_MEMBER) and checked.expires_ms
    third = call(channel, ann, "ChangePassword", session=second, old_password=GOOD, new_password="battery staple")
    for ended in (begun.session, second):
        assert status(call, channel, ann, "CheckSession", session=ended)[0] is grpc.StatusCode.NOT_FOUND
    assert call(channel, ann, "Logout", session=third.session, everywhere=True).ended == 1
    assert status(call, channel, ann, "Logout", session=third.session)[0] is grpc.StatusCode.NOT_FOUND


def test_grants_say_who_may_make_whom_hold_what(running: Running, channel: grpc.Channel, ann: PeerDouble) -> None:
    session = call(channel, ann, "Signup", user="ann", password=GOOD).session
    targets = [digest("x"), digest("y")]
    reply = call(channel, ann, "GrantHold", session=session, file_id=FILE, targets=targets)
    for target, token in zip(targets, reply.grants, strict=True):
        grant = GrantVerifier(target.hex(), KEY).check(token, [running.locator_id], time.time())
        assert (grant.user, grant.admin, grant.verb, grant.file_id) == ("ann", False, "hold", FILE.hex())
        assert grant.by == ann.issuer.peer_id


def test_orders_reach_a_peer_that_is_here_and_one_that_comes_later(
    running: Running, channel: grpc.Channel, ann: PeerDouble
) -> None:
    ann.register(channel)
    session = call(channel, ann, "Signup", user="ann", password=GOOD).session
    with listening(PeerDouble("ben", KEY)) as ben:
        call(channel, ann, "GrantHold", session=session, file_id=FILE, targets=[ann.peer_id, ben.peer_id])
        assert not ann.heartbeat(channel).orders_waiting
        dropped = call(channel, ann, "DropPlaced", session=session, file_id=FILE)
        assert ([peer.name for peer in dropped.present], dropped.away) == (["ann"], 1)
        assert ann.heartbeat(channel).orders_waiting and ben.register(channel).orders_waiting
        for peer in (ann, ben):
            [order] = call(channel, peer, "TakeOrders").orders
            verifier = GrantVerifier(peer.issuer.peer_id, KEY)
            grant = verifier.check(order.grant, [running.locator_id], time.time())
            assert (grant.user, grant.verb, grant.file_id, grant.by) == ("ann", "drop", FILE.hex(), None)
            call(channel, peer, "FinishOrders", order_ids=[order.order_id])
            assert not peer.heartbeat(channel).orders_waiting
            assert not call(channel, peer, "TakeOrders").orders


def test_a_peer_takes_and_finishes_its_own_orders_only(channel: grpc.Channel, ann: PeerDouble) -> None:
    session = call(channel, ann, "Signup", user="ann", password=GOOD).session
    call(channel, ann, "GrantHold", session=session, file_id=FILE, targets=[ann.peer_id])
    call(channel, ann, "DropPlaced", session=session, file_id=FILE)
    ben = PeerDouble("ben", KEY)
    assert not call(channel, ben, "TakeOrders").orders
    [order] = call(channel, ann, "TakeOrders").orders
    call(channel, ben, "FinishOrders", order_ids=[order.order_id])
    assert len(call(channel, ann, "TakeOrders").orders) == 1


def test_errors_have_their_status(running: Running, channel: grpc.Channel, ann: PeerDouble) -> None:
    call(channel, ann, "Signup", user="ann", password=GOOD)
    expected: list[tuple[str, dict[str, Any], grpc.StatusCode]] = [
        ("Signup", {"user": "ann", "password": GOOD}, grpc.StatusCode.ALREADY_EXISTS),
        ("Signup", {"user": "ben", "password": "short"}, grpc.StatusCode.INVALID_ARGUMENT),
        ("Signup", {"user": "b/n", "password": GOOD}, grpc.StatusCode.INVALID_ARGUMENT),
        ("Login", {"user": "ann", "password": "wrong one"}, grpc.StatusCode.PERMISSION_DENIED),
        ("Login", {"user": "nobody", "password": GOOD}, grpc.StatusCode.PERMISSION_DENIED),
        ("CheckSession", {"session": "p2ps_" + "x" * 43}, grpc.StatusCode.NOT_FOUND),
        ("CheckSession", {"session": ""}, grpc.StatusCode.NOT_FOUND),
        ("GrantHold", {"session": "", "file_id": FILE, "targets": [FILE]}, grpc.StatusCode.NOT_FOUND),
        ("GrantHold", {"session": "", "file_id": FILE}, grpc.StatusCode.INVALID_ARGUMENT),
        ("DropPlaced", {"session": "", "file_id": FILE}, grpc.StatusCode.NOT_FOUND),
        ("DropPlaced", {"session": "", "file_id": b"x"}, grpc.StatusCode.INVALID_ARGUMENT),
        ("FinishOrders", {"order_ids": [b"x"]}, grpc.StatusCode.INVALID_ARGUMENT),
    ]
    for method, fields, code in expected:
        assert status(call, channel, ann, method, **fields)[0] is code, (method, fields)


def test_who_must_wait_is_told_how_long(running: Running, channel: grpc.Channel, ann: PeerDouble) -> None:
    call(channel, ann, "Signup", user="ann", password=GOOD)
    for _ in range(ACCOUNT.free + 1):
        code, _ = status(call, channel, ann, "Login", user="ann", password="wrong one")
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    running.hashing.error = SlowDown(3)
    with pytest.raises(grpc.RpcError) as caught:
        call(channel, ann, "Login", user="ben", password="wrong one")
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    trailing: Any = caught.value.trailing_metadata()  # Any: grpc publishes no types for its items
    assert dict(trailing)["retry-after"] == "3"


def test_without_accounts_every_rpc_says_so(tmp_path: Path, ann: PeerDouble) -> None:
    with (
        Running(tmp_path / "other.sqlite") as running,
        grpc.insecure_channel(f"127.0.0.1:{running.port}") as channel,
    ):
        reply = ann.register(channel)
        assert not reply.accounts and not reply.orders_waiting
        for method in account_rpc.METHODS:
            code, said = status(call, channel, ann, method)
            assert code is grpc.StatusCode.FAILED_PRECONDITION and "LOCATOR_ACCOUNTS" in said, method


def test_neither_passwords_nor_sessions_are_logged(
    running: Running, channel: grpc.Channel, ann: PeerDouble, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    session = call(channel, ann, "Signup", user="ann", password=GOOD).session
    call(channel, ann, "Login", user="ann", password=GOOD)
    status(call, channel, ann, "Login", user="ann", password="wrong one")
    status(call, channel, ann, "Login", user="typed-my-password-here", password="wrong one")
    status(call, channel, ann, "CheckSession", session=session[:-1])
    call(channel, ann, "Logout", session=session)
    assert "127.0.0.1 was refused: wrong_login" in caplog.text
    for secret in (GOOD, "wrong one", session, session[:-1], "typed-my-password-here"):
        assert secret not in caplog.text
