"""What the rules of the locator answer. Values."""

from dataclasses import dataclass
from typing import NamedTuple

from central_server.model import Entry, Member, Peer


class IndexState(NamedTuple):
    """Where the locator is in a peer's index. `wanted_in`: send a snapshot after so many seconds; None: no need."""

    epoch: bytes
    sequence: int
    wanted_in: float | None


class Registered(NamedTuple):
    """What a new member needs. `unreachable_why` None: reachable."""

    lease_id: bytes
    state: IndexState
    neighbours: list[Peer]
    unreachable_why: str | None


class Alive(NamedTuple):
    """The answer to a heartbeat."""

    state: IndexState
    neighbours: list[Peer]


class MemberPage(NamedTuple):
    """Members and their files and bytes: all of them, or below the folder asked for. `after` None: no more."""

    members: list[tuple[Member, int, int]]
    after: tuple[str, bytes] | None


class FilePage(NamedTuple):
    """Files of one peer. `after` None: no more."""

    entries: list[Entry]
    after: str | None


@dataclass(slots=True)
class Tally:
    """What happened since the start, and how it stands as of the last tick, for whoever watches. Only counted here.

    `unreachable`: registrations whose dial-back failed. `files` and `share_bytes`: of all members, each copy counted.
    """

    registrations: int = 0
    unreachable: int = 0
    resyncs: int = 0
    members: int = 0
    files: int = 0
    share_bytes: int = 0
