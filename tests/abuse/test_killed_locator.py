"""kill -9 of the locator at any moment while people sign up, place files and have them dropped.

What was answered before is in the database afterwards, and nothing in it is by halves.
"""

import random
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from demo.processes import Locator
from protos import locator_pb2 as pb
from protos.locator_pb2_grpc import AccountsStub
from protos.tokens import LOCATOR_AUDIENCE, Issuer

pytestmark = pytest.mark.abuse
ROUNDS = 10
SEED = 20251120
_EXPECTED = {
    grpc.StatusCode.UNAVAILABLE,  # it was killed
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,  # signups are slowed down
}


class Answered:
    """What a locator has answered: all of it must outlive it. Orders of `asked` may be there or not."""

    def __init__(self, locator: Locator) -> None:
        self.users: set[str] = set()
        self.placed: set[tuple[bytes, bytes]] = set()
        self.ordered: set[tuple[bytes, bytes]] = set()
        self.asked: set[tuple[bytes, bytes]] = set()
        self.wrong: list[grpc.RpcError] = []
        self._locator = locator
        self._issuer = Issuer(Ed25519PrivateKey.generate(), None)
        self.session = self.call("Signup", pb.SignupRequest(user="ann", password="correct horse")).session

    def call(self, rpc: str, request: Any) -> Any:
        """One call on the connection of this thread's own."""
        token = self._issuer.token(LOCATOR_AUDIENCE, "account", time.time())
        with grpc.insecure_channel(self._locator.address) as channel:
            method = getattr(AccountsStub(channel), rpc)
            return method(request, metadata=(("authorization", f"Bearer {token}"),), timeout=10)

    def sign_up(self) -> None:
        user = f"u{secrets.token_hex(8)}"
        self.call("Signup", pb.SignupRequest(user=user, password="correct horse"))
        self.users.add(user)

    def place_and_drop(self) -> None:
        file_id = secrets.token_bytes(32)
        targets = [secrets.token_bytes(32) for _ in range(random.choice((1, 5, 64)))]
        self.call("GrantHold", pb.GrantHoldRequest(session=self.session, file_id=file_id, targets=targets))
        these = {(file_id, target) for target in targets}
        self.placed |= these
        if random.random() < 0.5:
            self.asked |= these
            self.call("DropPlaced", pb.DropPlacedRequest(session=self.session, file_id=file_id))
            self.ordered |= these

    @contextmanager
    def goes_on(self) -> Iterator[None]:
        """While this lasts two threads sign people up, and two place and drop."""
        enough = threading.Event()
        each = [self.sign_up, self.place_and_drop] * 2
        threads = [threading.Thread(target=self._repeat, args=(do, enough)) for do in each]
        for thread in threads:
            thread.start()
        yield
        enough.set()
        for thread in threads:
            thread.join()

    def _repeat(self, do: Callable[[], None], enough: threading.Event) -> None:
        while not enough.wait(0.001):
            try:
                do()
            except grpc.RpcError as error:
                if error.code() not in _EXPECTED:
                    self.wrong.append(error)


def assert_kept(database: Path, answered: Answered) -> None:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert answered.users <= {name for (name,) in db.execute("SELECT name FROM users")}
        rows = db.execute("SELECT file_id, target, order_id IS NOT NULL FROM placements").fetchall()
        orders = {(file_id, target): ordered for file_id, target, ordered in rows}
        assert answered.placed <= orders.keys()
        assert all(orders[one] for one in answered.ordered)
        assert not any(orders[one] for one in answered.placed - answered.asked)
        counted = "SELECT name FROM users u WHERE placed != (SELECT count(*) FROM placements WHERE user_no = u.user_no)"
        assert db.execute(counted).fetchall() == []


def test_what_was_answered_outlives_it(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    locator = Locator(tmp_path, LOCATOR_ACCOUNTS="on", LOCATOR_SIGNUP="open")
    locator.start()
    try:
        answered = Answered(locator)
        for _ in range(ROUNDS):
            with answered.goes_on():
                time.sleep(chance.uniform(0.05, 0.8))  # not for luck: any moment will do
                locator.kill()
            assert not answered.wrong
            locator.start()
            assert_kept(tmp_path / "accounts.sqlite", answered)
            found = answered.call("CheckSession", pb.CheckSessionRequest(session=answered.session))
            assert found.user == "ann"
        assert answered.placed and answered.ordered
    finally:
        locator.stop()
    assert "Traceback" not in locator.log
