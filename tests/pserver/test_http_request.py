"""Requests to a real server: bodies, deadlines, what is refused, and applications that fail."""

import io
import threading
from collections.abc import Iterator
from typing import Any
from wsgiref.types import StartResponse

import pytest

from tests.pserver.http_lab import (  # noqa: F401 - no_errors_logged is a fixture
    GET,
    Client,
    Environ,
    healthy,
    hello,
    no_errors_logged,
    say,
    serving,
    until,
    with_health,
)

MIB = 1 << 20


def echo(environ: Environ, start_response: StartResponse) -> list[bytes]:
    assert isinstance(environ["wsgi.input"], io.BytesIO), "bodies stay in memory"
    return say(start_response, environ["wsgi.input"].read())


def post(*headers: str) -> bytes:
    return "\r\n".join(["POST / HTTP/1.1", "Host: here", *headers, "", ""]).encode()


def drip(client: Client, data: bytes) -> bool:
    """Send `data` for ever, a byte every 30 ms, until there is an answer; whether there was one in time."""
    client.sock.settimeout(0.03)
    for at in range(200):
        try:
            client.unread += client.sock.recv(65536)
            client.sock.settimeout(10)
            return True
        except TimeoutError:
            client.send(data[at % len(data) :][:1])
    return False


# Bodies


@pytest.mark.parametrize("size", [0, 1, 100_000, 3 * MIB])
def test_a_body_up_to_the_limit_arrives_whole_and_in_memory(size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    with serving(echo, max_body_bytes=3 * MIB) as server, Client(server) as client:
        for _ in range(2):
            assert client.send(post(f"Content-Length: {size}") + body).answer().body == body


def test_a_chunked_body_arrives_whole() -> None:
    chunk = b"1f40\r\n" + b"y" * 8000 + b"\r\n"
    with serving(echo) as server, Client(server) as client:
        client.send(post("Transfer-Encoding: chunked") + chunk * 10 + b"0\r\n\r\n")
        assert client.answer().body == b"y" * 80_000
        assert client.send(post("Content-Length: 2") + b"ok").answer().body == b"ok"


@pytest.mark.parametrize("expect", [[], ["Expect: 100-continue"]])
def test_a_body_above_the_limit_is_refused_before_it_is_sent(expect: list[str]) -> None:
    with serving(echo, max_body_bytes=1000) as server, Client(server) as client:
        assert client.send(post("Content-Length: 1001", *expect)).answer().status == 413
        assert client.rest() == 0


def test_a_client_that_sends_all_of_a_too_large_body_still_reads_why_it_is_refused() -> None:
    with serving(echo, max_body_bytes=1000) as server, Client(server) as client:
        client.send(post(f"Content-Length: {4 * MIB}") + b"x" * 4 * MIB)
        assert client.answer().status == 413


def test_a_chunked_body_is_refused_as_it_grows_beyond_the_limit() -> None:
    with serving(echo, max_body_bytes=1000) as server, Client(server) as client:
        client.send(post("Transfer-Encoding: chunked") + b"ffffffff\r\n" + b"x" * 1500)
        assert client.answer().status == 413


def test_an_endless_chunk_line_is_refused() -> None:
    with serving(echo, max_header_bytes=1000, max_body_bytes=MIB) as server, Client(server) as client:
        client.send(post("Transfer-Encoding: chunked") + b"1;" + b"x" * 5000)
        assert client.answer().status == 400


def test_expect_continue_is_told_to_go_on() -> None:
    with serving(echo) as server, Client(server) as client:
        for _ in range(2):
            assert client.send(post("Content-Length: 5", "Expect: 100-continue")).head().status == 100
            assert client.send(b"hello").answer().body == b"hello"


def test_expect_continue_without_a_body_is_just_answered() -> None:
    with serving(hello) as server, Client(server) as client:
        assert client.get("/", "GET", "Expect: 100-continue").answer().body == b"hello"


# Deadlines


def test_headers_that_drip_are_answered_408() -> None:
    with serving(hello, header_seconds=0.3) as server, Client(server) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: here\r\nX: ")
        assert drip(client, b"x")
        assert client.answer().status == 408


def test_the_time_for_headers_begins_with_their_first_byte() -> None:
    with serving(hello, header_seconds=0.4) as server, Client(server) as client:
        for _ in range(2):
            threading.Event().wait(0.5)
            client.send(GET[:9])
            threading.Event().wait(0.15)
            assert client.send(GET[9:]).answer().body == b"hello"


def test_a_body_that_drips_is_answered_408() -> None:
    with serving(echo, body_seconds=0.3, header_seconds=60) as server, Client(server) as client:
        client.send(post("Content-Length: 5000"))
        assert drip(client, b"x")
        assert client.answer().status == 408


def test_empty_lines_for_ever_are_an_idle_connection() -> None:
    with serving(hello, idle_seconds=0.3) as server, Client(server) as client:
        try:
            assert drip(client, b"\r\n")
        except OSError:
            pass  # closed between two bytes
        assert client.rest() == 0


def test_an_idle_connection_is_closed_without_a_word_also_after_a_request() -> None:
    with serving(hello, idle_seconds=0.3) as server, Client(server) as client:
        assert client.get().answer().body == b"hello"
        assert client.rest() == 0


def test_an_application_may_take_longer_than_any_limit_of_the_client() -> None:
    def slow(environ: Environ, start_response: StartResponse) -> list[bytes]:
        threading.Event().wait(0.5)
        return hello(environ, start_response)

    limits = {"idle_seconds": 0.1, "header_seconds": 0.1, "body_seconds": 0.1, "stall_seconds": 0.1}
    with serving(slow, **limits) as server, Client(server) as client:
        assert client.get().answer().body == b"hello"


# Reading strictly

AMBIGUOUS = {
    "both lengths": post("Transfer-Encoding: chunked", "Content-Length: 5") + b"0\r\n\r\n",
    "two lengths": post("Content-Length: 3", "Content-Length: 4"),
    "a signed length": post("Content-Length: +3"),
    "a huge length": post("Content-Length: " + "9" * 5000),
    "chunked in 1.0": b"POST / HTTP/1.0\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n",
    "space before the colon": post("Content-Length : 3"),
    "a bare line feed": b"GET / HTTP/1.1\r\nHost: here\nX: y\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": post("Host: there"),
    "another version": b"GET / HTTP/3.0\r\nHost: here\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "an address that is none": b"GET http://[ HTTP/1.1\r\nHost: here\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_what_could_be_read_in_two_ways_is_refused(request_bytes: bytes) -> None:
    with serving(hello) as server, Client(server) as client:
        assert client.send(request_bytes + GET).answer().status == 400
        assert client.rest() == 0


def test_an_unknown_transfer_encoding_is_refused() -> None:
    with serving(hello) as server, Client(server) as client:
        assert client.send(post("Transfer-Encoding: gzip, chunked")).answer().status == 501


def test_headers_beyond_the_limit_are_refused() -> None:
    with serving(hello, max_header_bytes=2000) as server, Client(server) as client:
        assert client.get("/", "GET", "X: " + "y" * 3000).answer().status == 431


def test_requests_sent_ahead_are_answered_in_order_one_at_a_time() -> None:
    running: list[str] = []

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        running.append(environ["PATH_INFO"])
        assert len(running) == 1
        answer = say(start_response, running[0].encode())
        running.clear()
        return answer

    with serving(app) as server, Client(server) as client:
        client.send(b"".join(GET.replace(b"/ ", b"/%d " % n) for n in range(500)))
        assert [client.answer().body for _ in range(500)] == [b"/%d" % n for n in range(500)]


def test_http_1_0_is_answered_and_closed() -> None:
    with serving(hello) as server, Client(server) as client:
        answer = client.send(b"GET / HTTP/1.0\r\n\r\n").answer()
        assert (answer.body, answer.headers["connection"]) == (b"hello", "close")
        assert client.rest() == 0


def test_http_1_0_may_ask_to_stay() -> None:
    with serving(hello) as server, Client(server) as client:
        for _ in range(2):
            assert client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").answer().body == b"hello"


@pytest.mark.parametrize("lengths", [[("Content-Length", "5")], []])
def test_head_gets_no_body_even_from_an_application_that_sends_one(lengths: list[tuple[str, str]]) -> None:
    def app(_: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", lengths)
        return [b"he", b"llo"]

    with serving(app) as server, Client(server) as client:
        answer = client.get("/", "HEAD", "Connection: close").answer(has_body=False)
        assert answer.status == 200
        assert client.rest() == 0


def test_the_server_names_itself_only_and_trusts_no_proxy() -> None:
    seen: dict[str, Any] = {}

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        seen.update(environ)
        return hello(environ, start_response)

    with serving(app) as server, Client(server) as client:
        headers = ["X-Forwarded-For: 1.2.3.4", "Forwarded: for=1.2.3.4", "X-Forwarded-Proto: https", "X_Real: no"]
        assert client.get("/", "GET", *headers).answer().headers["server"] == "lab"
    assert seen["REMOTE_ADDR"] == "127.0.0.1" and seen["wsgi.url_scheme"] == "http"
    assert not [name for name in seen if "FORWARDED" in name or "REAL" in name]


def test_urgent_data_is_read_like_any_other() -> None:
    with serving(hello) as server, Client(server) as client:
        client.send(GET[:-1])
        client.sock.send(GET[-1:], 1)  # MSG_OOB
        assert client.answer().body == b"hello"


# Applications that fail


@pytest.mark.parametrize("error", [RuntimeError("secret"), OSError("secret"), FileNotFoundError("secret")])
def test_a_failing_application_is_logged_and_answered_500(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    def app(_: Environ, __: StartResponse) -> list[bytes]:
        raise error

    with serving(app) as server, Client(server) as client:
        answer = client.get().answer()
    assert answer.status == 500 and b"secret" not in answer.body and b"Traceback" not in answer.body
    assert "secret" in caplog.text and {record.name for record in caplog.records} == {"pserver.http.server"}
    caplog.clear()


def test_an_application_that_exits_ends_its_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    def app(_: Environ, __: StartResponse) -> list[bytes]:
        raise SystemExit

    with serving(with_health(app), threads=1) as server, Client(server) as client:
        client.get().rest()
        until(lambda: not server._listener.active_channels, "the connection is closed")
        assert healthy(server)
    caplog.clear()


def test_an_answer_that_breaks_off_is_a_short_body(caplog: pytest.LogCaptureFixture) -> None:
    def app(_: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "10")])
        yield b"half"
        raise RuntimeError

    with serving(app) as server, Client(server) as client:
        assert client.get().answer().body == b"half"
    caplog.clear()
