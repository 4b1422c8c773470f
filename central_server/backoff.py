"""How long whoever tries to log in must wait before the next try: longer after each that failed, never for ever.

No clock: `now` is in seconds and must not go back. What is remembered is bounded, may be lost, and is of no use to
anybody but whoever guesses.
"""

import ipaddress
import math
from collections import OrderedDict
from dataclasses import dataclass

from central_server.people import SlowDown


@dataclass(frozen=True, slots=True)
class Pace:
    """So many tries are `free`; then the wait is `first` seconds and doubles with each try, up to `longest`.

    After `forget` seconds without a try all is as at the beginning.
    """

    free: int
    first: float
    longest: float
    forget: float


# An account: one's own mistakes cost nothing, and whoever keeps it waiting on purpose holds it up a minute at most.
ACCOUNT = Pace(free=5, first=1.0, longest=60.0, forget=3600.0)
# An address: there may be many people behind it.
ADDRESS = Pace(free=20, first=1.0, longest=300.0, forget=3600.0)
MOST_REMEMBERED = 10_000
_IPV6_PREFIX = 64  # one customer has at least so much


class Backoff:
    """Counts the tries of each key. The `most` that tried last are remembered."""

    def __init__(self, pace: Pace, most: int = MOST_REMEMBERED) -> None:
        self._pace = pace
        self._most = most
        self._tries: OrderedDict[str, tuple[int, float]] = OrderedDict()  # how many, and when the last was

    def __len__(self) -> int:
        return len(self._tries)

    def wait(self, key: str, now: float) -> float:
        """Seconds until the key may try; 0: it may."""
        tries, last = self._remembered(key, now)
        beyond = tries - self._pace.free
        if beyond < 0:
            return 0.0
        # The exponent stays small: an attacker may have tried often enough to overflow a float.
        doublings = min(beyond, math.ceil(math.log2(self._pace.longest / self._pace.first)))
        return max(0.0, last + min(math.ldexp(self._pace.first, doublings), self._pace.longest) - now)

    def tried(self, key: str, now: float) -> None:
        """One more try, whose end is not known yet: it counts at once, so that many at a time count too."""
        tries, _ = self._remembered(key, now)
        self._tries[key] = (tries + 1, now)
        self._tries.move_to_end(key)
        while len(self._tries) > self._most:
            self._tries.popitem(last=False)

    def take_back(self, key: str) -> None:
        """One try of the key should not have counted."""
        tries, last = self._tries.get(key, (0, 0.0))
        if tries > 1:
            self._tries[key] = (tries - 1, last)
        else:
            self._tries.pop(key, None)

    def clear(self, key: str) -> None:
        """As at the beginning."""
        self._tries.pop(key, None)

    def _remembered(self, key: str, now: float) -> tuple[int, float]:
        tries, last = self._tries.get(key, (0, now))
        return (tries, last) if now - last < self._pace.forget else (0, now)


class Tries:
    """Tries to log in, by account and by the address they come from."""

    def __init__(self) -> None:
        self._accounts = Backoff(ACCOUNT)
        self._addresses = Backoff(ADDRESS)

    def begin(self, user: str | None, address: str, now: float) -> None:
        """A try; without a user it counts for the address only. SlowDown: not yet, and nothing was counted."""
        network = _network(address)
        wait = max(self._addresses.wait(network, now), 0.0 if user is None else self._accounts.wait(user, now))
        if wait > 0:
            raise SlowDown(math.ceil(wait))
        self._addresses.tried(network, now)
        if user is not None:
            self._accounts.tried(user, now)

    def right(self, user: str, address: str) -> None:
        """The password was right: the account begins anew, and this try does not count for the address."""
        self._accounts.clear(user)
        self._addresses.take_back(_network(address))

    def take_back(self, user: str | None, address: str) -> None:
        """Nothing was tried after all."""
        self._addresses.take_back(_network(address))
        if user is not None:
            self._accounts.take_back(user)


def _network(address: str) -> str:
    """What one owner has: an IPv4 address, or the first half of an IPv6 one."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if found.version == 4:
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, _IPV6_PREFIX), strict=False))
