"""Bad settings, bad names, bad disks: one clear line, and nothing lost. Real processes."""

import os
import secrets
import socket
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from demo.processes import Peer, environment, wait_for
from tests.end_to_end.conftest import Person, World
from tests.end_to_end.test_failures import SLOW
from tests.end_to_end.test_main_job import MIB, make_file, same

HOSTILE_NAMES = [
    "line\nbreak.txt",
    "\x1b[31mred\x1b[0m.txt",
    "tab\there.txt",
    "right-to-left\u202etxt.exe",
    "spaces  and 'quotes\".txt",
    "-rf",
    "?a=b&c#d%2e.txt",
    "back\\slash.txt",
    "x" * 255,
    "漢字/カタカナ/😀.txt",
    "idea.txt",
]


def run_peer(peer: Peer) -> subprocess.CompletedProcess[str]:
    """Run the process until it ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", peer.module],
        env=environment(peer.settings),
        cwd=peer.folder,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def one_line(ended: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    """It ended with that status and one line that has these words."""
    assert ended.returncode == status, ended.stderr
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    for word in words:
        assert word in ended.stderr


@pytest.fixture
def alone(empty_world: World) -> Peer:
    """A peer that was not started, and knows no locator."""
    made = empty_world.peer("alone", start=False)
    made.folder.mkdir(exist_ok=True)
    return made


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PSERVER_LISTEN", "nowhere"),
        ("PSERVER_LISTEN", "127.0.0.1:99999"),
        ("PSERVER_NETWORK_KEY", "short"),
        ("PSERVER_NETWORK_KEY_FILE", "no-such-file"),
        ("PSERVER_UPLOAD_RATE", "fast"),
        ("PSERVER_DOWNLOAD_RATE", "0"),
        ("PSERVER_ADVERTISE_URL", "ftp://somewhere"),
        ("PSERVER_NEIGHBOURS", "http://a/path"),
        ("PSERVER_ALLOWED_NETWORKS", "10.0.0.0/99"),
        ("PSERVER_ACCEPT_UPLOADS", "perhaps"),
        ("PSERVER_NAME", "two\nlines"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_line_that_names_it(alone: Peer, name: str, value: str) -> None:
    alone.settings[name] = value
    one_line(run_peer(alone), 2, name)


def test_a_misspelt_setting_and_a_key_that_lies_open_are_a_line_of_the_log_each(alone: Peer) -> None:
    key = make_file(alone.folder / "network.key", 0)
    key.write_text(secrets.token_hex(32))
    key.chmod(0o644)
    alone.settings |= {"PSERVER_LISTN": "127.0.0.1:1", "PSERVER_NETWORK_KEY_FILE": str(key)}
    alone.start()
    warned = [line for line in alone.log.splitlines() if "WARNING pserver:" in line]
    assert len(warned) == 2
    assert "PSERVER_LISTEN?" in warned[0] and str(key) in warned[1]


def test_an_add_leaves_free_what_shall_stay_free(alone: Peer) -> None:
    alone.settings["PSERVER_KEEP_FREE"] = "900000G"
    alone.start()
    ended = alone.client("add", str(make_file(alone.folder / "some.bin", 1000)))
    assert ended.returncode == 1 and "stay free" in ended.stderr, ended.stderr


def test_an_open_network_off_loopback_must_be_asked_for(alone: Peer) -> None:
    alone.settings["PSERVER_LISTEN"] = "0.0.0.0:0"
    one_line(run_peer(alone), 2, "PSERVER_NETWORK_KEY", "PSERVER_OPEN")


@pytest.mark.parametrize("name", ["PSERVER_LISTEN", "PSERVER_CLIENT_LISTEN"])
def test_a_port_in_use(alone: Peer, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        alone.settings[name] = f"127.0.0.1:{taken.getsockname()[1]}"
        one_line(run_peer(alone), 1, name, "in use")


def test_a_share_that_is_missing_or_no_folder(alone: Peer) -> None:
    alone.settings["PSERVER_SHARE_DIR"] = str(alone.folder / "no" / "such" / "folder")
    one_line(run_peer(alone), 1, "no/such/folder")
    alone.settings["PSERVER_SHARE_DIR"] = str(make_file(alone.folder / "a-file", 10))
    one_line(run_peer(alone), 1, "a-file")


def test_a_second_process_with_the_same_state_folder(alone: Peer) -> None:
    alone.start()
    one_line(run_peer(alone), 1, "another pserver")
    assert alone.running


def test_half_written_databases_are_made_anew(world: World) -> None:
    a, c = world.peer("a", start=False), world.peer("c")
    make_file(a.share / "kept.bin", 1000)
    a.start()
    world.found(c, "kept.bin", "a")
    a.kill()
    for path in Path(a.settings["PSERVER_STATE_DIR"]).glob("*.sqlite"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 - 100] + b"\0garbage")
    for path in Path(a.settings["PSERVER_STATE_DIR"]).glob("*.sqlite-*"):
        path.unlink()
    a.start()
    world.found(c, "kept.bin", "a")
    Person(c).download("kept.bin")


def test_hostile_names_are_shared_shown_harmlessly_and_downloaded(world: World) -> None:
    a, c = world.peer("a", start=False), world.peer("c")
    for number, name in enumerate(HOSTILE_NAMES):
        make_file(a.share / name, 100 + number)
    a.start()
    for name in HOSTILE_NAMES:
        world.found(c, name, "a")
    shown = c.client("files", "--peer", "a")
    assert shown.returncode == 0
    assert "\x1b" not in shown.stdout
    assert "\u202e" not in shown.stdout
    assert len(shown.stdout.splitlines()) == len(HOSTILE_NAMES)
    for name in HOSTILE_NAMES:
        ended = c.client("download", "--", name)
        assert ended.returncode == 0, (name, ended.stderr)
        assert same(a.share / name, c.share / name)


def test_what_is_not_shared(world: World) -> None:
    a = world.peer("a", start=False)
    make_file(a.share / ".hidden", 10)
    make_file(a.share / ".folder" / "inside", 10)
    make_file(a.share / ".p2p-partial" / "part", 10)
    make_file(a.folder / "outside", 10)
    (a.share / "link").symlink_to(a.folder / "outside")
    (a.share / "folder-link").symlink_to(a.folder)
    os.mkfifo(a.share / "fifo")
    os.close(os.open(os.fsencode(a.share) + b"/not-utf8-\xff", os.O_CREAT | os.O_WRONLY))
    make_file(a.share / "shared", 10)
    a.start()
    person = Person(a)
    wait_for("the file is shared", lambda: person.ask("GET", "/files")["files"])
    assert [file["name"] for file in person.ask("GET", "/files")["files"]] == ["shared"]
    skipped = person.ask("GET", "/status")["share"]["skipped"]
    assert any("not-utf8" in one["name"] for one in skipped), skipped


def test_nfd_names_and_names_that_differ_in_case(world: World) -> None:
    a, c = world.peer("a", start=False), world.peer("c")
    nfc, nfd = (unicodedata.normalize(form, "café.txt") for form in ("NFC", "NFD"))
    make_file(a.share / nfd, 300)
    make_file(a.share / "Readme", 301)
    make_file(a.share / "README", 302)
    a.start()
    for name in (nfc, "Readme", "README"):
        world.found(c, name, "a")
        Person(c).download(name)
    assert same(a.share / nfd, c.share / nfc)
    assert same(a.share / "Readme", c.share / "Readme")
    assert same(a.share / "README", c.share / "README")


@pytest.mark.parametrize(
    "what", ["", "/etc/passwd", "../x", "a/../b", "a//b", "x" * 256, ".hidden", "id:abc", "sha256:zz"]
)
def test_a_name_that_cannot_be_is_refused(alone: Peer, what: str) -> None:
    alone.start()
    problem = Person(alone).ask("POST", "/downloads", expect=None, json={"what": what})
    assert problem["code"] == "invalid", problem
    ended = alone.client("download", "--", what)
    assert ended.returncode in {1, 2}, ended
    assert "Traceback" not in ended.stderr


def test_unknown_ids_are_not_found(world: World) -> None:
    a = world.peer("a")
    for what in (f"id:{'0' * 64}", f"sha256:{'0' * 64}", "nothing"):
        assert a.client("download", what).returncode == 3


def _rewrite_in_place(path: Path) -> None:
    """Other bytes, but the same size and the same mtime."""
    before = path.stat()
    with open(path, "r+b") as file:
        file.seek(0)
        file.write(b"\xee" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("how", ["rewritten", "shortened"])
def test_a_file_that_changes_while_it_is_served_never_arrives_wrong(world: World, how: str) -> None:
    a, c = world.peer("a", start=False, PSERVER_UPLOAD_RATE=SLOW), world.peer("c")
    path = make_file(a.share / "big.bin", 16 * MIB)
    a.start()
    world.found(c, "big.bin", "a")
    person = Person(c)
    transfer = person.start_download("big.bin")
    wait_for("the download moves", lambda: person.transfer(transfer)["bytes_done"] >= MIB)
    if how == "rewritten":
        _rewrite_in_place(path)
    else:
        os.truncate(path, 3 * MIB)
    wait_for("it says why it stands still", lambda: person.transfer(transfer)["standstill"])
    assert not (c.share / "big.bin").exists()
    person.ask("DELETE", f"/transfers/{transfer}", expect=204)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 8 MiB."""
    mounted = tmp_path / "small"
    mounted.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", mounted], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("a small disk can only be mounted by root")
    yield mounted
    with suppress(subprocess.CalledProcessError):
        subprocess.run(["umount", "-l", mounted], check=True)


def test_a_full_disk_is_said_and_nothing_is_left(world: World, small_disk: Path, tmp_path: Path) -> None:
    a, c = world.peer("a", start=False), world.peer("c", PSERVER_SHARE_DIR=str(small_disk / "share"))
    make_file(a.share / "big.bin", 16 * MIB)
    make_file(a.share / "small.bin", MIB)
    a.start()
    world.found(c, "big.bin", "a")
    ended = c.client("download", "big.bin")
    assert ended.returncode == 1
    assert "room" in ended.stderr
    big = make_file(tmp_path / "added.bin", 16 * MIB)
    ended = c.client("add", str(big))
    assert ended.returncode == 1
    assert "room" in ended.stderr
    ended = a.client("upload", str(big), "--to", "c")
    assert ended.returncode == 1
    assert "room" in ended.stderr
    assert c.client("download", "small.bin").returncode == 0
    assert [path.name for path in (small_disk / "share").glob("[!.]*")] == ["small.bin"]


def test_a_client_without_its_pserver_or_token(alone: Peer, tmp_path: Path) -> None:
    alone.addresses = {"client": "http://127.0.0.1:1"}
    (tmp_path / "state").mkdir()
    Path(alone.settings["PSERVER_STATE_DIR"]).mkdir()
    (Path(alone.settings["PSERVER_STATE_DIR"]) / "client-token").write_text("t" * 43)
    assert alone.client("status").returncode == 5
    alone.addresses = {}
    alone.settings["PSERVER_STATE_DIR"] = str(tmp_path / "fresh")
    alone.start()
    token = tmp_path / "fresh" / "client-token"
    token.rename(tmp_path / "elsewhere")
    assert alone.client("status").returncode == 4
    token.write_text("not the right one at all, but as long")
    assert alone.client("status").returncode == 4
