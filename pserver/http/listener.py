"""The listening socket of a server, its connections, and the loop that serves them.

Rules: only the loop's thread accepts, admits and closes; other threads set a flag and wake it. The loop ends when it
is told to and by nothing else. Does not answer requests; that is http_request, in the workers.
"""

import itertools
import logging
import os
import select
import socket
import sys
import threading
import time
from collections import Counter
from typing import Any
from wsgiref.types import WSGIApplication

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

from pserver.http.channel import READABLE, WRITABLE, Channel
from pserver.http.limits import Limits
from pserver.http.pace import Pace
from pserver.http.phase import WAITING_FOR_CLIENT, Phase
from pserver.http.request import refusal
from pserver.http.socket import address_key

LOG = logging.getLogger("pserver.http.server")

ACCEPTS_PER_TURN = 64
SOON_SENT_BYTES = 64 * 1024  # what is left of an answer that need not wait for its turn
UNSENT_BYTES = 64 * 1024  # when the kernel holds less than that of an answer, it is given more
TOO_MANY = 429, "Too Many Requests"
FULL = 503, "Service Unavailable"
# How long not to try to accept after the system refused a descriptor or memory for it.
ACCEPT_PAUSE_SECONDS = 0.5


class Listener(TcpWSGIServer):  # type: ignore[misc]  # the base is Any: waitress has no types
    """The listening socket, the connections and the loop that serves them. Only the loop's thread changes them."""

    logger = LOG
    channel_class = Channel

    def __init__(self, app: WSGIApplication, limits: Limits, **waitress: Any) -> None:  # passed on to an untyped base
        self.limits = limits
        self.pace = Pace(limits.upload_rate)
        self.turn_bytes = limits.turn_bytes(1)  # how much one connection may be sent now
        self.draining = False
        self.refused = 0  # connections turned away
        self._sent_before = 0  # bytes, on connections that are closed
        self._sent_shown = 0
        self._ended = False
        self._turns = itertools.count(1)
        self._accept_after = 0.0
        self._next_sweep = 0.0
        self._trigger_lock = threading.Lock()
        self._poller = select.poll()
        self._polled: dict[int, int] = {}  # what is waited for, by descriptor
        super().__init__(app, **waitress)
        os.set_blocking(self.trigger.trigger, False)  # so that nobody waits when its pipe is full of wake-ups

    # The loop

    def run(self) -> None:
        """Serve until `end`, or until nothing is left after `drain`. No failure ends it."""
        while not (self._ended or (self.draining and not self.active_channels)):
            try:
                self._round(self._seconds_to_wait(time.monotonic()))
                self._turn(time.monotonic())
            except Exception:
                LOG.exception("the server's loop goes on after an error")
                time.sleep(0.1)  # so that an error in every turn does not take a core

    def _round(self, seconds: float) -> None:
        """Wait for events. First what is soon done, then turns of sending, of those first that waited longest.

        There are as many turns as the round has room for, so a new request waits for no more than that however many
        readers there are.
        """
        senders: list[tuple[Channel, int]] = []
        for descriptor, flags in self._events(seconds):
            one = self._map.get(descriptor)
            if one is None:  # closed by the event before
                continue
            if isinstance(one, Channel) and one.total_outbufs_len > SOON_SENT_BYTES and not flags & ~select.POLLOUT:
                senders.append((one, flags))
            else:
                wasyncore.readwrite(one, flags)
        room = self.limits.send_bytes_per_round
        for channel, flags in sorted(senders, key=lambda each: each[0].turn):
            if room <= 0:
                break
            if channel.socket is None:
                continue
            before, channel.turn = channel.sent, next(self._turns)
            wasyncore.readwrite(channel, flags)
            room -= channel.sent - before

    def _events(self, seconds: float) -> list[tuple[int, int]]:
        """What there is to do within so many seconds: descriptors, and the flags of poll()."""
        polled, sending = self._polled, 0
        for descriptor in polled.keys() - self._map.keys():
            self._poll_for(descriptor, 0)
        for descriptor, one in list(self._map.items()):
            if isinstance(one, Channel):
                flags = one.interest()
                sending += one.total_outbufs_len > 0
            else:
                flags = (READABLE if one.readable() else 0) | (WRITABLE if one.writable() and not one.accepting else 0)
            if polled.get(descriptor, 0) != flags:
                self._poll_for(descriptor, flags)
        self.turn_bytes = self.limits.turn_bytes(sending)
        return self._poller.poll(int(seconds * 1000))

    def _poll_for(self, descriptor: int, flags: int) -> None:
        if flags:
            self._poller.register(descriptor, flags)
            self._polled[descriptor] = flags
        elif self._polled.pop(descriptor, 0):
            self._poller.unregister(descriptor)

    def _seconds_to_wait(self, now: float) -> float:
        """For events; whoever waits for the upload rate gets a turn before, or after that time."""
        # Rounded up as poll() counts milliseconds: rounded down it would be called over and over in the last of them.
        return min(self.limits.tick_seconds(), self.pace.deal(now) + 0.001)

    def _turn(self, now: float) -> None:
        if self.draining:
            self._close_unneeded()
        if now >= self._next_sweep:
            self._next_sweep = now + self.limits.tick_seconds()
            for channel in list(self.active_channels.values()):
                channel.enforce(now)

    def _close_unneeded(self) -> None:
        """While draining: no new connections, and none that has no request to finish."""
        if self.socket is not None:
            wasyncore.dispatcher.close(self)
        for channel in list(self.active_channels.values()):
            if channel.phase() in (Phase.IDLE, Phase.HEADER, Phase.LINGERING):
                channel.handle_close()

    # Accepting

    def readable(self) -> bool:
        """Whether to accept connections now."""
        return bool(self.accepting) and time.monotonic() >= self._accept_after

    def handle_accept(self) -> None:
        """Take in connections, some at a time."""
        for taken in range(ACCEPTS_PER_TURN):
            try:
                sock, addr = self.socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                if not taken:  # else nobody need be waiting: EMFILE comes even when there is nothing to accept
                    self._pause_accepting(error)
                return
            self._admit(sock, addr)

    def _pause_accepting(self, error: OSError) -> None:
        """No descriptor left, or no memory: give one back if there is one to spare, and try again a little later."""
        LOG.warning("cannot accept connections for now: %s", error)
        self._accept_after = time.monotonic() + ACCEPT_PAUSE_SECONDS
        self._make_room(Counter(), None)

    def _admit(self, sock: socket.socket, addr: tuple[Any, ...]) -> None:  # whatever accept() gives for the family
        address = address_key(addr[0])
        if not self._has_room_for(address):
            self.refused += 1
            turn_away(sock, *(TOO_MANY if self._held_by(address) >= self.limits.max_connections_per_address else FULL))
            return
        try:
            self.set_socket_options(sock)
            # Left out of line, one urgent byte makes poll() return for ever (POLLPRI).
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
            # What waits in the kernel cannot give way to what is asked later, nor is it known to be still unsent.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
            Channel(self, sock, addr, self.adj, self._map)
        except OSError:
            sock.close()  # the client left already

    def channel_closed(self, sent: int) -> None:
        """A connection on which so many bytes were sent is closed, and no longer one of the active."""
        self._sent_before += sent

    def sent_bytes(self) -> int:
        """How much was sent on all connections, as of about now; never less than it was. For one asker at a time."""
        active = sum(channel.sent for channel in list(self.active_channels.values()))
        self._sent_shown = max(self._sent_shown, self._sent_before + active)
        return self._sent_shown

    def too_busy(self) -> bool:
        """Whether so many requests wait for a worker that one more would be too many."""
        workers = self.task_dispatcher
        return bool(len(workers.queue) + workers.active_count >= self.limits.max_requests)

    def _held_by(self, address: str) -> int:
        return sum(channel.address == address for channel in self.active_channels.values())

    def _has_room_for(self, address: str) -> bool:
        """Whether one more from `address` fits, perhaps because another made room.

        1. There is room. 2. The address has its fill: only one of its own can make room. 3. All is full: any can.
        """
        held = Counter(channel.address for channel in self.active_channels.values())
        if held[address] >= self.limits.max_connections_per_address:
            return self._make_room(held, address)
        return len(self.active_channels) < self.limits.max_connections or self._make_room(held, None)

    def _make_room(self, held: Counter[str], address: str | None) -> bool:
        """Close a connection (of `address`, if given) that waits for its client; False when all are being served.

        That of the address with most connections; of these rather one without a request begun; of these the oldest.
        """
        channels = (c for c in self.active_channels.values() if address in (None, c.address))
        waiting = [c for c in channels if c.phase() in WAITING_FOR_CLIENT]
        if waiting:
            max(waiting, key=lambda c: (held[c.address], c.request is None, -c.since)).handle_close()
        return bool(waiting)

    # Ending; called by other threads

    def drain(self) -> None:
        """Accept no more, finish what was asked."""
        self.draining = True
        self.pull_trigger()

    def end(self) -> None:
        """Leave the loop now."""
        self._ended = True
        self.pull_trigger()

    def close_all(self) -> None:
        """Close every descriptor. Only once the loop has ended."""
        for channel in list(self.active_channels.values()):
            channel.handle_close()
        with self._trigger_lock:
            self.close()

    def pull_trigger(self) -> None:
        """Wake the loop. A worker may outlive the server: the pipe's number may be another file's then."""
        with self._trigger_lock:
            if not self.trigger._closed:
                try:
                    super().pull_trigger()
                except BlockingIOError:
                    pass  # it has been woken often enough


def listen(
    app: WSGIApplication,
    bind_to: tuple[str, int],
    limits: Limits,
    name: str,
    workers: Any,  # waitress' untyped ThreadedTaskDispatcher
) -> Listener:
    """A listening socket with nobody serving it yet. Raises OSError."""
    host, port = bind_to
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    sockinfo = (family, kind, protocol, address)
    descriptors: dict[int, Any] = {}  # waitress' map of untyped dispatchers: ours alone, servers share nothing
    try:
        return Listener(
            app, limits, map=descriptors, dispatcher=workers, adj=adjustments(limits, name), sockinfo=sockinfo
        )
    except OSError:
        wasyncore.close_all(descriptors)
        raise


def adjustments(limits: Limits, name: str) -> Any:  # waitress' untyped Adjustments
    """waitress' settings. Buffers stay in memory: a body and an answer are bounded, or were in memory anyway."""
    return Adjustments(
        ident=name,
        server_name="localhost",
        max_request_header_size=limits.max_header_bytes + 1,
        max_request_body_size=limits.max_body_bytes + 1,
        inbuf_overflow=sys.maxsize,
        outbuf_overflow=sys.maxsize,
        outbuf_high_watermark=4 * limits.send_bytes_per_turn,
        clear_untrusted_proxy_headers=True,
        expose_tracebacks=False,
        # Not about sockets only: without it an OSError of the application is neither logged nor answered.
        log_socket_errors=True,
    )


def turn_away(sock: socket.socket, status: int, reason: str) -> None:
    """Answer that as well as can be done without waiting, and close."""
    with sock:
        sock.setblocking(False)
        try:
            sock.send(refusal(status, reason))
            sock.shutdown(socket.SHUT_WR)
            sock.recv(64 * 1024)  # a request left unread would make the close a reset, and the answer be lost
        except OSError:
            pass
