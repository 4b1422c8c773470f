"""What a locator shows to Prometheus, and where that comes from."""

import asyncio
from pathlib import Path

from prometheus_client import generate_latest

from central_server.answers import Tally
from central_server.metrics import LocatorMetrics, Watched
from central_server.store_sqlite import SQLiteStore
from tests.central_server.samples import lease, peer_id, said


def shown(metrics: LocatorMetrics) -> list[str]:
    return generate_latest(metrics.registry).decode().splitlines()


def made(tally: Tally) -> LocatorMetrics:
    return LocatorMetrics(Watched("9.9", tally, lambda: (3, 7, 0.5), lambda: {"warning": 2, "error": 1}))


def test_everything_is_read_as_it_is_asked_for() -> None:
    tally = Tally()
    metrics = made(tally)
    tally.members, tally.files, tally.share_bytes = 2, 30, 400
    tally.registrations, tally.unreachable, tally.resyncs = 5, 1, 6
    lines = shown(metrics)
    assert 'p2p_locator_info{version="9.9"} 1.0' in lines
    for line in (
        "p2p_locator_members 2.0",
        "p2p_locator_files 30.0",
        "p2p_locator_share_bytes 400.0",
        "p2p_locator_dialbacks_total 5.0",
        "p2p_locator_dialbacks_failed_total 1.0",
        "p2p_locator_resyncs_total 6.0",
        "p2p_locator_store_queue 3.0",
        "p2p_locator_store_write_seconds_count 7.0",
        "p2p_locator_store_write_seconds_sum 0.5",
        'p2p_locator_log_messages_total{level="error"} 1.0',
    ):
        assert line in lines, line


def test_calls_are_counted_as_they_end() -> None:
    metrics = made(Tally())
    metrics.observe("Search", "DEADLINE_EXCEEDED", 4.0)
    metrics.observe("Search", "OK", 0.003)
    lines = shown(metrics)
    assert 'p2p_locator_rpcs_total{method="Search",status="DEADLINE_EXCEEDED"} 1.0' in lines
    assert 'p2p_locator_rpc_seconds_bucket{le="0.005",method="Search"} 1.0' in lines
    assert 'p2p_locator_rpc_seconds_bucket{le="5.0",method="Search"} 2.0' in lines


def test_the_store_counts_its_writes(tmp_path: Path) -> None:
    async def play() -> tuple[int, int]:
        store = SQLiteStore(tmp_path / "store.sqlite", 0.0)
        for word in "abc":
            await store.register(peer_id(word), said(word), lease(word), reachable=True)
        waiting, written = store.writing()
        await store.close()
        return waiting, written.jobs

    assert asyncio.run(play()) == (0, 3)
