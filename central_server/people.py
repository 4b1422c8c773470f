"""The words of the accounts as values: users, sessions, what they placed where, and what can go wrong.

Plain data without behaviour of its own. Ids are raw bytes, times seconds.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple

from central_server.model import LocatorError

Role = Literal["member", "admin"]


class AccountError(LocatorError):
    """The locator could not do that for this account. `retry_after`: it may go in so many seconds."""

    code: ClassVar[str] = "account_error"
    retry_after: int | None = None


class AccountsOff(AccountError):
    """This locator has no accounts. Whoever runs it can turn them on with LOCATOR_ACCOUNTS=on."""

    code = "no_accounts"


class SignupClosed(AccountError):
    """Nobody can sign up here. Ask whoever runs the locator for an account (central-server user add NAME)."""

    code = "signup_closed"


class UserTaken(AccountError):
    """The name {user} is taken: choose another one."""

    code = "user_taken"


class WrongLogin(AccountError):
    """The name or the password is wrong, or the account is disabled."""

    code = "wrong_login"


class LoginRequired(AccountError):
    """The session has ended: log in."""

    code = "login_required"


class SlowDown(AccountError):
    """Too many tries: try again in {seconds} s."""

    code = "slow_down"

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds=seconds)
        self.retry_after = seconds


class NoRoom(AccountError):
    """{why}."""

    code = "no_room"


@dataclass(frozen=True, slots=True)
class AccountTerms:
    """Whether anybody may sign up, and how many seconds a session lasts."""

    open_signup: bool
    session_seconds: float


@dataclass(frozen=True, slots=True)
class User:
    """An account. `name` is folded; `password` is the hash, with its parameters, as Argon2 writes it."""

    name: str
    password: str = field(repr=False)
    role: Role
    disabled: bool
    created: float


class Session(NamedTuple):
    """Whose session it is, and when it ends (Unix time)."""

    user: str
    role: Role
    expires: float


class NewSession(NamedTuple):
    """A session that has just begun, with the token that proves it. Only its owner is ever told the token."""

    token: str
    session: Session


class Order(NamedTuple):
    """What a peer is to drop, and who says so: `user` in their own name, or as an admin what anybody placed."""

    order_id: bytes
    file_id: bytes
    user: str
    as_admin: bool
