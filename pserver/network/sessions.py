"""Sessions that a locator was asked about: for how long its answer is believed. Pure; `now` is Unix time, seconds.

The rules:
 1. What was checked within the last FRESH_SECONDS is believed. A logout elsewhere is therefore noticed after them.
 2. Else the locators are asked. One that says that the session has ended is believed at once.
 3. If none answers, a session is honoured for `grace` seconds after it was last checked; and for QUIET_SECONDS the
    locators are not asked again about it, so that a locator which hangs does not hang every request.
 4. Beyond its own end no session is honoured, nor after the clock was set back to before its check.
Only hashes of sessions are kept, and at most MAX_SEEN; the one unused longest goes.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, replace

from pserver.people import Person

FRESH_SECONDS = 10.0
QUIET_SECONDS = 2.0
MAX_SEEN = 1024


@dataclass(frozen=True, slots=True)
class _Seen:
    person: Person
    checked: float
    silent: float | None = None  # when a locator last did not answer about it


class SeenSessions:
    """Not thread-safe. `grace` in seconds."""

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._seen: OrderedDict[bytes, _Seen] = OrderedDict()

    def believed(self, session: str, now: float) -> Person | None:
        """Whose session it is, if that need not be asked now."""
        seen = self._seen.get(_key(session))
        if seen is None or not _alive(seen, now):
            return None
        asked_in_vain = seen.silent is not None and 0 <= now - seen.silent < QUIET_SECONDS
        if 0 <= now - seen.checked < FRESH_SECONDS or (asked_in_vain and self._in_grace(seen, now)):
            self._seen.move_to_end(_key(session))
            return seen.person
        return None

    def checked(self, session: str, person: Person, now: float) -> None:
        """A locator said whose it is."""
        self._seen[_key(session)] = _Seen(person, now)
        self._seen.move_to_end(_key(session))
        while len(self._seen) > MAX_SEEN:
            self._seen.popitem(last=False)

    def unanswered(self, session: str, now: float) -> Person | None:
        """No locator answered: whose session it is, if it is honoured all the same."""
        seen = self._seen.get(_key(session))
        if seen is None or not _alive(seen, now) or not self._in_grace(seen, now):
            return None
        self._seen[_key(session)] = replace(seen, silent=now)
        return seen.person

    def ended(self, session: str, everywhere: bool = False) -> None:
        """It has ended; `everywhere`: and all others of its user."""
        seen = self._seen.pop(_key(session), None)
        if everywhere and seen is not None:
            for key in [key for key, other in self._seen.items() if other.person.user == seen.person.user]:
                del self._seen[key]

    def _in_grace(self, seen: _Seen, now: float) -> bool:
        return 0 <= now - seen.checked < self._grace


def _alive(seen: _Seen, now: float) -> bool:
    return seen.person.expires is None or now < seen.person.expires


def _key(session: str) -> bytes:
    return hashlib.sha256(session.encode()).digest()
