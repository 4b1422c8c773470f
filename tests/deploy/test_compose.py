"""The images and the Compose cluster, for real: built from a clean checkout, played in, broken, stopped."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from demo.compose import ACTS, SETTINGS, Stage, clear
from demo.composition import PEERS, Composition
from demo.processes import wait_for
from tests.deploy.checkout import check_out
from tests.deploy.engine import NoEngine, engine

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(900),  # building the images is in it
]
SERVICES = ("locator", *PEERS)
PORTS = {"P2P_PORTS": "2710"}
PASSWORD = b"correct horse battery staple\n"


@pytest.fixture(scope="module")
def docker() -> Iterator[dict[str, str]]:
    """The environment in which `docker` works."""
    try:
        with engine() as environment:
            yield environment
    except NoEngine as why:
        pytest.skip(str(why))


@pytest.fixture(scope="module")
def checkout(docker: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean checkout with secrets of its own, and the images built from it."""
    root = check_out(tmp_path_factory.mktemp("compose") / "checkout")
    cluster = Composition(root, "p2p-test", docker, ["compose.yml", "compose.tls.yml"])
    cluster("build", seconds=900)
    cluster.make_secrets("tls")
    return root


@pytest.fixture(scope="module")
def stage(docker: dict[str, str], checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The plain cluster, up and ready."""
    cluster = Composition(checkout, "p2p-test", docker | SETTINGS | PORTS)
    try:
        cluster("up", "--wait", "--no-build")
        yield Stage(cluster, tmp_path_factory.mktemp("desk"))
    finally:
        clear(cluster)


def test_each_peer_is_well(stage: Stage) -> None:
    for peer in PEERS:
        found = stage.cluster.ask(peer, "doctor")
        assert found, f"doctor fails at {peer}: {stage.cluster.client(peer, 'doctor').stdout.decode()}"
        status = stage.status(peer)
        assert status["reachable"]["ok"]
        assert status["peer"]["url"] == f"http://{peer}:8001"


def test_only_client_apis_are_published_and_on_loopback_only(stage: Stage) -> None:
    shown = {}
    for service in SERVICES:
        ports = json.loads(stage.cluster.inspect(service, "{{json .NetworkSettings.Ports}}"))
        shown[service] = {
            port: [(one["HostIp"], one["HostPort"]) for one in where or ()] for port, where in ports.items()
        }
    assert shown["locator"] == {"51015/tcp": []}
    for number, peer in enumerate(PEERS, 1):
        assert shown[peer] == {"8001/tcp": [], "8101/tcp": [("127.0.0.1", f"2710{number}")]}


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_the_client_api_answers_this_machine_and_no_other_host(stage: Stage, number: int) -> None:
    assert _get(27100 + number, "localhost") == 200
    assert _get(27100 + number, "127.0.0.1") == 200
    assert _get(27100 + number, "evil.example.org") == 421


def _get(port: int, host: str) -> int:
    with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", "/healthz", headers={"Host": f"{host}:{port}"})
        return connection.getresponse().status


@pytest.mark.parametrize("service", ["locator", "peer1"])
def test_a_container_has_little_and_may_little(stage: Stage, service: str) -> None:
    settings = json.loads(stage.cluster.inspect(service, "{{json .HostConfig}}"))
    assert settings["ReadonlyRootfs"]
    assert settings["Init"]
    assert settings["CapDrop"] == ["ALL"]
    assert _inside(stage, service, "id -u").strip() == "10001"
    assert _inside(stage, service, 'test -d "$HOME" && echo home').strip() == "home"
    assert _inside(stage, service, "touch /opt/p2p/x || echo refused").strip() == "refused"
    assert not _inside(stage, service, "command -v gcc cc pip pip3 apt perl || true").strip()
    assert not _inside(stage, service, "find / -xdev -perm /6000 -type f 2>/dev/null || true").strip()


def _inside(stage: Stage, service: str, script: str) -> str:
    return stage.cluster("exec", "-T", service, "sh", "-c", script)


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
def test_the_demo(stage: Stage, act: Callable[[Stage], None]) -> None:
    """The same acts as `make compose-demo`, in their order: each goes on from what the one before left."""
    act(stage)


def test_the_network_key_is_in_no_image_and_no_log(stage: Stage, checkout: Path) -> None:
    key = (checkout / "docker" / "secrets" / "network.key").read_text()
    assert len(key) == 64
    assert key not in stage.cluster("logs")
    look = f"grep -rlsF {key} / --exclude-dir=proc --exclude-dir=sys || true"
    for image in ("p2p-central-server", "p2p-pserver", "p2p-proxy"):
        assert stage.cluster.docker("run", "--rm", "--user=0", "--entrypoint=sh", image, "-c", look) == ""


def test_the_load_profile(stage: Stage) -> None:
    """Peers without a name or an address in their settings pull one big file at once, and all have it."""
    loaded = Composition(stage.cluster.root, "p2p-test", stage.cluster.settings | {"LOAD_SIZE": "32M"})
    loaded("up", "--detach", "--no-build", "big-file", *SERVICES)
    loaded("--profile", "load", "up", "--wait", "--no-build", "--scale", "reader=3")
    wait_for("all three have it", lambda: stage.found("peer2", "big", copies=4), 90)
    said = stage.cluster.ask("peer2", "info", "big.bin")["groups"]
    assert [group["size"] for group in said] == [32 << 20]
    loaded("--profile", "load", "stop", "reader")
    for reader in loaded("--profile", "load", "ps", "--all", "--quiet", "reader").split():
        assert loaded.docker("inspect", "--format", "{{.State.ExitCode}}", reader).strip() == "0"
    wait_for("none of them is seen", lambda: stage.sees("peer1") == set(PEERS))


@pytest.fixture(scope="module")
def tls(
    docker: dict[str, str], checkout: Path, stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """The cluster with TLS and accounts, instead of the plain one."""
    clear(stage.cluster)
    cluster = Composition(checkout, "p2p-test", docker | SETTINGS | PORTS, ["compose.yml", "compose.tls.yml"])
    try:
        cluster("up", "--wait", "--no-build")
        yield Stage(cluster, tmp_path_factory.mktemp("tls-desk"))
    finally:
        clear(cluster)


def test_with_tls_people_log_in_and_bytes_come_by_https(tls: Stage, tmp_path: Path) -> None:
    assert tls.cluster.client("peer2", "peers").returncode == 4
    _with_password(tls, "peer2", "signup", "anna")
    _with_password(tls, "peer1", "login", "anna")
    wait_for("peer1 is reached by https", lambda: tls.status("peer1")["reachable"]["ok"])
    assert tls.status("peer1")["peer"]["url"] == "https://peer1:8443"
    assert tls.locator_state("peer2") == "registered"
    tls.cluster.put("peer1", Path(__file__), "/share/by-https.py")
    wait_for("peer2 finds it", lambda: tls.found("peer2", "https"))
    tls.play("peer2", "download by-https.py")
    tls.same("peer2", "by-https.py", Path(__file__))
    assert tls.cluster.ask("peer1", "doctor")
    assert tls.cluster.ask("peer2", "doctor")


_PROBE = r"""
import socket

def first_bytes(host, port, sent):
    try:
        with socket.create_connection((host, port), 5) as one:
            one.sendall(sent)
            return one.recv(12)
    except OSError as error:
        return type(error).__name__

http, grpc = b"GET /healthz HTTP/1.0\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
print(first_bytes("peer2", 8001, http))
print(first_bytes("peer1", 8001, http))
print(first_bytes("peer1", 8443, http))
print(first_bytes("locator", 51015, grpc))
"""


def test_with_tls_nothing_answers_in_plain_text(tls: Stage) -> None:
    """From another container: not the locator, and peer1's own listener is not there at all."""
    _with_password(tls, "peer3", "login", "anna")
    said = tls.cluster("exec", "-T", "peer3", "python3", "-c", _PROBE).splitlines()
    assert said == ["b'HTTP/1.0 200'", "ConnectionRefusedError", "b'HTTP/1.0 400'", "b''"]  # peer2 has no proxy


def _with_password(stage: Stage, peer: str, *words: str) -> None:
    with tempfile.TemporaryFile() as given:
        given.write(PASSWORD)
        given.seek(0)
        ended = stage.cluster.run("exec", "-T", peer, "pclient", *words, "--password-stdin", given=given)
    assert ended.returncode == 0, ended.stderr.decode()
