"""One connection: waitress' HTTPChannel with its reading, sending and closing made safe against its client.

Rules:

- The server's loop thread reads, parses, decides about time and closes; a worker thread only runs the application and
  appends to the output. Whoever sends holds `outbuf_lock`.
- One request at a time: what a client sends ahead waits unparsed in `_unread` (at most RECEIVE_BYTES of it) until the
  answer before it has left. So no worker ever waits for one reader before it may serve another.
- A turn of sending is bounded, in whichever thread it runs; where there is an upload rate, by that too (see `pace`).
- What a connection waits for is its Phase; each has a bound in Limits, looked at by `enforce(now)`.

Does not bound the time the application takes, and does not notice that a client left before it is sent to.
"""

import logging
import select
import socket
import time
from typing import Any

from waitress.buffers import OverflowableBuffer
from waitress.channel import HTTPChannel

from pserver.http.file import FileChanged, FileRange
from pserver.http.limits import Limits
from pserver.http.pace import UNPACED_BYTES
from pserver.http.phase import Phase, allowed_seconds
from pserver.http.request import Parser, Refusal, Task, refusal
from pserver.http.socket import address_key, reset_on_close, unacknowledged

LOG = logging.getLogger("pserver.http.server")

# Small, because waitress' parsers slice what is left over and over: the work grows with the square of this.
RECEIVE_BYTES = 16 * 1024
READABLE, WRITABLE = select.POLLIN | select.POLLPRI, select.POLLOUT
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Channel(HTTPChannel):  # type: ignore[misc]  # the base is Any: waitress has no types
    """A connection of HttpServer. Attributes named without underscore and not set here are waitress' own."""

    request: Parser | None
    requests: list[Parser]
    will_close: bool
    close_when_flushed: bool
    logger = LOG
    parser_class = Parser
    task_class = Task
    error_task_class = Refusal

    # server and adj: waitress' untyped TcpWSGIServer (ours is its subclass in http_server) and Adjustments
    def __init__(self, server: Any, sock: socket.socket, addr: tuple[Any, ...], adj: Any, map: dict[int, Any]) -> None:
        self._limits: Limits = server.limits
        self.address = address_key(addr[0])
        # When the phase began, or, while sending, when the reader last took something. Seconds, monotonic.
        self.since = time.monotonic()
        self._unread = b""
        self._lingers = False  # the client may still be sending when our last answer has left
        self._lingering = False
        self._sent = 0  # bytes given to the kernel so far
        self._taken = 0  # bytes the other side had acknowledged when last looked
        self._closed = False
        self.turn = 0  # when it last had a turn of sending, as the listener counts
        self._held_back = False  # there is more to send than the upload rate allows now
        super().__init__(server, sock, addr, adj, map=map)

    @property
    def sent(self) -> int:
        """How many bytes were given to the kernel so far."""
        return self._sent

    def phase(self) -> Phase:
        """What the connection waits for now."""
        if self._lingering:
            return Phase.LINGERING
        if self.total_outbufs_len:
            return Phase.SENDING
        if self.requests or self._unread or self.close_when_flushed or self.will_close:
            return Phase.WORKING
        if self.request is None:
            return Phase.IDLE
        return Phase.BODY if self.request.headers_finished else Phase.HEADER

    def interest(self) -> int:
        """What to wait for, as flags of poll(); 0: nothing, the connection's worker is at work, say."""
        return (READABLE if self.readable() else 0) | (WRITABLE if self.writable() else 0)

    # Reading

    def readable(self) -> bool:
        """Whether to look for input: only when nothing else is going on, or to throw it away."""
        busy = self.requests or self.total_outbufs_len or self._unread
        return self._lingering or not (busy or self.will_close or self.close_when_flushed)

    def handle_read(self) -> None:
        """There is input, or its end."""
        if self.socket is None:
            return  # closed by the event before this one
        try:
            data = self.socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # a reset is an end like any other
        if not data:
            self.handle_close()
        elif not self._lingering:
            self.received(data)

    def received(self, data: bytes) -> bool:
        """Take in bytes from the client."""
        self._unread += data
        self._parse()
        return True

    def _parse(self) -> None:
        """Feed what was read to the parser, up to the end of one request."""
        with self.requests_lock:
            while self._unread and not (self.requests or self.will_close or self.close_when_flushed):
                self._feed()

    def _feed(self) -> None:
        if self.request is None:
            self._unread = self._unread.lstrip(b"\r\n")  # allowed before a request; does not begin one
            if not self._unread:
                return
            self.request, self.since = self.parser_class(self.adj), time.monotonic()
        request = self.request
        in_headers = not request.headers_finished
        self._unread = self._unread[request.received(self._unread) :]
        if request.completed:
            self._hand_over(request)
        elif in_headers and request.headers_finished:
            self._body_begins(request)

    def _hand_over(self, request: Parser) -> None:
        """A request is complete, or refused: a worker answers it."""
        self.request = None
        if not request.empty and not request.error and self.server.too_busy():
            self._refuse(503, "Service Unavailable")
        elif not request.empty:
            self._lingers = bool(request.error)
            self.requests.append(request)
            self.server.add_task(self)

    def _body_begins(self, request: Parser) -> None:
        self.since = time.monotonic()
        if request.expect_continue:
            request.expect_continue = False
            self._say(CONTINUE)

    # Sending

    def writable(self) -> bool:
        """Whether there is something to do once the socket takes bytes: send, close, or go on to the next request."""
        if self._lingering or self.will_close:
            return bool(self.will_close)
        if self.total_outbufs_len:
            return not self._held_back or self.server.pace.part(self) > 0
        return bool(self.close_when_flushed or (self._unread and not self.requests))

    def handle_write(self) -> None:
        """Send one turn's worth. When all is sent: close if that is due, else go on with what the client sent."""
        if self.socket is None:
            return
        with self.outbuf_lock:
            self._flush_some()
            if self.total_outbufs_len < self.adj.outbuf_high_watermark:
                self.outbuf_lock.notify()
        if not self.total_outbufs_len:
            if self.close_when_flushed:
                self._say_no_more()
            elif not self.requests:
                self._parse()
        if self.will_close:
            self.handle_close()

    def write_soon(self, data: Any) -> int:  # bytes, or a FileRange: waitress takes both
        """Append to the output; called by workers. Raises ClientDisconnected."""
        if not self.total_outbufs_len:
            self.since = time.monotonic()  # before there is output: the reader has had no time to take any yet
        return int(super().write_soon(data))

    def _flush_some(self, do_close: bool = True) -> bool:
        """Send until the turn is over or the socket is full; whether anything went. `outbuf_lock` is held.

        `do_close` is waitress' and unused: a broken connection is only marked here, and closed by the loop.
        """
        before, self._held_back = self._sent, False
        try:
            while self._sent - before < self.server.turn_bytes and self._send_head():
                pass
            self._drop_spent()  # so that a file is closed with its last byte, not with the next request
        except BlockingIOError:
            pass
        except FileChanged as why:
            LOG.info("closed the connection of %s: a file changed while it was sent: %s", self.addr[0], why)
            self.will_close = True
        except OSError:
            self.will_close = True  # the reader left
        except Exception:
            LOG.exception("cannot send to %s", self.addr[0])
            self.will_close = True
        if self._sent > before:
            self.since = time.monotonic()
        return bool(self._sent > before)

    def _send_head(self) -> bool:
        """Send some of the first buffer; False when there is nothing to send. Raises as `send` does."""
        if self.will_close or self.socket is None or not self.connected or not self._drop_spent():
            return False
        head, most = self.outbufs[0], self._most_to_send()
        self._held_back = most <= 0
        if self._held_back:
            return False
        if isinstance(head, FileRange):
            sent = head.send_to(self.socket, most)
        else:
            sent = self.socket.send(head.get(min(self.sendbuf_len, most)))
            head.skip(sent, True)
        self._sent += sent
        self.total_outbufs_len -= sent
        self.server.pace.sent(self, sent, time.monotonic())
        return bool(sent)

    def _most_to_send(self) -> int:
        """How much of the first buffer may go now."""
        head, most = self.outbufs[0], int(self.server.turn_bytes)
        paced = isinstance(head, FileRange) or len(head) > UNPACED_BYTES
        return min(most, int(self.server.pace.part(self))) if paced else most

    def _drop_spent(self) -> bool:
        """Let go of buffers that are sent; whether there is one left with something in it."""
        # len(), as a file-based buffer is true even when it is empty
        while len(self.outbufs) > 1 and not len(self.outbufs[0]):
            self.outbufs.pop(0).close()
        if len(self.outbufs[0]):
            return True
        # waitress keeps the last one, and with it all the bytes that were ever put in it.
        self.outbufs[0] = OverflowableBuffer(self.adj.outbuf_overflow)
        self.server.pace.leave(self)
        return False

    def _say(self, data: bytes) -> None:
        """Append bytes of our own to the output, from the loop, when no worker is answering."""
        with self.outbuf_lock:
            self.outbufs[-1].append(data)
            self.total_outbufs_len += len(data)

    # Ending

    def service(self) -> None:
        """Answer the request; in a worker. Whatever the application raises, the connection does not stay busy."""
        try:
            super().service()
        except BaseException:  # also SystemExit: it must not end a worker, nor leave its client waiting for ever
            LOG.exception("exception that is no Exception while serving %s", self.addr[0])
            self.will_close = True
            self.requests = []
            self.server.pull_trigger()
        self.since = time.monotonic()

    def enforce(self, now: float) -> None:
        """End what is overdue at `now` (monotonic seconds). In the loop. The application is never hurried."""
        phase = self.phase()
        if phase is Phase.SENDING:
            self._note_progress(now)
        if now - self.since > allowed_seconds(phase, self._limits):
            self._end(phase)

    def _end(self, phase: Phase) -> None:
        """1. Nothing was asked: just close. 2. A request came too slowly: say so. 3. The client takes nothing."""
        if phase is Phase.IDLE:
            self.handle_close()
        elif phase in (Phase.HEADER, Phase.BODY):
            self._refuse(408, "Request Timeout")
        else:
            reset_on_close(self.socket)
            self.handle_close()

    def _note_progress(self, now: float) -> None:
        """Whether the reader took bytes since last asked, by what it acknowledged, not by what the socket took.

        A slow reader behind a socket buffer of megabytes lets the socket take bytes only every minute or so, and it
        is not stalled. Nor is one that took all that the upload rate let it have.
        """
        taken = self._sent - (waiting := unacknowledged(self.socket))
        if taken > self._taken or (self._held_back and not waiting):
            self._taken, self.since = taken, now

    def _refuse(self, status: int, reason: str) -> None:
        self.request, self._unread, self.since = None, b"", time.monotonic()
        self._lingers = self.close_when_flushed = True
        self._say(refusal(status, reason))

    def handle_close(self) -> None:
        """Close the connection and its files."""
        super().handle_close()
        if not self._closed:
            self._closed = True
            self.server.channel_closed(self._sent)
        self.server.pace.leave(self)  # only now: before, a worker could still wait for its turn

    def handle_expt(self) -> None:
        """There is TCP urgent data. It is read like any other (SO_OOBINLINE), so there is nothing to do."""

    def _say_no_more(self) -> None:
        """All is said. A client that may still be sending gets to read it first: closing at once would reset it."""
        self.close_when_flushed = False
        if not self._lingers:
            self.will_close = True
            return
        self._lingering, self._unread, self.since = True, b"", time.monotonic()
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.will_close = True  # it left already
