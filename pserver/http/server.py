"""The HTTP server of a peer: waitress, pinned to 3.0 and mended (a second beside it would be a second listener).

In order of import: http_limits, http_phase, http_socket, http_pace, http_file, http_request, http_channel (one
connection), http_listener (all of them, and the loop), and this. Rules of these files:

- No client can hold more than one connection's worth: not memory beyond its body, not the loop by reading fast, not a
  connection by sending slowly or nothing, not a thread by reading a file slowly (Limits has all the bounds). When all
  connections are taken, those that wait for their clients make room, first those of the address that has most.
- Only an answer that the application makes in several parts, and more of it than 4 * send_bytes_per_turn, holds its
  thread while its reader is slow. Big things belong in files, or in one part.
- A file is sent by sendfile from the loop, exactly Content-Length bytes of it or a closed connection (http_file).
- A request is read strictly, and its body is in memory before the application is called (http_request).
- One loop thread a server, with its own poll() and its own map of descriptors, and `Limits.threads` workers.
- Failures are logged to `pserver.http.server`; a client sees a plain 500.

What it does NOT do: TLS, HTTP/2, trust a proxy (X-Forwarded-* is taken away), stream request bodies, compress, watch
over the time an application takes (a worker that never returns is lost), end a reader that is slow but takes something
(it holds its connection, and no more), or read files ahead: on a cold and slow disk one turn of sending waits for the
disk, and the whole loop with it.
"""

import importlib.metadata
import logging
import threading
from collections.abc import Callable
from wsgiref.types import WSGIApplication

from waitress.task import ThreadedTaskDispatcher

from pserver.http.file import CheckedFile
from pserver.http.limits import Limits
from pserver.http.listener import listen

__all__ = ["CheckedFile", "HttpServer", "Limits"]

LOG = logging.getLogger("pserver.http.server")
# waitress warns of every request that waits for a worker; under load that is most of them.
QUEUE_LOG = logging.getLogger("pserver.http.server.queue")
QUEUE_LOG.setLevel(logging.ERROR)

# After stop() has waited for the requests, how long for the workers themselves, which then have nothing left to do.
WORKER_SECONDS = 1.0


class HttpServer:
    """A WSGI application on one address.

    Binds and listens when made: port 0 chooses a free one; OSError (EADDRINUSE and the like, socket.gaierror for a
    host that has no address) comes from here. `name` names the threads and is the Server header. Raises RuntimeError
    for a waitress that this was not made for.
    """

    def __init__(self, app: WSGIApplication, host: str, port: int, limits: Limits, name: str) -> None:
        refuse_other_waitress(importlib.metadata.version("waitress"))
        self._name = name
        self._limits = limits
        self._workers = Workers(name)
        self._listener = listen(app, (host, port), limits, name, self._workers)
        self._loop: threading.Thread | None = None
        self._lock = threading.Lock()
        self._stopped = False

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._listener.effective_port)

    @property
    def host(self) -> str:
        """The address it listens on."""
        return str(self._listener.effective_host)

    @property
    def address(self) -> str:
        """Host and port as a URL has them: `127.0.0.1:8001`, `[::1]:8001`."""
        host = self._listener.effective_host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def traffic(self) -> tuple[int, int, int]:
        """Connections open now, connections turned away so far, bytes sent so far."""
        listener = self._listener
        return len(listener.active_channels), listener.refused, listener.sent_bytes()

    def start(self) -> None:
        """Serve, in threads of its own; returns at once. Raises RuntimeError when called twice or after stop()."""
        with self._lock:
            if self._loop is not None or self._stopped:
                raise RuntimeError(f"the server {self._name} can be started only once")
            self._workers.set_thread_count(self._limits.threads)
            self._loop = threading.Thread(target=self._listener.run, name=f"{self._name}-loop", daemon=True)
            self._loop.start()

    def stop(self, drain_seconds: float = 5.0) -> None:
        """Free the port, let requests in flight end for up to `drain_seconds`, close the rest, end the threads.

        Any thread may call it, also twice; but not the application from a request, as that is one to wait for.
        """
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
            self._end_loop(drain_seconds)
            self._listener.close_all()
            self._workers.shutdown(timeout=WORKER_SECONDS)

    def _end_loop(self, drain_seconds: float) -> None:
        if self._loop is not None:
            self._listener.drain()
            self._loop.join(drain_seconds)
            self._listener.end()
            self._loop.join()


class Workers(ThreadedTaskDispatcher):  # type: ignore[misc]  # the base is Any: waitress has no types
    """The threads that run the application."""

    logger = LOG
    queue_logger = QUEUE_LOG

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def start_new_thread(self, target: Callable[[int], None], thread_no: int) -> None:
        """Start one worker, named after the server."""
        threading.Thread(target=target, args=(thread_no,), name=f"{self._name}-{thread_no}", daemon=True).start()


def refuse_other_waitress(found: str) -> None:
    """Raises RuntimeError unless `found` is a waitress 3.0.x: the subclasses here replace parts of its inside."""
    if not found.startswith("3.0."):
        raise RuntimeError(f"the peer needs waitress 3.0 and found {found}: pip install 'waitress>=3.0.2,<3.1'")
