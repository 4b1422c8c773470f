"""The contract of what remembers accounts, and what people placed where, in the verbs of the domain.

Every store keeps these promises (tests/central_server/test_account_store.py runs on each of them):

* What a verb returned has happened and is on the disk: it outlives the loss of power. Unlike the index, nobody could
  tell it again.
* Each verb happens at once or not at all, also when another process (`central-server user`) uses the same store.
* Any verb may raise StoreUnavailable; it has then changed nothing.
"""

from collections.abc import Sequence
from typing import Protocol

from central_server.people import Order, Session, User


class AccountStore(Protocol):
    """Users and their sessions. A session is known by the SHA-256 of its token only."""

    async def add_user(self, user: User, most: int) -> None:
        """A new account. UserTaken; NoRoom: there are `most` already."""

    async def user(self, name: str) -> User | None:
        """The account, or None."""

    async def users(self) -> list[User]:
        """All accounts, by name."""

    async def set_password(self, name: str, password: str, was: str | None = None, *, keep_sessions: bool) -> bool:
        """Another hash for the account, if it has the hash `was` (None: whatever it has), and the end of its sessions,
        unless they are kept. False: it has not, or there is no such account."""

    async def set_disabled(self, name: str, *, disabled: bool) -> bool:
        """Disable the account, which ends its sessions, or enable it. False: there is no such account."""

    async def begin_session(self, user: User, digest: bytes, *, now: float, expires: float, most: int) -> bool:
        """A session for the account, if it still is as `user` says: not disabled, and with that hash; else False.

        Of more than `most` sessions the ones that began first end. Forgets what has expired at `now`.
        """

    async def session(self, digest: bytes, now: float) -> Session | None:
        """Whose session that is; None: it never was, has ended or expired. Cheap."""

    async def end_sessions(self, digest: bytes, now: float, *, everywhere: bool) -> int:
        """End that session, or all of its user's, if it is alive at `now`. How many ended."""

    async def close(self) -> None:
        """Let go of everything. Nothing may be called afterwards."""


class PlacementStore(Protocol):
    """Who placed which file at which peer (target), and the orders to drop it there again."""

    async def place(self, user: str, file_id: bytes, targets: Sequence[bytes], *, now: float, most: int) -> None:
        """Note that the user placed the file there; once is enough. An order that waits to drop it there for this
        user is void. NoRoom: the user would have placed more than `most`."""

    async def order_drops(self, user: str, file_id: bytes, *, as_admin: bool) -> list[bytes]:
        """Make an order for each peer where the user (as an admin: anybody) placed the file. Which peers, in no order.

        Where one waits already, there is still one; an admin's word makes it an admin's.
        """

    async def orders(self, target: bytes, limit: int) -> list[Order]:
        """Up to `limit` of the orders that wait for a peer, in no order."""

    async def finish_orders(self, target: bytes, order_ids: Sequence[bytes]) -> bool:
        """Forget these orders of the peer, and that the file was placed there. Whether others wait for it."""

    async def targets(self) -> set[bytes]:
        """The peers for which orders wait."""
