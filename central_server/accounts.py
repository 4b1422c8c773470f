"""The rules of the accounts: who may sign up and log in, and whose a session is.

No transport, no database, no clock, no threads: `now` is an argument, in seconds of Unix time.

A login costs one hash, whoever is named: an unknown name is checked against a decoy. So neither the answer nor the
time tells which names there are.
"""

import hashlib
import re
import secrets
import unicodedata
from typing import Protocol

from central_server.account_store import AccountStore
from central_server.backoff import Tries
from central_server.model import InvalidRequest
from central_server.people import (
    AccountTerms,
    LoginRequired,
    NewSession,
    Role,
    Session,
    SignupClosed,
    SlowDown,
    User,
    UserTaken,
    WrongLogin,
)
from protos.grants import USER

MOST_USERS = 100_000
MOST_SESSIONS = 64  # of one user; the oldest goes
_LEAST_CHARACTERS, _MOST_CHARACTERS = 8, 256
_PREFIX = "p2ps_"
_TOKEN = re.compile(_PREFIX + r"[A-Za-z0-9_-]{43}")


class Hashing(Protocol):
    """What the rules need of it. Each call of `hash` or `verify` is one hash of work. SlowDown: too many wait."""

    async def hash(self, password: str) -> str:
        """The password's hash, with its salt and parameters."""

    async def verify(self, password: str, hashed: str) -> bool:
        """Whether that is the password. Takes the same time if not."""

    def is_current(self, hashed: str) -> bool:
        """Whether a hash made now would have the same parameters."""


class Accounts:
    """The rules of one locator. `decoy` is the hash of a password that nobody knows."""

    def __init__(self, store: AccountStore, hashing: Hashing, terms: AccountTerms, decoy: str) -> None:
        self._store = store
        self._hashing = hashing
        self._terms = terms
        self._decoy = decoy
        self._tries = Tries()

    async def signup(self, user: str, password: str, address: str, now: float) -> NewSession:
        """A new account, logged in. SignupClosed, UserTaken, NoRoom, SlowDown."""
        if not self._terms.open_signup:
            raise SignupClosed
        name, password = folded(user), new_password(password)
        self._tries.begin(None, address, now)
        if await self._store.user(name) is not None:
            raise UserTaken(user=name)
        account = await add_user(self._store, self._hashing, name, password, role="member", now=now)
        return await self._begin(account, now)

    async def login(self, user: str, password: str, address: str, now: float) -> NewSession:
        """A new session. WrongLogin, SlowDown."""
        name, password = folded(user), _normal(password)
        self._tries.begin(name, address, now)
        account = await self._checked(name, password, address)
        self._tries.right(name, address)
        return await self._begin(await self._rehashed(account, password), now)

    async def logout(self, token: str, now: float, *, everywhere: bool) -> int:
        """End the session, or all of its user's. How many ended. LoginRequired: it is none."""
        ended = await self._store.end_sessions(_digest(token), now, everywhere=everywhere)
        if not ended:
            raise LoginRequired
        return ended

    async def session(self, token: str, now: float) -> Session:
        """Whose session it is. LoginRequired."""
        found = await self._store.session(_digest(token), now)
        if found is None:
            raise LoginRequired
        return found

    async def change_password(self, token: str, old: str, new: str, *, address: str, now: float) -> NewSession:
        """Another password, and a new session in place of all others. LoginRequired, WrongLogin, SlowDown."""
        old, new = _normal(old), new_password(new)
        user = (await self.session(token, now)).user
        self._tries.begin(user, address, now)
        account = await self._checked(user, old, address)
        self._tries.right(user, address)
        changed = await self._hashing.hash(new)
        if not await self._store.set_password(user, changed, account.password, keep_sessions=False):
            raise WrongLogin  # it was reset meanwhile
        return await self._begin(await self._known(user), now)

    async def _checked(self, name: str, password: str, address: str) -> User:
        """The account, if that is its password: after one hash, whatever comes out. WrongLogin."""
        account = await self._store.user(name)
        try:
            right = await self._hashing.verify(password, self._decoy if account is None else account.password)
        except SlowDown:
            self._tries.take_back(name, address)
            raise
        if account is None or account.disabled or not right:
            raise WrongLogin
        return account

    async def _rehashed(self, account: User, password: str) -> User:
        """The account with a hash of today's parameters, if there is time for it."""
        if self._hashing.is_current(account.password):
            return account
        try:
            renewed = await self._hashing.hash(password)
        except SlowDown:
            return account
        await self._store.set_password(account.name, renewed, account.password, keep_sessions=True)
        return await self._known(account.name)

    async def _known(self, name: str) -> User:
        account = await self._store.user(name)
        if account is None:
            raise WrongLogin
        return account

    async def _begin(self, account: User, now: float) -> NewSession:
        token = _PREFIX + secrets.token_urlsafe(32)
        session = Session(account.name, account.role, now + self._terms.session_seconds)
        if not await self._store.begin_session(
            account, _digest(token), now=now, expires=session.expires, most=MOST_SESSIONS
        ):
            raise WrongLogin  # the account was disabled or reset meanwhile
        return NewSession(token, session)


async def add_user(store: AccountStore, hashing: Hashing, name: str, password: str, *, role: Role, now: float) -> User:
    """A new account; `name` and `password` are checked (`folded`, `new_password`). UserTaken, NoRoom, SlowDown."""
    account = User(name, await hashing.hash(password), role, disabled=False, created=now)
    await store.add_user(account, MOST_USERS)
    return account


def folded(user: str) -> str:
    """The name as accounts are written: small letters. InvalidRequest: no name."""
    if not user.isascii() or not USER.fullmatch(user.lower()):
        raise InvalidRequest(
            why="a user name has 1 to 32 of the letters a to z, digits, dots, underscores and hyphens, and begins with "
            "a letter or digit"
        )
    return user.lower()


def new_password(password: str) -> str:
    """The password as it is hashed, if it may be one. InvalidRequest."""
    if len(_normal(password)) < _LEAST_CHARACTERS:
        raise InvalidRequest(why=f"a password has at least {_LEAST_CHARACTERS} characters")
    return _normal(password)


def _normal(password: str) -> str:
    """One form of what keyboards write in several (RFC 8265). InvalidRequest: too long."""
    if len(password) > _MOST_CHARACTERS:
        raise InvalidRequest(why=f"a password has at most {_MOST_CHARACTERS} characters")
    return unicodedata.normalize("NFC", password)


def _digest(token: str) -> bytes:
    """What the store knows of a session. LoginRequired: that is none."""
    if not _TOKEN.fullmatch(token):
        raise LoginRequired
    return hashlib.sha256(token.encode()).digest()
