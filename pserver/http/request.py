"""One request: reading it strictly (Parser) and having the application answer it (Task).

Strictly means: where two servers in a row could disagree about where a request ends, it is refused (RFC 9112, 6.1 and
6.3), and whatever a client sends ends in an answer, never in an exception. Does not decide what a path means.
"""

import logging
from typing import Any

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import BadRequest

from pserver.http.file import FileRange, NoFile

TRY_LATER = (429, 503)
RETRY_SECONDS = 2
LOG = logging.getLogger("pserver.http.server")


class Parser(HTTPRequestParser):  # type: ignore[misc]  # the base is Any: waitress has no types
    """waitress' parser, minus what it lets through and minus what it trips over."""

    completed: bool
    path = ""  # a request refused before its path was read has none, but waitress' log lines name it

    def received(self, data: bytes) -> int:
        """Take in bytes; how many were used. Sets `completed` and perhaps `error`."""
        used: int = super().received(data)
        if self.chunked and not self.completed and self._framing_bytes() > self.adj.max_request_header_size:
            # Looked through again from its start with every byte that comes: cheap only as long as it is short.
            self.error = BadRequest("chunk line or trailer too long")
            self.completed = True
        return used

    def _framing_bytes(self) -> int:
        return max(len(self.body_rcv.control_line), len(self.body_rcv.trailer))

    def parse_header(self, header_plus: bytes) -> None:
        """Raises ParsingError (answered 400) also where waitress would let a ValueError escape."""
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # an unparsable URI, or more digits than int() takes
            raise ParsingError("Bad request line or header") from error
        problem = self._ambiguity()
        if problem:
            raise ParsingError(problem)

    def _ambiguity(self) -> str | None:
        """Why this request could be read in two ways, if so."""
        if self.version not in ("1.0", "1.1"):
            return "Not HTTP/1.0 or HTTP/1.1"
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            return "Both Transfer-Encoding and Content-Length"
        if "TRANSFER_ENCODING" in self.headers:  # waitress takes it away when it means something
            return "Transfer-Encoding in HTTP/1.0"
        host = self.headers.get("HOST")
        if (host is None and self.version == "1.1") or (host is not None and "," in host):
            return "Not exactly one Host"
        return None


class Task(WSGITask):  # type: ignore[misc]  # the base is Any: waitress has no types
    """One run of the application, in a thread of the server's."""

    logger = LOG

    def start(self) -> None:
        """Tell the client that the connection ends with this answer when the server is about to stop."""
        super().start()
        if self.channel.server.draining:
            self.set_close_on_finish()

    def get_environment(self) -> dict[str, Any]:
        """The WSGI environ (Any, as PEP 3333 has it), with our file wrapper."""
        environ: dict[str, Any] = super().get_environment()
        environ["wsgi.file_wrapper"] = NoFile if self._is_head() else FileRange
        return environ

    def build_response_header(self) -> bytes:
        """The head of the answer; one to HEAD has no last chunk either."""
        head: bytes = super().build_response_header()
        if self._is_head():
            self.chunked_response = False
        return head

    def write(self, data: bytes) -> None:
        """Send a part of the body, unless the request was HEAD: then the application's body is dropped."""
        super().write(b"" if self._is_head() else data)

    def _is_head(self) -> bool:
        return bool(self.request.command == "HEAD")


class Refusal(ErrorTask):  # type: ignore[misc]  # the base is Any: waitress has no types
    """The answer to a request that could not be read, and to one whose application failed: plain text, no traceback."""

    logger = LOG


def refusal(status: int, reason: str) -> bytes:
    """A whole answer, for a client that gets no worker: it says no, and that the connection ends here."""
    head = f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
    if status in TRY_LATER:
        head += f"Retry-After: {RETRY_SECONDS}\r\n"
    return f"{head}Content-Length: {len(reason) + 1}\r\n\r\n{reason}\n".encode("ascii")
