"""The accounts' client over real gRPC: what is sent, what each status means, and what is never sent."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protos import locator_pb2 as messages
from protos.tokens import Issuer
from pserver.model import Conflict, InvalidRequest, LoginNeeded, NotFound, PServerError, Refused, SlowDown, Unavailable
from pserver.people import Dropped, LoggedIn, Order, Person
from pserver.remote.account_client import AccountClient
from pserver.remote.locator_client import LocatorClient
from tests.pserver.scripted_locator import Said, ScriptedLocator, running

NOW = 1_800_000_000.0
SESSION = "p2ps_" + "s" * 43
FILE_ID, TARGETS = b"f" * 32, ["aa" * 32, "bb" * 32]
ANN = Person("ann", "admin", NOW + 60)
REPLY = messages.SessionReply(
    session=SESSION, user="ann", role=messages.ROLE_ADMIN, expires_ms=int((NOW + 60) * 1000)
)  # fmt: skip
CALLS: dict[str, Callable[[AccountClient], object]] = {
    "Signup": lambda client: client.signup("ann", "correct horse", 5),
    "Login": lambda client: client.login("ann", "correct horse", 5),
    "ChangePassword": lambda client: client.change_password(SESSION, "old", "new", 5),
    "Logout": lambda client: client.logout(SESSION, True, 5),
    "CheckSession": lambda client: client.check(SESSION, 5),
    "GrantHold": lambda client: client.grant_hold(SESSION, FILE_ID, TARGETS, 5),
    "DropPlaced": lambda client: client.drop_placed(SESSION, FILE_ID, 5),
    "TakeOrders": lambda client: client.take_orders(5),
    "FinishOrders": lambda client: client.finish_orders([b"o" * 16], 5),
}
WITH_SESSION = ("ChangePassword", "Logout", "CheckSession", "GrantHold", "DropPlaced")


@dataclass
class World:
    locator: ScriptedLocator
    client: AccountClient

    def answers(self, verb: str, reply: object) -> None:
        """The locator replies so, or raises it if it is an exception."""

        def answer(_request: Any) -> object:
            if isinstance(reply, Exception):
                raise reply
            return reply

        self.locator.answers[verb] = answer


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    issuer = Issuer(Ed25519PrivateKey.generate(), None)
    with running(lambda: NOW) as (locator, address):
        client = LocatorClient(address, issuer, clock=lambda: NOW)
        yield World(locator, AccountClient(client))
        client.close()


def test_what_is_sent_and_what_comes_back(world: World) -> None:
    peer = messages.Peer(peer_id=b"b" * 32, name="bob", url="http://127.0.0.1:9")
    for verb in ("Signup", "Login", "ChangePassword"):
        world.answers(verb, REPLY)
        assert CALLS[verb](world.client) == LoggedIn(SESSION, ANN)
    world.answers("CheckSession", messages.CheckSessionReply(user="ann", role=messages.ROLE_ADMIN, expires_ms=5000))
    assert CALLS["CheckSession"](world.client) == Person("ann", "admin", 5.0)
    world.answers("Logout", messages.LogoutReply(ended=2))
    CALLS["Logout"](world.client)
    world.answers("GrantHold", messages.GrantHoldReply(grants=["one", "two"]))
    assert CALLS["GrantHold"](world.client) == ["one", "two"]
    world.answers("DropPlaced", messages.DropPlacedReply(present=[peer], away=3))
    dropped = CALLS["DropPlaced"](world.client)
    assert isinstance(dropped, Dropped) and dropped.present[0].name == "bob" and dropped.away == 3
    orders = [messages.Order(order_id=b"o" * 16, grant="one"), messages.Order(order_id=b"short", grant="two")]
    world.answers("TakeOrders", messages.TakeOrdersReply(orders=orders))
    assert CALLS["TakeOrders"](world.client) == [Order(b"o" * 16, "one")]
    world.answers("FinishOrders", messages.FinishOrdersReply())
    CALLS["FinishOrders"](world.client)
    (login,), (password,) = world.locator.of("Login"), world.locator.of("ChangePassword")
    assert (login.user, login.password) == ("ann", "correct horse")
    assert (password.session, password.old_password, password.new_password) == (SESSION, "old", "new")
    assert world.locator.of("Logout")[0].everywhere
    assert list(world.locator.of("GrantHold")[0].targets) == [bytes.fromhex(target) for target in TARGETS]
    assert list(world.locator.of("FinishOrders")[0].order_ids) == [b"o" * 16]


STATUS = grpc.StatusCode
MEANINGS: list[tuple[tuple[str, ...], grpc.StatusCode, type[PServerError], str]] = [
    (tuple(CALLS), STATUS.FAILED_PRECONDITION, NotFound, "no_accounts"),
    (tuple(CALLS), STATUS.UNIMPLEMENTED, NotFound, "no_accounts"),
    (tuple(CALLS), STATUS.RESOURCE_EXHAUSTED, SlowDown, "slow_down"),
    (tuple(CALLS), STATUS.INVALID_ARGUMENT, InvalidRequest, "invalid"),
    (tuple(CALLS), STATUS.UNAVAILABLE, Unavailable, "unavailable"),
    (tuple(CALLS), STATUS.UNAUTHENTICATED, Refused, "refused"),
    (WITH_SESSION, STATUS.NOT_FOUND, LoginNeeded, "login_required"),
    (("Signup",), STATUS.PERMISSION_DENIED, Refused, "signup_closed"),
    (("Signup",), STATUS.ALREADY_EXISTS, Conflict, "user_taken"),
    (("Login", "ChangePassword"), STATUS.PERMISSION_DENIED, LoginNeeded, "wrong_login"),
]


@pytest.mark.parametrize(("verbs", "status", "error", "code"), MEANINGS)
def test_what_each_status_means(
    world: World, verbs: tuple[str, ...], status: grpc.StatusCode, error: type[PServerError], code: str
) -> None:
    for verb in verbs:
        world.answers(verb, Said(status, "in words"))
        with pytest.raises(PServerError) as raised:
            CALLS[verb](world.client)
        assert (type(raised.value), raised.value.code) == (error, code), verb
        said = f"{raised.value}{raised.value.__cause__}"
        assert SESSION not in said and "correct horse" not in said


@pytest.mark.parametrize(
    ("told", "seconds"), [("17", 17), ("0", 1), ("x", 1), ("-5", 1), ("9" * 9, 3600), ("9" * 50, 1), (None, 1)]
)
def test_how_long_to_wait(world: World, told: str | None, seconds: int) -> None:
    world.answers("Login", Said(STATUS.RESOURCE_EXHAUSTED, "too many tries", told))
    with pytest.raises(SlowDown) as raised:
        CALLS["Login"](world.client)
    assert raised.value.seconds == seconds


@pytest.mark.parametrize(
    ("verb", "reply"),
    [
        ("Login", messages.SessionReply(session="short", user="ann", role=messages.ROLE_MEMBER)),
        ("Login", messages.SessionReply(session=SESSION, user="", role=messages.ROLE_MEMBER)),
        ("Login", messages.SessionReply(session=SESSION, user="a\x1b[2J", role=messages.ROLE_MEMBER)),
        ("Login", messages.SessionReply(session=SESSION, user="ann")),
        ("CheckSession", messages.CheckSessionReply(user="x" * 65, role=messages.ROLE_MEMBER)),
        ("GrantHold", messages.GrantHoldReply(grants=["one"])),
        ("GrantHold", messages.GrantHoldReply(grants=["one", "x" * 2049])),
    ],
)
def test_nonsense_is_not_believed(world: World, verb: str, reply: object) -> None:
    world.answers(verb, reply)
    with pytest.raises(Unavailable) as raised:
        CALLS[verb](world.client)
    assert SESSION not in str(raised.value)


def test_nothing_is_sent_where_others_could_listen() -> None:
    issuer = Issuer(Ed25519PrivateKey.generate(), None)
    plain = LocatorClient("192.0.2.1:51015", issuer)
    for call in CALLS.values():
        with pytest.raises(Unavailable) as raised:
            call(AccountClient(plain))
        assert raised.value.code == "insecure"
    assert not plain.keeps_secrets
    plain.close()
    over_tls = LocatorClient("192.0.2.1:51015", issuer, grpc.ssl_channel_credentials())
    assert over_tls.keeps_secrets and LocatorClient("[::1]:51015", issuer).keeps_secrets
    assert LocatorClient("localhost:51015", issuer).keeps_secrets
    assert not LocatorClient("localhost.example:51015", issuer).keeps_secrets
    over_tls.close()
