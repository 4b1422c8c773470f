"""The contracts of accounts and placements, on every store."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal, Protocol

import pytest

from central_server.account_store import AccountStore, PlacementStore
from central_server.accounts_sqlite import SQLiteAccounts
from central_server.people import NoRoom, Session, User, UserTaken
from tests.central_server.memory_accounts import MemoryAccounts
from tests.central_server.samples import NOW, digest, peer_id

MANY = 1000
FILE = digest("file")


class Both(AccountStore, PlacementStore, Protocol):
    """One store keeps both contracts."""


Opened = Callable[[], AbstractAsyncContextManager[Both]]


@pytest.fixture(params=["sqlite", "memory"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    @asynccontextmanager
    async def open_store() -> AsyncIterator[Both]:
        store: Both = MemoryAccounts() if request.param == "memory" else SQLiteAccounts(tmp_path / "accounts.sqlite")
        yield store
        await store.close()

    return open_store


def person(name: str, role: Literal["member", "admin"] = "member") -> User:
    return User(name, f"hash of {name}", role, disabled=False, created=NOW)


async def begin(store: Both, user: User, word: str, *, now: float = NOW, most: int = 64, lasts: float = 100) -> bool:
    return await store.begin_session(user, digest(word), now=now, expires=now + lasts, most=most)


async def test_a_name_is_one_account(opened: Opened) -> None:
    async with opened() as store:
        await store.add_user(person("ben", "admin"), MANY)
        await store.add_user(person("ann"), MANY)
        with pytest.raises(UserTaken, match="ann"):
            await store.add_user(replace(person("ann"), password="other"), MANY)
        assert await store.users() == [person("ann"), person("ben", "admin")]
        assert await store.user("ben") == person("ben", "admin")
        assert await store.user("cem") is None


async def test_accounts_are_bounded(opened: Opened) -> None:
    async with opened() as store:
        await store.add_user(person("ann"), 1)
        with pytest.raises(NoRoom):
            await store.add_user(person("ben"), 1)
        assert await store.user("ben") is None


async def test_a_session_is_alive_until_it_expires_or_ends(opened: Opened) -> None:
    async with opened() as store:
        await store.add_user(person("ann", "admin"), MANY)
        assert await begin(store, person("ann", "admin"), "one", lasts=100)
        assert await store.session(digest("one"), NOW + 99.9) == Session("ann", "admin", NOW + 100)
        assert await store.session(digest("one"), NOW + 100) is None
        assert await store.session(digest("two"), NOW) is None
        assert await store.end_sessions(digest("one"), NOW + 100, everywhere=False) == 0
        assert await store.end_sessions(digest("one"), NOW, everywhere=False) == 1
        assert await store.end_sessions(digest("one"), NOW, everywhere=False) == 0
        assert await store.session(digest("one"), NOW) is None


async def test_all_sessions_of_a_user_end_together_and_nobody_elses(opened: Opened) -> None:
    async with opened() as store:
        for name in ("ann", "ben"):
            await store.add_user(person(name), MANY)
            await begin(store, person(name), f"{name} 1")
            await begin(store, person(name), f"{name} 2")
        assert await store.end_sessions(digest("ann 1"), NOW, everywhere=True) == 2
        assert await store.session(digest("ann 2"), NOW) is None
        assert await store.session(digest("ben 2"), NOW) is not None


async def test_of_too_many_sessions_the_oldest_end(opened: Opened) -> None:
    async with opened() as store:
        await store.add_user(person("ann"), MANY)
        await store.add_user(person("ben"), MANY)
        await begin(store, person("ben"), "ben", now=NOW - 5)
        for number in range(5):
            await begin(store, person("ann"), str(number), now=NOW + number, most=3)
        assert [number for number in range(5) if await store.session(digest(str(number)), NOW)] == [2, 3, 4]
        assert await begin(store, person("ann"), "at once", now=NOW + 4, most=1)
        assert await store.session(digest("at once"), NOW) is not None  # the newest stays, also within one instant
        assert await store.session(digest("4"), NOW) is None
        assert await store.session(digest("ben"), NOW) is not None


async def test_another_password_ends_sessions_unless_they_are_kept(opened: Opened) -> None:
    async with opened() as store:
        await store.add_user(person("ann"), MANY)
        await begin(store, person("ann"), "one")
        assert await store.set_password("ann", "second", person("ann").password, keep_sessions=True)
        assert await store.session(digest("one"), NOW) is not None
        assert not await store.set_password("ann", "third", person("ann").password, keep_sessions=False)
        assert not await store.set_password("ben", "third", keep_sessions=False)
        user = await store.user("ann")
        assert user is not None and user.password == "second"
        assert await store.session(digest("one"), NOW) is not None
        assert await store.set_password("ann", "third", keep_sessions=False)
        assert await store.session(digest("one"), NOW) is None


async def test_a_disabled_account_has_no_session_and_gets_none(opened: Opened) -> None:
    async with opened() as store:
        await store.add_user(person("ann"), MANY)
        await begin(store, person("ann"), "one")
        assert await store.set_disabled("ann", disabled=True)
        assert await store.session(digest("one"), NOW) is None
        assert not await begin(store, person("ann"), "two")
        assert await store.set_disabled("ann", disabled=False)
        assert await store.session(digest("one"), NOW) is None
        assert await begin(store, person("ann"), "two")
        assert not await store.set_disabled("ben", disabled=True)


async def test_no_session_begins_with_a_password_that_was_changed_meanwhile(opened: Opened) -> None:
    async with opened() as store:
        await store.add_user(person("ann"), MANY)
        await store.set_password("ann", "second", keep_sessions=False)
        assert not await begin(store, person("ann"), "one")
        assert await store.session(digest("one"), NOW) is None


async def place(store: Both, user: str, *targets: str, file_id: bytes = FILE, most: int = MANY) -> None:
    await store.place(user, file_id, [peer_id(target) for target in targets], now=NOW, most=most)


async def test_an_order_waits_for_its_peer_until_it_is_finished(opened: Opened) -> None:
    async with opened() as store:
        await store.add_user(person("ann"), MANY)
        await place(store, "ann", "x", "y")
        assert await store.targets() == set()
        assert set(await store.order_drops("ann", FILE, as_admin=False)) == {peer_id("x"), peer_id("y")}
        assert await store.targets() == {peer_id("x"), peer_id("y")}
        [order] = await store.orders(peer_id("x"), 10)
        assert (order.file_id, order.user, order.as_admin, len(order.order_id)) == (FILE, "ann", False, 16)
        # Asked for again, it is the same order; another peer cannot finish it.
        await store.order_drops("ann", FILE, as_admin=False)
        assert await store.orders(peer_id("x"), 10) == [order]
        assert await store.finish_orders(peer_id("y"), [order.order_id])
        assert await store.orders(peer_id("x"), 10) == [order]
        assert not await store.finish_orders(peer_id("x"), [order.order_id, bytes(16)])
        assert await store.orders(peer_id("x"), 10) == []
        assert await store.targets() == {peer_id("y")}
        # What was dropped is not placed any more.
        assert await store.order_drops("ann", FILE, as_admin=False) == [peer_id("y")]


async def test_a_member_drops_their_own_an_admin_everybodys(opened: Opened) -> None:
    async with opened() as store:
        for name in ("ann", "ben"):
            await store.add_user(person(name), MANY)
        await store.add_user(person("root", "admin"), MANY)
        await place(store, "ann", "x")
        await place(store, "ben", "x", "y")
        await place(store, "ben", "z", file_id=digest("other"))
        assert await store.order_drops("ann", FILE, as_admin=False) == [peer_id("x")]
        assert [order.user for order in await store.orders(peer_id("x"), 10)] == ["ann"]
        assert set(await store.order_drops("root", FILE, as_admin=True)) == {peer_id("x"), peer_id("y")}
        of_x = await store.orders(peer_id("x"), 10)
        assert [(order.user, order.as_admin) for order in of_x] == [("root", True)] * 2
        assert await store.orders(peer_id("z"), 10) == []
        # A member's word does not make less of an admin's.
        await store.order_drops("ann", FILE, as_admin=False)
        assert [(order.user, order.as_admin) for order in await store.orders(peer_id("x"), 10)] == [("root", True)] * 2
        assert len(await store.orders(peer_id("x"), 1)) == 1
        assert await store.finish_orders(peer_id("x"), [of_x[0].order_id])
        assert not await store.finish_orders(peer_id("x"), [of_x[1].order_id])


async def test_placed_again_the_order_is_void(opened: Opened) -> None:
    async with opened() as store:
        for name in ("ann", "ben"):
            await store.add_user(person(name), MANY)
            await place(store, name, "x")
        await store.order_drops("ann", FILE, as_admin=False)
        [old] = await store.orders(peer_id("x"), 10)
        await place(store, "ben", "x")
        assert await store.orders(peer_id("x"), 10) == [old]
        await place(store, "ann", "x")
        assert await store.orders(peer_id("x"), 10) == [] and await store.targets() == set()
        await store.finish_orders(peer_id("x"), [old.order_id])  # of the past: the new placement stays
        assert await store.order_drops("ann", FILE, as_admin=False) == [peer_id("x")]


async def test_placements_of_one_user_are_bounded(opened: Opened) -> None:
    async with opened() as store:
        for name in ("ann", "ben"):
            await store.add_user(person(name), MANY)
        await place(store, "ben", "x", "y", "z")
        await place(store, "ann", "x", "y", most=3)
        await place(store, "ann", "y", "x", "y", most=3)  # nothing new
        with pytest.raises(NoRoom):
            await place(store, "ann", "z", "w", most=3)
        assert set(await store.order_drops("ann", FILE, as_admin=False)) == {peer_id("x"), peer_id("y")}
        for order in await store.orders(peer_id("x"), 10):
            await store.finish_orders(peer_id("x"), [order.order_id])
        await place(store, "ann", "z", "z", most=3)
