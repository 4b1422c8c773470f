"""What the hostile may do to the gRPC port, each bounded; used by the tests and by the benchmark."""

import struct
import time
from collections.abc import Callable
from contextlib import ExitStack

from hyperframe.frame import DataFrame

from tests.abuse import raw_http2
from tests.abuse.locator_lab import LOCATE, REQUEST, Besieged
from tests.abuse.raw_http2 import Raw

RESETS = 10_000
FRAMES = 10_000
IDLE = 1_000
_STREAMS = 100  # what the locator allows on a connection
_CONNECTIONS = 200  # that an attack may make, when the locator ends them
_HELD_CALLS = 200  # of the member, while connections are held
_OVERSIZED = 64 << 20
_LINK_BYTES = 125_000_000  # a second


def rapid_resets(target: Besieged) -> None:
    """10,000 calls on as few connections as the locator lets it have, each reset at once (CVE-2023-44487)."""
    left = RESETS
    for _ in range(_CONNECTIONS):
        with Raw(target.address) as raw:
            for number in range(left):
                stream = 2 * number + 1
                raw.send(raw.request(stream, LOCATE, target.token()) + raw_http2.reset(stream))
                left -= 1
                if raw.closed:
                    break
        if not left:
            return


def patient_resets(target: Besieged) -> None:
    """10,000 whole calls, no more at once than allowed, so that every one gets through, and each reset at once."""
    for _ in range(RESETS // _STREAMS):
        with Raw(target.address) as raw:
            raw.send(b"".join(_whole_call(raw, 2 * number + 1, target) for number in range(_STREAMS)))


def pings(target: Besieged) -> None:
    """10,000 on each of 400 connections, one after the other: as many as gRPC reads before it may close one."""
    for _ in range(400):
        with Raw(target.address) as raw:
            raw.flood(raw_http2.ping() for _ in range(FRAMES))


def settings(target: Besieged) -> None:
    """Each has to be applied and acknowledged."""
    with Raw(target.address) as raw:
        raw.flood(raw_http2.settings() for _ in range(FRAMES))


def continuations(target: Besieged) -> None:
    """Header blocks without an end (CVE-2024-27316), on ten connections, 16 MB each, as fast as 1 Gb/s carries them."""
    frame = raw_http2.continuation(1, 16_000)
    with ExitStack() as stack:
        opened = [stack.enter_context(Raw(target.address)) for _ in range(10)]
        for raw in opened:
            raw.send(raw.request(1, LOCATE, target.token(), end_headers=False))
        for _ in range(1000):
            began = time.monotonic()
            for raw in opened:
                raw.send(frame)
            time.sleep(max(0.0, began + len(opened) * len(frame) / _LINK_BYTES - time.monotonic()))


def indexed_headers(target: Besieged) -> None:
    """A header block in which each byte stands for a whole field (an HPACK bomb)."""
    with Raw(target.address) as raw:
        raw.send(raw.request(1, LOCATE, target.token(), end_headers=False))
        raw.flood(raw_http2.indexed(1, 16_000) for _ in range(500))


def oversized(target: Besieged) -> None:
    """Messages of 64 MiB."""
    for _ in range(20):
        with Raw(target.address) as raw:
            raw.send(raw.request(1, LOCATE, target.token()))
            raw.flood(raw_http2.message(1, _OVERSIZED))


def idle(target: Besieged) -> None:
    """1,000 connections that said hello and nothing more, for a while."""
    _hold(target, hello=True)


def silent(target: Besieged) -> None:
    """1,000 that said nothing at all: half-open handshakes, where there is TLS."""
    _hold(target, hello=False)


def half_handshakes(target: Besieged) -> None:
    """1,000 that began a TLS handshake and stopped in the middle of its first record, a millisecond apart.

    (gRPC takes 50 KB for each until the doorman sees them, which is every 50 ms.)
    """
    with ExitStack() as stack:
        for _ in range(IDLE):
            stack.enter_context(Raw(target.address, hello=False)).send(b"\x16\x03\x01\x02\x00\x01\x00")
            time.sleep(0.001)
        target.until_asked(_HELD_CALLS)


ATTACKS: dict[str, Callable[[Besieged], None]] = {
    "rapid resets": rapid_resets,
    "patient resets": patient_resets,
    "pings": pings,
    "settings": settings,
    "continuations": continuations,
    "indexed headers": indexed_headers,
    "oversized messages": oversized,
    "idle connections": idle,
    "silent connections": silent,
}


def _hold(target: Besieged, *, hello: bool) -> None:
    with ExitStack() as stack:
        for _ in range(IDLE):
            stack.enter_context(Raw(target.address, hello=hello))
        target.until_asked(_HELD_CALLS)


def _whole_call(raw: Raw, stream: int, target: Besieged) -> bytes:
    data = DataFrame(stream, data=struct.pack(">BI", 0, len(REQUEST)) + REQUEST)
    data.flags.add("END_STREAM")
    return raw.request(stream, LOCATE, target.token()) + data.serialize() + raw_http2.reset(stream)
