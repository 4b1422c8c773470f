"""The accounts in memory: the contract in the plainest way, for tests of the rules. It passes the contract's tests."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from central_server.people import NoRoom, Order, Session, User, UserTaken


@dataclass
class _Placed:
    """`order`: (id, who says so, as an admin)."""

    order: tuple[bytes, str, bool] | None = None


class MemoryAccounts:
    """See the contracts."""

    def __init__(self) -> None:
        self._users: dict[str, User] = {}
        self._sessions: dict[bytes, tuple[str, float]] = {}  # user, expires; in the order in which they began
        self._placed: dict[tuple[str, bytes, bytes], _Placed] = {}  # by user, file id, target

    async def add_user(self, user: User, most: int) -> None:
        if user.name in self._users:
            raise UserTaken(user=user.name)
        if len(self._users) >= most:
            raise NoRoom(why="too many accounts")
        self._users[user.name] = user

    async def user(self, name: str) -> User | None:
        return self._users.get(name)

    async def users(self) -> list[User]:
        return [self._users[name] for name in sorted(self._users)]

    async def set_password(self, name: str, password: str, was: str | None = None, *, keep_sessions: bool) -> bool:
        user = self._users.get(name)
        if user is None or was not in {None, user.password}:
            return False
        self._users[name] = replace(user, password=password)
        if not keep_sessions:
            self._end_all(name)
        return True

    async def set_disabled(self, name: str, *, disabled: bool) -> bool:
        if name not in self._users:
            return False
        self._users[name] = replace(self._users[name], disabled=disabled)
        if disabled:
            self._end_all(name)
        return True

    async def begin_session(self, user: User, digest: bytes, *, now: float, expires: float, most: int) -> bool:
        known = self._users.get(user.name)
        if known is None or known.disabled or known.password != user.password:
            return False
        self._sessions = {each: kept for each, kept in self._sessions.items() if kept[1] > now}
        self._sessions[digest] = (user.name, expires)
        theirs = [each for each, (name, _) in self._sessions.items() if name == user.name]
        for old in theirs[:-most]:
            del self._sessions[old]
        return True

    async def session(self, digest: bytes, now: float) -> Session | None:
        name, expires = self._sessions.get(digest, ("", 0.0))
        return Session(name, self._users[name].role, expires) if expires > now else None

    async def end_sessions(self, digest: bytes, now: float, *, everywhere: bool) -> int:
        found = await self.session(digest, now)
        if found is None:
            return 0
        if everywhere:
            return self._end_all(found.user)
        del self._sessions[digest]
        return 1

    async def close(self) -> None:
        self._sessions.clear()

    async def place(self, user: str, file_id: bytes, targets: Sequence[bytes], *, now: float, most: int) -> None:
        fresh = {(user, file_id, target) for target in targets}
        if len(fresh | {each for each in self._placed if each[0] == user}) > most:
            raise NoRoom(why="too many placements")
        self._placed.update({each: _Placed() for each in fresh})

    async def order_drops(self, user: str, file_id: bytes, *, as_admin: bool) -> list[bytes]:
        targets = set()
        for (placed_by, placed, target), kept in self._placed.items():
            if placed == file_id and (as_admin or placed_by == user):
                targets.add(target)
                order_id, by, was_admin = kept.order or (secrets.token_bytes(16), user, False)
                kept.order = (order_id, by if was_admin else user, was_admin or as_admin)
        return list(targets)

    async def orders(self, target: bytes, limit: int) -> list[Order]:
        waiting = [
            Order(kept.order[0], file_id, *kept.order[1:])
            for (_, file_id, at), kept in self._placed.items()
            if at == target and kept.order is not None
        ]
        return waiting[:limit]

    async def finish_orders(self, target: bytes, order_ids: Sequence[bytes]) -> bool:
        for key, kept in list(self._placed.items()):
            if key[2] == target and kept.order is not None and kept.order[0] in order_ids:
                del self._placed[key]
        return bool(await self.orders(target, 1))

    async def targets(self) -> set[bytes]:
        return {target for (_, _, target), kept in self._placed.items() if kept.order is not None}

    def _end_all(self, name: str) -> int:
        theirs = [each for each, (user, _) in self._sessions.items() if user == name]
        for each in theirs:
            del self._sessions[each]
        return len(theirs)
