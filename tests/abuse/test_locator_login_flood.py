"""Fifty logins a second, straight at a real locator: lookups go on, and whoever floods is told to come later.

That others are answered within 5 seconds is all that is asserted of time: what it is on a quiet machine is printed.
"""

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from protos import locator_pb2 as pb
from protos.locator_pb2_grpc import AccountsStub
from tests.central_server.peer_double import PeerDouble
from tests.central_server.test_process import Process, wait_for_channel

pytestmark = pytest.mark.abuse
A_SECOND = 50
SECONDS = 8
ANSWERED_SECONDS = 5.0
GOOD = "correct horse"


class Flood:
    """Logins from many threads; what came of them is in `codes`."""

    def __init__(self, channel: grpc.Channel, password: str) -> None:
        self.codes: Counter[str] = Counter()
        self._request = pb.LoginRequest(user="ann", password=password)
        self._peer = PeerDouble("flood")
        self._stub: Any = AccountsStub(channel)  # Any: the stubs are without types

    def signup(self) -> None:
        request = pb.SignupRequest(user="ann", password=GOOD)
        self._stub.Signup(request, metadata=self._peer.metadata("account"), timeout=30)

    def go(self) -> None:
        logins = [threading.Thread(target=self._login) for _ in range(A_SECOND * SECONDS)]
        for login in logins:
            login.start()
            time.sleep(1 / A_SECOND)  # the rate of the flood
        for login in logins:
            login.join()

    def _login(self) -> None:
        try:
            self._stub.Login(self._request, metadata=self._peer.metadata("account"), timeout=30)
            self.codes["OK"] += 1
        except grpc.RpcError as error:
            trailing: Any = error.trailing_metadata()  # Any: grpc publishes no types for its items
            self.codes[error.code().name + (" later" if "retry-after" in dict(trailing) else "")] += 1


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path, LOCATOR_ACCOUNTS="on", LOCATOR_SIGNUP="open")
    process.start()
    yield process
    process.stop()


@pytest.mark.parametrize("password", [GOOD, "wrong one"])
def test_lookups_go_on_in_a_flood_of_logins(server: Process, password: str) -> None:
    with wait_for_channel(server.port) as channel:
        flood, ann = Flood(channel, password), PeerDouble("ann")
        flood.signup()
        flooding = threading.Thread(target=flood.go)
        flooding.start()
        waits = []
        while flooding.is_alive():
            began = time.monotonic()
            ann.call(channel, "Locate", pb.LocateRequest(queries=[pb.LocateQuery(name="a")]))
            waits.append(time.monotonic() - began)
            time.sleep(0.01)  # not to flood too
    p99 = sorted(waits)[int(0.99 * len(waits))]
    print(f"{password}: Locate p99 {p99 * 1000:.1f} ms of {len(waits)}, logins {dict(flood.codes)}", file=sys.stderr)
    assert max(waits) < ANSWERED_SECONDS
    assert sum(flood.codes.values()) == A_SECOND * SECONDS
    assert flood.codes["RESOURCE_EXHAUSTED later"] > 0
    if password == GOOD:
        assert set(flood.codes) == {"OK", "RESOURCE_EXHAUSTED later"}
    else:
        assert flood.codes["PERMISSION_DENIED"] <= 12  # five free, then the waits double
