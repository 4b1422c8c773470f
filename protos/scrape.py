"""A listener of its own for Prometheus, of the two servers alike: GET /metrics, for loopback and private networks.

It has no password, so it is off unless a setting says where, and never on an address that the world can reach. What
it shows names no user and no file.
"""

import socket
import threading
from socketserver import TCPServer, ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, disable_created_metrics, make_wsgi_app

_SECONDS = 10.0  # for a request to come, and again for each wait of its reader
_MOST_AT_ONCE = 8


class Scrape:
    """Serves the metrics of a registry in threads of its own from when it is made; OSError if it cannot listen."""

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        # A series beside each counter that nobody asks for. Published without types.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        kind = _Server6 if ":" in host else _Server
        self._server = make_server(host, port, make_wsgi_app(registry), kind, _Handler)
        self.port = int(self._server.server_port)
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 32
    block_on_close = False

    def server_bind(self) -> None:
        """As its base, but without asking the DNS for the name of the address."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "metrics", int(self.server_address[1])
        self.setup_environ()
        self._free = threading.Semaphore(_MOST_AT_ONCE)

    def process_request(self, request: object, client_address: object) -> None:
        """In a thread of its own, unless there are too many already: then the connection is just closed."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)  # type: ignore[arg-type]  # a socket and its address
        else:
            self.shutdown_request(request)  # type: ignore[arg-type]  # the same socket

    def process_request_thread(self, request: object, client_address: object) -> None:
        """One request."""
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]  # as above
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A scraper that went away is nothing to tell."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = _SECONDS

    def log_message(self, format: str, *args: object) -> None:
        """Scrapes are not logged."""
