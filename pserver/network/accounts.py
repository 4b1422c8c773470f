"""Accounts as this peer deals with them: whether they are on, who may ask, and what goes to the locators for a person.

Whether accounts are on, the locators say with each lease. Two questions are answered differently while none is in
reach: _persons_ may then use the client token (`in_force` is False), but what _other peers_ may make this one do stays
as the locators last said (`wanted`), also after a restart, so that nobody gets around grants by cutting a peer off; nor
by cutting it off from one locator when another, which it then turns to, has no accounts by mistake.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from pserver.model import LoginNeeded, NotFound, TooMany, Unavailable
from pserver.network.sessions import SeenSessions
from pserver.people import Dropped, LoggedIn, Person
from pserver.remote.locator_messages import Lease

CHECK_SECONDS = 3.0
LOGIN_SECONDS = 10.0  # the locator hashes a password slowly, and may be asked to hash others first
ORDER_SECONDS = 5.0
MAX_LOGINS = 2  # at a time: they must not take all threads of the client API
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class AccountsSaid:
    """What the locators said of accounts. Thread-safe.

    `on`: what one said before this process; `keep` is called when that changes. `in_reach()`: whether one answers now.
    `on_orders()` is called when orders wait there; it returns at once. Both are set before anything is heard.
    """

    def __init__(self, on: bool = False, keep: Callable[[bool], object] = bool) -> None:
        self.in_reach: Callable[[], bool] = bool
        self.on_orders: Callable[[], object] = bool
        self._on = on
        self._keep = keep
        self._here = on  # what the locator says that answered last
        self._says: dict[int, bool] = {}  # by the locator's position in the settings
        self._ids: dict[int, str] = {}  # as above

    def heard(self, position: int, lease: Lease, locator_id: str | None) -> None:
        """A locator answered; with its id (hex) if it was to Register."""
        if locator_id is not None:
            self._ids = {**self._ids, position: locator_id}  # never changed in place: others read it meanwhile
        self._here = lease.accounts
        if self._says.get(position) is not lease.accounts:
            self._says = {**self._says, position: lease.accounts}
            self._now_said()
        if lease.orders_waiting:
            self.on_orders()

    def _now_said(self) -> None:
        if len(set(self._says.values())) > 1:
            _log.warning("one locator has accounts on, and another off: set them all alike (LOCATOR_ACCOUNTS)")
        on = any(self._says.values())
        if on != self._on:
            self._on = on
            self._remember()

    def _remember(self) -> None:
        try:
            self._keep(self._on)
        except OSError as error:
            _log.warning("that accounts are %s is not remembered: %s", "on" if self._on else "off", error)

    def wanted(self) -> bool:
        """Whether they were on at any of the locators, when it last answered."""
        return self._on

    def in_force(self) -> bool:
        """Whether a locator in reach has accounts on."""
        return self._here and self.in_reach()

    def locator_ids(self) -> frozenset[str]:
        """The locators that this peer registered with: those whose grants count."""
        return frozenset(self._ids.values())


class AccountLocator(Protocol):
    """What accounts need of an AccountClient; errors as there."""

    def signup(self, user: str, password: str, timeout: float) -> LoggedIn: ...
    def login(self, user: str, password: str, timeout: float) -> LoggedIn: ...
    def change_password(self, session: str, old: str, new: str, timeout: float) -> LoggedIn: ...
    def logout(self, session: str, everywhere: bool, timeout: float) -> None: ...
    def check(self, session: str, timeout: float) -> Person: ...
    def grant_hold(self, session: str, file_id: bytes, targets: Sequence[str], timeout: float) -> list[str]: ...
    def drop_placed(self, session: str, file_id: bytes, timeout: float) -> Dropped: ...


class Accounts:
    """Asks the locators about people. Thread-safe. `grace` in seconds, `wall` gives Unix time.

    `locators()`: in the order in which they are to be asked. Each verb raises Unavailable (code "insecure": others
    could listen), NotFound "no_accounts", SlowDown, InvalidRequest, and what stands at it.
    """

    def __init__(
        self,
        said: AccountsSaid,
        locators: Callable[[], Sequence[AccountLocator]],
        grace: float,
        wall: Callable[[], float],
    ) -> None:
        self._said = said
        self._locators = locators
        self._wall = wall
        self._seen = SeenSessions(grace)
        self._lock = threading.Lock()  # of _seen; not held while a locator is asked
        self._logins = threading.BoundedSemaphore(MAX_LOGINS)

    def in_force(self) -> bool:
        """Whether people must log in now."""
        return self._said.in_force()

    def whose(self, session: str) -> Person | None:
        """Whose session it is; None: accounts are off here, it means nothing. LoginNeeded if it has ended."""
        with self._lock:
            believed = self._seen.believed(session, self._wall())
        if believed is not None:
            return believed
        try:
            person = self._first(lambda locator: locator.check(session, CHECK_SECONDS))
        except NotFound:
            return None
        except LoginNeeded:
            self._ended(session)
            raise
        except Unavailable as error:
            with self._lock:
                honoured = self._seen.unanswered(session, self._wall())
            if honoured is None:
                raise Unavailable(f"whose session it is cannot be asked: {error}", error.code) from None
            return honoured
        self._checked(session, person)
        return person

    def signup(self, user: str, password: str) -> LoggedIn:
        """Make an account and log in. Refused "signup_closed"; Conflict "user_taken"."""
        return self._log_in(lambda locator: locator.signup(user, password, LOGIN_SECONDS))

    def login(self, user: str, password: str) -> LoggedIn:
        """Begin a session. LoginNeeded "wrong_login"."""
        return self._log_in(lambda locator: locator.login(user, password, LOGIN_SECONDS))

    def change_password(self, session: str, old: str, new: str) -> LoggedIn:
        """End all sessions of the person and begin a new one. LoginNeeded, "wrong_login" if `old` is wrong."""
        begun = self._log_in(lambda locator: locator.change_password(session, old, new, LOGIN_SECONDS))
        self._ended(session, everywhere=True)
        self._checked(begun.session, begun.person)
        return begun

    def logout(self, session: str, everywhere: bool) -> None:
        """End this session, or all of its person's. LoginNeeded if it had ended."""
        self._first(lambda locator: locator.logout(session, everywhere, CHECK_SECONDS))
        self._ended(session, everywhere)

    def grant_hold(self, session: str, file_id: bytes, targets: Sequence[str]) -> list[str]:
        """Grants for these peers (ids, at most 64) to hold the file, in their order. LoginNeeded."""
        return self._first(lambda locator: locator.grant_hold(session, file_id, targets, ORDER_SECONDS))

    def drop_placed(self, session: str, file_id: bytes) -> Dropped:
        """Have the copies dropped that the person's uploads placed. LoginNeeded."""
        return self._first(lambda locator: locator.drop_placed(session, file_id, ORDER_SECONDS))

    def _log_in(self, ask: Callable[[AccountLocator], LoggedIn]) -> LoggedIn:
        if not self._logins.acquire(blocking=False):
            raise TooMany("too many people log in here at once: try again in a moment", "slow_down")
        try:
            begun = self._first(ask)
        finally:
            self._logins.release()
        self._checked(begun.session, begun.person)
        return begun

    def _first(self, ask: Callable[[AccountLocator], _T]) -> _T:
        """What the first locator says that answers. NotFound "no_accounts" if this peer has none."""
        failure: Unavailable | None = None
        for locator in self._locators():
            try:
                return ask(locator)
            except TooMany:
                raise  # it answered
            except Unavailable as error:
                failure = failure or error
        raise failure or NotFound("there are no accounts without a locator", "no_accounts")

    def _checked(self, session: str, person: Person) -> None:
        with self._lock:
            self._seen.checked(session, person, self._wall())

    def _ended(self, session: str, everywhere: bool = False) -> None:
        with self._lock:
            self._seen.ended(session, everywhere)
