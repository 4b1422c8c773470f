"""What a peer asks the locators about people, and whom it believes, over accounts in memory."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pserver.identity import StateFolder
from pserver.model import Conflict, LoginNeeded, NotFound, Refused, SlowDown, TooMany, Unavailable
from pserver.network.accounts import MAX_LOGINS, Accounts, AccountsSaid
from pserver.people import LoggedIn
from pserver.remote.locator_messages import IndexState, Lease
from tests.pserver.fake_people import FakeAccounts, People

AWAY = Unavailable("away")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def people(clock: Clock) -> People:
    made = People(clock, grace=60.0)
    made.heard(on=True)
    return made


def test_they_are_in_force_only_while_a_locator_in_reach_says_so(clock: Clock) -> None:
    people = People(clock)
    assert not people.accounts.in_force() and not people.said.wanted() and not people.said.locator_ids()
    people.heard(on=True)
    assert people.accounts.in_force() and people.said.wanted()
    people.reached = False
    assert not people.accounts.in_force(), "the client token opens again"
    assert people.said.wanted(), "but other peers still need grants"
    people.reached = True
    people.heard(on=False, locator_id=None)
    assert not people.accounts.in_force() and not people.said.wanted()
    assert people.said.locator_ids() == {"10" * 32}, "a heartbeat does not name the locator"


def test_a_locator_without_accounts_beside_one_with_them_lets_nobody_around_grants(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    people = People(clock)
    people.heard(on=True)
    for _ in range(3):
        people.heard(on=False, position=1)
    assert people.said.wanted() and not people.accounts.in_force()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    people.heard(on=True)
    assert people.said.wanted() and people.accounts.in_force()
    people.heard(on=False)
    assert not people.said.wanted() and not people.accounts.in_force()


def test_orders_that_wait_are_told(people: People) -> None:
    told: list[bool] = []
    people.said.on_orders = lambda: told.append(True)
    people.heard(on=True)
    assert not told
    people.heard(on=True, orders=True)
    assert told == [True]


def test_a_session_that_was_just_begun_or_checked_is_not_asked_about(people: People, clock: Clock) -> None:
    begun = people.accounts.signup("ann", "correct horse")
    assert people.accounts.whose(begun.session) == begun.person and people.locator.asked == ["signup"]
    clock.now += 10
    assert people.accounts.whose(begun.session) == begun.person
    clock.now += 9
    assert people.accounts.whose(begun.session) == begun.person
    assert people.locator.asked == ["signup", "check"]


def test_what_was_ended_elsewhere_is_noticed_after_ten_seconds(people: People, clock: Clock) -> None:
    begun = people.accounts.signup("ann", "correct horse")
    people.locator.sessions.clear()
    assert people.accounts.whose(begun.session) == begun.person
    clock.now += 10
    with pytest.raises(LoginNeeded):
        people.accounts.whose(begun.session)
    people.locator.fails = AWAY
    with pytest.raises(Unavailable):
        people.accounts.whose(begun.session)  # it ended: no grace for it


def test_logging_out_here_is_noticed_at_once(people: People) -> None:
    first, second = people.accounts.signup("ann", "correct horse"), people.accounts.login("ann", "correct horse")
    people.accounts.logout(first.session, everywhere=False)
    assert people.accounts.whose(second.session) is not None
    with pytest.raises(LoginNeeded):
        people.accounts.whose(first.session)
    third = people.accounts.login("ann", "correct horse")
    people.accounts.logout(second.session, everywhere=True)
    with pytest.raises(LoginNeeded):
        people.accounts.whose(third.session)


def test_a_new_password_ends_all_sessions_but_the_one_it_begins(people: People) -> None:
    old = people.accounts.signup("ann", "correct horse")
    other = people.accounts.login("ann", "correct horse")
    begun = people.accounts.change_password(old.session, "correct horse", "battery staple")
    assert people.accounts.whose(begun.session) is not None
    for ended in (old, other):
        with pytest.raises(LoginNeeded):
            people.accounts.whose(ended.session)


def test_grace_while_no_locator_answers(people: People, clock: Clock) -> None:
    begun = people.accounts.signup("ann", "correct horse")
    people.locator.fails = AWAY
    clock.now += 59
    assert people.accounts.whose(begun.session) == begun.person
    clock.now += 1
    with pytest.raises(Unavailable):
        people.accounts.whose(begun.session)
    with pytest.raises(Unavailable):
        people.accounts.whose(begun.session[:-1] + "x")


def test_where_accounts_are_off_a_session_means_nothing(people: People, clock: Clock) -> None:
    begun = people.accounts.signup("ann", "correct horse")
    people.heard(on=False)
    clock.now += 10
    assert people.accounts.whose(begun.session) is None
    with pytest.raises(NotFound) as raised:
        people.accounts.login("ann", "correct horse")
    assert raised.value.code == "no_accounts"


def test_what_was_said_of_accounts_outlives_the_process(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")

    def said() -> AccountsSaid:
        return AccountsSaid(state.marked("on"), lambda on: state.mark("on", on))

    def hears(on: bool) -> None:
        said().heard(0, Lease(30.0, 10.0, IndexState(b"", 0), accounts=on, orders_waiting=False), None)

    wanted = []
    for on in (False, True, True, False, False):
        hears(on)
        wanted.append(said().wanted())
    assert wanted == [False, True, True, False, False]
    state.close()
    shutil.rmtree(state.path)
    hears(True)  # where it cannot be remembered, the peer goes on


def test_without_a_locator_there_are_none(clock: Clock) -> None:
    none = Accounts(AccountsSaid(), list, 60.0, clock)
    assert none.whose("p2ps_x") is None
    with pytest.raises(NotFound) as raised:
        none.login("ann", "correct horse")
    assert raised.value.code == "no_accounts"


def test_the_next_locator_is_asked_if_one_is_away_but_not_if_it_says_no(clock: Clock) -> None:
    first, second = FakeAccounts(clock, fails=AWAY), FakeAccounts(clock)
    accounts = Accounts(AccountsSaid(), lambda: [first, second], 60.0, clock)
    accounts.signup("ann", "correct horse")
    assert (first.asked, second.asked) == (["signup"], ["signup"])
    for no in (SlowDown("too many tries", 5), Refused("closed"), Conflict("taken"), LoginNeeded("wrong")):
        first.fails = no
        with pytest.raises(type(no)):
            accounts.login("ann", "correct horse")
    assert second.asked == ["signup"]


def test_people_who_log_in_do_not_take_all_threads(clock: Clock) -> None:
    go, busy = threading.Event(), threading.Semaphore(0)

    class Slow(FakeAccounts):
        def login(self, user: str, password: str, timeout: float) -> LoggedIn:
            busy.release()
            go.wait(20)
            return super().login(user, password, timeout)

    locator = Slow(clock, users={"ann": ("correct horse", "member")})
    accounts = Accounts(AccountsSaid(), lambda: [locator], 60.0, clock)
    begun: list[LoggedIn] = []

    def log_in() -> None:
        begun.append(accounts.login("ann", "correct horse"))

    threads = [threading.Thread(target=log_in) for _ in range(MAX_LOGINS)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert busy.acquire(timeout=20)
    with pytest.raises(TooMany) as raised:
        accounts.login("ann", "correct horse")
    assert raised.value.code == "slow_down"
    go.set()
    for thread in threads:
        thread.join(20)
    assert len(begun) == MAX_LOGINS and accounts.login("ann", "correct horse")


@pytest.mark.parametrize(
    "ask",
    [
        lambda accounts, session: accounts.grant_hold(session, bytes(32), ["aa" * 32]),
        lambda accounts, session: accounts.drop_placed(session, bytes(32)),
        lambda accounts, session: accounts.logout(session, everywhere=False),
    ],
)
def test_what_goes_in_a_persons_name_needs_a_live_session(
    people: People, ask: Callable[[Accounts, str], object]
) -> None:
    begun = people.accounts.signup("ann", "correct horse")
    ask(people.accounts, begun.session)
    people.locator.sessions.clear()
    with pytest.raises(LoginNeeded):
        ask(people.accounts, begun.session)
