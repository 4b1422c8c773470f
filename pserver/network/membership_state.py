"""What a member does next: events in, one action out. No I/O, no clock, no thread; `now` is in seconds.

The rules:
 1. Without a lease: register with the locators in order; when all have failed, wait (1..5 s) and begin again.
 2. The heartbeat comes before everything else, so that a long snapshot never costs the lease.
 3. A lease that the locator does not know (NotFound) is taken anew at once. A locator that is silent for half a lease
    is given up for the next one, if there is one; the only one is asked on, for it may come back with the lease.
 4. Replaced by another process: nothing more, ever.
 5. Not reachable from outside: stay a member, register again after 5..60 s.
 6. The locator's word counts: changes go out from where it says it is; a snapshot when it wants one, when it wants it.
    If it is ahead of us in our own epoch (our index is a restored backup), we begin a new epoch.
 7. A refusal or a failure of an announce is never repeated without a wait.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pserver.backoff import Backoff, Chance
from pserver.model import InvalidRequest, NotFound, Peer, PServerError, Refused, Replaced
from pserver.network.membership_actions import (
    Action,
    Beat,
    BeginEpoch,
    LocatorStatus,
    Reachable,
    Register,
    SendChanges,
    SendPart,
    Wait,
)
from pserver.remote.locator_messages import IndexState, Lease, Registration

DEBOUNCE_SECONDS = 0.2
REFUSED_SECONDS = 60.0


@dataclass(slots=True)
class _Held:
    """A lease, and when it was last renewed."""

    lease_id: bytes
    lease: Lease
    renewed: float


class MembershipState:
    """The state machine. Not thread-safe. `addresses`: of the locators, in the order of the settings."""

    def __init__(self, addresses: Sequence[str], chance: Chance) -> None:
        self._statuses = [LocatorStatus(address, "trying") for address in addresses]
        self._chance = chance
        self._position = 0
        self._held: _Held | None = None
        self._ended = not addresses
        self._register_at = 0.0
        self._beat_at = math.inf
        self._announce_at = 0.0
        self._index = IndexState(b"", 0)
        self._snapshot_at: float | None = None
        self._part: SendPart | None = None
        self._round = Backoff(1.0, 5.0, chance)
        self._missed = Backoff(0.5, 2.0, chance)
        self._unheard = Backoff(5.0, 60.0, chance)
        self._announces = Backoff(1.0, 30.0, chance)
        self.neighbours: tuple[Peer, ...] = ()
        self.reachable = Reachable(None, "")

    @property
    def statuses(self) -> list[LocatorStatus]:
        """How it stands with each locator."""
        return list(self._statuses)

    @property
    def held(self) -> tuple[int, bytes] | None:
        """The locator's position and the lease's id, if there is a lease."""
        return None if self._held is None else (self._position, self._held.lease_id)

    @property
    def renewed(self) -> float | None:
        """When the lease was last renewed; None: there is no lease."""
        return None if self._held is None else self._held.renewed

    # --- deciding

    def next(self, now: float, epoch: bytes, sequence: int) -> Action:
        """What to do now, where the share's index is at (epoch, sequence)."""
        if self._ended:
            return Wait(math.inf)
        if self._held is None:
            return Register(self._position) if now >= self._register_at else Wait(self._register_at)
        if now >= self._beat_at:
            return Beat(self._position, self._held.lease_id)
        if now >= self._register_at and self._part is None:
            return Register(self._position)
        return self._next_announce(now, self._held.lease_id, epoch, sequence)

    def _next_announce(self, now: float, lease_id: bytes, epoch: bytes, sequence: int) -> Action:
        idle = Wait(min(self._beat_at, self._register_at))
        same_epoch = self._index.epoch == epoch
        if same_epoch and self._index.sequence > sequence:
            return BeginEpoch() if now >= self._announce_at else Wait(min(idle.until, self._announce_at))
        if self._part is not None and self._part.epoch != epoch:
            self._part = None
        if self._part is None and self._snapshot_at is not None:
            if now < self._snapshot_at:
                return Wait(min(idle.until, self._snapshot_at))
            self._part = SendPart(self._position, lease_id, epoch, sequence, 0, "")
        if self._part is None and (not same_epoch or sequence <= self._index.sequence):
            return idle  # in step; or the locator does not know this epoch yet, and the next heartbeat tells it
        if now < self._announce_at:
            return Wait(min(idle.until, self._announce_at))
        return self._part or SendChanges(self._position, lease_id, epoch, self._index.sequence)

    # --- events

    def share_changed(self, now: float) -> None:
        """The share's index moved: announce it, together with what else changes within a moment."""
        if self._announce_at <= now:
            self._announce_at = now + DEBOUNCE_SECONDS

    def moved(self, now: float) -> None:
        """This peer has another address, which nobody knows until it has registered again."""
        self._unheard.reset()
        self._register_at = now

    def epoch_began(self, now: float) -> None:
        """The share's index has a new epoch: tell the locator, which then asks for a snapshot."""
        self._part = None
        self._beat_at = now
        self._announce_at = now + self._announces.after_failure()  # a locator that is always ahead makes no circle

    def registered(self, now: float, answer: Registration) -> None:
        """Register was answered."""
        self._held = _Held(answer.lease_id, answer.lease, now)
        self._part, self._snapshot_at = None, None
        self._round.reset()
        self.reachable = Reachable(answer.reachable, answer.unreachable_why)
        if answer.reachable:
            self._unheard.reset()
        self._register_at = math.inf if answer.reachable else now + self._unheard.after_failure()
        self._renewed(now, answer.lease)

    def beaten(self, now: float, lease: Lease) -> None:
        """Heartbeat was answered."""
        if self._held is not None:
            self._renewed(now, lease)

    def announced(self, now: float, action: SendChanges | SendPart, sent_to: int, index: IndexState) -> None:
        """Announce was answered. `sent_to`: the sequence up to which the changes of a SendChanges went."""
        applied = index.epoch == action.epoch and index.sequence >= sent_to and not index.snapshot_wanted
        self._announce_at = now
        if applied:
            self._announces.reset()
            self._state("registered")
        else:  # never again at once, whatever the locator says
            self._announce_at = now + self._announces.after_failure()
        if isinstance(action, SendPart):
            self._part, self._snapshot_at = None, None
        self._follow(now, index)

    def part_answered(self, now: float, action: SendPart, last_name: str, index: IndexState) -> None:
        """A part of a snapshot that is not the last was answered; `last_name`: the last file's in it.

        The locator wants a snapshot no more once it has one in the making. If it still does, it has lost the parts
        before this one: all of them again.
        """
        self._announce_at = now
        if index.snapshot_wanted:
            self._announce_at = now + self._announces.after_failure()
            self._part, self._snapshot_at = None, None
            self._follow(now, index)
        else:
            self._part = replace(action, part=action.part + 1, after_name=last_name)

    def too_long_ago(self, now: float) -> None:
        """The share no longer knows all changes since the locator's sequence: a snapshot, then."""
        self._snapshot_at = now

    def failed(self, now: float, action: Action, error: PServerError) -> None:
        """The action came to nothing."""
        if isinstance(error, Replaced) and not isinstance(action, Register):
            self._ended, self._held = True, None
            self._state("refused", str(error))
        elif isinstance(action, Register):
            self._register_failed(now, error)
        elif isinstance(error, NotFound):
            self._lease_lost(now)
        elif isinstance(action, Beat):
            self._beat_failed(now, error)
        else:
            self._announce_failed(now, error)

    # --- how it goes on

    def _renewed(self, now: float, lease: Lease) -> None:
        assert self._held is not None
        self._held.lease, self._held.renewed = lease, now
        self._missed.reset()
        self._beat_at = now + lease.heartbeat_seconds * (1.0 - self._chance() / 5)
        self.neighbours = lease.neighbours
        if self._statuses[self._position].state != "registered":
            self._state("registered")
        self._follow(now, lease.index)

    def _follow(self, now: float, index: IndexState) -> None:
        self._index = index
        if not index.snapshot_wanted:
            self._snapshot_at = None
        elif self._part is None and self._snapshot_at is None:
            longest = self._held.lease.heartbeat_seconds if self._held is not None else 0.0
            self._snapshot_at = now + min(index.snapshot_delay, longest)

    def _register_failed(self, now: float, error: PServerError) -> None:
        self._state("refused" if isinstance(error, Refused | InvalidRequest) else "unreachable", str(error))
        if self._held is not None:  # it was only to be reachable: the lease goes on
            self._register_at = now + self._unheard.after_failure()
            return
        self._position = (self._position + 1) % len(self._statuses)
        self._register_at = now if self._position else now + self._round.after_failure()

    def _lease_lost(self, now: float) -> None:
        renewed = self._held.renewed if self._held is not None else now
        self._held, self._part, self._snapshot_at = None, None, None
        self._state("trying")
        self._register_at = max(now, renewed + 1.0)  # a locator that forgets at once is not asked in a circle

    def _beat_failed(self, now: float, error: PServerError) -> None:
        assert self._held is not None
        self._state("refused" if isinstance(error, Refused) else "unreachable", str(error))
        silent_too_long = now - self._held.renewed > self._held.lease.lease_seconds / 2
        if silent_too_long and len(self._statuses) > 1:
            self._held, self._part, self._snapshot_at = None, None, None
            self._position, self._register_at = 0, now
            return
        self._beat_at = now + min(self._missed.after_failure(), self._held.lease.heartbeat_seconds)

    def _announce_failed(self, now: float, error: PServerError) -> None:
        wait = self._announces.after_failure()
        if isinstance(error, Refused | InvalidRequest):
            self._state("registered", str(error))
            wait = max(wait, 1.0 if isinstance(error, InvalidRequest) and self._part is not None else REFUSED_SECONDS)
            if self._part is not None:  # from its beginning, then: the locator has lost its first parts
                self._part, self._snapshot_at = None, now
        self._announce_at = now + wait

    def _state(self, state: str, why: str | None = None) -> None:
        self._statuses[self._position] = replace(self._statuses[self._position], state=state, why=why)
