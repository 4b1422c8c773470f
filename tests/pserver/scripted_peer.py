"""A peer that answers, byte by byte, what a test makes of each request: for the readers of answers."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protos.tokens import Issuer
from pserver.model import Peer

Script = Callable[[bytes], bytes | None]  # the request's bytes -> the answer's; None: silence


@contextmanager
def scripted(script: Script, key: Ed25519PrivateKey | None = None) -> Iterator[tuple[Peer, list[bytes]]]:
    """A peer that answers each request with what `script` makes of it; and what it was sent."""
    listening = socket.create_server(("127.0.0.1", 0))
    asked: list[bytes] = []
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection:
            while received := _request(connection):
                asked.append(received)
                answer = script(received)
                if answer is None:
                    over.wait(10)
                    return
                connection.sendall(answer)
                if b"\r\nConnection: close" in answer:
                    return

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=_quietly, args=(serve, connection), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    issuer = Issuer(key or Ed25519PrivateKey.generate(), None)
    try:
        yield Peer(issuer.peer_id, "b", f"http://127.0.0.1:{listening.getsockname()[1]}"), asked
    finally:
        over.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def _quietly(serve: Callable[[socket.socket], None], connection: socket.socket) -> None:
    try:
        serve(connection)
    except OSError:
        pass  # the asker left


def _request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        if not more:
            return b""
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body
