"""Starts a peer: reads the settings, builds the parts, serves until told to stop. The only place that does."""

import argparse
import ipaddress
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from dotenv import dotenv_values

from protos.addresses import AddressPolicy
from protos.links import LinkVerifier
from protos.tokens import Verifier
from pserver import __version__
from pserver.api.client_api import client_app
from pserver.api.peer_api import peer_app
from pserver.api.tus import TusUploads
from pserver.api.web import MAX_JSON_BYTES, About
from pserver.disk.digesting import Digesting
from pserver.disk.folder import Folder
from pserver.disk.scan import Scanner
from pserver.disk.share import Share
from pserver.exchange.download import Downloads
from pserver.exchange.engine import Limits as DownloadLimits
from pserver.exchange.links import Links
from pserver.exchange.offers import Offers
from pserver.exchange.resolve import Resolver
from pserver.exchange.transfers import Transfers
from pserver.exchange.upload import Uploads
from pserver.http.server import HttpServer, Limits
from pserver.identity import Identity, StateFolder
from pserver.model import Peer, PeerInfo, PServerError
from pserver.network.holdings import Holdings
from pserver.network.lookup import Lookup
from pserver.network.membership import Membership, Self
from pserver.network.neighbours import Neighbours
from pserver.node import Incoming, Node, Parts, Placement, free_bytes
from pserver.remote.locator_client import LocatorClient
from pserver.remote.peers import PeerClient
from pserver.settings import Settings, WrongSetting, host_and_port, is_loopback, read_settings

SWEEP_SECONDS = 2.0  # how much of a stalled tus upload a crash may cost
CLIENT_BODY_BYTES = (8 << 20) + (64 << 10)  # a tus PATCH of 8 MiB
CLIENT_THREADS = 4
PEER_THREADS = 16
_log = logging.getLogger("pserver")
_Part = TypeVar("_Part")


def main() -> int:
    """Run a peer until SIGTERM or SIGINT. Exit status: 0 stopped, 1 could not run, 2 wrong settings."""
    arguments = _arguments()
    try:
        settings = read_settings(_environment(arguments.env_file))
    except (WrongSetting, OSError) as error:
        print(f"pserver: {error}", file=sys.stderr)
        return 2
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for line in settings.warnings:
        _log.warning(line)
    try:
        return Process(settings).run()
    except (PServerError, OSError) as error:
        print(f"pserver: {error}", file=sys.stderr)
        return 1


class Process:
    """All the parts of one running peer, made in the order of the flow and stopped in its reverse."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = threading.Event()
        self._exit_status = 0
        self._closers: list[Callable[[], object]] = []  # called last first
        try:
            self._build()
        except BaseException:
            self._close()
            raise

    def run(self) -> int:
        """Serve until a signal, or until another process has this peer's key; the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        try:
            self._start()
            while not self._stopping.wait(SWEEP_SECONDS):
                self._sweep()
        finally:
            self._close()
        _log.info("stopped")
        return self._exit_status

    def _build(self) -> None:
        settings = self._settings
        state = self._closing(StateFolder(settings.state_dir), StateFolder.close)
        identity = Identity(state, settings.network_key)
        folder = self._closing(Folder(settings.share_dir), Folder.close)
        share = self._closing(Share(state.path / "index.sqlite", folder), Share.close)
        transfers = self._closing(Transfers(state.path / "transfers.sqlite"), Transfers.close)

        peer_late, client_late = Late(), Late()
        peer_limits = Limits(threads=PEER_THREADS, max_body_bytes=MAX_JSON_BYTES, upload_rate=settings.upload_rate)
        bound = _bind(peer_late, settings.listen, peer_limits, "peer-api", "PSERVER_LISTEN")
        self._peer_server = self._closing(bound, HttpServer.stop)
        client_limits = Limits(threads=CLIENT_THREADS, max_body_bytes=CLIENT_BODY_BYTES)
        bound = _bind(client_late, settings.client_listen, client_limits, "client-api", "PSERVER_CLIENT_LISTEN")
        self._client_server = self._closing(bound, HttpServer.stop)

        own = Peer(identity.peer_id, settings.name, advertised_url(settings, self._peer_server.port))
        about = About(own.peer_id, own.name, __version__)
        verifier = Verifier(own.peer_id, settings.network_key)
        policy = AddressPolicy(settings.on_loopback, settings.allowed_networks)
        peers = self._closing(PeerClient(identity.issuer, verifier, policy, ca_file=settings.ca_file), PeerClient.close)
        clients = [
            self._closing(LocatorClient(address, identity.issuer), LocatorClient.close) for address in settings.locators
        ]

        def room() -> int:
            return max(free_bytes(share) - settings.keep_free_bytes, 0)

        def own_info() -> PeerInfo:
            files, size = share.totals()
            return PeerInfo(own, files, size, room(), settings.accept_uploads, __version__)

        himself = Self(own, __version__, settings.accept_uploads, room)
        membership = Membership(himself, share, clients, self._replaced)
        neighbours = self._closing(
            Neighbours(settings.neighbours, membership.neighbours, peers, own.peer_id), Neighbours.stop
        )

        def locators() -> list[LocatorClient]:
            return [clients[number] for number in membership.order()]

        lookup = Lookup(Holdings(own, share, own_info), neighbours, peers, locators)
        limits = DownloadLimits(reserve_bytes=settings.keep_free_bytes, rate=settings.download_rate)
        downloads = Downloads(folder, share, transfers, peers, lookup.find_holders, limits=limits, own=own)
        self._downloads = self._closing(downloads, Downloads.stop)
        placement = Placement(own.peer_id, locators)
        uploads = self._closing(Uploads(transfers, peers, placement, lambda: own.url), Uploads.stop)
        digesting = self._closing(Digesting(share, state.path / "digests"), Digesting.stop)
        resolver = Resolver(lookup, own.peer_id, networked=bool(clients))
        scanner = self._closing(Scanner(share, busy=downloads.busy), Scanner.stop)
        self._closing(membership, Membership.stop)  # the first to stop: nobody shall be sent here any more
        node = Node(
            Parts(
                own=own,
                version=__version__,
                accepts_uploads=settings.accept_uploads,
                issuer=identity.issuer,
                share=share,
                scanner=scanner,
                membership=membership,
                neighbours=neighbours,
                lookup=lookup,
                resolver=resolver,
                transfers=transfers,
                downloads=downloads,
                uploads=uploads,
                offers=Offers(share, transfers, Incoming(downloads, transfers), settings.accept_uploads),
                serving=downloads.serving,
                links=Links(own, identity.issuer, resolver, lookup, share=share, digesting=digesting, peers=peers),
            )
        )
        self._tus = TusUploads(folder, lambda name: scanner.hash_now(folder.raw_name(name)), settings.keep_free_bytes)
        peer_late.app = peer_app(node, about, verifier, LinkVerifier(settings.network_key), time.time)
        client_late.app = client_app(
            node,
            self._tus,
            about=about,
            token=identity.client_token,
            hosts=client_hosts(settings, self._client_server.port),
            now=time.time,
        )
        self._own = own
        # In this order: whoever is told of this peer must find it serving.
        self._starters: list[Callable[[], object]] = [
            self._peer_server.start,
            self._client_server.start,
            scanner.start,
            neighbours.start,
            membership.start,
            downloads.resume_all,
            uploads.begin,
        ]

    def _closing(self, part: _Part, close: Callable[[_Part], object]) -> _Part:
        """`part`, which is to be closed before all that were made before it."""
        self._closers.append(lambda: close(part))
        return part

    def _start(self) -> None:
        for start in self._starters:
            start()
        own = self._own
        _log.info("peer %s (%s) shares %s as %s", own.name, own.peer_id, self._settings.share_dir, own.url)
        addresses = self._peer_server.address, self._client_server.address
        _log.info("peer API on http://%s, client API on http://%s", *addresses)

    def _sweep(self) -> None:
        self._downloads.tick()
        try:
            self._tus.tick(time.time())
        except PServerError as error:
            _log.warning("old uploads of the own client are not removed now: %s", error)

    def _replaced(self, message: str) -> None:
        _log.error("stopping: %s", message)
        self._exit_status = 1
        self._stopping.set()

    def _close(self) -> None:
        while self._closers:
            close = self._closers.pop()
            try:
                close()
            except Exception:  # the others must still be closed
                _log.exception("while stopping")


class Late:
    """A WSGI application that is given later: a listener must be bound before its address can be told to the app."""

    app: WSGIApplication

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self.app(environ, start_response)


def advertised_url(settings: Settings, port: int) -> str:
    """The address that others are told: that of the settings, else the one listened on, else the outward one."""
    if settings.advertise_url is not None:
        return settings.advertise_url
    host = settings.listen[0]
    if _is_unspecified(host):
        host = _outward_address(settings.locators)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def client_hosts(settings: Settings, port: int) -> Sequence[str]:
    """The values of Host meant for the client API: its address, the names of loopback, and those of the settings."""
    host = settings.client_listen[0]
    names = [host, "localhost", "127.0.0.1"] if is_loopback(host) else [host]
    return [f"[{name}]:{port}" if ":" in name else f"{name}:{port}" for name in names] + list(settings.client_hosts)


def _bind(app: WSGIApplication, where: tuple[str, int], limits: Limits, name: str, setting: str) -> HttpServer:
    try:
        return HttpServer(app, where[0], where[1], limits, name)
    except OSError as error:
        raise OSError(f"{setting}: cannot listen on {where[0]} port {where[1]}: {error.strerror or error}") from error


def _is_unspecified(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _outward_address(locators: Sequence[str]) -> str:
    """The address from which this machine would reach the locator (nothing is sent: a UDP socket only routes)."""
    for locator in locators:
        try:
            family, kind, proto, _, where = socket.getaddrinfo(*host_and_port(locator), type=socket.SOCK_DGRAM)[0]
            with socket.socket(family, kind, proto) as probe:
                probe.connect(where)
                return str(probe.getsockname()[0])
        except OSError:
            continue
    return socket.gethostname()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pserver", description="A peer: shares a folder with its network.")
    parser.add_argument("--env-file", help="settings to read (default: .env in this folder, if there is one)")
    parser.add_argument("--version", action="version", version=f"pserver {__version__}")
    return parser.parse_args()


def _environment(env_file: str | None) -> Mapping[str, str]:
    """The environment, and beneath it what the file of settings says."""
    path = Path(env_file or ".env")
    if env_file and not path.is_file():
        raise WrongSetting(f"--env-file: there is no file {env_file}")
    said = {name: value for name, value in dotenv_values(path).items() if value is not None}
    return said | dict(os.environ)


if __name__ == "__main__":
    sys.exit(main())
