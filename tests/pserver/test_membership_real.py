"""Being a member of the real locator, in a process of its own."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from demo.processes import Locator as RealLocator
from demo.processes import wait_for
from protos.tokens import Issuer, Verifier
from pserver.model import Peer, Query, Unavailable
from pserver.network.batches import MAX_BATCH_ENTRIES
from pserver.remote.locator_client import LocatorClient
from pserver.remote.locator_messages import Batch, IndexState
from tests.pserver.fake_locator import FakeIndex, entry
from tests.pserver.memberships import Start, running_memberships


@pytest.fixture
def started() -> Iterator[Start]:
    with running_memberships() as start:
        yield start


class Pong(BaseHTTPRequestHandler):
    """A peer that answers the locator's dial-back, and nothing else."""

    issuer: Issuer

    def do_GET(self) -> None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        asker = Verifier(self.issuer.peer_id, None).check(token, "ping", time.time()).issuer
        [nonce] = parse_qs(urlsplit(self.path).query)["nonce"]
        body = f'{{"proof": "{self.issuer.token(asker, f"pong:{nonce}", time.time())}"}}'.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


class Answering:
    """A peer with a key and an address."""

    def __init__(self, name: str, issuer: Issuer | None = None) -> None:
        self.issuer = issuer or Issuer(Ed25519PrivateKey.generate(), None)
        handler = type("Handler", (Pong,), {"issuer": self.issuer})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.peer = Peer(self.issuer.peer_id, name, f"http://127.0.0.1:{self._server.server_address[1]}")

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Counting(LocatorClient):
    """Notes what it announces."""

    announced: list[Batch]

    def announce(self, lease_id: bytes, batch: Batch, timeout: float) -> IndexState:
        self.__dict__.setdefault("announced", []).append(batch)
        return super().announce(lease_id, batch, timeout)


class World:
    """The real locator, and who asks it."""

    def __init__(self, folder: Path) -> None:
        self.locator = RealLocator(folder, LOCATOR_LEASE_SECONDS="1.5", LOCATOR_GRACE_SECONDS="1.5")
        self.locator.start()
        self.ann = Answering("ann")
        self._clients: list[LocatorClient] = []
        self._asking = self.client()

    def client(self, issuer: Issuer | None = None) -> LocatorClient:
        self._clients.append(LocatorClient(self.locator.address, issuer or self.ann.issuer))
        return self._clients[-1]

    def holders(self, name: str) -> list[str]:
        """Who has that name, by the locator; nobody while it is away."""
        try:
            [groups] = self._asking.locate([Query(name=name)], 0, 2.0)
        except Unavailable:
            return []
        return [holder.peer.url for group in groups for holder in group.holders]

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.ann.close()
        self.locator.stop()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "locator")
    yield made
    made.close()


def test_the_real_locator_knows_a_share_as_it_changes_and_until_it_leaves(world: World, started: Start) -> None:
    index = FakeIndex(*(f"{number:05}" for number in range(MAX_BATCH_ENTRIES + 1)))
    membership = started(index, world.client(), own=world.ann.peer)
    wait_for("all is announced", lambda: world.holders(f"{MAX_BATCH_ENTRIES:05}") == [world.ann.peer.url])
    assert membership.reachable().ok is True
    index.put(entry("new"))
    index.drop("00000")
    wait_for("the new one is", lambda: world.holders("new"))
    assert world.holders("00000") == []
    membership.stop()
    assert world.holders("new") == []


def test_the_real_locator_comes_back_with_its_store_and_without(world: World, started: Start) -> None:
    client = Counting(world.locator.address, world.ann.issuer)
    index = FakeIndex("a")
    membership = started(index, client, own=world.ann.peer)
    wait_for("it is announced", lambda: world.holders("a"))

    world.locator.kill()
    wait_for("its absence is noticed", lambda: membership.locators()[0].state == "unreachable")
    world.locator.start()
    wait_for("it is known again", lambda: world.holders("a"))
    wait_for("the membership too", lambda: membership.locators()[0].state == "registered")
    assert len(client.announced) == 1, "a locator that kept its store is sent nothing again"

    world.locator.kill()
    world.locator.forget()
    world.locator.start()
    wait_for("all is announced again", lambda: world.holders("a"))
    assert [batch.part for batch in client.announced] == [0, 0]
    membership.stop()
    client.close()


def test_the_real_locator_lets_a_second_process_take_over(world: World, started: Start) -> None:
    replaced: list[str] = []
    started(FakeIndex("a"), world.client(), own=world.ann.peer, replaced=replaced.append)
    wait_for("the first is there", lambda: world.holders("a") == [world.ann.peer.url])
    second = Answering("ann", world.ann.issuer)
    started(FakeIndex("b"), world.client(), own=second.peer)
    wait_for("the first has stopped", lambda: replaced)
    assert second.peer.url in replaced[0]
    wait_for("the second is there", lambda: world.holders("b") == [second.peer.url])
    second.close()


def test_nobody_answers_at_the_advertised_address(world: World, started: Start) -> None:
    nobody = Peer(world.ann.issuer.peer_id, "ann", "http://127.0.0.1:1")
    membership = started(FakeIndex("a"), world.client(), own=nobody)
    wait_for("it is told", lambda: membership.reachable().ok is False)
    assert "127.0.0.1:1" in membership.reachable().why
    assert world.holders("a") == []


def test_a_stopped_process_of_the_locator_does_not_keep_stop_for_long(world: World, started: Start) -> None:
    membership = started(FakeIndex("a"), world.client(), own=world.ann.peer)
    wait_for("it is announced", lambda: world.holders("a"))
    world.locator.freeze()
    try:
        before = time.monotonic()
        membership.stop()
        assert time.monotonic() - before < 2.5
    finally:
        world.locator.thaw()
