"""How the servers log: lines of text for people, lines of JSON for programs, and ids that are followed across peers.

Every line of a request or a transfer carries its ids. A _request id_ is made by whoever begins (`new_request_id`), of
the lookup or the transfer it is about, and travels with each request that follows from it: in the HTTP header
REQUEST_ID between peers, in the gRPC metadata METADATA_KEY to a locator. One that came from elsewhere is only taken if
it looks like one (`received_request_id`), so nobody writes into another's log. A _transfer id_ stays on its peer.

A control character in a message is shown escaped: names of files come from strangers, and none forges a line.
"""

import json
import logging
import os
import re
import secrets
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TextIO

REQUEST_ID = "P2P-Request-Id"
METADATA_KEY = "p2p-request-id"
FORMATS = ("auto", "text", "json")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))  # of syslog(3); the journal sorts by them

_request_id: ContextVar[str] = ContextVar("request_id", default="")
_transfer_id: ContextVar[str] = ContextVar("transfer_id", default="")


def new_request_id() -> str:
    """For a request that nobody gave one."""
    return secrets.token_hex(8)


def received_request_id(text: str | None) -> str:
    """The id that came with a request, if it is one; else a new one."""
    return text if text is not None and _ID.fullmatch(text) else new_request_id()


def request_id() -> str:
    """That of what this thread or task works on; "" if it is for no request."""
    return _request_id.get()


def metadata() -> tuple[tuple[str, str], ...]:
    """What a gRPC call is followed by: metadata to be sent along."""
    return ((METADATA_KEY, request_id()),) if request_id() else ()


@contextmanager
def working_on(*, request: str | None = None, transfer: str | None = None) -> Iterator[None]:
    """Lines logged in the block, and requests sent, carry these ids. None: as before."""
    wanted = ((_request_id, request), (_transfer_id, transfer))
    before = [(of, of.set(value)) for of, value in wanted if value is not None]
    try:
        yield
    finally:
        for of, token in before:
            of.reset(token)


def begin_request(given: str | None) -> str:
    """Take on the id that came with a request, or a new one: as `working_on`, until the next request of this thread."""
    found = received_request_id(given)
    _request_id.set(found)
    _transfer_id.set("")
    return found


def end_request() -> None:
    """The request that began with `begin_request` is answered."""
    _request_id.set("")


class Text(logging.Formatter):
    """A line for people: time (unless somebody else notes it), level, logger, message, and the ids in brackets."""

    def __init__(self, with_time: bool) -> None:
        super().__init__()
        self._with_time = with_time

    def format(self, record: logging.LogRecord) -> str:
        """The line, and below it the traceback if there is one."""
        words = [rfc3339(record.created)] if self._with_time else []
        words += [record.levelname, f"{record.name}:", harmless(record.getMessage())]
        words += [f"[{name} {value}]" for name, value in _ids(record).items()]
        return " ".join(words) + ("\n" + _traceback(record) if record.exc_info else "")


class Json(logging.Formatter):
    """One JSON object a line: time (unless somebody else notes it), level, logger, message, ids, traceback."""

    def __init__(self, with_time: bool) -> None:
        super().__init__()
        self._with_time = with_time

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        said = {"time": rfc3339(record.created)} if self._with_time else {}
        said |= {"level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        said |= _ids(record)
        if record.exc_info:
            said["traceback"] = _traceback(record)
        return json.dumps(said, ensure_ascii=True)


class Journal(logging.Formatter):
    """As another one, each line with the priority that systemd's journal takes from it and strips."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """The lines."""
        priority = next((number for level, number in _PRIORITIES if record.levelno >= level), 7)
        return "\n".join(f"<{priority}>{line}" for line in self._inner.format(record).splitlines())


class LogCounts(logging.Handler):
    """Counts what is logged as warning or error, for the metrics."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._counts: Counter[str] = Counter()
        self._counting = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """One more."""
        with self._counting:
            self._counts["error" if record.levelno >= logging.ERROR else "warning"] += 1

    def counts(self) -> dict[str, int]:
        """How many of "warning" and of "error" so far."""
        with self._counting:
            return {level: self._counts[level] for level in ("warning", "error")}


def begin_logging(level: str, form: str, stream: TextIO | None = None) -> LogCounts:
    """Log to `stream` (stderr) from now on, in one of FORMATS; what counts the warnings and errors.

    "auto": text on a terminal, JSON otherwise. The journal of systemd notes the time itself, so it is left out there.
    """
    stream = sys.stderr if stream is None else stream
    to_journal = goes_to_journal(stream, os.environ.get("JOURNAL_STREAM", ""))
    as_text = form == "text" or (form == "auto" and stream.isatty())
    formatter: logging.Formatter = (Text if as_text else Json)(with_time=not to_journal)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Journal(formatter) if to_journal else formatter)
    counts = LogCounts()
    logging.getLogger("urllib3").setLevel(logging.INFO)  # our own lines say it all, and with the ids
    logging.basicConfig(level=level, handlers=[handler, counts], force=True)
    return counts


def goes_to_journal(stream: TextIO, journal_stream: str) -> bool:
    """Whether `stream` is the one that systemd connected to its journal, by what it says in JOURNAL_STREAM."""
    device, _, inode = journal_stream.partition(":")
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return (device, inode) == (str(found.st_dev), str(found.st_ino))


def rfc3339(seconds: float) -> str:
    """Unix time as RFC 3339 has it, in UTC, with milliseconds."""
    millis = round(seconds * 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(millis // 1000)) + f".{millis % 1000:03d}Z"


def harmless(text: str) -> str:
    """`text` on one line: control characters as Python escapes them."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def _ids(record: logging.LogRecord) -> dict[str, str]:
    """The ids of this thread; a record that is of a certain transfer says so itself (`extra`)."""
    transfer = getattr(record, "transfer_id", "") or _transfer_id.get()
    ids = {"request_id": _request_id.get(), "transfer_id": transfer}
    return {name: value for name, value in ids.items() if value}


def _traceback(record: logging.LogRecord) -> str:
    assert record.exc_info is not None
    return "".join(traceback.format_exception(*record.exc_info)).rstrip()
