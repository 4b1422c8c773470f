"""Being a member: registers with a locator, keeps the lease, and announces what the share gains and loses.

What to do next is decided in membership_state.py; here it is done, by one thread, one call at a time, each with a
deadline. It does not know what a lookup is: others ask it which peers and locators there are.
"""

import logging
import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pserver.backoff import Chance
from pserver.model import Peer, PServerError, Replaced, Unavailable
from pserver.network.batches import ChangingIndex, changes_that_fit, part_that_fits
from pserver.network.membership_actions import (
    Beat,
    BeginEpoch,
    LocatorStatus,
    Reachable,
    Register,
    SendChanges,
    SendPart,
    Wait,
)
from pserver.network.membership_state import MembershipState
from pserver.remote.locator_messages import Batch, IndexState, Introduction, Lease, Pulse, Registration

REGISTER_TIMEOUT = 10.0  # the locator dials back before it answers
HEARTBEAT_TIMEOUT = 3.0
ANNOUNCE_TIMEOUT = 10.0
LEAVE_TIMEOUT = 1.0
_AFTER_A_BUG_SECONDS = 1.0
_log = logging.getLogger(__name__)


class Index(ChangingIndex, Protocol):
    """What membership needs of the share. Thread-safe."""

    @property
    def epoch(self) -> bytes:
        """16 bytes; another one means that sequences mean nothing any more."""

    @property
    def sequence(self) -> int:
        """Of the newest change."""

    def new_epoch(self) -> object:
        """Start a new epoch: the locator knew more of the old one than we do (a restored backup)."""

    def on_change(self, callback: Callable[[], None]) -> object:
        """Call `callback` (which returns at once) after each change, outside all locks of the share."""


class Locator(Protocol):
    """What membership needs of a LocatorClient."""

    @property
    def address(self) -> str: ...
    def register(self, introduction: Introduction, timeout: float) -> Registration: ...
    def heartbeat(self, pulse: Pulse, timeout: float) -> Lease: ...
    def announce(self, lease_id: bytes, batch: Batch, timeout: float) -> IndexState: ...
    def leave(self, lease_id: bytes, timeout: float) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Self:
    """What this peer tells of itself. `peer` and `free_bytes` are asked anew each time."""

    peer: Callable[[], Peer]
    version: str
    accepts_uploads: bool
    free_bytes: Callable[[], int]


class Membership:
    """Keeps this peer a member, with a thread of its own between `start` and `stop`.

    `locators` in the order of the settings; if there are none, it does nothing. Whoever made them closes them, after
    `stop`. `on_replaced` is called once, from that thread, with a message for the person, when another process has
    taken this peer's place; membership has ended by then. `on_lease` is called from it after each Register (with the
    locator's id, hex) and Heartbeat (without); it returns at once.
    """

    def __init__(
        self,
        own: Self,
        index: Index,
        locators: Sequence[Locator],
        on_replaced: Callable[[str], None],
        *,
        on_lease: Callable[[int, Lease, str | None], object] = lambda _position, _lease, _locator_id: None,
        clock: Callable[[], float] = time.monotonic,
        chance: Chance = random.random,
    ) -> None:
        self._own = own
        self._index = index
        self._locators = list(locators)
        self._on_replaced = on_replaced
        self._on_lease = on_lease
        self._clock = clock
        self._state = MembershipState([locator.address for locator in locators], chance)
        self._lock = threading.Lock()  # of _state; never held while the share or a locator is called
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="membership", daemon=True)
        index.on_change(self._share_changed)

    def start(self) -> None:
        """Begin. The peer API must already answer: the locator dials back."""
        self._thread.start()

    def stop(self) -> None:
        """Leave the locator and end the thread, within about two seconds whatever the locator does."""
        self._stopped.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(1.0)
        if self._thread.is_alive():  # in a call that hangs; closing breaks it off
            for locator in self._locators:
                locator.close()
            self._thread.join(0.5)
            return
        self._leave()

    def locators(self) -> list[LocatorStatus]:
        """One status a locator, in the order of the settings."""
        with self._lock:
            return self._state.statuses

    def in_reach(self) -> bool:
        """Whether a locator answers now, as far as is known."""
        return any(status.state == "registered" for status in self.locators())

    def neighbours(self) -> tuple[Peer, ...]:
        """The peers that the locator last assigned; kept while it is away."""
        with self._lock:
            return tuple(peer for peer in self._state.neighbours if peer.peer_id != self._own.peer().peer_id)

    def reachable(self) -> Reachable:
        """Whether the locator's dial-back reached this peer."""
        with self._lock:
            return self._state.reachable

    def moved(self) -> None:
        """This peer has another address: register again, so that others learn it."""
        with self._lock:
            self._state.moved(self._clock())
        self._wake.set()

    def heartbeat_age(self) -> float | None:
        """Seconds since the lease was last renewed; None: there is no lease."""
        with self._lock:
            renewed = self._state.renewed
        return None if renewed is None else max(0.0, self._clock() - renewed)

    def order(self) -> list[int]:
        """The locators' positions in the order in which a lookup asks them: the one registered with comes first."""
        with self._lock:
            held = self._state.held
        first = held[0] if held is not None else 0
        return sorted(range(len(self._locators)), key=lambda position: position != first)

    def tick(self, now: float) -> float:
        """Do what is due, one thing; when to be called again (at once after each thing done)."""
        epoch, sequence = self._index.epoch, self._index.sequence
        with self._lock:
            action = self._state.next(now, epoch, sequence)
        if isinstance(action, Wait):
            return action.until
        try:
            self._do(action)
        except PServerError as error:
            self._failed(action, error)
        return now

    # --- doing

    def _do(self, action: Register | Beat | SendChanges | SendPart | BeginEpoch) -> None:
        match action:
            case Register():
                self._register(action)
            case Beat():
                self._beat(action)
            case SendChanges():
                self._send_changes(action)
            case SendPart():
                self._send_part(action)
            case BeginEpoch():
                _log.warning("the locator knows more of this peer's index than the peer: beginning a new epoch")
                self._index.new_epoch()
                with self._lock:
                    self._state.epoch_began(self._clock())

    def _register(self, action: Register) -> None:
        own, peer, locator = self._own, self._own.peer(), self._locators[action.locator]
        said = Introduction(
            name=peer.name,
            url=peer.url,
            version=own.version,
            free_bytes=own.free_bytes(),
            accepts_uploads=own.accepts_uploads,
            epoch=self._index.epoch,
            sequence=self._index.sequence,
        )
        answer = locator.register(said, REGISTER_TIMEOUT)
        with self._lock:
            before = self._state.reachable
            self._state.registered(self._clock(), answer)
            news = self._state.reachable != before
        self._on_lease(action.locator, answer.lease, answer.locator_id.hex())
        if answer.reachable:
            _log.info("registered with the locator at %s", locator.address)
        else:
            level = logging.WARNING if news else logging.DEBUG  # once, not at each try
            _log.log(level, "registered, but other peers cannot reach this one: %s", answer.unreachable_why)

    def _beat(self, action: Beat) -> None:
        pulse = Pulse(
            lease_id=action.lease_id,
            free_bytes=self._own.free_bytes(),
            accepts_uploads=self._own.accepts_uploads,
            epoch=self._index.epoch,
            sequence=self._index.sequence,
        )
        lease = self._locators[action.locator].heartbeat(pulse, HEARTBEAT_TIMEOUT)
        with self._lock:
            self._state.beaten(self._clock(), lease)
        self._on_lease(action.locator, lease, None)

    def _send_changes(self, action: SendChanges) -> None:
        changes = changes_that_fit(self._index, action.after)
        if changes is None:
            with self._lock:
                self._state.too_long_ago(self._clock())
            return
        if changes.sequence <= action.after:
            raise Unavailable("the share's index does not say what changed")
        batch = Batch(action.epoch, action.after, changes.sequence, changes.added, changes.removed)
        index = self._locators[action.locator].announce(action.lease_id, batch, ANNOUNCE_TIMEOUT)
        with self._lock:
            self._state.announced(self._clock(), action, changes.sequence, index)

    def _send_part(self, action: SendPart) -> None:
        entries, last = part_that_fits(self._index, action.after_name)
        batch = Batch(action.epoch, 0, action.sequence, entries, part=action.part, last=last)
        index = self._locators[action.locator].announce(action.lease_id, batch, ANNOUNCE_TIMEOUT)
        with self._lock:
            if last:
                self._state.announced(self._clock(), action, action.sequence, index)
            else:
                self._state.part_answered(self._clock(), action, entries[-1].name, index)

    def _failed(self, action: Register | Beat | SendChanges | SendPart | BeginEpoch, error: PServerError) -> None:
        with self._lock:
            before = self._state.statuses
            self._state.failed(self._clock(), action, error)
            news = self._state.statuses != before
        _log.log(logging.WARNING if news else logging.DEBUG, "%s", error)
        if isinstance(error, Replaced) and not isinstance(action, Register):
            self._on_replaced(str(error))

    def _leave(self) -> None:
        with self._lock:
            held = self._state.held
        if held is None:
            return
        try:
            self._locators[held[0]].leave(held[1], LEAVE_TIMEOUT)
        except PServerError as error:
            _log.info("left without goodbye: %s", error)  # the lease ends by itself

    # --- the runner

    def _share_changed(self) -> None:
        with self._lock:
            self._state.share_changed(self._clock())
        self._wake.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wake.clear()
            try:
                until = self.tick(self._clock())
            except PServerError as error:  # of the own index: no descriptor left, a disk that fails
                _log.warning("membership goes on in a moment: %s", error)
                until = self._clock() + _AFTER_A_BUG_SECONDS
            except Exception:
                _log.exception("membership goes on after an unexpected failure")
                until = self._clock() + _AFTER_A_BUG_SECONDS
            seconds = until - self._clock()
            if seconds > 0 and not self._stopped.is_set():
                self._wake.wait(None if math.isinf(seconds) else seconds)
