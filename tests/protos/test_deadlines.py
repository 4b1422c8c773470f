"""Who drips an answer, a byte now and then, is given up at its end of time; who answers is not."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import requests
import urllib3.exceptions

from protos.addresses import AddressPolicy, guarded_session
from protos.deadlines import due

PATIENCE = 0.2  # of the one who reads, seconds
STEP = 0.03  # of the one who drips: always sooner than the patience with one byte ends
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n"


@contextlib.contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The base URL of somebody who reads one request and answers it like that."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError), listening.accept()[0] as taken:
                taken.recv(65536)
                answer(taken)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        thread.join()


def drip(before: bytes, dripped: bytes, after: bytes) -> Callable[[socket.socket], None]:
    def answer(taken: socket.socket) -> None:
        taken.sendall(before)
        for byte in dripped:
            taken.sendall(bytes([byte]))
            time.sleep(STEP)
        taken.sendall(after)

    return answer


@pytest.mark.parametrize(
    ("before", "dripped", "after"),
    [
        (b"", b"HTTP/1.1 200 " + b"O" * 50, b"\r\nContent-Length: 0\r\n\r\n"),
        (HEAD, b"X-Drip: " + b"x" * 50, b"\r\n\r\nbody"),
        (HEAD, b"A: b\r\n" * 10, b"\r\nbody"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 3, HEAD + b"\r\nbody"),
    ],
)
def test_a_head_that_drips_is_given_up(before: bytes, dripped: bytes, after: bytes) -> None:
    with (
        answering(drip(before, dripped, after)) as url,
        guarded_session(AddressPolicy(True)) as session,
        pytest.raises(requests.Timeout),
    ):
        session.get(url, timeout=PATIENCE, stream=True)


@pytest.mark.parametrize(
    ("head", "dripped"),
    [(b"Content-Length: 50\r\n\r\n", b"x" * 50), (b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 50)],
)
def test_a_body_that_drips_is_given_up_when_it_is_due(head: bytes, dripped: bytes) -> None:
    with (
        answering(drip(b"HTTP/1.1 200 OK\r\n" + head, dripped, b"\r\n\r\n")) as url,
        guarded_session(AddressPolicy(True)) as session,
        session.get(url, timeout=5, stream=True) as answer,
    ):
        due(answer, time.monotonic() + PATIENCE)
        with pytest.raises(urllib3.exceptions.HTTPError) as caught:
            while answer.raw.read1(1000):
                pass
    assert "timed out" in str(caught.value).lower()


def test_what_is_there_is_read_and_the_connection_is_kept() -> None:
    def twice(taken: socket.socket) -> None:
        taken.sendall(HEAD + b"\r\nbody")
        assert taken.recv(65536).startswith(b"GET")  # the second request came by the same connection
        taken.sendall(HEAD + b"\r\nmore")

    with answering(twice) as url, guarded_session(AddressPolicy(True)) as session:
        with session.get(url, timeout=5, stream=True) as answer:
            due(answer, time.monotonic() + 5)
            assert answer.content == b"body"
        assert session.get(url, timeout=5).content == b"more"


def test_of_hundreds_of_addresses_of_one_name_a_few_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[object] = []

    def resolve(_host: str, port: int, *_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"10.0.0.{last}", port)) for last in range(1, 201)]

    def refuse(where: tuple[str, int], *_: object, **__: object) -> socket.socket:
        tried.append(where)
        raise TimeoutError

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", refuse)
    with guarded_session(AddressPolicy(False)) as session, pytest.raises(requests.ConnectionError):
        session.get("http://many.example/", timeout=1)
    assert len(tried) == 4
