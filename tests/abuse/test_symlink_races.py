"""A folder of the share becomes a link out of it, and a folder again, 100,000 times while it is read and written."""

import base64
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import pserver.disk.folder
from pserver.disk.folder import Folder
from pserver.disk.walk import Walk
from pserver.model import PServerError
from tests.abuse.flipping import Flips, flipping
from tests.abuse.lone_peer import IN_STEPS, LonePeer, indexed, running
from tests.abuse.outside import Outside, outside_at
from tests.abuse.test_paths import PATCH

pytestmark = [pytest.mark.abuse, pytest.mark.timeout(600)]
FLIPS = 100_000


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """A share with a folder `docs` and a link `trap` to a folder outside, and files of the same names in both."""
    share = tmp_path / "peer" / "share"
    (share / "docs/inner").mkdir(parents=True)
    for name in ("secret.txt", "a.txt", "inner/secret.txt"):
        (share / "docs" / name).write_bytes(b"inside")
    (share / "trap").symlink_to(tmp_path / "outside")
    return share


@pytest.fixture
def outside(tmp_path: Path, share: Path) -> Iterator[Outside]:
    with outside_at(tmp_path / "outside") as made:
        yield made


def read(folder: Folder, raw_name: bytes) -> bytes | None:
    try:
        with open(folder.open_read(raw_name), "rb") as file:
            return file.read()
    except PServerError:
        return None


@pytest.mark.parametrize("way", ["openat2", "steps"])
@pytest.mark.parametrize("turns", ["a folder and a link", "a file and a link"])
def test_whatever_is_opened_lies_in_the_share(
    share: Path, outside: Outside, way: str, turns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "steps":
        monkeypatch.setattr(pserver.disk.folder, "has_open_beneath", lambda: False)
    pair = share / "docs", share / "trap"
    if turns == "a file and a link":
        pair = share / "docs/a.txt", share / "docs/secret.txt"
        pair[1].unlink()
        pair[1].symlink_to(outside.path / "secret.txt")
    folder, found, number = Folder(share), set[bytes | None](), 0
    with contextlib.closing(folder), flipping(*pair) as flips:
        while flips.count < FLIPS or number < 1000 or len(found) < 2:
            for name in (b"docs/secret.txt", b"docs/inner/secret.txt", b"docs/a.txt", b"trap/a.txt"):
                found.add(read(folder, name))
            number += 1
            _write(folder, number)
            if number % 20 == 0:
                for names in Walk(folder, lambda _name, _why: None):
                    list(names)
    assert found == {b"inside", None}, "both were seen, and nothing else"
    outside.assert_untouched()


def _write(folder: Folder, number: int) -> None:
    """Place a file, many files, and remove one, all in that folder."""
    for name in (f"docs/new {number}.txt", f"docs/ä {number}.txt"):
        with contextlib.suppress(PServerError):
            (folder.path / ".p2p-partial/part").write_bytes(b"new")
            folder.remove(folder.place("part", name).encode())
    with contextlib.suppress(PServerError):
        folder.write_group([(f"g{number}", b"new")])
        folder.place_group([(f"g{number}", f"docs/deep {number}/group.txt")])


@pytest.mark.parametrize("run", ["pserver", IN_STEPS], ids=["openat2", "steps"])
def test_a_running_peer_reads_and_writes_nothing_outside(share: Path, outside: Outside, run: str) -> None:
    with running(LonePeer(share.parent, run)) as peer:
        indexed(peer, "docs/secret.txt")
        with flipping(share / "docs", share / "trap") as flips:
            writer = threading.Thread(target=_upload, args=(peer, flips))
            writer.start()
            seen = _read_all(peer, flips)
            writer.join()
    assert seen <= {b"inside", b"new"}
    outside.assert_untouched()


def _read_all(peer: LonePeer, flips: Flips) -> set[bytes]:
    seen: set[bytes] = set()
    with contextlib.closing(peer.person()) as person:
        while flips.count < FLIPS or b"inside" not in seen:
            for name in ("docs/secret.txt", "docs/inner/secret.txt", "trap/secret.txt", "docs/new.txt"):
                status, content, _ = person.ask("GET", f"/client/v1/content/{name}")
                assert status in {200, 404, 409, 503}
                seen |= {content} if status == 200 else set()
            person.ask("DELETE", "/client/v1/files/docs/new.txt")
    return seen


def _upload(peer: LonePeer, flips: Flips) -> None:
    named = base64.b64encode(b"docs/new.txt").decode()
    head = {"Tus-Resumable": "1.0.0", "Upload-Length": "3", "Upload-Metadata": f"filename {named}"}
    with contextlib.closing(peer.person()) as person:
        while flips.count < FLIPS:
            _, _, told = person.ask("POST", "/client/v1/tus", headers=head)
            person.ask("PATCH", told["Location"], b"new", PATCH)
