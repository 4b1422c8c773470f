"""The rules of the accounts, on the store in memory, with a time that the test sets and hashes that cost nothing."""

import re

import pytest

from central_server.accounts import MOST_SESSIONS, Accounts, folded, new_password
from central_server.backoff import ACCOUNT, ADDRESS
from central_server.model import InvalidRequest
from central_server.people import (
    AccountTerms,
    LoginRequired,
    Session,
    SignupClosed,
    SlowDown,
    UserTaken,
    WrongLogin,
)
from tests.central_server.fake_hashing import FakeHashing
from tests.central_server.memory_accounts import MemoryAccounts
from tests.central_server.samples import NOW

HERE = "192.0.2.1"
WEEK = 7 * 24 * 3600.0
GOOD = "correct horse"
DECOY = "1:nobody knows"


class World:
    """Rules with everything in the open."""

    def __init__(self, *, signup: bool = True, decoy: str = DECOY) -> None:
        self.store, self.hashing = MemoryAccounts(), FakeHashing()
        self.accounts = Accounts(self.store, self.hashing, AccountTerms(signup, WEEK), decoy)

    async def login(self, user: str, password: str, *, address: str = HERE, now: float = NOW) -> str:
        return (await self.accounts.login(user, password, address, now)).token

    async def refused(self, user: str, password: str, *, address: str = HERE, now: float = NOW) -> type[Exception]:
        """The error of a login that fails."""
        with pytest.raises((WrongLogin, SlowDown)) as caught:
            await self.accounts.login(user, password, address, now)
        return caught.type


async def with_ann(**more: bool) -> World:
    world = World(**more)  # type: ignore[arg-type]  # only `signup` is given
    await world.accounts.signup("ann", GOOD, HERE, NOW)
    world.hashing.asked.clear()
    return world


async def test_signup_logs_in_as_a_member() -> None:
    world = World()
    token, session = await world.accounts.signup("Ann", GOOD, HERE, NOW)
    assert re.fullmatch(r"p2ps_[A-Za-z0-9_-]{43}", token)
    assert session == Session("ann", "member", NOW + WEEK)
    assert await world.accounts.session(token, NOW) == session
    with pytest.raises(UserTaken):
        await world.accounts.signup("ANN", "another one", HERE, NOW)
    assert await world.login("ann", GOOD)


async def test_closed_means_closed() -> None:
    world = World(signup=False)
    with pytest.raises(SignupClosed):
        await world.accounts.signup("ann", GOOD, HERE, NOW)
    assert not world.hashing.asked and not await world.store.users()


async def test_the_right_password_opens_and_nothing_else_does() -> None:
    world = await with_ann()
    assert (await world.accounts.session(await world.login("ANN", GOOD), NOW)).user == "ann"
    for wrong in ("correct hors", "", GOOD.upper(), "x" * 256):
        assert await world.refused("ann", wrong) is WrongLogin
    assert await world.refused("ben", GOOD) is WrongLogin


async def test_unknown_wrong_and_disabled_are_alike_in_work_and_words() -> None:
    world = await with_ann()
    await world.accounts.signup("ben", GOOD, HERE, NOW)
    await world.store.set_disabled("ben", disabled=True)
    said = set()
    for user, password in (("ann", "wrong one"), ("nobody", GOOD), ("ben", GOOD), ("ben", "wrong one")):
        world.hashing.asked.clear()
        with pytest.raises(WrongLogin) as caught:
            await world.accounts.login(user, password, HERE, NOW)
        said.add(str(caught.value))
        assert world.hashing.asked == ["verify"], user
    assert len(said) == 1
    for _ in range(ACCOUNT.free):  # the right password of a disabled account does not count as right either
        kind = await world.refused("ben", GOOD, address="192.0.2.9")
    assert kind is SlowDown


async def test_the_decoy_opens_nothing() -> None:
    world = World(decoy=f"1:{GOOD[::-1]}")
    assert await world.refused("nobody", GOOD) is WrongLogin


async def test_passwords_are_the_same_however_a_keyboard_writes_them() -> None:
    world = World()
    await world.accounts.signup("ann", "cafe\u0301 noir", HERE, NOW)
    assert await world.login("ann", "caf\u00e9 noir")


async def test_names_and_passwords_have_their_form() -> None:
    assert folded("Ann.B-1_") == "ann.b-1_"
    for name in ("", "-a", ".a", "a b", "a" * 33, "\u212a", "ä", "a\n", "a/b"):
        with pytest.raises(InvalidRequest):
            folded(name)
    assert new_password("p" * 8) and new_password("p" * 256)
    for password in ("", "p" * 7, "p" * 257):
        with pytest.raises(InvalidRequest):
            new_password(password)
    world = await with_ann()
    with pytest.raises(InvalidRequest):
        await world.login("ann", "x" * 257)
    assert not world.hashing.asked


async def test_logging_out_ends_one_session_or_all() -> None:
    world = await with_ann()
    one, two, three = [await world.login("ann", GOOD) for _ in range(3)]
    assert await world.accounts.logout(one, NOW, everywhere=False) == 1
    with pytest.raises(LoginRequired):
        await world.accounts.session(one, NOW)
    assert (await world.accounts.session(two, NOW)).user == "ann"
    assert await world.accounts.logout(two, NOW, everywhere=True) == 3  # and the one of the signup
    for token in (two, three):
        with pytest.raises(LoginRequired):
            await world.accounts.session(token, NOW)
    with pytest.raises(LoginRequired):
        await world.accounts.logout(two, NOW, everywhere=True)


@pytest.mark.parametrize("token", ["", "p2ps_", "p2ps_" + "x" * 42, "p2ps_" + "x" * 44, "p2ps_" + "!" * 43, "y" * 48])
async def test_what_is_no_session_is_none(token: str) -> None:
    with pytest.raises(LoginRequired):
        await World().accounts.session(token, NOW)


async def test_sessions_expire_and_are_bounded() -> None:
    world = await with_ann()
    first = await world.login("ann", GOOD)
    with pytest.raises(LoginRequired):
        await world.accounts.session(first, NOW + WEEK)
    second = await world.login("ann", GOOD, now=NOW + 1)
    for number in range(MOST_SESSIONS - 1):
        await world.login("ann", GOOD, now=NOW + 2 + number)
    assert (await world.accounts.session(second, NOW + 2)).user == "ann"
    with pytest.raises(LoginRequired):
        await world.accounts.session(first, NOW + 2)


async def test_another_password_ends_all_sessions_and_begins_one() -> None:
    world = await with_ann()
    old, other = await world.login("ann", GOOD), await world.login("ann", GOOD)
    with pytest.raises(WrongLogin):
        await world.accounts.change_password(old, "wrong one", "a new password", address=HERE, now=NOW)
    assert (await world.accounts.session(other, NOW)).user == "ann"
    new = await world.accounts.change_password(old, GOOD, "a new password", address=HERE, now=NOW)
    assert (await world.accounts.session(new.token, NOW)).user == "ann"
    for token in (old, other):
        with pytest.raises(LoginRequired):
            await world.accounts.session(token, NOW)
    assert await world.refused("ann", GOOD) is WrongLogin
    assert await world.login("ann", "a new password")


async def test_a_reset_while_a_login_is_checked_wins() -> None:
    world = await with_ann()
    verify = world.hashing.verify

    async def reset_meanwhile(password: str, hashed: str) -> bool:
        await world.store.set_password("ann", "1:another", keep_sessions=False)
        return await verify(password, hashed)

    world.hashing.verify = reset_meanwhile  # type: ignore[method-assign]
    assert await world.refused("ann", GOOD) is WrongLogin


async def test_old_parameters_are_renewed_at_the_next_login() -> None:
    world = await with_ann()
    stays = await world.login("ann", GOOD)
    world.hashing.version = "2"
    assert await world.login("ann", GOOD)
    user = await world.store.user("ann")
    assert user is not None and user.password.startswith("2:")
    world.hashing.asked.clear()
    assert await world.login("ann", GOOD)
    assert world.hashing.asked == ["verify"]
    assert (await world.accounts.session(stays, NOW)).user == "ann"
    assert await world.refused("ann", "wrong one") is WrongLogin


async def test_an_account_that_is_guessed_at_waits_whoever_guesses_and_whether_it_exists_or_not() -> None:
    for user in ("ann", "nobody"):
        world = await with_ann()
        for number in range(ACCOUNT.free):
            assert await world.refused(user, "wrong one", address=f"192.0.2.{number}") is WrongLogin
        world.hashing.asked.clear()
        assert await world.refused(user, GOOD, address="198.51.100.1") is SlowDown
        assert not world.hashing.asked
        later = NOW + ACCOUNT.longest
        assert await world.refused(user, "wrong one", now=later) is WrongLogin


async def test_success_clears_the_account() -> None:
    world = await with_ann()
    for _ in range(3):
        for _ in range(ACCOUNT.free - 1):
            assert await world.refused("ann", "wrong one") is WrongLogin
        assert await world.login("ann", GOOD)


async def test_an_address_that_guesses_at_many_accounts_waits_and_honest_neighbours_do_not_add_up() -> None:
    world = await with_ann()
    for _ in range(3 * ADDRESS.free):
        assert await world.login("ann", GOOD)
    for number in range(ADDRESS.free - 1):  # the signup was one
        assert await world.refused(f"user{number}", "wrong one") is WrongLogin
    assert await world.refused("ann", GOOD) is SlowDown
    assert await world.login("ann", GOOD, address="192.0.2.2")


async def test_signups_from_one_address_are_slowed() -> None:
    world = World()
    for number in range(ADDRESS.free):
        await world.accounts.signup(f"user{number}", GOOD, HERE, NOW)
    with pytest.raises(SlowDown) as caught:
        await world.accounts.signup("another", GOOD, HERE, NOW)
    assert caught.value.retry_after == 1
    assert await world.store.user("another") is None


async def test_guessing_the_old_password_is_guessing() -> None:
    world = await with_ann()
    token = await world.login("ann", GOOD)
    for _ in range(ACCOUNT.free):
        with pytest.raises(WrongLogin):
            await world.accounts.change_password(token, "wrong one", "a new password", address=HERE, now=NOW)
    with pytest.raises(SlowDown):
        await world.accounts.change_password(token, GOOD, "a new password", address=HERE, now=NOW)


async def test_a_try_that_was_not_hashed_does_not_count() -> None:
    world = await with_ann()
    world.hashing.error = SlowDown(3)
    for _ in range(3 * ADDRESS.free):
        assert await world.refused("ann", GOOD) is SlowDown
    world.hashing.error = None
    assert await world.login("ann", GOOD)
