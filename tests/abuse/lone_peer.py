"""A real PServer without a locator, a person and a stranger at its ports, and a raw client for both. No tests here."""

import contextlib
import http.client
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from demo import processes
from demo.processes import Peer, wait_for
from protos.tokens import Issuer

IN_STEPS = "tests.abuse.pserver_in_steps"


class LonePeer(Peer):
    """A peer whose process is that module, `pserver` or another that behaves like it. Logs no traceback, or fails."""

    def __init__(self, folder: Path, run: str = "pserver", **settings: str) -> None:
        super().__init__(folder, "lone", "none", **{"PSERVER_KEEP_FREE": "0", **settings})
        self.run = run
        self.member = Issuer(Ed25519PrivateKey.generate(), None)

    def launch(self) -> None:
        """As Server.launch, of another module."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "log", "ab") as log:
            self._logged_before = log.tell()
            self.process = processes._spawn([sys.executable, "-m", self.run], self.settings, log)

    @property
    def token(self) -> str:
        """What its person's client proves itself with."""
        return (Path(self.settings["PSERVER_STATE_DIR"]) / "client-token").read_text().strip()

    def person(self) -> "Raw":
        """A client of its client API, with the token."""
        return Raw(self.addresses["client"], {"Authorization": f"Bearer {self.token}"})

    def stranger(self) -> "Raw":
        """A client of its peer API."""
        return Raw(self.addresses["peer"], {})

    def peer_id(self) -> str:
        """Its own."""
        import json

        with contextlib.closing(self.stranger()) as stranger:
            return str(json.loads(stranger.ask("GET", "/healthz")[1])["peer_id"])

    def bearer(self, scope: str, file_id: str | None = None) -> dict[str, str]:
        """What a member of its (open) network shows."""
        token = self.member.token(self.peer_id(), scope, time.time(), file_id)
        return {"Authorization": f"Bearer {token}"}


class Raw:
    """Requests with paths just as they are given, on a connection that is kept."""

    def __init__(self, base: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(base)
        self._connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
        self._headers = dict(headers)

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, Mapping[str, str]]:
        """Status, body and headers. `path` is printable ASCII."""
        sent = {**self._headers, **(headers or {})}
        try:
            return self._ask(method, path, body, sent)
        except (http.client.HTTPException, ConnectionError):
            self._connection.close()  # a kept connection may end as it is used again; a refused one is closed
            return self._ask(method, path, body, sent)

    def _ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes, Mapping[str, str]]:
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())

    def close(self) -> None:
        self._connection.close()


@contextlib.contextmanager
def running(peer: LonePeer) -> Iterator[LonePeer]:
    """Started, and stopped at the end; it must have logged no traceback."""
    peer.start()
    try:
        yield peer
    finally:
        peer.stop()
        assert "Traceback" not in peer.log, peer.log[-5000:]


def indexed(peer: LonePeer, *names: str) -> None:
    """Wait until its share has these files in the index."""
    with contextlib.closing(peer.person()) as person:
        for name in names:
            wait_for(f"{name} is indexed", lambda name=name: person.ask("GET", f"/client/v1/files/{name}")[0] == 200)  # type: ignore[misc]
