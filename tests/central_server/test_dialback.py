"""The dial-back, to real servers."""

import asyncio
import contextlib
import ipaddress
import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from central_server import dialback as module
from central_server.dialback import Dialback
from central_server.model import AddressNotAllowed, InvalidRequest
from protos.addresses import AddressPolicy
from protos.tokens import Issuer
from tests.central_server.peer_double import PeerDouble, listening

KEY = b"k" * 32
LOOPBACK = AddressPolicy(own_loopback=True)


@pytest.fixture
def peer() -> Iterator[PeerDouble]:
    with listening(PeerDouble(network_key=KEY)) as answering:
        yield answering


def dial(peer: PeerDouble, url: str | None = None, *, policy: AddressPolicy = LOOPBACK) -> str | None:
    async def ask() -> str | None:
        asking = Dialback(Issuer(Ed25519PrivateKey.generate(), KEY), KEY, policy)
        try:
            return await asking(peer.peer_id, url or peer.url)
        finally:
            asking.close()

    return asyncio.run(ask())


def test_a_peer_that_proves_its_key_is_reachable(peer: PeerDouble) -> None:
    assert dial(peer) is None
    assert dial(peer, peer.url.replace("127.0.0.1", "localhost")) is None


def test_what_failed_is_said_in_words(peer: PeerDouble) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        why = dial(peer, f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert why is not None
    assert why.startswith("http://127.0.0.1:") and "refused the connection" in why and "PSERVER_ADVERTISE_URL" in why
    why = dial(peer, "http://no-such-host.invalid:8001")
    assert why is not None and "no-such-host.invalid:8001 is a name that the locator cannot resolve" in why


def test_what_a_name_resolved_to_is_said(peer: PeerDouble) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        why = dial(peer, f"http://localhost:{unused.getsockname()[1]}")
    assert why is not None and "(resolved to 127.0.0.1" in why, why


def test_an_address_that_drops_what_comes_timed_out(peer: PeerDouble) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        where = full.getsockname()
        with contextlib.ExitStack() as waiting:  # its queue is full: what else comes is dropped, as a firewall does
            for _ in range(3):
                one = waiting.enter_context(socket.socket())
                one.setblocking(False)
                one.connect_ex(where)
            why = dial(peer, f"http://127.0.0.1:{where[1]}")
    assert why is not None and "timed out" in why


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"hello", "not as a PServer"),
        (b"[]", "not as a PServer"),
        (b"{}", "not as a PServer"),
        (b'{"proof": 7}', "proof is not valid"),
        (b"[" * 4000, "not as a PServer"),
        (b"x" * 20_000, "more than a proof"),
    ],
)
def test_whatever_else_answers_is_not_the_peer(peer: PeerDouble, answer: bytes, said: str) -> None:
    peer.answer = answer
    why = dial(peer)
    assert why is not None and said in why


def test_an_old_proof_or_another_peers_is_refused(peer: PeerDouble) -> None:
    key = Ed25519PrivateKey.generate()
    locator = Issuer(key, KEY)

    async def ask() -> str | None:
        asking = Dialback(locator, KEY, AddressPolicy(own_loopback=True))
        return await asking(peer.peer_id, peer.url)

    old = peer.issuer.token(locator.peer_id, "pong:00", time.time())
    peer.answer = json.dumps({"proof": old}).encode()
    assert "proof is not valid" in str(asyncio.run(ask()))
    peer.answer = None
    other, peer.issuer = peer.issuer, PeerDouble(network_key=KEY).issuer
    assert "is another peer" in str(asyncio.run(ask()))
    peer.issuer = other
    assert asyncio.run(ask()) is None


def test_a_redirect_is_not_followed(peer: PeerDouble) -> None:
    with listening(PeerDouble(network_key=KEY)) as other:
        other.status, other.location, other.answer = 302, f"{peer.url}/peer/v1/ping?nonce=00", b""
        why = dial(peer, other.url)
    assert why is not None and "302" in why


def test_forbidden_addresses_are_not_connected_to(peer: PeerDouble) -> None:
    with pytest.raises(AddressNotAllowed, match="loopback"):
        dial(peer, policy=AddressPolicy(own_loopback=False))
    with pytest.raises(AddressNotAllowed, match="metadata"):
        dial(peer, "http://169.254.169.254")
    with pytest.raises(AddressNotAllowed, match="outside"):
        dial(peer, policy=AddressPolicy(own_loopback=True, allowed=(ipaddress.ip_network("10.0.0.0/8"),)))


@pytest.mark.parametrize(
    "url", ["", "ftp://x", "http://", "http://a/b", "http://a?b", "http://u:p@a", "http://a:0", "http://a b"]
)
def test_what_is_no_url_of_a_peer_is_refused(peer: PeerDouble, url: str) -> None:
    with pytest.raises(InvalidRequest):
        asyncio.run(
            Dialback(Issuer(Ed25519PrivateKey.generate(), KEY), KEY, AddressPolicy(own_loopback=True))(
                peer.peer_id, url
            )
        )


def test_a_server_that_says_nothing_is_given_up(peer: PeerDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOTAL_SECONDS", 0.2)
    monkeypatch.setattr(module, "_TURN_SECONDS", 0.4)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        why = dial(peer, f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert why is not None and "did not answer within 0.2 seconds" in why
        assert time.monotonic() - began < 2.0


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 ", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_server_that_drips_does_not_keep_a_thread(
    peer: PeerDouble, monkeypatch: pytest.MonkeyPatch, head: bytes
) -> None:
    monkeypatch.setattr(module, "TOTAL_SECONDS", 0.3)
    monkeypatch.setattr(module, "_TURN_SECONDS", 0.3)
    left = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as dripping:
        thread = threading.Thread(target=_drip, args=(dripping, head, left))
        thread.start()
        why = dial(peer, f"http://127.0.0.1:{dripping.getsockname()[1]}")
        assert left.wait(10), "the locator hung up while bytes still came"
        thread.join()
    assert why is not None


def test_an_answer_that_breaks_off_is_told(peer: PeerDouble) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_break_off, args=(listening,))
        thread.start()
        why = dial(peer, f"http://127.0.0.1:{listening.getsockname()[1]}")
        thread.join()
    assert why is not None and "broke off" in why


def _break_off(listening: socket.socket) -> None:
    with listening.accept()[0] as taken:
        taken.recv(4096)
        taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")


def _drip(listening: socket.socket, head: bytes, left: threading.Event) -> None:
    """A byte every now and then until the other side leaves; at most 20 s."""
    with listening.accept()[0] as taken:
        taken.sendall(head)
        for _ in range(400):
            try:
                taken.sendall(b"x")
            except OSError:
                left.set()
                return
            time.sleep(0.05)
