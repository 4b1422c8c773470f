"""What a member may do next (decided in `membership_state`, done in `membership`), and how it stands. Values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Register:
    """Register with the locator at this position of the settings' list."""

    locator: int


@dataclass(frozen=True, slots=True)
class Beat:
    """Renew the lease."""

    locator: int
    lease_id: bytes


@dataclass(frozen=True, slots=True)
class SendChanges:
    """Announce what changed after this sequence."""

    locator: int
    lease_id: bytes
    epoch: bytes
    after: int


@dataclass(frozen=True, slots=True)
class SendPart:
    """Announce a part of the snapshot as of `sequence`: the files whose names follow `after_name`."""

    locator: int
    lease_id: bytes
    epoch: bytes
    sequence: int
    part: int
    after_name: str


@dataclass(frozen=True, slots=True)
class BeginEpoch:
    """Give the share's index a new epoch."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing until then (math.inf: until an event)."""

    until: float


Action = Register | Beat | SendChanges | SendPart | BeginEpoch | Wait


@dataclass(frozen=True, slots=True)
class LocatorStatus:
    """How it stands with one locator. `state`: registered, trying, unreachable or refused; `why` in words."""

    address: str
    state: str
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Reachable:
    """Whether others can reach this peer, as the locator found. `ok` is None until one has said."""

    ok: bool | None
    why: str
