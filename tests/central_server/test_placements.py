"""The rules of grants and orders, on the stores in memory."""

import pytest

from central_server.accounts import Accounts
from central_server.model import InvalidRequest, StoreUnavailable
from central_server.people import AccountTerms, LoginRequired
from central_server.placements import Dropped, Placements
from tests.central_server.fake_hashing import FakeHashing
from tests.central_server.memory_accounts import MemoryAccounts
from tests.central_server.memory_store import MemoryStore
from tests.central_server.samples import NOW, digest, lease, peer_id, said

FILE = digest("file")
HERE = "192.0.2.1"


class World:
    """`x` is here, `y` was, `z` never came."""

    def __init__(self) -> None:
        self.kept, self.index = MemoryAccounts(), MemoryStore()
        self.accounts = Accounts(self.kept, FakeHashing(), AccountTerms(open_signup=True, session_seconds=100), "")
        self.placements = Placements(self.kept, self.accounts, self.index.member, ())

    async def login(self, user: str) -> str:
        return (await self.accounts.signup(user, "long enough", HERE, NOW)).token

    async def hold(self, token: str, *targets: str) -> None:
        await self.placements.hold(token, FILE, [peer_id(target) for target in targets], NOW)


async def opened() -> World:
    world = World()
    await world.index.register(peer_id("x"), said("x"), lease("x"), True)
    await world.index.register(peer_id("y"), said("y"), lease("y", until=NOW), True)
    return world


async def test_orders_go_to_those_who_are_here_and_wait_for_the_others() -> None:
    world = await opened()
    token = await world.login("ann")
    await world.hold(token, "x", "y", "z")
    assert not world.placements.are_waiting(peer_id("x"))
    dropped = await world.placements.drop(token, FILE, NOW)
    assert ([peer.name for peer in dropped.present], dropped.away) == (["x"], 2)
    for word in ("x", "y", "z"):
        assert world.placements.are_waiting(peer_id(word))
        [order] = await world.placements.take(peer_id(word))
        await world.placements.finish(peer_id(word), [order.order_id])
        assert not world.placements.are_waiting(peer_id(word))
        assert await world.placements.take(peer_id(word)) == []
    assert await world.placements.drop(token, FILE, NOW) == Dropped([], 0)


async def test_a_locator_that_restarts_knows_who_is_waited_for() -> None:
    world = await opened()
    token = await world.login("ann")
    await world.hold(token, "z")
    await world.placements.drop(token, FILE, NOW)
    again = Placements(world.kept, world.accounts, world.index.member, await world.kept.targets())
    assert again.are_waiting(peer_id("z")) and not again.are_waiting(peer_id("x"))


async def test_only_a_live_session_places_and_drops() -> None:
    world = await opened()
    token = await world.login("ann")
    await world.accounts.logout(token, NOW, everywhere=False)
    with pytest.raises(LoginRequired):
        await world.hold(token, "x")
    with pytest.raises(LoginRequired):
        await world.placements.drop(token, FILE, NOW)
    assert await world.kept.order_drops("ann", FILE, as_admin=True) == []


async def test_an_admin_by_role_drops_what_others_placed() -> None:
    world = await opened()
    await world.hold(await world.login("ann"), "x")
    ben = await world.login("ben")
    assert await world.placements.drop(ben, FILE, NOW) == Dropped([], 0)
    user = await world.kept.user("ben")
    assert user is not None
    world.kept._users["ben"] = type(user)("ben", user.password, "admin", disabled=False, created=NOW)
    assert [peer.name for peer in (await world.placements.drop(ben, FILE, NOW)).present] == ["x"]
    [order] = await world.placements.take(peer_id("x"))
    assert (order.user, order.as_admin) == ("ben", True)


async def test_what_is_malformed_is_refused_and_nothing_noted() -> None:
    world = await opened()
    token = await world.login("ann")
    for file_id, targets in ((FILE, []), (FILE, [b"short"]), (b"short", [bytes(32)]), (FILE, [bytes(32)] * 65)):
        with pytest.raises(InvalidRequest):
            await world.placements.hold(token, file_id, targets, NOW)
    for ids in ([b"short"], [bytes(16)] * 257):
        with pytest.raises(InvalidRequest):
            await world.placements.finish(peer_id("x"), ids)
    assert await world.kept.order_drops("ann", FILE, as_admin=True) == []


async def test_a_store_that_fails_loses_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await opened()
    token = await world.login("ann")
    await world.hold(token, "x")
    await world.placements.drop(token, FILE, NOW)

    async def fail(*_arguments: object) -> bool:
        raise StoreUnavailable(why="its disk is full")

    monkeypatch.setattr(world.kept, "finish_orders", fail)
    with pytest.raises(StoreUnavailable):
        await world.placements.finish(peer_id("x"), [bytes(16)])
    assert world.placements.are_waiting(peer_id("x"))
