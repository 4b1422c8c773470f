"""The service Accounts: gRPC messages to the rules and back, and what they decide signed. Translates and nothing else.

Neither a session nor a password is ever logged; that somebody failed to log in, and from where, is.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

from central_server import messages
from central_server.accounts import Accounts
from central_server.calls import Call, Method
from central_server.people import AccountsOff, NewSession, Role, Session, SlowDown, WrongLogin
from central_server.placements import Placements
from protos import locator_pb2 as pb
from protos.grants import make_grant
from protos.tokens import Issuer

SERVICE = "p2p.locator.v1.Accounts"
_PER_TURN = 8  # grants signed before others have their turn: about a millisecond
_ROLES: Mapping[Role, pb.Role] = {"member": pb.ROLE_MEMBER, "admin": pb.ROLE_ADMIN}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class People:
    """What a locator with accounts has: the rules, and the key that signs grants."""

    accounts: Accounts
    placements: Placements
    issuer: Issuer


class AccountService:
    """One method an rpc: translate, ask the rules, translate. Without `people` accounts are off."""

    def __init__(self, people: People | None = None) -> None:
        self._people = people

    async def signup(self, request: pb.SignupRequest, call: Call) -> pb.SessionReply:
        """Signup."""
        begun = await self._on.accounts.signup(request.user, request.password, call.address, call.now)
        _log.info("%s signed up, from %s", begun.session.user, call.address)
        return _session_reply(begun)

    async def login(self, request: pb.LoginRequest, call: Call) -> pb.SessionReply:
        """Login."""
        try:
            begun = await self._on.accounts.login(request.user, request.password, call.address, call.now)
        except (WrongLogin, SlowDown) as error:
            # The name is not told: people type their passwords there.
            _log.warning("a login from %s was refused: %s", call.address, error.code)
            raise
        return _session_reply(begun)

    async def logout(self, request: pb.LogoutRequest, call: Call) -> pb.LogoutReply:
        """Logout."""
        ended = await self._on.accounts.logout(request.session, call.now, everywhere=request.everywhere)
        return pb.LogoutReply(ended=ended)

    async def check_session(self, request: pb.CheckSessionRequest, call: Call) -> pb.CheckSessionReply:
        """CheckSession."""
        found = await self._on.accounts.session(request.session, call.now)
        return pb.CheckSessionReply(user=found.user, role=_ROLES[found.role], expires_ms=_milliseconds(found.expires))

    async def change_password(self, request: pb.ChangePasswordRequest, call: Call) -> pb.SessionReply:
        """ChangePassword."""
        begun = await self._on.accounts.change_password(
            request.session, request.old_password, request.new_password, address=call.address, now=call.now
        )
        return _session_reply(begun)

    async def grant_hold(self, request: pb.GrantHoldRequest, call: Call) -> pb.GrantHoldReply:
        """GrantHold."""
        targets = list(request.targets)
        session = await self._on.placements.hold(request.session, request.file_id, targets, call.now)
        grants = []
        for target in targets:
            grants.append(self._hold(session, request.file_id, target, call.peer_id))
            await _others_turn(len(grants))
        return pb.GrantHoldReply(grants=grants)

    async def drop_placed(self, request: pb.DropPlacedRequest, call: Call) -> pb.DropPlacedReply:
        """DropPlaced."""
        dropped = await self._on.placements.drop(request.session, request.file_id, call.now)
        return pb.DropPlacedReply(present=map(messages.peer_message, dropped.present), away=dropped.away)

    async def take_orders(self, _request: pb.TakeOrdersRequest, call: Call) -> pb.TakeOrdersReply:
        """TakeOrders."""
        orders: list[pb.Order] = []
        for order in await self._on.placements.take(call.peer_id):
            grant = make_grant(
                self._on.issuer,
                user=order.user,
                admin=order.as_admin,
                verb="drop",
                file_id=order.file_id.hex(),
                target=call.peer_id.hex(),
                by=None,
                now=time.time(),
            )
            orders.append(pb.Order(order_id=order.order_id, grant=grant))
            await _others_turn(len(orders))
        return pb.TakeOrdersReply(orders=orders)

    async def finish_orders(self, request: pb.FinishOrdersRequest, call: Call) -> pb.FinishOrdersReply:
        """FinishOrders."""
        await self._on.placements.finish(call.peer_id, list(request.order_ids))
        return pb.FinishOrdersReply()

    @property
    def _on(self) -> People:
        if self._people is None:
            raise AccountsOff
        return self._people

    def _hold(self, session: Session, file_id: bytes, target: bytes, by: bytes) -> str:
        return make_grant(
            self._on.issuer,
            user=session.user,
            admin=session.role == "admin",
            verb="hold",
            file_id=file_id.hex(),
            target=target.hex(),
            by=by.hex(),
            now=time.time(),
        )


METHODS: Mapping[str, Method] = {
    "Signup": Method("account", pb.SignupRequest, AccountService.signup),
    "Login": Method("account", pb.LoginRequest, AccountService.login),
    "Logout": Method("account", pb.LogoutRequest, AccountService.logout),
    "CheckSession": Method("account", pb.CheckSessionRequest, AccountService.check_session),
    "ChangePassword": Method("account", pb.ChangePasswordRequest, AccountService.change_password),
    "GrantHold": Method("account", pb.GrantHoldRequest, AccountService.grant_hold),
    "DropPlaced": Method("account", pb.DropPlacedRequest, AccountService.drop_placed),
    "TakeOrders": Method("membership", pb.TakeOrdersRequest, AccountService.take_orders),
    "FinishOrders": Method("membership", pb.FinishOrdersRequest, AccountService.finish_orders),
}


def _session_reply(begun: NewSession) -> pb.SessionReply:
    user, role, expires = begun.session
    return pb.SessionReply(session=begun.token, user=user, role=_ROLES[role], expires_ms=_milliseconds(expires))


def _milliseconds(seconds: float) -> int:
    return int(1000 * seconds)


async def _others_turn(done: int) -> None:
    if done % _PER_TURN == 0:
        await asyncio.sleep(0)
