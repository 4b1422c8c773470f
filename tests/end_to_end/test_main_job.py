"""The main job, with real processes: find through a neighbour, download from the holders, make others hold."""

import filecmp
import json
from pathlib import Path

import pytest

from demo import files
from demo.processes import Peer, wait_for
from tests.end_to_end.conftest import Person, World

MIB = 1 << 20


def make_file(path: Path, size: int, seed: bytes = b"seed") -> Path:
    """A file of `size` bytes that no compression or repetition makes special, the same for the same seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    block = (seed * 64)[:61]
    path.write_bytes((block * (size // len(block) + 1))[:size])
    return path


def same(one: Path, other: Path) -> bool:
    """Byte for byte."""
    return filecmp.cmp(one, other, shallow=False)


def _sizes(asker: Peer, what: str) -> list[int]:
    """The sizes of the files that go by that name."""
    answer = Person(asker).ask("GET", "/lookup", None, params={"what": what})
    return [group["size"] for group in answer.get("groups", [])]


@pytest.fixture
def three(world: World) -> tuple[Peer, Peer, Peer]:
    """Three peers; a shares a file of 8 MiB and a small one, b another small one."""
    a, b, c = (world.peer(name, start=False) for name in "abc")
    make_file(a.share / "reports" / "big.bin", 8 * MIB)
    files.license_text(a.share / "LICENSE")
    files.license_text(b.share / "licences" / "MIT.txt")
    for peer in (a, b, c):
        peer.start()
    world.found(c, "reports/big.bin", "a")
    world.found(c, "LICENSE", "a", "b")
    return a, b, c


def test_a_search_goes_through_a_neighbour_to_the_locator(three: tuple[Peer, Peer, Peer]) -> None:
    answer = Person(three[2]).search("rep big")
    assert answer["complete"]
    assert answer["groups"][0]["names"] == ["reports/big.bin"]
    assert any("neighbour" in step for step in answer["via"]), answer["via"]
    assert any("locator" in step for step in answer["via"]), answer["via"]


def test_a_download_by_name_id_and_sha256(three: tuple[Peer, Peer, Peer]) -> None:
    a, _, c = three
    person = Person(c)
    done = person.download("reports/big.bin")
    assert same(a.share / "reports/big.bin", c.share / "reports/big.bin")
    assert done["bytes_done"] == 8 * MIB
    licence = person.ask("GET", "/lookup", params={"what": "LICENSE"})["groups"][0]
    person.download(f"id:{licence['file_id']}", more={"as": "by-id"})
    assert same(a.share / "LICENSE", c.share / "by-id")
    again = person.download(f"sha256:{licence['sha256']}")
    assert again["items"][0]["final_name"] == "by-id"  # it is here already
    assert not list((c.share / ".p2p-partial").iterdir())


def test_the_same_file_at_two_peers_is_one_group(three: tuple[Peer, Peer, Peer]) -> None:
    groups = Person(three[2]).ask("GET", "/lookup", params={"what": "LICENSE"})["groups"]
    assert len(groups) == 1
    assert groups[0]["holder_count"] == 2
    assert set(groups[0]["names"]) == {"LICENSE", "licences/MIT.txt"}


def test_a_name_with_two_contents_is_ambiguous(world: World, three: tuple[Peer, Peer, Peer]) -> None:
    a, b, c = three
    make_file(a.share / "notes.txt", 1000, b"one")
    make_file(b.share / "notes.txt", 2000, b"two")
    world.found(c, "notes.txt", "a", "b")
    person = Person(c)
    problem = person.ask("POST", "/downloads", expect=409, json={"what": "notes.txt"})
    assert problem["code"] == "ambiguous"
    assert {choice["size"] for choice in problem["choices"]} == {1000, 2000}
    person.download("notes.txt", more={"from": "b"})
    assert same(b.share / "notes.txt", c.share / "notes.txt")
    ended = c.client("--json", "download", "notes.txt")  # off a terminal: the most held one, and says so
    assert ended.returncode == 0, ended.stderr
    assert "notes.txt" in ended.stderr


def test_a_folder_is_one_peers_view_of_it(world: World, three: tuple[Peer, Peer, Peer]) -> None:
    a, _, c = three
    files.package("email", a.share / "email")
    world.found(c, "email/utils.py", "a")
    Person(c).download("email/")
    for path in (a.share / "email").iterdir():
        assert same(path, c.share / "email" / path.name)


def test_an_upload_to_a_chosen_peer_and_to_two(three: tuple[Peer, Peer, Peer], tmp_path: Path) -> None:
    a, b, c = three
    report = make_file(tmp_path / "report.bin", 3 * MIB, b"report")
    ended = c.client("--json", "upload", str(report), "--to", "a")
    assert ended.returncode == 0, ended.stderr
    assert same(report, a.share / "report.bin")
    assert same(report, c.share / "report.bin")
    assert not (b.share / "report.bin").exists()
    notes = make_file(tmp_path / "notes.bin", MIB, b"notes")
    ended = c.client("--json", "upload", str(notes), "--replicas", "2")
    assert ended.returncode == 0, ended.stderr
    assert same(notes, a.share / "notes.bin")
    assert same(notes, b.share / "notes.bin")


def test_a_peer_that_takes_no_uploads_says_so(world: World, three: tuple[Peer, Peer, Peer], tmp_path: Path) -> None:
    world.peer("d", PSERVER_ACCEPT_UPLOADS="off")
    report = make_file(tmp_path / "report.bin", 1000)
    ended = three[2].client("upload", str(report), "--to", "d")
    assert ended.returncode == 1
    assert "takes no uploads" in ended.stderr


def test_what_a_person_removes_leaves_the_answers(world: World, three: tuple[Peer, Peer, Peer]) -> None:
    a, _, c = three
    assert a.client("remove", "reports/big.bin", "--yes").returncode == 0
    assert not (a.share / "reports/big.bin").exists()
    world.found(c, "reports/big.bin")
    assert c.client("download", "reports/big.bin").returncode == 3


def test_a_new_changed_and_vanished_file_is_noticed(world: World, three: tuple[Peer, Peer, Peer]) -> None:
    a, _, c = three
    path = make_file(a.share / "later.txt", 100, b"first")
    world.found(c, "later.txt", "a")
    make_file(path, 200, b"second")
    wait_for("the new content is found", lambda: _sizes(c, "later.txt") == [200])
    path.unlink()
    world.found(c, "later.txt")


def test_the_client_prints_json_that_scripts_can_use(three: tuple[Peer, Peer, Peer]) -> None:
    ended = three[2].client("--json", "search", "license")
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["groups"][0]["holder_count"] == 2
