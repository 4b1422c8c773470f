"""Load on a locator: lookups by h2load, announces and searches by gRPC clients in threads."""

import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.locator_index import BATCH, EPOCH, entry
from protos import locator_pb2 as pb
from protos.locator_pb2_grpc import LocatorStub
from protos.tokens import LOCATOR_AUDIENCE, Issuer

LOCATE = "/p2p.locator.v1.Locator/Locate"


def has_h2load() -> bool:
    """Whether the driver is installed (Debian: nghttp2-client)."""
    return shutil.which("h2load") is not None


@contextmanager
def serving(store: Path) -> Iterator[int]:
    """A locator process on `store`; its port."""
    command = [sys.executable, "-m", "bench.locator_server", str(store)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait(30)


class Lookups:
    """h2load sending one prepared Locate (or an empty call), over and over."""

    def __init__(self, port: int, token: str, folder: Path) -> None:
        self._port = port
        self._headers = ["content-type: application/grpc", "te: trailers", f"authorization: Bearer {token}"]
        self._folder = folder

    def rate(self, method: str, request: bytes, calls: int) -> float:
        """Calls a second, 32 at a time over two connections."""
        said = self._run(method, request, ["-n", str(calls), "-c", "2", "-m", "16"])
        found = re.search(r"finished in [^,]+, ([0-9.]+) req/s", said)
        assert found is not None and f"{calls} succeeded" in said, said
        return float(found[1])

    def p99(self, request: bytes, seconds: float) -> float:
        """The 99th percentile of Locate's time, in milliseconds, one call after the other for so long."""
        log = self._folder / "h2load.log"
        log.unlink(missing_ok=True)
        self._run(LOCATE, request, ["-D", f"{1000 * seconds:.0f}ms", "-c", "1", "-m", "1", "--log-file", str(log)])
        times = sorted(int(line.split("\t")[2]) for line in log.read_text().splitlines())
        return times[int(0.99 * len(times))] / 1000

    def _run(self, method: str, request: bytes, options: list[str]) -> str:
        body = self._folder / "body"
        body.write_bytes(b"\0" + len(request).to_bytes(4, "big") + request)
        headers = [part for header in self._headers for part in ("-H", header)]
        command = ["h2load", *options, *headers, "-d", str(body), f"http://127.0.0.1:{self._port}{method}"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Member:
    """A peer that announces prepared snapshots."""

    def __init__(self, port: int, number: int) -> None:
        self._number = number
        self._issuer = Issuer(Ed25519PrivateKey.generate(), None)
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._stub = LocatorStub(self._channel)
        asked = pb.RegisterRequest(name=f"bench {number}", url="http://127.0.0.1:9", version="bench", epoch=EPOCH)
        self._lease_id = self._stub.Register(asked, metadata=self._metadata("membership"), timeout=10).lease_id
        self._announce = self._channel.unary_unary("/p2p.locator.v1.Locator/Announce", bytes, bytes)

    def snapshot(self, files: int, sequence: int) -> list[bytes]:
        """The parts of a snapshot, as bytes: making them must not cost while they are sent."""
        parts = []
        for start in range(0, files, BATCH):
            request = pb.AnnounceRequest(
                lease_id=self._lease_id,
                epoch=EPOCH,
                sequence=sequence,
                added=[
                    pb.FileEntry(**entry(self._number, each)._asdict())
                    for each in range(start, min(start + BATCH, files))
                ],
                snapshot_begin=start == 0,
                snapshot_end=start + BATCH >= files,
                snapshot_part=start // BATCH,
            )
            parts.append(request.SerializeToString())
        return parts

    def announce(self, parts: list[bytes]) -> None:
        """Send them, one after the other."""
        for part in parts:
            reply = self._announce(part, metadata=self._metadata("membership"), timeout=60)
            assert not pb.AnnounceReply.FromString(reply).state.snapshot_wanted

    def search(self, words: str, seconds: float) -> float:
        """How long one search takes, found or given up, in seconds."""
        began = time.perf_counter()
        try:
            request = pb.SearchRequest(words=words, page_size=100)
            self._stub.Search(request, metadata=self._metadata("locate"), timeout=seconds)
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED, error
        return time.perf_counter() - began

    def leave(self) -> None:
        """Leave, and close."""
        request = pb.LeaveRequest(lease_id=self._lease_id)
        self._stub.Leave(request, metadata=self._metadata("membership"), timeout=10)
        self._channel.close()

    def _metadata(self, scope: str) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self._issuer.token(LOCATOR_AUDIENCE, scope, time.time())}"),)


def announce_all(members: list[Member], snapshots: list[list[bytes]]) -> float:
    """All members announce at once; the seconds that takes."""
    threads = [
        threading.Thread(target=member.announce, args=(parts,))
        for member, parts in zip(members, snapshots, strict=True)
    ]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """On the disk that temporary files go to."""
    with tempfile.TemporaryDirectory(prefix="bench-locator-") as folder:
        yield Path(folder)


def meanwhile(work: Any, *arguments: Any) -> tuple[threading.Thread, list[Any]]:
    """Run `work` in a thread; the list gets its result. Any: any function."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work(*arguments)))
    thread.start()
    return thread, results
