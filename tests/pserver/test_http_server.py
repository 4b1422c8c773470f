"""The server as a whole: full houses, descriptors, starting and stopping. Files and requests have their own tests."""

import contextlib
import errno
import importlib.metadata
import os
import resource
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from wsgiref.types import StartResponse

import pytest

from pserver.http.server import HttpServer, Limits, refuse_other_waitress
from pserver.http.socket import address_key
from tests.pserver.http_lab import (  # noqa: F401 - no_errors_logged is a fixture
    GET,
    Client,
    Environ,
    clients_of,
    healthy,
    hello,
    no_errors_logged,
    serving,
    until,
    with_health,
)


class Gate:
    """An application that waits to be let on."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.waiting = 0

    def __call__(self, environ: Environ, start_response: StartResponse) -> list[bytes]:
        self.waiting += 1
        self.open.wait(10)
        self.waiting -= 1
        return hello(environ, start_response)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


@contextlib.contextmanager
def descriptors_up_to(count: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def connections(server: HttpServer) -> int:
    return len(server._listener.active_channels)


# Full houses


def test_half_open_clients_do_not_delay_a_health_check() -> None:
    with serving(with_health(hello)) as server, clients_of(server) as clients:
        clients.open(256, b"GET / HTTP/1.1\r\nHost: he")
        until(lambda: connections(server) == 256, "all are taken in")
        assert statistics.median(healthy(server) for _ in range(10)) < 0.1
        for client in clients.all[:3] + clients.all[-3:]:
            assert client.send(b"re\r\n\r\n").answer().body == b"hello"


def test_more_connections_than_select_could_watch() -> None:
    wanted, (_, hard) = 4096, resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"needs {wanted} descriptors")
    limits = {"max_connections": 2000, "max_connections_per_address": 2000}
    with descriptors_up_to(wanted), serving(with_health(hello), **limits) as server, clients_of(server) as clients:
        clients.open(1100)
        until(lambda: connections(server) == 1100, "all are taken in")
        assert healthy(server) < 1
        assert clients.all[-1].get().answer().body == b"hello"
        assert clients.all[0].get().answer().body == b"hello"


def test_when_all_is_full_the_longest_idle_makes_room() -> None:
    with serving(with_health(hello), max_connections=4) as server, clients_of(server) as clients:
        first, second, *_ = clients.open(4)
        until(lambda: connections(server) == 4, "all are taken in")
        assert first.get().answer().body == b"hello"  # so it is the second that waits longest
        assert healthy(server) < 1
        until(second.ended, "the second made room")
        assert not first.ended()


def test_when_an_address_has_its_fill_only_its_own_make_room() -> None:
    limits = {"max_connections": 10, "max_connections_per_address": 3}
    with serving(with_health(hello), **limits) as server, clients_of(server) as clients:
        other = clients.open(3, source="127.0.0.2")
        until(lambda: connections(server) == 3, "they are older")
        own = clients.open(3)
        until(lambda: connections(server) == 6, "all are taken in")
        assert healthy(server) < 1
        until(own[0].ended, "its oldest made room")
        assert not any(client.ended() for client in [*other, *own[1:]])


def test_when_all_is_full_the_address_with_most_connections_makes_room() -> None:
    with serving(with_health(hello), max_connections=5) as server, clients_of(server) as clients:
        lone = clients.open(1, source="127.0.0.2")[0]
        until(lambda: connections(server) == 1, "it is the longest idle")
        crowd = clients.open(4, source="127.0.0.3")
        until(lambda: connections(server) == 5, "all are taken in")
        assert healthy(server) < 1
        until(crowd[0].ended, "the oldest of the crowd made room")
        assert not lone.ended()


def test_when_all_are_being_served_the_next_is_told_503(gate: Gate) -> None:
    with serving(gate, max_connections=2) as server, clients_of(server) as clients:
        busy = clients.open(2, GET)
        until(lambda: gate.waiting == 2, "both are being served")
        with Client(server) as client:
            answer = client.answer()
            assert answer.status == 503 and int(answer.headers["retry-after"]) > 0
            assert client.rest() == 0
        gate.open.set()
        assert [client.answer().body for client in busy] == [b"hello"] * 2


def test_when_an_address_has_its_fill_and_all_is_being_served_its_next_is_told_429(gate: Gate) -> None:
    limits = {"max_connections": 9, "max_connections_per_address": 2}
    with serving(gate, **limits) as server, clients_of(server) as clients:
        clients.open(2, GET)
        until(lambda: gate.waiting == 2, "both are being served")
        with Client(server) as client:
            answer = client.answer()
            assert answer.status == 429 and int(answer.headers["retry-after"]) > 0
        other = clients.open(1, GET, source="127.0.0.2")[0]
        until(lambda: gate.waiting == 3, "another address is served")
        gate.open.set()
        assert other.answer().body == b"hello"


def test_when_so_many_requests_wait_one_more_is_told_503(gate: Gate) -> None:
    with serving(gate, threads=1, max_requests=3) as server, clients_of(server) as clients:
        served = clients.open(1, GET)
        until(lambda: gate.waiting == 1, "one is being served")
        served += clients.open(2, GET)
        until(lambda: len(server._workers.queue) == 2, "two wait")
        with Client(server) as client:
            answer = client.send(GET).answer()
            assert answer.status == 503 and int(answer.headers["retry-after"]) > 0
        gate.open.set()
        assert [client.answer().body for client in served] == [b"hello"] * 3


def test_an_ipv6_host_is_one_address_whatever_it_calls_itself() -> None:
    assert address_key("2001:db8::1") == address_key("2001:db8::ffff:1") != address_key("2001:db8:0:1::1")
    assert address_key("fe80::1%eth0") == address_key("fe80::2")
    assert address_key("10.0.0.1") != address_key("10.0.0.2")


# Descriptors


def test_without_a_descriptor_left_the_server_waits_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    with serving(with_health(hello)) as server, contextlib.ExitStack() as spare:
        sock = spare.enter_context(socket.socket())
        sock.settimeout(10)
        full = max(int(name) for name in os.listdir("/proc/self/fd")) + 1
        with descriptors_up_to(full):
            with contextlib.suppress(OSError):
                while True:
                    spare.enter_context(open(os.devnull))
            sock.connect(("127.0.0.1", server.port))
            until(lambda: "cannot accept" in caplog.text, "it noticed")
            before = time.process_time()
            sock.sendall(GET)
            with pytest.raises(TimeoutError):
                sock.settimeout(0.3)
                sock.recv(1)
            assert time.process_time() - before < 0.15, "it spins"
        sock.settimeout(10)
        assert sock.recv(15) == b"HTTP/1.1 200 OK"
        assert healthy(server)


def test_without_a_descriptor_left_an_idle_connection_gives_its_own() -> None:
    with serving(with_health(hello)) as server, clients_of(server) as clients, contextlib.ExitStack() as spare:
        sock = spare.enter_context(socket.socket())
        sock.settimeout(10)
        idle = clients.open(1)[0]
        until(lambda: connections(server) == 1, "it is taken in")
        with descriptors_up_to(max(int(name) for name in os.listdir("/proc/self/fd")) + 1):
            with contextlib.suppress(OSError):
                while True:
                    spare.enter_context(open(os.devnull))
            sock.connect(("127.0.0.1", server.port))
            sock.sendall(GET)
            assert sock.recv(15) == b"HTTP/1.1 200 OK"
        assert idle.ended()


def test_a_failure_in_the_loop_is_logged_and_survived(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(with_health(hello)) as server:
        monkeypatch.setattr(server._listener, "_turn", lambda _: 1 / 0)
        until(lambda: "ZeroDivisionError" in caplog.text, "it failed")
        assert healthy(server)
        monkeypatch.undo()
    caplog.clear()


# Starting and stopping


def test_an_address_in_use_is_an_oserror_and_leaves_nothing_behind() -> None:
    with serving(hello) as server:
        before = open_descriptors()
        with pytest.raises(OSError) as error:
            HttpServer(hello, "127.0.0.1", server.port, Limits(), "second")
        assert error.value.errno == errno.EADDRINUSE
        assert open_descriptors() == before


def test_its_address_is_what_a_url_needs() -> None:
    server = HttpServer(hello, "127.0.0.1", 0, Limits(), "lab")
    assert server.address == f"127.0.0.1:{server.port}" and server.port > 0
    server.stop()


def test_stop_lets_a_request_end_frees_the_port_at_once_and_closes_the_idle(gate: Gate) -> None:
    server = HttpServer(gate, "127.0.0.1", 0, Limits(), "lab")
    server.start()
    with clients_of(server) as clients:
        idle = clients.open(1)[0]
        busy = clients.open(1, GET * 3)[0]
        until(lambda: gate.waiting == 1, "the request has begun")
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        assert idle.rest() == 0
        HttpServer(hello, "127.0.0.1", server.port, Limits(), "next").stop()
        gate.open.set()
        assert busy.answer().body == b"hello"
        assert busy.answer().headers["connection"] == "close"
        assert busy.rest() == 0
        stopping.join()


def test_stop_lets_a_file_be_sent_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(64 << 20)

    def app(environ: Environ, start_response: StartResponse) -> object:
        start_response("200 OK", [("Content-Length", str(64 << 20))])
        return environ["wsgi.file_wrapper"](path.open("rb"), 65536)

    server = HttpServer(app, "127.0.0.1", 0, Limits(), "lab")  # type: ignore[arg-type]  # object: any iterable
    server.start()
    with Client(server) as client:
        client.get().head()
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        assert client.rest() == 64 << 20
        stopping.join()


def test_stop_does_not_wait_longer_than_it_was_told(gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    server = HttpServer(gate, "127.0.0.1", 0, Limits(), "stuck")
    server.start()
    with Client(server) as client:
        client.get()
        until(lambda: gate.waiting == 1, "the request has begun")
        begin = time.monotonic()
        server.stop(0.1)
        assert time.monotonic() - begin < 3
        assert client.rest() == 0
        gate.open.set()
    until(lambda: not any(t.name.startswith("stuck") for t in threading.enumerate()), "its worker ends too")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_stop_may_be_called_twice_at_once_and_without_a_start() -> None:
    server = HttpServer(hello, "127.0.0.1", 0, Limits(), "lab")
    server.start()
    threads = [threading.Thread(target=server.stop) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    server.stop()
    server._listener.pull_trigger()  # as a worker may that outlived it
    assert not any(thread.is_alive() for thread in threads)
    with pytest.raises(RuntimeError):
        server.start()
    HttpServer(hello, "127.0.0.1", 0, Limits(), "lab").stop()


def test_many_servers_one_after_the_other_leave_nothing_behind() -> None:
    before = open_descriptors(), threading.active_count()
    for _ in range(30):
        with serving(with_health(hello)) as server:
            assert healthy(server)
    until(lambda: (open_descriptors(), threading.active_count()) == before, "all is as it was")


def test_another_waitress_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_other_waitress("3.0.2")
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "3.1.0")
    with pytest.raises(RuntimeError, match=r"needs waitress 3\.0 and found 3\.1\.0"):
        HttpServer(hello, "127.0.0.1", 0, Limits(), "lab")
