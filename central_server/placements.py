"""The rules of what people make other peers do: hold a file, and drop it again.

No transport, no database, no keys: what is decided here, the transport signs (protos/grants.py). That orders wait for
a peer is remembered beside the store, so that a heartbeat asks no disk.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple

from central_server import limits
from central_server.account_store import PlacementStore
from central_server.accounts import Accounts
from central_server.model import InvalidRequest, Member, Peer
from central_server.people import Order, Session

MOST_PLACED = 200_000  # by one user
MOST_ORDERS = 256  # taken or finished at a time


class Dropped(NamedTuple):
    """The peers that were ordered to drop a file: those that are here, and how many are away."""

    present: list[Peer]
    away: int


class Placements:
    """`waiting` are the peers for which the store has orders; `member` tells who is here."""

    def __init__(
        self,
        store: PlacementStore,
        accounts: Accounts,
        member: Callable[[bytes], Awaitable[Member | None]],
        waiting: Iterable[bytes],
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._member = member
        self._waiting = set(waiting)

    async def hold(self, token: str, file_id: bytes, targets: Sequence[bytes], now: float) -> Session:
        """Note that the session's user places the file there. LoginRequired, NoRoom."""
        if not 1 <= len(targets) <= limits.MAX_TARGETS:
            raise InvalidRequest(why=f"a file can be placed on 1 to {limits.MAX_TARGETS} peers at a time")
        for target in targets:
            limits.check_id(target, "a peer id")
        limits.check_id(file_id, "the file id")
        session = await self._accounts.session(token, now)
        await self._store.place(session.user, file_id, targets, now=now, most=MOST_PLACED)
        return session

    async def drop(self, token: str, file_id: bytes, now: float) -> Dropped:
        """Order the peers where the user (an admin: anybody) placed the file to drop it. LoginRequired."""
        limits.check_id(file_id, "the file id")
        session = await self._accounts.session(token, now)
        targets = await self._store.order_drops(session.user, file_id, as_admin=session.role == "admin")
        self._waiting.update(targets)
        members = [await self._member(target) for target in targets]
        present = sorted(member.peer for member in members if member is not None and member.alive(now))
        return Dropped(present, len(targets) - len(present))

    def are_waiting(self, target: bytes) -> bool:
        """Whether orders wait for the peer."""
        return target in self._waiting

    async def take(self, target: bytes) -> list[Order]:
        """Orders that wait for the peer: it finishes these, then asks again."""
        return await self._store.orders(target, MOST_ORDERS)

    async def finish(self, target: bytes, order_ids: Sequence[bytes]) -> None:
        """The peer has carried these out, or cannot. Unknown ones are nobody's loss."""
        limits.check_count(order_ids, MOST_ORDERS, "orders")
        for order_id in order_ids:
            limits.check_id(order_id, "an order id", limits.SHORT_ID_BYTES)
        self._waiting.discard(target)  # before: an order made meanwhile puts it back
        more = True
        try:
            more = await self._store.finish_orders(target, order_ids)
        finally:
            if more:
                self._waiting.add(target)
