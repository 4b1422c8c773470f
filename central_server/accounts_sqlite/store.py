"""The verbs of both contracts, one after the other in a thread of their own."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from central_server.accounts_sqlite import placements, users
from central_server.accounts_sqlite.file import open_accounts
from central_server.model import StoreUnavailable
from central_server.people import Order, Session, User

_MOST_WAITING = 1024  # a verb takes about a millisecond, and on a slow disk perhaps ten
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class SQLiteAccounts:
    """AccountStore and PlacementStore in the file `path`. CannotOpen. The docstrings of the contracts hold."""

    def __init__(self, path: Path) -> None:
        self._connection = open_accounts(path)
        self._thread = ThreadPoolExecutor(1, "accounts")
        self._waiting = 0

    async def add_user(self, user: User, most: int) -> None:
        """See AccountStore."""
        await self._do(lambda connection: users.add(connection, user, most))

    async def user(self, name: str) -> User | None:
        """See AccountStore."""
        return await self._do(lambda connection: users.read(connection, name))

    async def users(self) -> list[User]:
        """See AccountStore."""
        return await self._do(users.read_all)

    async def set_password(self, name: str, password: str, was: str | None = None, *, keep_sessions: bool) -> bool:
        """See AccountStore."""
        return await self._do(
            lambda connection: users.set_password(connection, name, password, was, keep_sessions=keep_sessions)
        )

    async def set_disabled(self, name: str, *, disabled: bool) -> bool:
        """See AccountStore."""
        return await self._do(lambda connection: users.set_disabled(connection, name, disabled=disabled))

    async def begin_session(self, user: User, digest: bytes, *, now: float, expires: float, most: int) -> bool:
        """See AccountStore."""
        return await self._do(
            lambda connection: users.begin_session(connection, user, digest, now=now, expires=expires, most=most)
        )

    async def session(self, digest: bytes, now: float) -> Session | None:
        """See AccountStore."""
        return await self._do(lambda connection: users.session(connection, digest, now))

    async def end_sessions(self, digest: bytes, now: float, *, everywhere: bool) -> int:
        """See AccountStore."""
        return await self._do(lambda connection: users.end_sessions(connection, digest, now, everywhere=everywhere))

    async def place(self, user: str, file_id: bytes, targets: Sequence[bytes], *, now: float, most: int) -> None:
        """See PlacementStore."""
        await self._do(lambda connection: placements.place(connection, user, file_id, targets, now=now, most=most))

    async def order_drops(self, user: str, file_id: bytes, *, as_admin: bool) -> list[bytes]:
        """See PlacementStore."""
        return await self._do(lambda connection: placements.order_drops(connection, user, file_id, as_admin=as_admin))

    async def orders(self, target: bytes, limit: int) -> list[Order]:
        """See PlacementStore."""
        return await self._do(lambda connection: placements.orders(connection, target, limit))

    async def finish_orders(self, target: bytes, order_ids: Sequence[bytes]) -> bool:
        """See PlacementStore."""
        return await self._do(lambda connection: placements.finish_orders(connection, target, order_ids))

    async def targets(self) -> set[bytes]:
        """See PlacementStore."""
        return await self._do(placements.targets)

    async def close(self) -> None:
        """See AccountStore."""
        await asyncio.to_thread(self._thread.shutdown)
        self._connection.close()

    async def _do(self, verb: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run it in the thread, in a transaction. StoreUnavailable. Once begun it ends, whoever goes away."""
        if self._waiting >= _MOST_WAITING:
            raise StoreUnavailable(why="too many ask for accounts at once")
        self._waiting += 1
        done = asyncio.get_running_loop().run_in_executor(self._thread, self._transact, verb)
        done.add_done_callback(self._ended)
        return await asyncio.shield(done)

    def _ended(self, done: "asyncio.Future[_T]") -> None:
        self._waiting -= 1
        if not done.cancelled():
            done.exception()  # seen: if nobody waits any more, nobody needs to hear of it

    def _transact(self, verb: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            result = verb(self._connection)
            self._connection.execute("COMMIT")
            return result
        except sqlite3.Error as error:
            _log.error("the accounts' database failed: %s", error)
            raise StoreUnavailable(why=f"its accounts' database fails ({error})") from error
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
