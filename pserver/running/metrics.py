"""What an operator watches of a peer, as Prometheus metrics (docs/METRICS.md): read as they are asked for.

All names begin with p2p_peer_, all units are base units, and no label names a peer, a user or a file. Nothing is
counted here: what is shown others count anyway, so the way of the bytes does not feel it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from protos.scrape import Scrape
from pserver.api.traffic import Traffic
from pserver.disk.share import free_bytes
from pserver.exchange.transfer import STATES
from pserver.http.server import HttpServer
from pserver.model import PServerError
from pserver.node import Parts

KINDS = ("download", "incoming", "upload")


@dataclass(frozen=True, slots=True)
class Api:
    """One of the two listeners: its name ("peer", "client"), its server, and the requests that came through."""

    name: str
    server: HttpServer
    traffic: Traffic


class Watched(Collector):
    """A peer's counters, read at each scrape. `logged`: how many warnings and errors."""

    def __init__(self, parts: Parts, apis: Iterable[Api], logged: Callable[[], Mapping[str, int]]) -> None:
        self._parts = parts
        self._apis = tuple(apis)
        self._logged = logged

    def collect(self) -> Iterator[Metric]:
        """See Collector. A part that cannot be read now (a broken disk, say) is left out."""
        yield InfoMetricFamily("p2p_peer", "The version that runs", {"version": self._parts.version})
        logged = CounterMetricFamily("p2p_peer_log_messages_total", "Warnings and errors logged", labels=["level"])
        for level, count in self._logged().items():
            logged.add_metric([level], count)
        yield logged
        for group in (self._http, self._bytes, self._transfers, self._share, self._membership):
            try:
                yield from list(group())
            except PServerError:
                continue

    def _http(self) -> Iterator[Metric]:
        labels = ["api", "endpoint", "status"]
        answered = CounterMetricFamily("p2p_peer_http_requests_total", "Requests answered", labels=labels)
        opened = GaugeMetricFamily("p2p_peer_http_connections", "Connections that are open", labels=["api"])
        refused = CounterMetricFamily("p2p_peer_http_connections_refused_total", "Turned away: full", labels=["api"])
        sent = CounterMetricFamily("p2p_peer_http_sent_bytes_total", "Bytes sent, headers too", labels=["api"])
        for api in self._apis:
            for (endpoint, status), count in api.traffic.counts().items():
                answered.add_metric([api.name, endpoint, str(status)], count)
            now_open, turned_away, sent_bytes = api.server.traffic()
            opened.add_metric([api.name], now_open)
            refused.add_metric([api.name], turned_away)
            sent.add_metric([api.name], sent_bytes)
        yield from (answered, opened, refused, sent)

    def _bytes(self) -> Iterator[Metric]:
        downloads, lookup = self._parts.downloads, self._parts.lookup
        yield CounterMetricFamily("p2p_peer_received_bytes_total", "Bytes of files from peers", downloads.received())
        right, wrong = downloads.pieces()
        yield CounterMetricFamily("p2p_peer_pieces_verified_total", "Pieces that came and were right", right)
        yield CounterMetricFamily("p2p_peer_pieces_bad_total", "Pieces that came and were wrong", wrong)
        running, refused = lookup.relays()
        yield GaugeMetricFamily("p2p_peer_relays", "Lookups of other peers in work", running)
        yield CounterMetricFamily("p2p_peer_relays_refused_total", "Lookups of others sent away: too many", refused)

    def _transfers(self) -> Iterator[Metric]:
        found = self._parts.transfers.census()
        transfers = GaugeMetricFamily("p2p_peer_transfers", "Transfers on record", labels=["kind", "state"])
        for kind in KINDS:
            for state in STATES:
                transfers.add_metric([kind, state], found.get((kind, state), 0))
        yield transfers

    def _share(self) -> Iterator[Metric]:
        share, scan = self._parts.share, self._parts.scanner.status()
        files, size = share.totals()
        yield GaugeMetricFamily("p2p_peer_share_files", "Files in the share", files)
        yield GaugeMetricFamily("p2p_peer_share_bytes", "Bytes of the files in the share", size)
        yield GaugeMetricFamily("p2p_peer_share_free_bytes", "Room on the share's disk", free_bytes(share))
        yield GaugeMetricFamily("p2p_peer_share_skipped_files", "Files that are not shared", share.skipped()[0])
        yield GaugeMetricFamily("p2p_peer_hash_queue_files", "Files that wait to be hashed, or are", scan.hashing)
        yield GaugeMetricFamily("p2p_peer_scanning", "1 while all of the share is looked at", int(scan.scanning))
        yield GaugeMetricFamily("p2p_peer_share_watched", "1: changes are seen at once", int(scan.watching))
        ok = int(scan.error is None)
        yield GaugeMetricFamily("p2p_peer_share_ok", "0: the share is not kept up, the log says why", ok)

    def _membership(self) -> Iterator[Metric]:
        membership, age = self._parts.membership, self._parts.membership.heartbeat_age()
        registered = any(one.state == "registered" for one in membership.locators())
        yield GaugeMetricFamily("p2p_peer_registered", "1: a member, at a locator that answers", int(registered))
        heartbeat = GaugeMetricFamily("p2p_peer_heartbeat_age_seconds", "Since the lease was last renewed")
        if age is not None:
            heartbeat.add_metric([], age)
        yield heartbeat
        reachable, ok = GaugeMetricFamily("p2p_peer_reachable", "1: others reach it"), membership.reachable().ok
        if ok is not None:
            reachable.add_metric([], int(ok))
        yield reachable
        neighbours = GaugeMetricFamily("p2p_peer_neighbours", "Neighbours, by how they are", labels=["state"])
        states = [state for _peer, state in self._parts.neighbours.statuses()]
        for state in ("ok", "dead", "unknown"):
            neighbours.add_metric([state], states.count(state))
        yield neighbours


def show_metrics(where: tuple[str, int], watched: Watched) -> Scrape:
    """Listen there (port 0: any) for whoever scrapes. OSError names the setting."""
    registry = CollectorRegistry()
    registry.register(watched)
    ProcessCollector(registry=registry)
    try:
        return Scrape(registry, *where)
    except OSError as error:
        said = f"PSERVER_METRICS_LISTEN: cannot listen on {where[0]} port {where[1]}: {error.strerror or error}"
        raise OSError(said) from error
