"""The listener for Prometheus."""

import contextlib
import socket
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter

from demo.processes import wait_for
from protos.scrape import Scrape, _Handler
from protos.settings import metrics_refusal, metrics_warnings


@pytest.fixture(scope="module")
def scrape() -> Iterator[Scrape]:
    registry = CollectorRegistry()
    Counter("p2p_test_total", "Of the test", registry=registry).inc()
    made = Scrape(registry, "127.0.0.1", 0)
    yield made
    made.close()


def test_it_answers_with_the_metrics(scrape: Scrape) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{scrape.port}/metrics", timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert b"p2p_test_total 1.0\n" in answer.read()


def test_clients_that_say_nothing_are_few_and_not_for_long(scrape: Scrape, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _Handler.timeout is not None and _Handler.timeout <= 30
    where = "127.0.0.1", scrape.port
    with contextlib.ExitStack() as silent:
        for _ in range(8):
            silent.enter_context(socket.create_connection(where, 10))
        assert silent.enter_context(socket.create_connection(where, 5)).recv(1) == b"", "one too many is closed at once"
    monkeypatch.setattr(_Handler, "timeout", 0.1)
    wait_for("those that left have made room", lambda: answers(scrape))
    with socket.create_connection(where, 10) as slow:
        assert slow.recv(1) == b"", "closed, as its time was over"


def answers(scrape: Scrape) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{scrape.port}/metrics", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_a_port_in_use_is_an_error(scrape: Scrape) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError):
        Scrape(CollectorRegistry(), "127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.1.2.3", "192.168.0.1", "::1", "fd00::1", "0.0.0.0"])
def test_loopback_and_private_addresses_will_do(host: str) -> None:
    assert metrics_refusal(host) is None


@pytest.mark.parametrize("host", ["8.8.8.8", "2600::1", "example.org", ""])
def test_what_the_world_reaches_will_not(host: str) -> None:
    assert metrics_refusal(host) is not None


def test_all_addresses_are_worth_a_warning() -> None:
    assert len(metrics_warnings("X", "0.0.0.0")) == 1
    assert metrics_warnings("X", "127.0.0.1") == [] == metrics_warnings("X", "localhost")
