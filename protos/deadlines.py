"""An answer over HTTP that must be there by a moment, however its bytes drip.

A socket's own timeout is for each wait: who sends a byte now and then is never late for it, and holds the thread that
reads. Here the head of an answer, all lines of it, has the connection's read timeout in all; a body has what `due`
says. Bodies that others look after (see pserver.remote.reading) have no such moment.
"""

import http.client
import io
import socket
import time
from typing import Any

import requests


class _TimedReads(socket.SocketIO):
    """What an http.client response reads its socket through. `ends`: monotonic seconds, or None: no bound."""

    ends: float | None = None

    def readinto(self, into: Any) -> int | None:  # Any: whatever has a buffer
        """As socket.SocketIO. Raises TimeoutError, too, once it is after `ends`."""
        if self.ends is None:
            return super().readinto(into)
        connection: socket.socket = self._sock  # type: ignore[attr-defined]  # typeshed keeps it to itself
        patience, left = connection.gettimeout(), self.ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        connection.settimeout(left if patience is None else min(left, patience))
        try:
            return super().readinto(into)
        finally:
            connection.settimeout(patience)


class TimedResponse(http.client.HTTPResponse):
    """The `response_class` of a connection: its head must be there within the socket's timeout."""

    def __init__(self, sock: socket.socket, *arguments: Any, **named: Any) -> None:  # as http.client's
        super().__init__(sock, *arguments, **named)
        self.fp.close()
        self._timed = _TimedReads(sock, "r")
        sock._io_refs += 1  # type: ignore[attr-defined]  # as socket.makefile does; closing takes it away again
        self.fp = io.BufferedReader(self._timed)

    def begin(self) -> None:
        """Read the head. Raises TimeoutError, and what http.client raises."""
        patience = self._timed._sock.gettimeout()  # type: ignore[attr-defined]
        self.due(None if patience is None else time.monotonic() + patience)
        try:
            super().begin()
        finally:
            self.due(None)

    def due(self, ends: float | None) -> None:
        """From now on all that is read must come by `ends` (monotonic seconds); None: no more."""
        self._timed.ends = ends


def due(response: requests.Response, ends: float) -> None:
    """The rest of this answer must be there by `ends` (monotonic seconds): else reading it raises a timeout."""
    original = response.raw._original_response
    if isinstance(original, TimedResponse):
        original.due(ends)
