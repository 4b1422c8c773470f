"""What an operator watches of a locator, as Prometheus metrics (docs/METRICS.md): read as they are asked for.

All names begin with p2p_locator_, all units are base units, and no label names a peer, a user or a file. Calls are
counted as they end; everything else is read from counters that others keep.
"""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from central_server.answers import Tally

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
Writes = tuple[int, int, float]  # that wait, that were written, seconds that they took


class Watched(Collector):
    """The locator's own counters, read at each scrape. Each callable may be called from any thread."""

    def __init__(
        self, version: str, tally: Tally, writes: Callable[[], Writes], logged: Callable[[], Mapping[str, int]]
    ) -> None:
        self._version = version
        self._tally = tally
        self._writes = writes
        self._logged = logged

    def collect(self) -> Iterator[Metric]:
        """See Collector."""
        yield InfoMetricFamily("p2p_locator", "The version that runs", {"version": self._version})
        yield from self._members()
        yield from self._store()
        logged = CounterMetricFamily("p2p_locator_log_messages_total", "Warnings and errors logged", labels=["level"])
        for level, count in self._logged().items():
            logged.add_metric([level], count)
        yield logged

    def _members(self) -> Iterator[Metric]:
        tally = self._tally
        yield GaugeMetricFamily("p2p_locator_members", "Peers in answers: alive and reachable", tally.members)
        yield GaugeMetricFamily("p2p_locator_files", "Files announced by them, each copy counted", tally.files)
        yield GaugeMetricFamily("p2p_locator_share_bytes", "Bytes of these files", tally.share_bytes)
        registered, unreachable = tally.registrations, tally.unreachable
        yield CounterMetricFamily("p2p_locator_dialbacks_total", "Registrations that were dialled back", registered)
        yield CounterMetricFamily("p2p_locator_dialbacks_failed_total", "Those of peers not reached", unreachable)
        yield CounterMetricFamily("p2p_locator_resyncs_total", "Whole snapshots asked of peers", tally.resyncs)

    def _store(self) -> Iterator[Metric]:
        waiting, written, seconds = self._writes()
        yield GaugeMetricFamily("p2p_locator_store_queue", "Writes that wait for the store", waiting)
        yield SummaryMetricFamily(
            "p2p_locator_store_write_seconds", "Groups of writes: how many, and the time they took", written, seconds
        )


class LocatorMetrics:
    """A registry of all, and `observe`, which is told of each call that ended."""

    def __init__(self, watched: Watched) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(watched)
        ProcessCollector(registry=self.registry)
        self._known: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
        labels = ["method", "status"]
        self._calls = Counter("p2p_locator_rpcs_total", "Calls that ended", labels, registry=self.registry)
        self._seconds = Histogram(
            "p2p_locator_rpc_seconds", "How long calls took", ["method"], buckets=_BUCKETS, registry=self.registry
        )

    def observe(self, method: str, status: str, seconds: float) -> None:
        """A call of that rpc ended with that gRPC status."""
        known = self._known.get((method, status))
        if known is None:  # found once: looking labels up costs more than counting
            known = self._known[method, status] = self._calls.labels(method, status), self._seconds.labels(method)
        known[0].inc()
        known[1].observe(seconds)
