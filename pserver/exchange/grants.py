"""Grants of uploads: the uploading peer asks for them in a person's name, the target checks what it is shown."""

import threading
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from protos.grants import Grant, GrantVerifier
from protos.tokens import InvalidToken
from pserver.model import LoginNeeded, Refused, Unavailable

REUSED_SECONDS = 60.0  # of the 120 that a grant is good for: a target that does not answer is asked often
AT_ONCE = 64
LOG_IN = "log in, then resume it"


class GrantsAsked(Protocol):
    """What an upload needs of the accounts."""

    def grant_hold(self, session: str, file_id: bytes, targets: Sequence[str]) -> list[str]:
        """A grant a target (peer ids). LoginNeeded if the session has ended; Unavailable."""


class UploadGrants:
    """The grants of this peer's uploads. Thread-safe. `wanted()`: whether accounts are on.

    A session is held here for as long as its upload lives, in memory only: after a restart its person resumes it.
    """

    def __init__(self, asked: GrantsAsked, wanted: Callable[[], bool], clock: Callable[[], float]) -> None:
        self._asked = asked
        self._wanted = wanted
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: dict[str, str] = {}  # by transfer
        self._made: dict[tuple[str, str], tuple[str, float]] = {}  # (transfer, target): grant, when

    def hold(self, transfer_id: str, session: str | None) -> None:
        """That upload goes on in the name of this session's person, with grants that are given from now on."""
        with self._lock:
            self._forget_made(transfer_id)
            if session is not None:
                self._sessions[transfer_id] = session

    def forget(self, transfer_id: str) -> None:
        """It has ended."""
        with self._lock:
            self._sessions.pop(transfer_id, None)
            self._forget_made(transfer_id)

    def _forget_made(self, transfer_id: str) -> None:
        self._made = {key: made for key, made in self._made.items() if key[0] != transfer_id}

    def for_targets(self, transfer_id: str, file_id: bytes, targets: Sequence[str]) -> dict[str, str | None]:
        """What to show each of these peers: a grant, or None where accounts are off.

        LoginNeeded if nobody's session is held for this upload, or it has ended; Unavailable.
        """
        if not self._wanted():
            return dict.fromkeys(targets)
        now = self._clock()
        with self._lock:
            session = self._sessions.get(transfer_id)
            fresh = {one: self._made.get((transfer_id, one), ("", float("-inf"))) for one in targets}
        missing = [one for one, (_grant, made) in fresh.items() if now - made >= REUSED_SECONDS]
        if missing and session is None:
            raise LoginNeeded(LOG_IN)
        shown: dict[str, str | None] = {one: grant for one, (grant, _made) in fresh.items()}
        for start in range(0, len(missing), AT_ONCE):
            some = missing[start : start + AT_ONCE]
            made = dict(zip(some, self._ask(transfer_id, session or "", file_id, some), strict=True))
            shown |= made
            with self._lock:
                self._made |= {(transfer_id, one): (grant, now) for one, grant in made.items()}
        return shown

    def _ask(self, transfer_id: str, session: str, file_id: bytes, targets: Sequence[str]) -> list[str]:
        try:
            return self._asked.grant_hold(session, file_id, targets)
        except LoginNeeded:
            self.forget(transfer_id)
            raise LoginNeeded(LOG_IN) from None


class OfferGrants:
    """Checks what other peers show with an offer. `wanted()`: whether accounts are on; `locators()`: their ids."""

    def __init__(
        self,
        verifier: GrantVerifier,
        wanted: Callable[[], bool],
        locators: Callable[[], Collection[str]],
        wall: Callable[[], float],
    ) -> None:
        self._verifier = verifier
        self._wanted = wanted
        self._locators = locators
        self._wall = wall

    def granted(self, grant: str | None, file_id: bytes, asker: str) -> Grant | None:
        """By which `asker` may have this peer hold the file; None where accounts are off. Refused otherwise.

        Unavailable: this peer has just started, and does not know yet whose grants count.
        """
        if not self._wanted():
            return None
        if grant is None:
            raise grant_needed("it shows none")
        locators = self._locators()
        if not locators:
            raise Unavailable("this peer is not registered with its locator yet: try again in a moment")
        try:
            said = self._verifier.check(grant, locators, self._wall())
        except InvalidToken as error:
            raise grant_needed(str(error)) from None
        if said.verb != "hold" or said.file_id != file_id.hex():
            raise grant_needed("it shows one for something else")
        if said.by != asker:
            raise grant_needed("it shows one that was given to another peer")
        return said

    def order(self, grant: str) -> Grant:
        """What the locator orders this peer to drop. InvalidToken if it is no such order of a locator of this peer."""
        said = self._verifier.check(grant, self._locators(), self._wall())
        if said.verb != "drop" or said.by is not None:
            raise InvalidToken("the grant is no order to drop a file")
        return said


def grant_needed(why: str) -> Refused:
    """What whoever offers a file is told."""
    words = "this network has accounts: a peer takes an upload only with the locator's grant for its person"
    return Refused(f"{words}, and {why}", "grant_needed")
