"""The documented proxies in front of a peer (docker/proxy), as they stand but for names, ports and paths."""

import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
import requests

from central_server.certificates import Wanted, make_certificates
from demo.processes import Peer, free_port, wait_for
from tests.end_to_end.conftest import Person, World

pytestmark = pytest.mark.long
HOST = "127.0.0.1"
EXAMPLES = Path(__file__).parents[2] / "docker" / "proxy"
FILE_BYTES = 96 << 20


def nginx(folder: Path, port: int, peer: str) -> list[str]:
    """The command that runs the example, which is a part of a whole configuration."""
    site = (EXAMPLES / "nginx.conf").read_text()
    for old, new in (
        ("listen 8443", f"listen {HOST}:{port}"),
        ("/etc/p2p/peer", str(folder / HOST)),
        ("server 127.0.0.1:8001", f"server {peer}"),
    ):
        assert old in site
        site = site.replace(old, new)
    (folder / "site.conf").write_text(site)
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi"))
    whole = f"events {{}} http {{ {temporary} scgi_temp_path {folder}/scgi; include {folder}/site.conf; }}"
    (folder / "nginx.conf").write_text(f"pid {folder}/pid; daemon off; error_log stderr; {whole}")
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]


def caddy(folder: Path, port: int, peer: str) -> list[str]:
    """The same of Caddy."""
    site = (EXAMPLES / "Caddyfile").read_text()
    for old, new in (
        ("https://peer.example.org:8443", f"https://{HOST}:{port}"),
        ("/etc/p2p/peer", str(folder / HOST)),
        ("reverse_proxy 127.0.0.1:8001", f"reverse_proxy {peer}"),
    ):
        assert old in site
        site = site.replace(old, new)
    (folder / "Caddyfile").write_text(site)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


class Fronted:
    """A peer, `ann`, behind a proxy that speaks TLS with a certificate of `ca`; and the world they are in."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.ca = str(folder / "ca.pem")
        self.port = free_port(self)
        world.locator.settings["LOCATOR_CA_FILE"] = self.ca
        world.locator.start()
        self.url = f"https://{HOST}:{self.port}"
        self.ann = world.peer("ann", start=False, PSERVER_ADVERTISE_URL=self.url, PSERVER_CA_FILE=self.ca)
        with open(self.ann.share / "film", "wb") as file:
            file.truncate(FILE_BYTES)
            file.write(b"the beginning")

    def peer(self, name: str, **settings: str) -> Peer:
        return self.world.peer(name, start=True, **settings)

    def link(self) -> str:
        """A URL of the film, through the proxy."""
        said = self.ann.client("link", "film")
        found = re.search(r"https://\S+", said.stdout)
        assert found, said
        return found[0]


@pytest.fixture(params=[nginx, caddy], ids=lambda made: made.__name__)
def fronted(
    request: pytest.FixtureRequest, empty_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Fronted]:
    made: Callable[[Path, int, str], list[str]] = request.param
    if shutil.which(made.__name__) is None:
        pytest.skip(f"{made.__name__} is not installed (Debian: apt install {made.__name__})")
    folder = tmp_path / "proxy"
    make_certificates(folder, Wanted([HOST]), datetime.now(UTC))
    world = Fronted(empty_world, folder)
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    command = made(folder, world.port, world.ann.settings["PSERVER_LISTEN"])
    with open(folder / "log", "wb") as log:
        proxy = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for(f"{command} listens: {(folder / 'log').read_text()}", lambda: _listens(world.port))
        world.ann.start()
        yield world
    finally:
        proxy.terminate()
        proxy.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def test_peers_download_through_it_and_only_whoever_trusts_its_ca(fronted: Fronted) -> None:
    ben = fronted.peer("ben", PSERVER_CA_FILE=fronted.ca)
    fronted.world.found(ben, "film", "ann")
    Person(ben).download("film")
    assert (ben.share / "film").stat().st_size == FILE_BYTES
    ben.stop()
    eve = fronted.peer("eve")
    fronted.world.found(eve, "film", "ann")
    started = Person(eve).start_download("film")
    wait_for("eve is told why", lambda: "certificate" in str(Person(eve).transfer(started)).lower())
    assert not (eve.share / "film").exists()


def test_ranges_and_headers_are_as_the_peer_made_them(fronted: Fronted) -> None:
    wait_for("the film is shared", lambda: fronted.ann.client("link", "film").returncode == 0)
    url = fronted.link()
    assert url.startswith(fronted.url)
    direct = url.replace(fronted.url, f"http://{fronted.ann.settings['PSERVER_LISTEN']}")
    asked = {"Range": "bytes=4-8", "Accept-Encoding": "gzip"}
    through = requests.get(url, headers=asked, verify=fronted.ca, timeout=20)
    straight = requests.get(direct, headers=asked, timeout=20)
    assert through.status_code == 206 and through.content == b"begin"
    for name in ("ETag", "Content-Range", "Accept-Ranges", "Content-Length", "Content-Type", "Repr-Digest"):
        assert through.headers.get(name) == straight.headers.get(name), name
    assert requests.get(f"{fronted.url}/client/v1/status", verify=fronted.ca, timeout=20).status_code == 404


def test_what_a_reader_does_not_take_stays_with_the_peer(fronted: Fronted) -> None:
    """A proxy that buffers would fetch the whole film."""
    wait_for("the film is shared", lambda: fronted.ann.client("link", "film").returncode == 0)
    assert fronted.ann.process is not None
    ann = psutil.Process(fronted.ann.process.pid)
    before = ann.io_counters().write_chars
    with requests.get(fronted.link(), verify=fronted.ca, stream=True, timeout=20) as answer:
        assert next(answer.iter_content(13)) == b"the beginning"
        sent = wait_for("ann sends no more", _Still(lambda: ann.io_counters().write_chars))
        assert 0 < sent - before < FILE_BYTES // 3
        rest = sum(len(chunk) for chunk in answer.iter_content(1 << 20))
    assert rest == FILE_BYTES - 13


class _Still:
    """The value, once it was the same twenty times in a row."""

    def __init__(self, value: Callable[[], int]) -> None:
        self._value = value
        self._last, self._times = -1, 0

    def __call__(self) -> int | None:
        value = self._value()
        self._times = self._times + 1 if value == self._last else 0
        self._last = value
        return value if self._times >= 20 else None
