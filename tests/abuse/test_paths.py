"""Names as a way out of the share: every odd name at every place of a real peer's two ports that takes one.

Beside the share lies a folder that hears of every open; in the share lie links that lead there.
"""

import asyncio
import base64
import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from central_server import model as locator
from central_server.limits import check_announcement
from demo.processes import wait_for
from protos import locator_pb2 as pb
from protos.links import make_link
from pserver.model import FileEntry, FileGroup, Holder, InvalidRequest, LookupAnswer, Peer
from pserver.remote.locator_messages import file_entries
from pserver.remote.lookup_json import answer_from_json, answer_to_json
from tests.abuse.lone_peer import IN_STEPS, LonePeer, Raw, indexed, running
from tests.abuse.odd_names import odd_names
from tests.abuse.outside import SECRET, outside_at, set_traps
from tests.central_server.samples import delta, entry
from tests.pserver.fake_source import FakeSource, manifest_of

pytestmark = [pytest.mark.abuse, pytest.mark.timeout(600)]
NAMES = odd_names()
HEX = "ab" * 32
PATCH = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}


@pytest.fixture(params=["pserver", IN_STEPS], ids=["openat2", "steps"])
def peer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LonePeer]:
    """A peer whose share is full of traps; `outside` of it lies beside the share."""
    made = LonePeer(tmp_path / "peer", request.param, PSERVER_MAX_OFFERS_PER_PEER="256")
    set_traps(made.share, made.folder / "outside")
    with outside_at(made.folder / "outside"), running(made):
        indexed(made, "docs/ok.txt")
        yield made


def stays_inside(name: str) -> bool:
    """Whether it is a name that means a file below a folder, judged by other means than those of the product."""
    return "\0" not in name and os.path.normpath(f"/share/{name}").startswith("/share/") and "/." not in f"/{name}"


def taken(names: list[str], take: Callable[[str], object], *refusals: type[Exception]) -> list[str]:
    """Those that are not refused; any other error than these is one."""
    found: list[str] = []
    for name in names:
        with contextlib.suppress(*refusals):
            take(name)
            found.append(name)
    return found


def test_no_name_that_leads_out_is_taken_from_an_announce_or_an_answer() -> None:
    def announce(name: str) -> None:
        asyncio.run(check_announcement(delta(0, 1, [entry(name, "x")])))

    def unannounce(name: str) -> None:
        asyncio.run(check_announcement(delta(0, 1, removed=[name])))

    def file_of_an_answer(name: str) -> None:
        said = answer_to_json(LookupAnswer(True, files=[FileEntry(name, b"f" * 32, 1, b"s" * 32, True)]))
        answer_from_json(said)

    def group_of_an_answer(name: str) -> None:
        holder = Holder(Peer(HEX, "x", "http://10.0.0.1:1"), name, True)
        group = FileGroup(b"f" * 32, 1, b"s" * 32, [name], [holder], 1)
        answer_from_json(answer_to_json(LookupAnswer(True, groups=[group])))

    for take in (announce, unannounce, file_of_an_answer, group_of_an_answer):
        found = taken(NAMES, take, locator.InvalidRequest, InvalidRequest)
        assert len(found) > 20 and all(map(stays_inside, found)), take
    sent = taken(NAMES, lambda name: pb.FileEntry(name=name, file_id=b"f" * 32, sha256=b"s" * 32), ValueError)
    told = file_entries(pb.FileEntry(name=name, file_id=b"f" * 32, sha256=b"s" * 32) for name in sent)
    assert len(told) > 20 and all(stays_inside(one.name) for one in told), "what a locator tells is checked too"


def tree(peer: LonePeer) -> set[str]:
    """All that lies in the peer's folder but in its share, its state, and what is watched anyway."""
    found: set[str] = set()
    for folder, folders, files in os.walk(peer.folder):
        if Path(folder) == peer.folder:
            folders[:] = sorted(set(folders) - {"share", "state", "outside"})
        found |= {os.path.relpath(Path(folder) / name, peer.folder) for name in folders + files}
    return found


class Asker:
    """Asks, and fails where an answer shows what it must not, or the peer stumbled."""

    def __init__(self, peer: LonePeer, client: Raw) -> None:
        self.client, self.count = client, 0
        self.secrets = (SECRET, peer.token.encode(), b"root:x:0:0")

    def __call__(self, method: str, path: str, said: object = None, **headers: str) -> tuple[int, bytes, Any]:
        body = None if said is None else json.dumps(said).encode()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent |= {} if said is None else {"Content-Type": "application/json"}
        status, answer, told = self.client.ask(method, path, body, sent)
        self.count += 1
        assert status < 500 or status in {503, 507}, f"{method} {path} {said!r}: {status} {answer[:300]!r}"
        assert not any(secret in answer for secret in self.secrets), f"{method} {path} {said!r} showed a secret"
        return status, answer, told


def encoded(name: str) -> set[str]:
    """The name in a path, as clients write it."""
    raw = name.encode(errors="surrogatepass")
    return {quote(raw, safe="/"), quote(raw, safe=""), quote(quote(raw, safe=""), safe="")}


def test_no_name_leads_out_of_the_share_by_the_client_api(peer: LonePeer) -> None:
    before = tree(peer)
    with contextlib.closing(peer.person()) as person:
        ask = Asker(peer, person)
        for name in NAMES:
            query = quote(name.encode(errors="surrogatepass"), safe="")
            for path in encoded(name):
                for place in ("files", "content", "peers", "transfers", "tus", "links"):
                    ask("GET", f"/client/v1/{place}/{path}", Tus_Resumable="1.0.0")
                ask("HEAD", f"/client/v1/content/{path}")
                ask("GET", f"/client/v1/peers/{path}/files")
                ask("DELETE", f"/client/v1/tus/{path}", Tus_Resumable="1.0.0")
            ask("GET", f"/client/v1/files?prefix={query}")
            ask("GET", f"/client/v1/lookup?what={query}")
            ask("GET", f"/client/v1/peers?folder={query}&match={query}")
            ask("GET", f"/client/v1/peers/lone/files?prefix={query}")
            ask("POST", "/client/v1/links", {"what": name})
            ask("POST", "/client/v1/uploads", {"name": name, "to": [name]})
            for what in ({"what": name}, {"what": "docs/ok.txt", "as": name}, {"what": name + "/", "from": name}):
                ask("POST", "/client/v1/downloads", what)
        assert len(NAMES) >= 500 and ask.count > 10_000
        for name in NAMES:
            for path in encoded(name):
                ask("DELETE", f"/client/v1/files/{path}")
    assert tree(peer) == before


def test_no_name_leads_out_of_the_share_by_the_peer_api(peer: LonePeer) -> None:
    before, file_id = tree(peer), manifest_of(b"inside").file_id.hex()
    link = make_link(peer.member, file_id, time.time(), 3600)
    of_query, own = {"query_id": "0f" * 16, "hops": 1, "deadline_ms": 200}, {"peer_id": peer.peer_id()}
    scopes = {scope: peer.bearer(scope) for scope in ("lookup", "bundle", "offer", "file")}
    with contextlib.closing(peer.stranger()) as stranger:
        ask = Asker(peer, stranger)
        for name in NAMES:
            for path in encoded(name):
                for place in ("manifests", "files", "digests", "offers"):
                    ask("GET", f"/peer/v1/{place}/{path}", **scopes["offer" if place == "offers" else "file"])
                ask("POST", f"/peer/v1/swarms/{path}", {"url": "x", "name": name, "bitfield": name}, **scopes["file"])
                status, content, _ = ask("GET", f"/peer/v1/links/{link}/file/{path}")
                assert content == b"inside" if status == 200 else status in {400, 404, 405, 414, 431}
                ask("GET", f"/peer/v1/links/{path}/file/x")
            for query in ({"kind": "locate", "queries": [{"name": name}]}, {"kind": "files", **own, "prefix": name}):
                ask("POST", "/peer/v1/lookups", {**query, **of_query}, **scopes["lookup"])
            ask("POST", "/peer/v1/bundles", {"file_ids": [name, file_id]}, **scopes["bundle"])
        assert ask.count > 8_000
    assert tree(peer) == before


def test_no_name_of_an_upload_leads_out_of_the_share(peer: LonePeer) -> None:
    before, taken = tree(peer), 0
    with contextlib.closing(peer.person()) as person:
        ask = Asker(peer, person)
        for name in NAMES:
            metadata = f"filename {base64.b64encode(name.encode(errors='surrogatepass')).decode()}"
            head = {"Tus_Resumable": "1.0.0", "Upload_Length": "1", "Upload_Metadata": metadata}
            status, _, told = ask("POST", "/client/v1/tus", **head)
            if status == 201:
                kind = {
                    "Tus-Resumable": "1.0.0",
                    "Upload-Offset": "0",
                    "Content-Type": "application/offset+octet-stream",
                }
                assert person.ask("PATCH", told["Location"], b"x", kind)[0] == 204
                taken += 1
    assert taken > 20, "some odd names are just odd"
    assert tree(peer) == before
    assert_only_plain_files(peer)


def test_no_name_of_an_offer_leads_out_of_the_share(peer: LonePeer) -> None:
    before = tree(peer)
    with contextlib.closing(peer.stranger()) as stranger, FakeSource("offerer") as source:
        peer.member = source.issuer
        ask, bearer, live = Asker(peer, stranger), peer.bearer("offer"), []
        for number, name in enumerate(NAMES):
            content = f"offered {number}".encode()
            file_id = source.offer(content).hex()
            sha256 = manifest_of(content).sha256.hex()
            said = {"file_id": file_id, "size": len(content), "name": name, "sha256": sha256, "url": source.peer.url}
            status, answer, _ = ask("POST", "/peer/v1/offers", said, **bearer)
            assert status in {202, 400, 422}, answer
            live += [json.loads(answer)["offer_id"]] if status == 202 else []

        def done() -> bool:
            answers = [ask("GET", f"/peer/v1/offers/{one}", **bearer) for one in live]
            return all(status == 404 or b'"done"' in answer for status, answer, _ in answers)  # 404: long ended

        assert len(live) > 20
        wait_for("all that could be taken are here", done, 120)
    assert tree(peer) == before
    assert_only_plain_files(peer)


def assert_only_plain_files(peer: LonePeer) -> None:
    """What came into the share lies there itself, and nothing of the traps was replaced or followed."""
    for folder, folders, files in os.walk(peer.share):
        folders[:] = [name for name in folders if name != ".p2p-partial" and not (Path(folder) / name).is_symlink()]
        hidden = [name for name in folders + files if name.startswith(".") and name != ".p2p-share-id"]
        assert not hidden, f"in {folder}: {hidden}"
    assert (peer.share / "link").is_symlink() and (peer.share / "linked").is_symlink()
    assert (peer.share / "docs/ok.txt").read_text() == "inside"
