"""The accounts at one locator, over the connection of its LocatorClient: log in, whose session, grants, orders.

Passwords and sessions travel here. Nothing is sent where others could listen: over TLS or within this machine only,
straight to the locator. They are in no log and in no error.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc

from protos import locator_pb2 as messages
from protos.locator_pb2_grpc import AccountsStub
from pserver.model import Conflict, LoginNeeded, NotFound, PServerError, Refused, SlowDown, Unavailable
from pserver.people import Dropped, LoggedIn, Order, Person, is_session
from pserver.remote import locator_messages as said
from pserver.remote.locator_client import MEMBERSHIP, LocatorClient

ACCOUNT = "account"
MAX_ORDERS = 256
_MAX_GRANT_CHARACTERS = 2048
_ORDER_ID_BYTES = 16
_MAX_WAIT_SECONDS = 3600
_Meanings = Mapping[grpc.StatusCode, Callable[[str], PServerError]]

_NO_ACCOUNTS: _Meanings = {
    grpc.StatusCode.FAILED_PRECONDITION: lambda why: NotFound(why, "no_accounts"),
    grpc.StatusCode.UNIMPLEMENTED: lambda why: NotFound(why, "no_accounts"),  # an older locator
}
_SESSION_ENDED: _Meanings = {grpc.StatusCode.NOT_FOUND: lambda _why: LoginNeeded("the session has ended: log in again")}
_SIGNUP: _Meanings = {
    grpc.StatusCode.PERMISSION_DENIED: lambda why: Refused(why, "signup_closed"),
    grpc.StatusCode.ALREADY_EXISTS: lambda why: Conflict(why, "user_taken"),
}
_WRONG_LOGIN: _Meanings = {grpc.StatusCode.PERMISSION_DENIED: lambda why: LoginNeeded(why, "wrong_login")}


class AccountClient:
    """Accounts at the locator that `locator` speaks to. Thread-safe. Every `timeout` is in seconds.

    Each verb raises Unavailable (away, too slow, nonsense; code "insecure": others could listen), NotFound with code
    "no_accounts", SlowDown, InvalidRequest, and what stands at the verb; with a session: LoginNeeded if it has ended.
    """

    def __init__(self, locator: LocatorClient) -> None:
        self._locator = locator
        self._stub: Any = AccountsStub(locator.channel)  # Any: generated without types

    @property
    def address(self) -> str:
        """host:port of the locator."""
        return self._locator.address

    def signup(self, user: str, password: str, timeout: float) -> LoggedIn:
        """Make an account. Refused "signup_closed"; Conflict "user_taken"."""
        request = messages.SignupRequest(user=user, password=password)
        return self._logged_in(self._ask(self._stub.Signup, request, timeout, _SIGNUP))

    def login(self, user: str, password: str, timeout: float) -> LoggedIn:
        """Log in. LoginNeeded "wrong_login"."""
        request = messages.LoginRequest(user=user, password=password)
        return self._logged_in(self._ask(self._stub.Login, request, timeout, _WRONG_LOGIN))

    def change_password(self, session: str, old: str, new: str, timeout: float) -> LoggedIn:
        """A new password: all sessions end, a new one begins. LoginNeeded "wrong_login": the old one is wrong."""
        request = messages.ChangePasswordRequest(session=session, old_password=old, new_password=new)
        meanings = {**_WRONG_LOGIN, **_SESSION_ENDED}
        return self._logged_in(self._ask(self._stub.ChangePassword, request, timeout, meanings))

    def logout(self, session: str, everywhere: bool, timeout: float) -> None:
        """End this session, or all of its user's."""
        request = messages.LogoutRequest(session=session, everywhere=everywhere)
        self._ask(self._stub.Logout, request, timeout, _SESSION_ENDED)

    def check(self, session: str, timeout: float) -> Person:
        """Whose session it is."""
        request = messages.CheckSessionRequest(session=session)
        return _person(self._ask(self._stub.CheckSession, request, timeout, _SESSION_ENDED), self.address)

    def grant_hold(self, session: str, file_id: bytes, targets: Sequence[str], timeout: float) -> list[str]:
        """A grant for each of the targets (peer ids; at most 64), in their order."""
        ids = [bytes.fromhex(target) for target in targets]
        request = messages.GrantHoldRequest(session=session, file_id=file_id, targets=ids)
        grants = list(self._ask(self._stub.GrantHold, request, timeout, _SESSION_ENDED).grants)
        if len(grants) != len(ids) or any(len(grant) > _MAX_GRANT_CHARACTERS for grant in grants):
            raise _nonsense(self.address)
        return grants

    def drop_placed(self, session: str, file_id: bytes, timeout: float) -> Dropped:
        """Order each peer at which this user's uploads placed the file to drop it."""
        request = messages.DropPlacedRequest(session=session, file_id=file_id)
        reply = self._ask(self._stub.DropPlaced, request, timeout, _SESSION_ENDED)
        return Dropped(file_id, tuple(said.peers(reply.present)), reply.away)

    def take_orders(self, timeout: float) -> list[Order]:
        """The orders that wait for this peer: at most 256, then ask again."""
        reply = self._ask(self._stub.TakeOrders, messages.TakeOrdersRequest(), timeout, {}, MEMBERSHIP)
        return [
            Order(one.order_id, one.grant)
            for one in reply.orders[:MAX_ORDERS]
            if len(one.order_id) == _ORDER_ID_BYTES and len(one.grant) <= _MAX_GRANT_CHARACTERS
        ]

    def finish_orders(self, order_ids: Sequence[bytes], timeout: float) -> None:
        """These (at most 256) are carried out, or cannot be."""
        request = messages.FinishOrdersRequest(order_ids=order_ids)
        self._ask(self._stub.FinishOrders, request, timeout, {}, MEMBERSHIP)

    def _ask(self, method: Any, request: Any, timeout: float, meanings: _Meanings, scope: str = ACCOUNT) -> Any:
        if not self._locator.keeps_secrets:
            raise Unavailable(
                f"others could listen on the way to the locator at {self.address}: accounts need TLS there "
                "(PSERVER_LOCATOR_CA)",
                "insecure",
            )
        try:
            return self._locator.call(method, request, scope, timeout)
        except PServerError as error:
            raise _meant(error, {**_NO_ACCOUNTS, **meanings}) from error.__cause__

    def _logged_in(self, reply: messages.SessionReply) -> LoggedIn:
        if not is_session(reply.session):
            raise _nonsense(self.address)
        return LoggedIn(reply.session, _person(reply, self.address))


def _meant(error: PServerError, meanings: _Meanings) -> PServerError:
    """What the locator's status means here; the error as it is, where it means the same as everywhere."""
    cause = error.__cause__
    if not isinstance(cause, grpc.RpcError):
        return error
    if cause.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return SlowDown(str(error), _seconds_to_wait(cause))
    meaning = meanings.get(cause.code())
    return error if meaning is None else meaning(str(error))


def _seconds_to_wait(error: grpc.RpcError) -> int:
    told = next((one.value for one in error.trailing_metadata() or () if one.key == "retry-after"), "")
    known = isinstance(told, str) and told.isascii() and told.isdigit() and len(told) < 10
    return min(max(int(told), 1), _MAX_WAIT_SECONDS) if known else 1


def _person(reply: messages.SessionReply | messages.CheckSessionReply, address: str) -> Person:
    user = said.printable(reply.user, said.MAX_PEER_NAME_CHARACTERS)
    if not user or user != reply.user or reply.role not in {messages.ROLE_MEMBER, messages.ROLE_ADMIN}:
        raise _nonsense(address)
    return Person(user, "admin" if reply.role == messages.ROLE_ADMIN else "member", reply.expires_ms / 1000)


def _nonsense(address: str) -> Unavailable:
    return Unavailable(f"the locator at {address} sent something malformed about accounts")
