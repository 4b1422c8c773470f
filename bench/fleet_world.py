"""A real locator process and a fleet of simulated peers in two others, and what can be seen of them from outside."""

import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import psutil
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.fleet_peer import COMMON_FILES, COMMON_PEER
from bench.locator_index import file_name
from bench.ours import NETWORK_KEY
from demo.processes import DidNotHappen, Locator, wait_for
from protos import locator_pb2 as pb
from protos.locator_pb2_grpc import LocatorStub
from protos.tokens import LOCATOR_AUDIENCE, Issuer

DRIVERS = 2
LOCATES_A_SECOND = 20
SEARCHES_A_SECOND = 1
_PROBE_SECONDS = 2.0  # a lookup's deadline
_WORDS = ("budget", "holiday photo", "music live", "dataset", "report draft")


@dataclass(frozen=True, slots=True)
class Size:
    """`peers` with `files` each, of which each replaces one every `change_seconds`."""

    peers: int
    files: int = 200
    change_seconds: float = 10.0


@dataclass(slots=True)
class Lookups:
    """What a prober saw: (when it asked, seconds it took, holders found or -1 for an error), and the errors."""

    locates: list[tuple[float, float, int]] = field(default_factory=list)
    searches: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


class Driver:
    """A process of simulated peers."""

    def __init__(self, locator: str, first: int, count: int, size: Size, key_file: Path) -> None:
        said = [locator, str(first), str(count), str(size.files), str(size.change_seconds), str(key_file)]
        command = [sys.executable, "-m", "bench.fleet_driver", *said]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def state(self, since: float) -> Any:
        """How many renewed since, how many are in step, and the calls by what came of them. Any: JSON."""
        assert self.process.stdin is not None and self.process.stdout is not None
        print(since, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def end(self) -> None:
        """End it."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Fleet:
    """The locator, the drivers, and somebody who asks."""

    def __init__(self, folder: Path, size: Size) -> None:
        key_file = folder / "network.key"
        key_file.write_text(NETWORK_KEY)
        key_file.chmod(0o600)
        self.size = size
        self.locator = Locator(folder / "locator", LOCATOR_NETWORK_KEY=NETWORK_KEY)
        self._key_file = key_file
        self._drivers: list[Driver] = []
        self._issuer = Issuer(Ed25519PrivateKey.generate(), NETWORK_KEY.encode())

    def launch(self) -> None:
        """All peers come at one moment."""
        each = -(-self.size.peers // DRIVERS)
        for first in range(0, self.size.peers, each):
            count = min(each, self.size.peers - first)
            self._drivers.append(Driver(self.locator.address, first, count, self.size, self._key_file))

    def end(self) -> None:
        """End all."""
        for driver in self._drivers:
            driver.end()
        self.locator.stop()

    def all_back(self, since: float, seconds: float = 180.0) -> float:
        """Wait until each peer renewed its lease after `since`, is in step, and is listed with all its files.

        Returns the seconds from `since`. DidNotHappen.
        """
        try:
            wait_for(f"{self.size.peers} peers are back", lambda: self._are_back(since), seconds)
        except DidNotHappen as error:
            raise DidNotHappen(
                f"{error}: {self._listed()} are listed, and of themselves they say {self._states(since)}"
            ) from None
        return time.monotonic() - since

    def calls(self) -> Counter[str]:
        """All calls of the simulated peers so far, by what came of them."""
        return sum((Counter(driver.state(0.0)["calls"]) for driver in self._drivers), Counter())

    def cpu_seconds(self) -> float:
        """User and system time of the locator's process so far."""
        times = self._process().cpu_times()
        return float(times.user + times.system)

    def rss_mib(self) -> float:
        """Resident memory of the locator's process."""
        return float(self._process().memory_info().rss) / 2**20

    @contextmanager
    def probed(self) -> Iterator[Lookups]:
        """Lookups at a steady rate, and searches, until the block ends."""
        seen, over = Lookups(), threading.Event()
        threads = [threading.Thread(target=work, args=(seen, over)) for work in (self._locate, self._search)]
        for thread in threads:
            thread.start()
        try:
            yield seen
        finally:
            over.set()
            for thread in threads:
                thread.join()

    def _are_back(self, since: float) -> bool:
        states = self._states(since)
        # A change that is under way is announced within a moment: nearly all in step is all there.
        if sum(state["renewed"] for state in states) < self.size.peers:
            return False
        return sum(state["in_step"] for state in states) >= 0.95 * self.size.peers and self._listed() == self.size.peers

    def _states(self, since: float) -> list[Any]:  # Any: JSON
        return [driver.state(since) for driver in self._drivers]

    def _listed(self) -> int:
        """How many peers the locator lists with a whole share."""
        found, page = 0, ""
        with self._channel() as stub:
            while True:
                request = pb.ListPeersRequest(page_size=500, page_token=page)
                reply = stub.ListPeers(request, metadata=self._token(), timeout=10)
                found += sum(int(peer.files == self.size.files) for peer in reply.peers)
                page = str(reply.next_page_token)
                if not page:
                    return found

    def _locate(self, seen: Lookups, over: threading.Event) -> None:
        chosen = random.Random(1)
        with self._channel() as stub:
            while not over.wait(1.0 / LOCATES_A_SECOND):
                name = file_name(COMMON_PEER, chosen.randrange(COMMON_FILES))
                request = pb.LocateRequest(queries=[pb.LocateQuery(name=name)])
                began, holders = time.monotonic(), -1
                try:
                    reply = stub.Locate(request, metadata=self._token(), timeout=_PROBE_SECONDS)
                    holders = sum(group.holder_count for group in reply.results[0].groups)
                except grpc.RpcError as error:
                    seen.errors[error.code().name] += 1
                seen.locates.append((began, time.monotonic() - began, holders))

    def _search(self, seen: Lookups, over: threading.Event) -> None:
        with self._channel() as stub:
            while not over.wait(1.0 / SEARCHES_A_SECOND):
                began = time.monotonic()
                request = pb.SearchRequest(words=random.choice(_WORDS))
                try:
                    stub.Search(request, metadata=self._token(), timeout=_PROBE_SECONDS)
                    seen.searches.append(time.monotonic() - began)
                except grpc.RpcError as error:
                    seen.errors[f"search: {error.code().name}"] += 1

    @contextmanager
    def _channel(self) -> Iterator[Any]:  # Any: stubs are generated without types
        options = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 200)]
        with grpc.insecure_channel(self.locator.address, options) as channel:
            yield LocatorStub(channel)

    def _token(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self._issuer.token(LOCATOR_AUDIENCE, 'locate', time.time())}"),)

    def _process(self) -> psutil.Process:
        assert self.locator.process is not None
        return psutil.Process(self.locator.process.pid)
