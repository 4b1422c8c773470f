"""Each request as it passes: the id by which it is followed, a line at DEBUG, and the counts that metrics show."""

import logging
import threading
import time
from collections import Counter

from flask import Flask, Response, g, request

from protos.links import hide
from protos.logs import REQUEST_ID, begin_request, end_request

_log = logging.getLogger(__name__)


class Traffic:
    """Counts answered requests by endpoint and status. Thread-safe. What is no route counts as "none"."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, int]] = Counter()
        self._lock = threading.Lock()

    def answered(self, endpoint: str, status: int) -> None:
        """One more."""
        with self._lock:
            self._counts[endpoint, status] += 1

    def counts(self) -> dict[tuple[str, int], int]:
        """How many answers so far, by (endpoint, status)."""
        with self._lock:
            return dict(self._counts)


def notes_each() -> bool:
    """Whether a line is logged of each request."""
    return _log.isEnabledFor(logging.DEBUG)


def traffic_of(app: object) -> Traffic:
    """The traffic of an application that is watched."""
    assert isinstance(app, Flask)
    traffic: Traffic = app.extensions["traffic"]
    return traffic


def watch_traffic(app: Flask) -> Traffic:
    """Follow and count the requests to `app`; must be called before anything else is to run before its requests."""
    traffic = Traffic()

    def began() -> None:
        g.began = time.monotonic()
        begin_request(request.headers.get(REQUEST_ID))

    def answered(response: Response) -> Response:
        endpoint = request.endpoint or "none"
        traffic.answered(endpoint, response.status_code)
        if notes_each():
            millis = (time.monotonic() - g.began) * 1000
            path = hide(request.path)
            _log.debug("%s %s: %d in %.1f ms", request.method, path, response.status_code, millis)
        return response

    app.before_request(began)
    app.after_request(answered)
    app.teardown_request(lambda _error: end_request())
    return traffic
