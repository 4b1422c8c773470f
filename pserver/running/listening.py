"""Where this peer listens, and what it tells others of that: two listeners, the advertised address, the Hosts."""

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from pserver.http.server import HttpServer, Limits
from pserver.running.outward import find_outward_address
from pserver.setting_values import is_loopback
from pserver.settings import Settings

CLIENT_BODY_BYTES = (8 << 20) + (64 << 10)  # a tus PATCH of 8 MiB
CLIENT_THREADS = 4
PEER_THREADS = 16
PEER_BODY_SECONDS = 60.0  # its bodies are small


class Late:
    """A WSGI application that is given later: a listener must be bound before its address can be told to the app."""

    app: WSGIApplication

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self.app(environ, start_response)


@dataclass(frozen=True, slots=True)
class Listener:
    """A bound server, and its application, which is given before the server is started."""

    server: HttpServer
    late: Late

    def close(self) -> None:
        """Stop serving."""
        self.server.stop()


def peer_listener(settings: Settings) -> Listener:
    """The listener of the peer API. OSError names the setting if its address cannot be had."""
    bounds = settings.bounds
    limits = Limits(
        threads=PEER_THREADS,
        max_connections=bounds.connections,
        max_connections_per_address=bounds.connections_per_address,
        max_requests=bounds.requests,
        max_header_bytes=bounds.header_bytes,
        max_body_bytes=bounds.body_bytes,
        body_seconds=PEER_BODY_SECONDS,
        upload_rate=settings.upload_rate,
    )
    return _bind(settings.listen, limits, "peer-api", "PSERVER_LISTEN")


def client_listener(settings: Settings) -> Listener:
    """The listener of the client API. OSError as peer_listener."""
    limits = Limits(threads=CLIENT_THREADS, max_body_bytes=CLIENT_BODY_BYTES)
    return _bind(settings.client_listen, limits, "client-api", "PSERVER_CLIENT_LISTEN")


def advertised_url(settings: Settings, port: int) -> str:
    """The address that others are told: that of the settings, else the one listened on, else the outward one.

    Without a network the host's name has to do: the locator's dial-back will say whether it is good for anything.
    """
    if settings.advertise_url is not None:
        return settings.advertise_url
    if not may_move(settings):
        return _url(settings.listen[0], port)
    return outward_url(settings, port) or _url(socket.gethostname(), port)


def outward_url(settings: Settings, port: int) -> str | None:
    """Where others reach what listens on all addresses of this machine; None while it has no network."""
    host = find_outward_address(settings.locators)
    return None if host is None else _url(host, port)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def may_move(settings: Settings) -> bool:
    """Whether the address that others are told is found out, so that it can change while the peer runs."""
    return settings.advertise_url is None and _is_unspecified(settings.listen[0])


def client_hosts(settings: Settings, port: int) -> Sequence[str]:
    """The values of Host meant for the client API: its address, the names of loopback, and those of the settings."""
    host = settings.client_listen[0]
    names = [host, "localhost", "127.0.0.1"] if is_loopback(host) else [host]
    return [f"[{name}]:{port}" if ":" in name else f"{name}:{port}" for name in names] + list(settings.client_hosts)


def _bind(where: tuple[str, int], limits: Limits, name: str, setting: str) -> Listener:
    late = Late()
    try:
        return Listener(HttpServer(late, where[0], where[1], limits, name), late)
    except OSError as error:
        raise OSError(f"{setting}: cannot listen on {where[0]} port {where[1]}: {error.strerror or error}") from error


def _is_unspecified(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
