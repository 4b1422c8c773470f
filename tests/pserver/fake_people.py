"""Accounts at a locator in memory, with as much of the rules as a peer notices; and a peer's Accounts over it."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pserver.model import Conflict, LoginNeeded, NotFound, PServerError, Refused
from pserver.network.accounts import Accounts, AccountsSaid
from pserver.people import Dropped, LoggedIn, Person, Role
from pserver.remote.locator_messages import IndexState, Lease

SESSION_SECONDS = 7 * 24 * 3600.0


@dataclass
class FakeAccounts:
    """`fails`: raised by the next calls, until it is None again. `asked`: the verbs, in order."""

    wall: Callable[[], float]
    on: bool = True
    signup_open: bool = True
    fails: PServerError | None = None
    users: dict[str, tuple[str, Role]] = field(default_factory=dict)  # password, role
    sessions: dict[str, Person] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    dropped: list[tuple[str | None, bytes]] = field(default_factory=list)

    def signup(self, user: str, password: str, timeout: float) -> LoggedIn:
        self._called("signup")
        if not self.signup_open:
            raise Refused("signup is closed here", "signup_closed")
        if user in self.users:
            raise Conflict("the name is taken", "user_taken")
        self.users[user] = password, "member"
        return self._begin(user)

    def login(self, user: str, password: str, timeout: float) -> LoggedIn:
        self._called("login")
        if self.users.get(user, ("", ""))[0] != password:
            raise LoginNeeded("that is not the name and password of an account", "wrong_login")
        return self._begin(user)

    def change_password(self, session: str, old: str, new: str, timeout: float) -> LoggedIn:
        self._called("change_password")
        user = str(self._person(session).user)
        if self.users[user][0] != old:
            raise LoginNeeded("the old password is wrong", "wrong_login")
        self.users[user] = new, self.users[user][1]
        self._end_all(user)
        return self._begin(user)

    def logout(self, session: str, everywhere: bool, timeout: float) -> None:
        self._called("logout")
        person = self._person(session)
        if everywhere:
            self._end_all(person.user)
        self.sessions.pop(session, None)

    def check(self, session: str, timeout: float) -> Person:
        self._called("check")
        return self._person(session)

    def grant_hold(self, session: str, file_id: bytes, targets: Sequence[str], timeout: float) -> list[str]:
        self._called("grant_hold")
        self._person(session)
        return [f"grant-{target[:4]}" for target in targets]

    def drop_placed(self, session: str, file_id: bytes, timeout: float) -> Dropped:
        self._called("drop_placed")
        self.dropped.append((self._person(session).user, file_id))
        return Dropped(file_id, (), 1)

    def _begin(self, user: str) -> LoggedIn:
        session = f"p2ps_{secrets.token_urlsafe(32)}"
        self.sessions[session] = Person(user, self.users[user][1], self.wall() + SESSION_SECONDS)
        return LoggedIn(session, self.sessions[session])

    def _end_all(self, user: str | None) -> None:
        self.sessions = {session: one for session, one in self.sessions.items() if one.user != user}

    def _person(self, session: str) -> Person:
        if session not in self.sessions:
            raise LoginNeeded("the session has ended: log in again")
        return self.sessions[session]

    def _called(self, verb: str) -> None:
        self.asked.append(verb)
        if self.fails is not None:
            raise self.fails
        if not self.on:
            raise NotFound("accounts are off here", "no_accounts")


class People:
    """A peer's Accounts over a FakeAccounts, off and out of reach until `heard` says otherwise."""

    def __init__(self, wall: Callable[[], float], grace: float = 3600.0) -> None:
        self.locator = FakeAccounts(wall, on=False)
        self.said = AccountsSaid()
        self.reached = True
        self.said.in_reach = lambda: self.reached
        self.accounts = Accounts(self.said, lambda: [self.locator], grace, wall)

    def heard(self, on: bool, *, orders: bool = False, locator_id: str | None = "10" * 32, position: int = 0) -> None:
        """The locator at that position has accounts on, or off, and says so with a lease."""
        self.locator.on = on
        self.said.heard(position, Lease(30.0, 10.0, IndexState(b"", 0), accounts=on, orders_waiting=orders), locator_id)
