"""Forbidden addresses in every form, wherever a peer is told one: no connection is made. No redirect is followed."""

import inspect
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protos.addresses import AddressPolicy, check_url
from protos.tokens import Issuer, Verifier
from pserver.exchange.offers import _source
from pserver.exchange.proofs import Proofs
from pserver.model import InvalidRequest, LookupRequest, Offer, Peer, PServerError
from pserver.remote.peers import PeerClient
from pserver.remote.swarm_messages import news_from_json
from tests.protos.test_addresses import FORBIDDEN_HOSTS, connections

__all__ = ["connections"]
ID = b"f" * 32
OWN = Peer("aa" * 32, "own", "http://127.0.0.1:9")
MORE_HOSTS = [
    "127.0.0.1.", "localhost.", "[fe80::1%25lo]", "[fe80::1%251]", "[::ffff:0:7f00:1]", "[2001:0:1:1:0:0:80ff:fffe]",
    "0177.0x0.0.01", "0x7f.1", "00000000177.0.0.1", "127.0x000001", "169.254.169.254.", "0xA9.0xFE.0xA9.0xFE",
]  # fmt: skip
NOT_URLS = [
    "http://10.0.0.1@127.0.0.1", "http://127.0.0.1:80@10.0.0.1", "http://10.0.0.1#@127.0.0.1",
    "http://10.0.0.1?@127.0.0.1", "file:///etc/passwd", "http://",
    "http://10.0.0.1\\@127.0.0.1", "http://10.0.0.1/@127.0.0.1", "http://10.0.0.1:80:80", "http://10.0.0.1 .evil",
    "http://10.0.0.1\t.evil", "http://\u0661\u0662\u0667.0.0.1", "http://127。0。0。1", "http://①②⑦.0.0.1",
    "//127.0.0.1", "gopher://127.0.0.1", "unix:///run/docker.sock", "http+unix://%2frun", "ftp://127.0.0.1",
    "http://[::1", "http://::1", "http://[127.0.0.1", "http:127.0.0.1", "http:///127.0.0.1", "javascript:0", "",
    "http://10.0.0.1:0", "http://10.0.0.1:70000", "http://10.0.0.1/peer", "http://10.0.0.1/..", "http://x" + "x" * 300,
]  # fmt: skip
VERBS: dict[str, Callable[[PeerClient, Peer], object]] = {
    "identify": lambda asker, peer: asker.identify(peer.url),
    "ping": lambda asker, peer: asker.ping(peer),
    "lookup": lambda asker, peer: asker.lookup(peer, LookupRequest("peers", "0f" * 16, 0, 1), 1.0),
    "manifest": lambda asker, peer: asker.manifest(peer, ID),
    "digests": lambda asker, peer: asker.digests(peer, ID, 5),
    "open_range": lambda asker, peer: asker.open_range(peer, ID, 0, 5),
    "open_bundle": lambda asker, peer: asker.open_bundle(peer, [ID]),
    "swarm": lambda asker, peer: asker.swarm(peer, ID, OWN, b"\0"),
    "offer": lambda asker, peer: asker.offer(peer, Offer(ID, 5, "a", ID, OWN.url)),
    "offer_state": lambda asker, peer: asker.offer_state(peer, "0011aabb"),
    "withdraw_offer": lambda asker, peer: asker.withdraw_offer(peer, "0011aabb"),
}


def client(on_loopback: bool) -> PeerClient:
    issuer = Issuer(Ed25519PrivateKey.generate(), None)
    return PeerClient(issuer, Verifier(issuer.peer_id, None), AddressPolicy(on_loopback), stall_seconds=2.0)


@pytest.fixture
def strict() -> Iterator[PeerClient]:
    """Of a peer that is not on loopback."""
    made = client(on_loopback=False)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def no_name_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only this machine says what a name means: nobody else is asked, and nobody is waited for."""
    resolve = socket.getaddrinfo

    def locally(host: str, port: int, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> object:
        numeric = 0 if host.lower() == "localhost" else socket.AI_NUMERICHOST
        return resolve(host, port, family, type, proto, flags | numeric)

    monkeypatch.setattr(socket, "getaddrinfo", locally)


def at(host: str) -> Peer:
    return Peer("ab" * 32, "there", f"http://{host}:9")


def test_every_verb_that_goes_to_a_peer_is_tried_here() -> None:
    verbs = {name for name, _ in inspect.getmembers(PeerClient, inspect.isfunction) if not name.startswith("_")}
    assert verbs - {"close"} == VERBS.keys()


@pytest.mark.parametrize("verb", VERBS)
def test_no_form_of_a_forbidden_address_is_connected_to(
    strict: PeerClient, verb: str, connections: list[object]
) -> None:
    for host in FORBIDDEN_HOSTS + MORE_HOSTS:
        with pytest.raises(PServerError):
            VERBS[verb](strict, at(host))
        assert connections == [], host
    assert len(FORBIDDEN_HOSTS + MORE_HOSTS) > 60


@pytest.mark.parametrize("verb", VERBS)
def test_no_name_that_resolves_to_one_is_connected_to(
    strict: PeerClient, verb: str, connections: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(
        ["127.0.0.1", "169.254.169.254", "::1", "fe80::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "0.0.0.0"] * 2
    )
    resolved: list[str] = []

    def resolve(host: str, port: int, *_: object, **__: object) -> list[object]:
        resolved.append(found := next(answers))
        family = socket.AF_INET6 if ":" in found else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (found, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    for _ in range(7):  # a name that says something else each time: none of it may be connected to
        with pytest.raises(PServerError):
            VERBS[verb](strict, at("rebound.example"))
    assert connections == [] and len(resolved) == 7, "each was judged by what it resolved to, once"


@pytest.mark.parametrize("url", NOT_URLS)
def test_what_is_no_url_of_a_peer_is_taken_nowhere(url: str) -> None:
    with pytest.raises(ValueError):
        check_url(url)
    with pytest.raises(InvalidRequest):
        _source(Offer(ID, 5, "a", ID, url), OWN.peer_id)
    told = {"bitfield": None, "peers": [{"peer": {"peer_id": "ab" * 32, "name": "x", "url": url}, "bitfield": ""}]}
    with pytest.raises(InvalidRequest):
        news_from_json(told)


def test_addresses_in_the_news_of_a_swarm_are_no_exception(strict: PeerClient, connections: list[object]) -> None:
    proofs = Proofs(strict.ping, lambda: 1.0, lambda task: task())
    for number, host in enumerate(FORBIDDEN_HOSTS + MORE_HOSTS):
        told = Peer(f"{number:064x}", "x", f"http://{host}:9")
        proofs.look_into(told, lambda: pytest.fail("it was proved"))
        assert not proofs.proved(told)
    assert connections == []


class Counting:
    """Somebody who must not be asked, and counts who does; and somebody who sends everybody there."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.redirected = 0
        counting = self

        class Victim(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                counting.asked.append(self.path)
                self.send_error(404)

            do_POST = do_DELETE = do_GET  # noqa: N815 - as http.server has it

            def log_message(self, *_: object) -> None:
                pass

        self.victim = ThreadingHTTPServer(("127.0.0.1", 0), Victim)

        class Redirecting(BaseHTTPRequestHandler):
            status = 302

            def do_GET(self) -> None:
                counting.redirected += 1
                to = f"http://127.0.0.1:{counting.victim.server_port}/stolen"
                self.send_response(Redirecting.status)
                for name, value in (
                    ("Location", to),
                    ("Refresh", f"0; url={to}"),
                    ("Content-Location", to),
                    ("Alt-Svc", f'http="{to}"'),
                ):
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_POST = do_DELETE = do_GET  # noqa: N815 - as http.server has it

            def log_message(self, *_: object) -> None:
                pass

        self.kind = Redirecting
        self.redirecting = ThreadingHTTPServer(("127.0.0.1", 0), Redirecting)
        for server in (self.victim, self.redirecting):
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        for server in (self.victim, self.redirecting):
            server.shutdown()
            server.server_close()


def test_no_redirect_is_followed_also_where_it_could_be() -> None:
    counting, asker = Counting(), client(on_loopback=True)
    peer = Peer("ab" * 32, "there", f"http://127.0.0.1:{counting.redirecting.server_port}")
    try:
        for counting.kind.status in (201, 300, 301, 302, 303, 305, 307, 308):
            for ask in VERBS.values():
                with pytest.raises(PServerError):
                    ask(asker, peer)
    finally:
        asker.close()
        counting.close()
    assert counting.asked == [] and counting.redirected == 8 * len(VERBS)
