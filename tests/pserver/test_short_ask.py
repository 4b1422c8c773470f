"""The short way of asking: it says what the library says, and what is not plain the library reads."""

import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, repeat
from typing import Any

import pytest
import requests.adapters

from protos.addresses import AddressPolicy
from pserver.model import Peer, PServerError
from pserver.remote.peer_http import PeerBusy, PeerDead, PeerHttp, PeerLied, PeerStalled
from tests.pserver.scripted_peer import answer, scripted

GOOD = answer(b'{"good": true}')
ODD = {
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunks and a length": b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\n{}\r\n0\r\n\r\n",
    "a folded line": b"HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\nContent-Length: 2\r\n\r\n{}",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    "an older protocol": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "a first answer of 100": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "a character": "HTTP/1.1 200 OK\r\nX: é\r\nContent-Length: 2\r\n\r\n{}".encode(),
}


class Asker:
    """A PeerHttp, and how often its library was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.http = PeerHttp(AddressPolicy(own_loopback=True))
        self.long = 0
        send = requests.adapters.HTTPAdapter.send

        def counting(adapter: Any, *arguments: Any, **named: Any) -> requests.Response:
            self.long += 1
            return send(adapter, *arguments, **named)

        monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", counting)

    def json(self, peer: Peer, method: str = "GET", **named: Any) -> object:
        return self.http.json(method, peer, "/x", "token", **named)


@pytest.fixture
def asker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asker]:
    made = Asker(monkeypatch)
    yield made
    made.http.close()


def then(*answers: bytes | None) -> Callable[[bytes], bytes | None]:
    """The first request is answered well, on the long way; the next so, and more as the last of them."""
    rest = chain((GOOD, *answers), repeat(answers[-1] if answers else GOOD))
    return lambda _: next(rest)


@contextmanager
def dripping(first: bytes, drop: bytes, drops: int = 1 << 30) -> Iterator[Peer]:
    """A peer that answers the first request well, and the next with `first` at once and then a drop now and then."""
    listening, over = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(GOOD)
            connection.recv(65536)
            connection.sendall(first)
            for _ in range(drops):
                if over.wait(0.02):
                    return
                connection.sendall(drop)
            over.wait(10)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield Peer("0b" * 32, "b", f"http://127.0.0.1:{listening.getsockname()[1]}")
    finally:
        over.set()
        thread.join()
        listening.close()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_second_request_goes_the_short_way_and_says_the_same(asker: Asker, method: str) -> None:
    with scripted(lambda _: GOOD) as (peer, asked):
        body = {"a": "ä"} if method == "POST" else None
        for _ in range(3):
            assert asker.json(peer, method, body=body) == {"good": True}
        assert asker.long == 1 and len(asked) == 3
        long, short = ({line.lower() for line in one.partition(b"\r\n\r\n")[0].split(b"\r\n")} for one in asked[:2])
        assert short == long - {b"connection: keep-alive"}
        assert asked[0].partition(b"\r\n\r\n")[2] == asked[1].partition(b"\r\n\r\n")[2]


def test_a_header_that_comes_twice_is_joined_on_both_ways(asker: Asker) -> None:
    """As behind Caddy: were it not plain, each request would be sent twice."""
    twice = answer(b"{}", "200 OK", "Server: Caddy", "X-Other: 1", "Server: peer-api")
    with scripted(lambda _: twice) as (peer, asked):
        for _ in range(2):
            with asker.http.answer("GET", peer, "/x", None) as said:
                assert (said.header("server"), said.header("x-other")) == ("Caddy, peer-api", "1")
                said.body(2, time.monotonic() + 10)
        assert asker.long == 1 and len(asked) == 2


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_what_is_not_plain_the_library_reads(asker: Asker, odd: bytes) -> None:
    with scripted(then(odd, odd)) as (peer, _):
        asker.json(peer)
        assert asker.json(peer) == {}
        assert asker.long == 2


@pytest.mark.parametrize("length", [60_000, 200_000])
def test_a_head_is_not_read_without_end(asker: Asker, length: int) -> None:
    said = b"HTTP/1.1 200 OK\r\nX: " + b"x" * length + b"\r\nContent-Length: 2\r\n\r\n{}"
    with scripted(then(said, said)) as (peer, _):
        asker.json(peer)
        if length < 65_536:
            assert asker.json(peer) == {} and asker.long == 1
        else:
            with pytest.raises(PeerDead, match="broke"):
                asker.json(peer)


def test_more_than_the_answer_is_no_answer_to_the_next(asker: Asker) -> None:
    with scripted(then(answer(b"{}") + answer(b'{"forged": 1}'), GOOD)) as (peer, asked):
        asker.json(peer)
        assert asker.json(peer) == {"good": True}
        assert len(asked) == 3, "the connection was given up"


@pytest.mark.parametrize("end", [b"", b"HTTP/1.1 200 OK\r\nConte"], ids=["before", "within"])
def test_a_connection_that_ends_before_the_head_is_made_anew(asker: Asker, end: bytes) -> None:
    with scripted(then(end + b"\r\nConnection: close", GOOD)) as (peer, asked):
        asker.json(peer)
        assert asker.json(peer) == {"good": True}
        assert len(asked) == 3


def test_a_connection_that_is_to_be_closed_is(asker: Asker) -> None:
    with scripted(then(answer(b"{}", "200 OK", "Connection: close"), GOOD)) as (peer, _):
        asker.json(peer)
        assert asker.json(peer) == {}
        assert asker.json(peer) == {"good": True}
        assert asker.long == 2


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        (answer(json.dumps({"detail": "in words"}).encode(), "503 Service Unavailable"), PeerBusy, "in words"),
        (answer(b"", "503 Service Unavailable"), PeerBusy, "Service Unavailable"),
        (answer(b"x" * 70_000, "404 Not Found"), PeerLied, "more than"),
        (answer(b"", "302 Found", "Location: http://127.0.0.1:1/"), PeerLied, "Found"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n", PeerLied, "more than"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}\r\nConnection: close", PeerLied, "JSON"),
        (answer(b"{"), PeerLied, "JSON"),
        (None, PeerStalled, "nothing"),
    ],
    ids=["busy", "busy without words", "a long problem", "a redirect", "too long", "short", "no JSON", "silence"],
)
def test_each_failure_is_the_same_as_on_the_long_way(
    asker: Asker, said: bytes | None, error: type[PServerError], words: str
) -> None:
    with scripted(then(said, GOOD)) as (peer, _):
        asker.json(peer)
        with pytest.raises(error, match=words):
            asker.json(peer, seconds=0.3 if said is None else 10)
        assert asker.long == 1
        assert asker.json(peer) == {"good": True}, "what was left of it is in nobody's way"


def test_a_head_that_drips_is_stalled_in_time(asker: Asker) -> None:
    with dripping(b"", b"H") as peer:
        asker.json(peer)
        with pytest.raises(PeerStalled):
            asker.json(peer, seconds=0.3)
        assert asker.long == 1


def test_a_body_is_read_to_its_end_and_no_further(asker: Asker) -> None:
    content = bytes(range(256)) * 1024
    with scripted(then(answer(content), answer(b"{}"), GOOD)) as (peer, _):
        asker.json(peer)
        buffer = memoryview(bytearray(len(content) + 1000))
        with asker.http.answer("GET", peer, "/x", None) as said:
            assert said.readinto(buffer[:200_000]) == 200_000
            assert said.readinto(buffer[200_000:]) == len(content) - 200_000
            assert said.readinto(buffer) == 0
        assert bytes(buffer[: len(content)]) == content
        assert asker.json(peer, seconds=5) == {}, "a short answer does not wait to be a long one"
        assert asker.long == 1


def test_a_body_that_comes_slowly_comes(asker: Asker) -> None:
    """More is waited for at once than comes within the time for silence: what came by then counts."""
    quickly, slowly = random.Random(1).randbytes(400_000), random.Random(2).randbytes(100)
    content = quickly + slowly * 100
    with dripping(answer(content)[: -len(slowly) * 100], slowly, 100) as peer:
        asker.json(peer)
        buffer, done, reads = memoryview(bytearray(len(content))), 0, 0
        with asker.http.answer("GET", peer, "/x", None, read_seconds=0.5) as said:
            while count := said.readinto(buffer[done:]):
                done, reads = done + count, reads + 1
        assert buffer == content and asker.long == 1
        assert reads > 3, "that it is slow is seen"


def test_a_body_that_is_not_wanted_to_its_end_ends_the_connection(asker: Asker) -> None:
    with scripted(then(answer(b"x" * 100_000), GOOD)) as (peer, _):
        asker.json(peer)
        with asker.http.answer("GET", peer, "/x", None) as said:
            said.readinto(memoryview(bytearray(1000)))
        assert asker.json(peer) == {"good": True}
        assert asker.long == 2


def test_a_body_that_ends_early_says_so(asker: Asker) -> None:
    with scripted(then(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n12345\r\nConnection: close")) as (peer, _):
        asker.json(peer)
        with asker.http.answer("GET", peer, "/x", None) as said:
            assert said.readinto(memoryview(bytearray(100))) < 100
