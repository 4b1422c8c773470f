"""Tells the service manager how this peer is, and that it lives only if both of its listeners were seen to answer."""

from collections.abc import Callable, Sequence

from protos.service import ServiceManager
from pserver.http.probe import serves
from pserver.model import PServerError
from pserver.network.membership_actions import LocatorStatus, Reachable

PROBE_SECONDS = 4.0
STOP_SECONDS = 30.0  # the listeners' time for requests in flight, and that of the transfers
Probe = Callable[[str, int, float], bool]


class Wellbeing:
    """`tick(now)` often, from the thread whose life counts too: when that hangs, nothing is told, and systemd kills.

    `listeners`: host and port of each. `say`: what this peer does now, in a line; it may raise PServerError.
    """

    def __init__(
        self,
        manager: ServiceManager,
        listeners: Sequence[tuple[str, int]],
        say: Callable[[], str],
        probe: Probe = serves,
    ) -> None:
        self._manager = manager
        self._listeners = listeners
        self._say = say
        self._probe = probe
        self._next = 0.0

    def begin(self, now: float) -> None:
        """All listeners serve from now on."""
        self._manager.ready(self._line())
        self._next = now + self._manager.seconds

    def tick(self, now: float) -> None:
        """Look, and tell, when it is time to."""
        if not self._manager.listens or now < self._next:
            return
        self._next = now + self._manager.seconds
        silent = [port for host, port in self._listeners if not self._probe(host, port, PROBE_SECONDS)]
        if silent:
            self._manager.troubled(f"no answer on port {', '.join(map(str, silent))}")
        else:
            self._manager.alive(self._line())

    def end(self) -> None:
        """It stops, which takes a while."""
        self._manager.stopping(STOP_SECONDS)

    def _line(self) -> str:
        try:
            return self._say()
        except PServerError as error:
            return str(error)


def line(files: int, neighbours: int, locators: Sequence[LocatorStatus], reachable: Reachable, running: int) -> str:
    """What a peer does, in one line for `systemctl status`."""
    said = [f"sharing {_count(files, 'file')}", _count(neighbours, "neighbour"), _locators(locators)]
    if reachable.ok is False:
        said.append(f"OTHERS CANNOT REACH IT: {reachable.why}")
    if running:
        said.append(f"{_count(running, 'transfer')} running")
    return ", ".join(said)


def _locators(locators: Sequence[LocatorStatus]) -> str:
    if not locators:
        return "no locator"
    if any(one.state == "registered" for one in locators):
        return "locator reachable"
    first = locators[0]
    return f"locator {first.address} {first.state}" + (f" ({first.why})" if first.why else "")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
