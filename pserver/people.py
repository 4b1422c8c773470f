"""People as this peer knows them: who is logged in, and what a person had other peers do. Values only."""

import re
from dataclasses import dataclass
from typing import Literal

from pserver.model import Peer

Role = Literal["owner", "member", "admin"]
_SESSION = re.compile(r"p2ps_[A-Za-z0-9_-]{43}")


def is_session(text: str) -> bool:
    """Whether it has the form of a session; only a locator knows whether it is one."""
    return _SESSION.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks. `user` is None for the owner, who is known by the client token. `expires`: Unix time."""

    user: str | None
    role: Role
    expires: float | None = None


OWNER = Person(None, "owner")


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A session that has begun."""

    session: str
    person: Person


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, and the session that proved it; None: the client token did."""

    person: Person
    session: str | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """Which peers are ordered to drop a file, and how many more that are away now. `removed`: the own copy was."""

    file_id: bytes
    present: tuple[Peer, ...]
    away: int
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """What the locator has for this peer to do. `order_id` has 16 bytes; `grant` says what."""

    order_id: bytes
    grant: str
