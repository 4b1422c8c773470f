"""Ends connections that send much and ask nothing: what gRPC does not defend itself against.

gRPC reads a header block without an end for as long as it comes (a CONTINUATION flood), and keeps megabytes of it for
each connection; it takes whole messages before anybody has seen a token. So the bytes that a connection sent, as the
kernel counts them, are held against the calls with a valid token that came on it. Three rules:

1. A connection that asked something may have sent `limit` bytes more than its calls explain.
2. All connections of one address that asked nothing yet may have sent `limit` bytes together; the largest are cut.
3. There may be 256 of these; the oldest are cut. (A client connects because it has something to ask.)

Nothing here knows HTTP/2 or TLS, so it holds against floods of any frame and handshakes of any kind.
"""

import ipaddress
import logging
import os
import socket
import stat
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

_PER_CALL_BYTES = 4096  # headers, and what a call costs in other frames
_OVERHEAD = 1.05  # of TLS and frames
_STRANGERS = 256
_EVERY_SECONDS = 0.05
_SHARE = 20  # looking takes at most one part in so many of the time
_BYTES_RECEIVED = struct.Struct("@128xQ")  # in the kernel's tcp_info (linux/tcp.h), since Linux 4.1
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Connection:
    """`who`: the address and port it comes from; `handle`: its descriptor and inode; `received`: bytes so far;
    `age`: how many were seen before it."""

    who: tuple[str, int]
    handle: tuple[int, int]
    received: int
    age: int = 0


def too_much(connections: Iterable[Connection], asked: Mapping[tuple[str, int], float], limit: int) -> list[Connection]:
    """Those to be cut. `asked`: how many bytes the valid calls of a connection explain; absent: it made none."""
    cut: list[Connection] = []
    strangers: defaultdict[str, list[Connection]] = defaultdict(list)
    for each in connections:
        explained = asked.get(each.who)
        if explained is None:
            strangers[each.who[0]].append(each)
        elif each.received - explained > limit:
            cut.append(each)
    for of_address in strangers.values():
        cut += _over(of_address, limit)
    return cut


def _over(strangers: list[Connection], limit: int) -> list[Connection]:
    """Rules 2 and 3, for those of one address."""
    oldest = sorted(strangers, key=lambda each: each.age)
    cut, kept = oldest[: max(0, len(oldest) - _STRANGERS)], oldest[-_STRANGERS:]
    total = sum(each.received for each in kept)
    for each in sorted(kept, key=lambda each: each.received, reverse=True):
        if total <= limit:
            break
        cut.append(each)
        total -= each.received
    return cut


class Doorman:
    """Looks at the connections to one port of this process, in a thread of its own. `limit` is in bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._asked: dict[tuple[str, int], float] = {}
        self._ages: dict[tuple[int, int], int] = {}
        self._seen = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def admitted(self, peer: str, size: int) -> None:
        """A call with a valid token and a request of `size` bytes came from `peer` (as gRPC writes it)."""
        who = _who(peer)
        if who is not None:
            with self._lock:
                self._asked[who] = self._asked.get(who, 0.0) + size * _OVERHEAD + _PER_CALL_BYTES

    @property
    def remembered(self) -> int:
        """How many connections it keeps an account of."""
        return len(self._asked)

    def start(self, port: int) -> None:
        """Begin to look at the connections to `port`."""
        self._thread = threading.Thread(target=self._run, args=(port,), name="doorman", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def look(self, port: int) -> list[Connection]:
        """Cut what must be; those that were."""
        connections = self._aged(list(_connections(port)))
        here = {each.who for each in connections}
        with self._lock:
            asked = dict(self._asked)
        cut = [each for each in too_much(connections, asked, self._limit) if _cut(each)]
        with self._lock:  # what came while we looked is not forgotten: its count has changed
            for who in [who for who, explained in asked.items() if who not in here and self._asked[who] == explained]:
                del self._asked[who]
        return cut

    def _aged(self, connections: list[Connection]) -> list[Connection]:
        ages: dict[tuple[int, int], int] = {}
        for each in connections:
            self._seen += each.handle not in self._ages
            ages[each.handle] = self._ages.get(each.handle, self._seen)
        self._ages = ages
        return [replace(each, age=ages[each.handle]) for each in connections]

    def _run(self, port: int) -> None:
        pause = _EVERY_SECONDS
        while not self._stopping.wait(pause):
            began = time.monotonic()
            try:
                cut = self.look(port)
                if cut:  # a line a look, whatever their number
                    _log.warning("cut off %d connections that asked too little: %s", len(cut), _told(cut))
            except Exception:
                _log.exception("looking at the connections failed")
            pause = max(_EVERY_SECONDS, _SHARE * (time.monotonic() - began))


def _told(cut: list[Connection]) -> str:
    """Their addresses, each with how many bytes it sent."""
    sent: defaultdict[str, int] = defaultdict(int)
    for each in cut:
        sent[each.who[0]] += each.received
    return ", ".join(f"{host} ({size} bytes)" for host, size in list(sent.items())[:8])


def _connections(port: int) -> Iterable[Connection]:
    """Of this process, to that port."""
    for fd in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208  # numbers, of which there may be thousands
        try:
            found = os.fstat(fd)
            if stat.S_ISSOCK(found.st_mode):
                seen = _look_at(fd, port)
                if seen is not None:
                    yield Connection(seen[0], (fd, found.st_ino), seen[1])
        except OSError:  # closed meanwhile, or not TCP, or listening
            continue


def _look_at(fd: int, port: int) -> tuple[tuple[str, int], int] | None:
    """Who is at the other end and how much came from there; None if this is no connection to `port`."""
    view = socket.socket(fileno=fd)  # borrowed: never closed here
    try:
        if view.family not in {socket.AF_INET, socket.AF_INET6} or view.getsockname()[1] != port:
            return None
        (received,) = _BYTES_RECEIVED.unpack(view.getsockopt(socket.SOL_TCP, socket.TCP_INFO, _BYTES_RECEIVED.size))
        host, from_port = view.getpeername()[:2]
        return (_plain(host), from_port), received
    finally:
        view.detach()


def _cut(connection: Connection) -> bool:
    """Shut it down if its descriptor is still the same connection; gRPC then closes it."""
    fd, inode = connection.handle
    try:
        with socket.socket(fileno=os.dup(fd)) as held:  # what we hold cannot become another one meanwhile
            if os.fstat(held.fileno()).st_ino != inode:
                return False
            held.shutdown(socket.SHUT_RDWR)
            return True
    except OSError:
        return False


def _who(peer: str) -> tuple[str, int] | None:
    """`ipv4:192.0.2.1:5000` or `ipv6:%5B2001:db8::1%5D:5000`."""
    kind, _, rest = peer.partition(":")
    host, _, port = rest.rpartition(":")
    if kind not in {"ipv4", "ipv6"} or not port.isdigit():
        return None
    return _plain(host.replace("%5B", "").replace("%5D", "").strip("[]")), int(port)


def _plain(host: str) -> str:
    """One way to write an address: without a zone, and IPv4 in IPv6 as IPv4."""
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
