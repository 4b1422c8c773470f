"""The dial-back, to real servers."""

import asyncio
import ipaddress
import json
import socket
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
    assert why.startswith("http://127.0.0.1:") and "refused" in why and "PSERVER_ADVERTISE_URL" in why
    why = dial(peer, "http://no-such-host.invalid:8001")
    assert why is not None and "no-such-host.invalid" in why


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
