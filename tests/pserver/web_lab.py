"""Fake nodes, and a test client that holds every answer against the OpenAPI document. No tests here."""

import io
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from protos.links import LinkVerifier
from protos.tokens import Issuer, Verifier
from pserver.api.client_api import client_app
from pserver.api.peer_api import peer_app
from pserver.api.tus import TusUploads
from pserver.api.verbs import OpenedFile, StatusView
from pserver.api.web import About
from pserver.digests import Digests, LinkView, Making, Offered
from pserver.findings import Finding
from pserver.model import (
    Conflict,
    FileEntry,
    FileGroup,
    Holder,
    LookupAnswer,
    LookupRequest,
    NotFound,
    Offer,
    OfferView,
    Peer,
    PeerInfo,
)
from pserver.people import Dropped
from pserver.pieces import SmallFile, Want
from pserver.remote.swarm_messages import SwarmNews
from pserver.views import ItemView, ShareView, SourceView, TargetView, TransferView
from tests.pserver.fake_people import People

NOW = 1_800_000_000.0
NETWORK_KEY = b"network key"
TOKEN = "client-token"
HOST = "127.0.0.1:8101"
FILE_ID, SHA256, PEER_ID, QUERY_ID = bytes(range(32)), b"\x11" * 32, "ab" * 32, "cd" * 16
DATA = bytes(range(256)) * 4
PEER = Peer(PEER_ID, "ann", "http://10.0.0.1:8001")
GROUP = FileGroup(FILE_ID, len(DATA), SHA256, ["docs/ä.txt"], [Holder(PEER, "docs/ä.txt", True)], 1)
ENTRY = FileEntry("docs/ä.txt", FILE_ID, len(DATA), SHA256, True)
INFO = PeerInfo(PEER, 3, 99, 7, True, "1", 1.5)
TRANSFER = TransferView(
    "0011aabb", "download", "docs/", "running", 9, 3, 2, 1, 1.5, 4.0, NOW, None, "no source", ("gone", "it went"),
    (SourceView(PEER, "ok", 1.5, 3, 0),), (TargetView(PEER, "running", 3, "slow"),),
    (ItemView("docs/ä.txt", None, FILE_ID, 9, "running", 3),),
)  # fmt: skip
SHARE = ShareView("/share", 1, 9, 99, False, 0, None, (("bad\udcff", "its name is not UTF-8"),), 1)


OFFERED = Offered("docs/ä.txt", FILE_ID, len(DATA), (PEER.url, "http://10.0.0.2:8001"))
DIGESTS = Digests(len(DATA), 256 * 1024, SHA256, b"\x01" * 20, b"\x02" * 32)


class FakeFile(io.FileIO):
    """A file with these bytes that says whether it is still the same, and whether it was closed."""

    def __init__(self, data: bytes, same: bool = True) -> None:
        with tempfile.NamedTemporaryFile(delete=False) as made:
            made.write(data)
        super().__init__(made.name)
        Path(made.name).unlink()
        self.same = same

    def still_same(self) -> bool:
        return self.same


class FakeFiles:
    """Gives out FakeFiles and remembers them. Setting `error` makes every verb of a fake node raise it."""

    def __init__(self) -> None:
        self.data = DATA
        self.sha256: bytes | None = SHA256
        self.bitfield: bytes | None = None
        self.name = "docs/ä.txt"
        self.same = True
        self.opened: list[FakeFile] = []
        self.error: Exception | None = None
        self.asked: list[tuple[Any, ...]] = []

    def note(self, *asked: Any) -> None:
        self.asked.append(asked)
        if self.error is not None:
            raise self.error

    def open(self) -> OpenedFile:
        self.opened.append(FakeFile(self.data, self.same))
        return OpenedFile(self.opened[-1], self.name, FILE_ID, len(self.data), self.sha256, self.bitfield)


class FakePeerNode(FakeFiles):
    state = "queued"
    lacking: Sequence[str] = ()
    chosen: range | None = range(1)
    digests: Digests | Making = DIGESTS

    def ping(self, nonce: str, asker: str) -> str:
        self.note("ping", nonce, asker)
        return "proof"

    def not_ready(self) -> list[str]:
        self.note("not_ready")
        return list(self.lacking)

    def relay(self, request: LookupRequest, asker: str) -> LookupAnswer:
        self.note("relay", request, asker)
        return LookupAnswer(True, ["locator"], [[GROUP]], [GROUP], [INFO], [ENTRY], "next")

    def manifest(self, file_id: bytes) -> tuple[bytes, bytes | None]:
        self.note("manifest", file_id)
        return b"manifest", self.bitfield

    def open_file(self, file_id: bytes) -> OpenedFile:
        self.note("open_file", file_id)
        return self.open()

    def open_piece(self, file_id: bytes, want: Want, asker: str) -> tuple[OpenedFile, range | None]:
        self.note("open_piece", file_id, want, asker)
        return self.open(), self.chosen

    def swarm(self, file_id: bytes, asker: Peer, has: bytes) -> SwarmNews:
        self.note("swarm", file_id, asker, has)
        return SwarmNews(self.bitfield, [(PEER, b"\x80")])

    def offered(self, file_id: bytes) -> Offered:
        self.note("offered", file_id)
        return OFFERED

    def own_digests(self, file_id: bytes) -> Digests | Making:
        self.note("own_digests", file_id)
        return self.digests

    def bundle(self, file_ids: Sequence[bytes], most_bytes: int) -> list[SmallFile]:
        self.note("bundle", list(file_ids), most_bytes)
        return [SmallFile(one, "here", b"manifest", b"content") for one in file_ids]

    def take_offer(self, offer: Offer, asker: str) -> OfferView:
        self.note("take_offer", offer, asker)
        return OfferView("0011aabb", self.state, 0, offer.name)

    def offer_state(self, offer_id: str, asker: str) -> OfferView:
        self.note("offer_state", offer_id, asker)
        return OfferView(offer_id, "failed", 0, "x", "no source")

    def withdraw_offer(self, offer_id: str, asker: str) -> None:
        self.note("withdraw_offer", offer_id, asker)


class FakeClientNode(FakeFiles):
    state = "running"
    digests: Digests | Making = DIGESTS

    def status(self) -> StatusView:
        self.note("status")
        locators = (("127.0.0.1:51015", "trying", "refused"),)
        return StatusView(PEER, "1", 1.5, (None, ""), SHARE, locators, ((PEER, "ok"),), {"running": 1}, True)

    def search(self, words: str, page_size: int, page_token: str) -> LookupAnswer:
        self.note("search", words, page_size, page_token)
        return LookupAnswer(True, ["locator"], groups=[GROUP], next_page_token="next")

    def lookup(self, what: str) -> LookupAnswer:
        self.note("lookup", what)
        return LookupAnswer(False, ["own"], groups=[GROUP])

    def peers(self, match: str, folder: str, page_token: str) -> LookupAnswer:
        self.note("peers", match, folder, page_token)
        return LookupAnswer(True, peers=[INFO])

    def peer_files(self, peer: str, prefix: str, page_size: int, page_token: str) -> LookupAnswer:
        self.note("peer_files", peer, prefix, page_size, page_token)
        return LookupAnswer(True, files=[ENTRY])

    def files(self, prefix: str, page_size: int, page_token: str) -> tuple[list[FileEntry], str]:
        self.note("files", prefix, page_size, page_token)
        return [ENTRY], "next"

    def file(self, name: str) -> FileEntry:
        self.note("file", name)
        if name != ENTRY.name:
            raise NotFound(f"there is no '{name}' in the share")
        return ENTRY

    def remove(self, name: str) -> None:
        self.note("remove", name)

    def open_content(self, name: str) -> OpenedFile:
        self.note("open_content", name)
        return self.open()

    def start_download(self, what: str, as_name: str | None, from_peer: str | None, choose: str | None) -> TransferView:
        self.note("start_download", what, as_name, from_peer, choose)
        return self._transfer()

    def remove_everywhere(self, name: str, session: str | None) -> Dropped:
        self.note("remove_everywhere", name, session)
        return Dropped(FILE_ID, (PEER,), 2, removed=True)

    def drop(self, what: str, session: str | None) -> Dropped:
        self.note("drop", what, session)
        return Dropped(FILE_ID, (PEER,), 0)

    def start_upload(
        self, name: str, to: tuple[str, ...], replicas: int | None, session: str | None = None
    ) -> TransferView:
        self.note("start_upload", name, to, replicas, session)
        return self._transfer()

    def link(self, what: str, seconds: int, choose: str | None) -> LinkView:
        self.note("link", what, seconds, choose)
        return LinkView(OFFERED, "token", NOW + seconds)

    def find_digests(self, file_id: bytes) -> Digests | Making:
        self.note("find_digests", file_id)
        return self.digests

    def transfers(self) -> list[TransferView]:
        self.note("transfers")
        return [TRANSFER]

    def transfer(self, transfer_id: str, items_from: int = 0) -> TransferView:
        self.note("transfer", transfer_id, items_from)
        return TRANSFER

    def pause(self, transfer_id: str) -> TransferView:
        self.note("pause", transfer_id)
        return TRANSFER

    def resume(self, transfer_id: str, session: str | None = None) -> TransferView:
        self.note("resume", transfer_id, session)
        raise Conflict("it is not paused")

    def cancel(self, transfer_id: str) -> None:
        self.note("cancel", transfer_id)

    def _transfer(self) -> TransferView:
        values = {name: getattr(TRANSFER, name) for name in TRANSFER.__dataclass_fields__}
        return TransferView(**{**values, "state": self.state})


class FakeShareFolder:
    """A folder of partials and finished files on the real disk, with as much room as it is told to have."""

    def __init__(self, path: Path, room: int = 1 << 40) -> None:
        self.path = path
        self.partial = path / ".p2p-partial"
        self.partial.mkdir(exist_ok=True)
        self.partial_fd = os.open(self.partial, os.O_RDONLY | os.O_DIRECTORY)
        self.room = room
        self.place_error: Exception | None = None

    def place(self, partial_base: str, name: str) -> str:
        if self.place_error is not None:
            raise self.place_error
        final = name if not (self.path / name).exists() else f"{name} (2)"
        (self.path / final).parent.mkdir(parents=True, exist_ok=True)
        (self.partial / partial_base).rename(self.path / final)
        return final

    def raw_name(self, name: str) -> bytes:
        return name.encode()

    def open_folder(self, raw_name: bytes) -> int:
        try:
            return os.open(self.path / os.fsdecode(raw_name), os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError as error:
            raise NotFound("there is no such folder") from error

    def free_bytes(self) -> int:
        return self.room


class CheckedClient(FlaskClient):
    """Fails on an answer whose status its operation does not have in the OpenAPI document, and on any 500."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        # buffered: as a server does, it closes what it has sent
        response = super().open(*args, **{"buffered": True, "base_url": f"http://{HOST}", **kwargs})
        assert response.status_code != 500, response.text
        self._check_documented(response)
        return response

    def _check_documented(self, response: TestResponse) -> None:
        path, method = response.request.path, response.request.method.lower()
        paths = paths_of(self.application)
        matching = [known for known in paths if re.fullmatch(re.sub(r"{\w+}", "(?s:.+)", known), path)]
        operations = [paths[known] for known in matching if method in paths[known]]
        if operations:
            statuses = {status for one in operations for status in one[method]["responses"]}
            assert str(response.status_code) in statuses, f"{method} {path}: {response.status} is not documented"


_paths: dict[str, Any] = {}


def paths_of(app: Any) -> dict[str, Any]:
    """The paths of the OpenAPI document of an API; it is the same for each application made of that API."""
    if app.title not in _paths:
        _paths[app.title] = app.spec["paths"]
    found: dict[str, Any] = _paths[app.title]
    return found


class PeerLab:
    """A peer API over a fake node, and a member that asks it."""

    def __init__(self) -> None:
        self.node = FakePeerNode()
        self.now = NOW
        self.member = Issuer(Ed25519PrivateKey.generate(), NETWORK_KEY)
        self.own = Issuer(Ed25519PrivateKey.generate(), NETWORK_KEY)
        about = About(self.own.peer_id, "bob", "1.2.3")
        verifier = Verifier(self.own.peer_id, NETWORK_KEY)
        self.app = peer_app(self.node, about, verifier, LinkVerifier(NETWORK_KEY), lambda: self.now)
        self.http = client_of(self.app)

    def auth(self, scope: str, file_id: bytes | None = None, issuer: Issuer | None = None) -> dict[str, str]:
        about = None if file_id is None else file_id.hex()
        token = (issuer or self.member).token(self.own.peer_id, scope, self.now, about)
        return {"Authorization": f"Bearer {token}"}


class ClientLab:
    """A client API over a fake node and real tus uploads in `path`."""

    def __init__(self, path: Path) -> None:
        self.node = FakeClientNode()
        self.now = NOW
        self.people = People(lambda: self.now)
        self.folder = FakeShareFolder(path)
        self.committed: list[str] = []
        self.findings = [Finding("share", "ok", "/share"), Finding("address", "fail", "nobody", "open the port")]
        self.uploads = TusUploads(self.folder, self.committed.append)
        about = About(PEER_ID, "ann", "1.2.3")
        self.app = client_app(
            self.node, self.uploads, self.people.accounts, about=about, token=TOKEN, hosts=[HOST], now=lambda: self.now,
            examine=lambda: self.findings,
        )  # fmt: skip
        self.http = client_of(self.app)
        self.headers = {"Authorization": f"Bearer {TOKEN}"}
        self.http.environ_base["HTTP_AUTHORIZATION"] = self.headers["Authorization"]


def client_of(app: Flask) -> FlaskClient:
    app.test_client_class = CheckedClient
    return app.test_client()


def problem_of(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    """The problem document of an answer that must be one."""
    assert response.status_code == status, response.text
    assert response.mimetype == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"
    body: dict[str, Any] = response.get_json(force=True)
    assert body["status"] == status and body["code"] == code and body["type"] == "about:blank" and body["title"]
    return body
