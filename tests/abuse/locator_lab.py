"""A real locator under fire: what others get from it meanwhile, and how much memory it takes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import grpc
import psutil
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from demo.processes import Locator
from protos import locator_pb2 as pb
from protos.tokens import LOCATOR_AUDIENCE, Issuer

LOCATE = "/p2p.locator.v1.Locator/Locate"
REQUEST = pb.LocateRequest(queries=[pb.LocateQuery(name="song")]).SerializeToString()
ANSWER_SECONDS = 5.0
_LOOKS = 50  # memory is looked at so many times a second
_WARM_CALLS = 200
_AGAIN_SECONDS = 0.01
_LAST_CALLS = 50  # asked right after an attack


class Besieged:
    """A locator and an honest member who asks it all the time, over plain text or TLS.

    `waits`: how long each of the member's calls took, in seconds; `refused`: the words of those that
    failed; `sent_back`: how many times the full queue did.
    """

    def __init__(self, locator: Locator, credentials: grpc.ChannelCredentials | None = None) -> None:
        self.locator = locator
        host, port = locator.address.rsplit(":", 1)
        self.address = (host, int(port))
        self.waits: list[float] = []
        self.refused: list[str] = []
        self.peak_bytes = 0
        self.sent_back = 0
        self._issuer = Issuer(Ed25519PrivateKey.generate(), None)
        self._credentials = credentials
        assert locator.process is not None
        self._process = psutil.Process(locator.process.pid)

    def token(self) -> str:
        """A member's, to look things up."""
        return self._issuer.token(LOCATOR_AUDIENCE, "locate", time.time())

    @property
    def grown_bytes(self) -> int:
        """By how much the locator's memory was larger, at its largest, than before."""
        return self.peak_bytes - self._before

    @contextmanager
    def watched(self) -> Iterator[None]:
        """While this lasts the member asks and the memory is looked at; afterwards a last call must be answered."""
        channel = self._channel()
        for _ in range(_WARM_CALLS):
            self._ask(channel)
        self._before = self.peak_bytes = self._process.memory_info().rss
        self.waits.clear()
        done = Event()
        threads = [Thread(target=self._look, args=(done,)), Thread(target=self._keep_asking, args=(channel, done))]
        for thread in threads:
            thread.start()
        try:
            yield
            self.until_asked(_LAST_CALLS)
        finally:
            done.set()
            for thread in threads:
                thread.join()
            channel.close()
        with self._channel() as fresh:
            self._ask(fresh)

    def until_asked(self, calls: int) -> None:
        """Wait until the member has asked so many times more, 20 s at most."""
        enough, deadline = len(self.waits) + calls, time.monotonic() + 20
        while len(self.waits) < enough and time.monotonic() < deadline:
            time.sleep(0.01)

    def _channel(self) -> grpc.Channel:
        if self._credentials is None:
            return grpc.insecure_channel(self.locator.address)
        return grpc.secure_channel(self.locator.address, self._credentials)

    def _ask(self, channel: grpc.Channel) -> None:
        """Until it is answered: a call that a full queue sent back is made again, as a peer does, within the 5 s."""
        call, began = channel.unary_unary(LOCATE, bytes, bytes), time.perf_counter()
        while True:
            left = began + ANSWER_SECONDS - time.perf_counter()
            try:
                call(REQUEST, metadata=(("authorization", f"Bearer {self.token()}"),), timeout=max(0.0, left))
            except grpc.RpcError as error:
                if left > 0 and error.code() is grpc.StatusCode.CANCELLED:
                    self.sent_back += 1
                    time.sleep(_AGAIN_SECONDS)
                    continue
                self.refused.append(f"{error.code()}: {error.details()}")
            break
        self.waits.append(time.perf_counter() - began)

    def _keep_asking(self, channel: grpc.Channel, done: Event) -> None:
        while not done.wait(0.002):
            self._ask(channel)

    def _look(self, done: Event) -> None:
        while not done.wait(1 / _LOOKS):
            self.peak_bytes = max(self.peak_bytes, self._process.memory_info().rss)


@contextmanager
def besieged(folder: Path, credentials: grpc.ChannelCredentials | None = None, **settings: str) -> Iterator[Besieged]:
    """Started and stopped. It must stop well, and must not have logged a traceback."""
    locator = Locator(folder, **settings)
    locator.start()
    try:
        yield Besieged(locator, credentials)
    finally:
        status = locator.stop()
    assert status == 0 and "Traceback" not in locator.log, locator.log
