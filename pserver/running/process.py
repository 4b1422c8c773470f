"""One running peer: its parts made in the order of the flow, started, looked after, and stopped in the reverse."""

import logging
import signal
import threading
import time
from collections.abc import Callable

from protos.links import LinkVerifier
from protos.logs import LogCounts
from protos.service import ServiceManager
from protos.tokens import Verifier
from pserver import __version__
from pserver.api.client_api import client_app
from pserver.api.peer_api import peer_app
from pserver.api.traffic import traffic_of
from pserver.api.tus import TusUploads
from pserver.api.web import About
from pserver.model import Peer, PServerError
from pserver.network.membership import Membership
from pserver.running.client_access import leave_access
from pserver.running.doctor import Doctor
from pserver.running.here import Here, Lookout
from pserver.running.listening import (
    Listener,
    advertised_url,
    client_hosts,
    client_listener,
    may_move,
    outward_url,
    peer_listener,
)
from pserver.running.wellbeing import Wellbeing, line
from pserver.running.wiring import (
    Closers,
    Exchange,
    Ground,
    Network,
    begin_exchange,
    join_network,
    lay_ground,
    make_node,
)
from pserver.settings import Settings

REPLACED = 3  # an exit status of its own: to start again would only take the place back, and so on for ever
SWEEP_SECONDS = 2.0  # how much of a stalled tus upload a crash may cost
_log = logging.getLogger(__name__)


class Process:
    """All the parts of one running peer."""

    def __init__(self, settings: Settings, log_counts: LogCounts, manager: ServiceManager) -> None:
        self._settings = settings
        self._log_counts = log_counts
        self._manager = manager
        self._stopping = threading.Event()
        self._exit_status = 0
        self._closers = Closers()
        try:
            self._build()
        except BaseException:
            self._closers.close()
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
            self._wellbeing.end()
            self._closers.close()
        _log.info("stopped")
        return self._exit_status

    def _build(self) -> None:
        settings, closers = self._settings, self._closers
        ground = lay_ground(settings, closers)
        self._peer_api = closers.closing(peer_listener(settings), Listener.close)
        self._client_api = closers.closing(client_listener(settings), Listener.close)
        port = self._peer_api.server.port
        peer = Peer(ground.identity.peer_id, settings.name, advertised_url(settings, port))
        self._own = Here(peer, lambda: outward_url(settings, port))
        network = join_network(ground, self._own, self._replaced, closers)
        exchange = begin_exchange(ground, network, closers)
        closers.closing(network.membership, Membership.stop)  # the first to stop: nobody shall be sent here any more
        self._downloads = exchange.downloads
        self._serve(ground, network, exchange)
        self._token = ground.identity.client_token
        self._wellbeing = self._wellbeing_of(ground, network, exchange)
        # In this order: whoever is told of this peer must find it serving.
        self._starters: list[Callable[[], object]] = [
            self._peer_api.server.start,
            self._client_api.server.start,
            exchange.scanner.start,
            exchange.orders.start,
            network.neighbours.start,
            network.membership.start,
            exchange.downloads.resume_all,
            exchange.uploads.begin,
        ]
        if may_move(settings):
            lookout = closers.closing(Lookout(self._own, network.membership.moved), Lookout.stop)
            self._starters.append(lookout.start)

    def _serve(self, ground: Ground, network: Network, exchange: Exchange) -> None:
        """Give the two listeners their applications."""
        settings, folder, scanner = self._settings, ground.folder, exchange.scanner
        node = self._node = make_node(ground, network, exchange)
        own = self._own()
        about = About(own.peer_id, own.name, __version__)
        verifier = Verifier(own.peer_id, settings.network_key)
        reserve, quota = settings.keep_free_bytes, ground.quota
        self._tus = TusUploads(
            folder, lambda name: scanner.hash_now(folder.raw_name(name)), reserve, quota.beside_uploads
        )
        quota.uploads = self._tus.open_bytes
        self._peer_api.late.app = peer_app(node, about, verifier, LinkVerifier(settings.network_key), time.time)
        self._client_api.late.app = client_app(
            node,
            self._tus,
            network.accounts,
            about=about,
            token=ground.identity.client_token,
            hosts=client_hosts(settings, self._client_api.server.port),
            now=time.time,
            examine=Doctor(settings, node.parts, network.clients, network.accounts_said).examine,
        )

    def _wellbeing_of(self, ground: Ground, network: Network, exchange: Exchange) -> Wellbeing:
        """What the service manager is told."""
        membership, neighbours = network.membership, network.neighbours

        def say() -> str:
            files, near, running = ground.share.totals()[0], len(neighbours.statuses()), ground.transfers.counts()
            return line(files, near, membership.locators(), membership.reachable(), running.get("running", 0))

        servers = self._peer_api.server, self._client_api.server
        return Wellbeing(self._manager, [(server.host, server.port) for server in servers], say)

    def _start(self) -> None:
        for start in self._starters:
            start()
        self._show_metrics()
        leave_access(self._settings.client_dir, self._token, self._client_api.server.address)
        self._wellbeing.begin(time.monotonic())
        own = self._own()
        _log.info("peer %s (%s) shares %s as %s", own.name, own.peer_id, self._settings.share_dir, own.url)
        addresses = self._peer_api.server.address, self._client_api.server.address
        _log.info("peer API on http://%s, client API on http://%s", *addresses)

    def _show_metrics(self) -> None:
        """Listen for Prometheus, if the settings say where."""
        where = self._settings.metrics_listen
        if where is None:
            return
        from pserver.running.metrics import Api, Watched, show_metrics  # most run without

        listeners = {"peer": self._peer_api, "client": self._client_api}
        apis = [Api(name, one.server, traffic_of(one.late.app)) for name, one in listeners.items()]
        shown = show_metrics(where, Watched(self._node.parts, apis, self._log_counts.counts))
        self._closers.closing(shown, lambda scrape: scrape.close())
        _log.info("metrics on http://%s:%d/metrics", where[0], shown.port)

    def _sweep(self) -> None:
        self._wellbeing.tick(time.monotonic())
        self._downloads.tick()
        try:
            self._tus.tick(time.time())
        except PServerError as error:
            _log.warning("old uploads of the own client are not removed now: %s", error)

    def _replaced(self, message: str) -> None:
        _log.error("stopping: %s", message)
        self._exit_status = REPLACED
        self._stopping.set()
