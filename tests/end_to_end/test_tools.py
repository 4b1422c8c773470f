"""Other people's tools fetch from peers, unmodified: curl, wget, aria2 and a BitTorrent client."""

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import requests

from demo.processes import DidNotHappen, Peer, wait_for
from tests.end_to_end.conftest import Person, World
from tests.end_to_end.proxy import Proxy, flip_a_bit
from tests.end_to_end.test_main_job import MIB, make_file, same

NAME = "reports/größe 1.bin"
LAST = "größe 1.bin"
SIZE = 8 * MIB
KEY = "never-guessed-0123456789-by-nobody"
_XML = {"m": "urn:ietf:params:xml:ns:metalink"}


def needs(tool: str) -> str:
    """The path of a tool; skips the test, saying what is missing, if it is not installed."""
    found = shutil.which(tool)
    if found is None:
        pytest.skip(f"{tool} is not installed (Debian: apt-get install {'aria2' if tool == 'aria2c' else tool})")
    return found


def run(*command: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a tool with none of its person's settings; asserts its exit code."""
    ended = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=100, stdin=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "HOME": tempfile.gettempdir(), "LC_ALL": "C.UTF-8"}, check=False,
    )  # fmt: skip
    assert ended.returncode == code, f"{command[0]} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}"
    return ended


def link(peer: Peer, *more: str) -> list[str]:
    """The URLs that `pclient link NAME` prints at that peer."""
    ended = peer.client("link", NAME, *more)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.split()


@pytest.fixture
def got(tmp_path: Path) -> Path:
    """A folder for what tools fetch."""
    made = tmp_path / "got"
    made.mkdir()
    return made


@pytest.fixture
def two(world: World) -> Iterator[tuple[Peer, Peer]]:
    """a shares a file; b is another member, which does not have it. The network has a key. No link is ever logged."""
    world.locator.stop()
    world.locator.settings["LOCATOR_NETWORK_KEY"] = KEY
    world.locator.start()
    a, b = (world.peer(one, start=False, PSERVER_NETWORK_KEY=KEY, PSERVER_LOG_LEVEL="debug") for one in "ab")
    make_file(a.share / NAME, SIZE)
    a.start()
    b.start()
    world.found(b, NAME, "a")
    yield a, b
    assert "eyJ" not in a.log + b.log + world.locator.log, "a token was logged"


# --- the link itself


def test_a_link_opens_one_file_for_reading_until_it_ends(two: tuple[Peer, Peer]) -> None:
    a, b = two
    (url,) = link(b)
    assert url.startswith(a.addresses["peer"])
    assert requests.get(url, timeout=10).content == (a.share / NAME).read_bytes()
    assert requests.post(url, timeout=10).status_code == 405
    token = url.split("/")[6]
    asks = {"Authorization": f"Bearer {token}"}
    file_id = Person(b).ask("GET", "/lookup", params={"what": NAME})["groups"][0]["file_id"]
    for path in (f"files/{file_id}", f"manifests/{file_id}", f"digests/{file_id}"):  # a link is no peer's token
        assert requests.get(f"{a.addresses['peer']}/peer/v1/{path}", headers=asks, timeout=10).status_code == 401
    assert requests.get(url.replace(a.addresses["peer"], b.addresses["peer"]), timeout=10).status_code == 404
    forged = url.replace(token, token[:-8] + "AAAAAAAA")
    assert requests.get(forged, timeout=10).status_code == 401


def test_a_link_of_another_network_opens_nothing(world: World, two: tuple[Peer, Peer]) -> None:
    a, _ = two
    stranger = world.peer("s", PSERVER_NETWORK_KEY="another-secret-of-strangers-1234567890", PSERVER_LOCATORS="none")
    make_file(stranger.share / NAME, SIZE)
    wait_for("the stranger has indexed it", lambda: Person(stranger).holders(NAME))
    (url,) = link(stranger)
    assert requests.head(url, timeout=10).status_code == 200
    answer = requests.get(url.replace(stranger.addresses["peer"], a.addresses["peer"]), timeout=10)
    assert answer.status_code == 401
    assert "network's key" in answer.json()["detail"]


# --- curl and wget


def test_curl_resumes_and_does_not_fetch_what_it_has(two: tuple[Peer, Peer], got: Path) -> None:
    curl = needs("curl")
    a, b = two
    (url,) = link(b)
    target, etag = got / "got.bin", got / "etag"
    target.write_bytes((a.share / NAME).read_bytes()[: SIZE // 3])
    ended = run(curl, "-sS", "--fail", "-C", "-", "-o", target, "-w", "%{http_code} %{size_download}", url)
    assert ended.stdout == f"206 {SIZE - SIZE // 3}"
    assert same(target, a.share / NAME)
    ended = run(curl, "-sS", "--fail", "-o", target, "--etag-save", etag, "-w", "%{http_code}", url)
    assert ended.stdout == "200"
    again = run(curl, "-sS", "--fail", "-o", target, "--etag-compare", etag, "-w", "%{http_code} %{size_download}", url)
    assert again.stdout == "304 0"
    assert same(target, a.share / NAME)


def test_curl_names_what_it_saves_as_the_holder_does(two: tuple[Peer, Peer], got: Path) -> None:
    curl = needs("curl")
    a, b = two
    (url,) = link(b)
    run(curl, "-sS", "--fail", "--output-dir", got, "-O", url)
    (found,) = got.glob("*1.bin")
    assert same(found, a.share / NAME)


def test_wget_resumes_under_the_right_name(two: tuple[Peer, Peer], got: Path) -> None:
    wget = needs("wget")
    a, b = two
    (url,) = link(b)
    (got / LAST).write_bytes((a.share / NAME).read_bytes()[: SIZE // 2])
    ended = run(wget, "--no-config", "-c", "-P", got, url)
    assert "206 partial content" in ended.stderr.lower()
    assert [path.name for path in got.iterdir()] == [LAST]
    assert same(got / LAST, a.share / NAME)
    assert "416" in run(wget, "--no-config", "-c", "-P", got, url).stderr  # all of it is there


# --- documents


def test_a_peer_without_the_file_makes_documents_too(two: tuple[Peer, Peer], got: Path) -> None:
    a, b = two
    for form in ("meta4", "torrent"):
        ended = b.client("link", NAME, f"--{form}", "--save", str(got))
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.strip() == str(got / f"{LAST}.{form}")
        assert b.client("link", NAME, f"--{form}", "--save", str(got)).returncode == 1  # never over another
    file = ElementTree.parse(got / f"{LAST}.meta4").getroot().find("m:file", _XML)
    assert file is not None
    content = (a.share / NAME).read_bytes()
    assert file.get("name") == LAST
    assert file.findtext("m:size", namespaces=_XML) == str(SIZE)
    assert file.findtext("m:hash", namespaces=_XML) == hashlib.sha256(content).hexdigest()
    pieces = [hashed.text for hashed in file.findall("m:pieces/m:hash", _XML)]
    assert pieces[3] == hashlib.sha256(content[3 << 18 : 4 << 18]).hexdigest()
    assert len(pieces) == SIZE >> 18


def test_a_document_is_made_on_demand_and_kept_without_links(two: tuple[Peer, Peer]) -> None:
    a, b = two
    answer = json.loads(b.client("--json", "link", NAME).stdout)

    def fetched() -> requests.Response | None:
        document = requests.get(answer["meta4_url"], timeout=10)
        assert document.status_code in {200, 202}
        assert document.status_code == 200 or int(document.headers["Retry-After"]) >= 1
        return document if document.status_code == 200 else None

    document = wait_for("the document is made", fetched)
    assert answer["url"].split("/")[6].encode() in document.content
    assert "no-store" in document.headers["Cache-Control"]
    state = Path(a.settings["PSERVER_STATE_DIR"])
    assert [path.name for path in (state / "digests").iterdir()] == [answer["file_id"]]
    assert not [path for path in state.rglob("*") if path.is_file() and b"eyJ" in path.read_bytes()]
    make_file(a.share / NAME, SIZE, b"changed")  # another id: the old document is gone at once
    assert requests.get(answer["meta4_url"], timeout=10).status_code in {404, 409}


def test_aria2_fetches_from_three_peers_of_which_one_flips_bits(world: World, got: Path) -> None:
    aria2c = needs("aria2c")
    liar = Proxy(flip_a_bit)
    a = world.peer("a", start=False, PSERVER_ADVERTISE_URL=liar.url)
    b, c, d = (world.peer(name, start=False) for name in "bcd")
    for peer in (a, b, c):
        make_file(peer.share / NAME, 4 * SIZE)
        peer.start()
    liar.to(a.addresses["peer"])
    d.start()
    world.found(d, NAME, "a", "b", "c")
    assert len(link(d, "--all")) == 3
    assert d.client("link", NAME, "--meta4", "--save", str(got)).returncode == 0
    before = liar.passed
    ended = run(
        # -x: connections a host, and here all three peers are one host, where aria2's own 1 would be one peer.
        aria2c, "--no-conf", "-d", got, "-s", "3", "-x", "3", "-k", "1M", "--file-allocation=none",
        "--summary-interval=0", "--console-log-level=info", got / f"{LAST}.meta4",
    )  # fmt: skip
    assert same(got / LAST, b.share / NAME)
    assert liar.passed > before, "the liar was not asked"
    assert "checksum validation failed" in ended.stdout
    liar.close()


def test_libtorrent_fetches_from_web_seeds_of_which_one_flips_bits(world: World, got: Path) -> None:
    libtorrent = pytest.importorskip("libtorrent", reason="libtorrent is not installed (PyPI: libtorrent)")
    liar = Proxy(flip_a_bit)
    a = world.peer("a", start=False, PSERVER_ADVERTISE_URL=liar.url)
    # Slow, so that the liar has its turn; two, as libtorrent may hold against an honest one what it had from both.
    b, c = (world.peer(name, start=False, PSERVER_UPLOAD_RATE="8M") for name in "bc")
    d = world.peer("d")
    for peer in (a, b, c):
        make_file(peer.share / NAME, 2 * SIZE)
        peer.start()
    liar.to(a.addresses["peer"])
    world.found(d, NAME, "a", "b", "c")
    assert d.client("link", NAME, "--torrent", "--save", str(got)).returncode == 0
    torrent = libtorrent.load_torrent_file(str(got / f"{LAST}.torrent"))
    assert torrent.ti.priv()
    torrent.save_path = str(got)
    before = liar.passed
    session = libtorrent.session(_quiet(libtorrent))
    handle = session.add_torrent(torrent)
    try:
        wait_for("all of it is there", lambda: handle.status().is_seeding, 60)
    except DidNotHappen as why:
        told = "\n".join(alert.message() for alert in session.pop_alerts()[-50:])
        raise AssertionError(f"{why}; libtorrent told:\n{told}") from None
    session.pause()
    assert same(got / LAST, b.share / NAME)
    assert liar.passed > before + MIB // 4, "the liar was not asked"
    liar.close()


def _quiet(libtorrent: Any) -> dict[str, Any]:
    """A session as a person has it, only that it looks for nobody. SSRF mitigation, the default, stays on."""
    off = dict.fromkeys(("enable_dht", "enable_lsd", "enable_upnp", "enable_natpmp"), False)
    assert libtorrent.default_settings()["ssrf_mitigation"]
    at_once = {"urlseed_wait_retry": 1}  # seconds until a web seed that failed is tried again; else 30
    return {**off, **at_once, "listen_interfaces": "127.0.0.1:0"}
